"""List the files that are taken from other packages in node_modules: to serve, and to include in a wheel.

Imports the standard library alone, because setup.py reads it where nothing is installed.
"""

# Name in the import map -> file.
MODULES = {
    "preact": "preact/dist/preact.mjs",
    "preact/hooks": "preact/hooks/dist/hooks.mjs",
    "htm": "htm/dist/htm.mjs",
    "htm/preact": "htm/preact/index.mjs",
    "@preact/signals": "@preact/signals/dist/signals.mjs",
    "@preact/signals-core": "@preact/signals-core/dist/signals-core.mjs",
    "eventsource-parser": "eventsource-parser/dist/parse.js",
    # For PDF files, loaded when one is requested. The fonts are not modules: the map has their addresses.
    "jspdf": "jspdf/dist/jspdf.umd.min.js",
    "svg2pdf.js": "svg2pdf.js/dist/svg2pdf.umd.min.js",
    "dejavu-sans/400.woff": "@fontsource/dejavu-sans/files/dejavu-sans-latin-400-normal.woff",
    "dejavu-sans/700.woff": "@fontsource/dejavu-sans/files/dejavu-sans-latin-700-normal.woff",
}
# Name for `asset("vendor/...")` -> file: a classic script, and the font that docs/font.py takes characters from.
NAMED = {
    "plotly": "plotly.js-cartesian-dist-min/plotly-cartesian.min.js",
    "inter": "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
}
# Modules that a page needs before its first line runs. They import each other: a browser would find them one by one.
STARTED = ("preact", "preact/hooks", "htm", "@preact/signals", "@preact/signals-core", "eventsource-parser")
# Compressed by static/compress.mjs when packages are installed, as a file of the same name and `.br`.
COMPRESSED = (NAMED["plotly"],)
# Files that those of the same package import.
PARTS = ("eventsource-parser/dist/errors.js",)
# The fonts of the pictures that the server draws, by whether they are bold.
FONTS = {False: MODULES["dejavu-sans/400.woff"], True: MODULES["dejavu-sans/700.woff"]}


def by_package() -> dict[str, list[str]]:
    """Return the files that a browser loads from node_modules, by their package."""
    packages: dict[str, list[str]] = {}
    for path in sorted({*MODULES.values(), *NAMED.values(), *PARTS}):
        packages.setdefault(package_of(path), []).append(path)
    return packages


def package_of(path: str) -> str:
    """Return the package to which a path in node_modules belongs."""
    parts = path.split("/")
    return "/".join(parts[: 2 if path.startswith("@") else 1])


def list_carried() -> list[str]:
    """Return the paths in node_modules that a wheel must contain, with the files that state their version.

    What is compressed there is not needed a second time as it was.

    The texts of licences are in docs/licences.md, which a wheel contains next to our own.
    """
    needed = [*MODULES.values(), *NAMED.values(), *PARTS, *FONTS.values()]
    about = {f"{package_of(path)}/package.json" for path in needed}
    return sorted({*needed, *about, *(f"{path}.br" for path in COMPRESSED)} - {*COMPRESSED})

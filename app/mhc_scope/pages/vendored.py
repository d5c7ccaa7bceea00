"""List the files of other packages in node_modules that are served, and that a wheel must contain.

This module imports only the standard library, because setup.py imports it when nothing is installed.
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
    # For PDF files, loaded when one is requested. Fonts are not modules, but the map has their addresses.
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
# Modules that a page preloads. They import each other, so that a browser would otherwise find them one by one.
STARTED = ("preact", "preact/hooks", "htm", "@preact/signals", "@preact/signals-core", "eventsource-parser")
# Files that static/compress.mjs compresses when packages are installed, to a file of the same name with `.br`.
COMPRESSED = (NAMED["plotly"],)
# Files that other files of the same package import.
PARTS = ("eventsource-parser/dist/errors.js",)
# Fonts of the pictures that the server draws. Key: whether it is bold.
FONTS = {False: MODULES["dejavu-sans/400.woff"], True: MODULES["dejavu-sans/700.woff"]}


def by_package() -> dict[str, list[str]]:
    """Return the files in node_modules that a browser loads, by package."""
    packages: dict[str, list[str]] = {}
    for path in sorted({*MODULES.values(), *NAMED.values(), *PARTS}):
        packages.setdefault(package_of(path), []).append(path)
    return packages


def package_of(path: str) -> str:
    """Return the package to which a path in node_modules belongs."""
    parts = path.split("/")
    return "/".join(parts[: 2 if path.startswith("@") else 1])


def list_carried() -> list[str]:
    """Return the paths in node_modules that a wheel must contain, including the files that state versions.

    Of compressed files, only the compressed version is needed. The texts of licences are in docs/licences.md, which a
    wheel contains too.
    """
    needed = [*MODULES.values(), *NAMED.values(), *PARTS, *FONTS.values()]
    about = {f"{package_of(path)}/package.json" for path in needed}
    return sorted({*needed, *about, *(f"{path}.br" for path in COMPRESSED)} - {*COMPRESSED})

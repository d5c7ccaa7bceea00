"""Write docs/licences.md: the licences of packages whose files the server sends or draws with. `make licences`."""

import json
import re
from pathlib import Path

from mhc_scope.files import CHECKOUT, NODE_MODULES
from mhc_scope.pages.vendored import FONTS, by_package, package_of

# Packages whose code is in the file of another package, according to its source map.
INSIDE = {
    "jspdf": ("@babel/runtime", "fast-png", "fflate", "iobuffer", "pako"),
    "svg2pdf.js": ("cssesc", "font-family-papandreou", "specificity", "svgpath"),
}
# The line of the Apache License that names the owner.
COPYRIGHT = re.compile(r"^ +Copyright \d{4} .+$", re.MULTILINE)
TARGET = Path(__file__).with_name("licences.md")
HEAD = """# Licences of bundled packages

Packages of `static/package-lock.json` whose files the server sends to browsers, and the font of pictures that the
server draws. `make licences` writes this file. Python packages are installed with their own licences.

| package | version | licence | files |
|---|---|---|---|
"""


def describe() -> str:
    """Return the whole document, from the installed packages. Raises StopIteration if a package has no licence."""
    used = {
        package: ", ".join(f"`{path.removeprefix(package + '/')}`" for path in paths)
        for package, paths in by_package().items()
    } | {package: f"in the file of {outer}" for outer, inner in INSIDE.items() for package in inner}
    used[package_of(FONTS[False])] += ": PDF files, and pictures drawn on the server"
    table, texts = HEAD, ""
    for package, what in sorted(used.items()):
        folder = CHECKOUT / NODE_MODULES / package
        about = json.loads((folder / "package.json").read_bytes())
        table += f"| {package} | {about['version']} | {about['license']} | {what} |\n"
        texts += f"\n## {package}\n\n{to_text(read_licence(folder))}\n"
    return table + texts


def to_text(licence: str) -> str:
    """Return the text of a licence; if it is the text of our LICENSE, only its copyright line and a reference."""
    ours = (CHECKOUT / "LICENSE").read_text()
    [line] = COPYRIGHT.findall(ours)
    own = COPYRIGHT.findall(licence)
    if len(own) == 1 and COPYRIGHT.sub(line, licence).split() == ours.split():
        return f"{own[0].strip().rstrip('.')}. The text is that of `LICENSE` with this line."
    return f"```text\n{licence.strip()}\n```"


def read_licence(folder: Path) -> str:
    """Return the licence file of a package."""
    return next(path for path in sorted(folder.glob("LICENSE*"))).read_text()


if __name__ == "__main__":
    TARGET.write_text(describe())

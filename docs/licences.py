"""Write docs/licences.md: whose files the server passes on or draws with, under which licence. `make licences`."""

import json
import re
from pathlib import Path

from mhc_scope.files import CHECKOUT, NODE_MODULES
from mhc_scope.pages.vendored import FONTS, by_package, package_of

# Packages whose code stands in the file of another, as its source map says.
INSIDE = {
    "jspdf": ("@babel/runtime", "fast-png", "fflate", "iobuffer", "pako"),
    "svg2pdf.js": ("cssesc", "font-family-papandreou", "specificity", "svgpath"),
}
# The line of the Apache License in which an owner is named.
COPYRIGHT = re.compile(r"^ +Copyright \d{4} .+$", re.MULTILINE)
TARGET = Path(__file__).with_name("licences.md")
HEAD = """# Licences of others

What a browser is sent of others, and the font of the server's own pictures: all of it from `static/package-lock.json`.
`make licences` writes this file. What pip installs comes with its own.

| package | version | licence | used |
|---|---|---|---|
"""


def describe() -> str:
    """The whole document, from the installed packages. Raises where one has no licence."""
    used = {
        package: ", ".join(f"`{path.removeprefix(package + '/')}`" for path in paths)
        for package, paths in by_package().items()
    } | {package: f"within the file of {outer}" for outer, inner in INSIDE.items() for package in inner}
    used[package_of(FONTS[False])] += ": in PDF files, and in pictures drawn on the server"
    table, texts = HEAD, ""
    for package, what in sorted(used.items()):
        folder = CHECKOUT / NODE_MODULES / package
        about = json.loads((folder / "package.json").read_bytes())
        table += f"| {package} | {about['version']} | {about['license']} | {what} |\n"
        texts += f"\n## {package}\n\n{to_text(read_licence(folder))}\n"
    return table + texts


def to_text(licence: str) -> str:
    """The text of a licence; of one that has the words of our own, its copyright and where the words stand."""
    ours = (CHECKOUT / "LICENSE").read_text()
    [line] = COPYRIGHT.findall(ours)
    own = COPYRIGHT.findall(licence)
    if len(own) == 1 and COPYRIGHT.sub(line, licence).split() == ours.split():
        return f"{own[0].strip().rstrip('.')}. The text is that of `LICENSE`, with this line in it."
    return f"```text\n{licence.strip()}\n```"


def read_licence(folder: Path) -> str:
    """The text that a package comes with."""
    return next(path for path in sorted(folder.glob("LICENSE*"))).read_text()


if __name__ == "__main__":
    TARGET.write_text(describe())

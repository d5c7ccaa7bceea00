"""Write docs/licences.md: whose files the server passes on or draws with, under which licence. `make licences`."""

import json
from pathlib import Path

from app.pages.assets import NODE_MODULES, by_package
from app.pages.raster import FONTS

TARGET = Path(__file__).with_name("licences.md")
HEAD = """# Licences of others

What a browser is sent of others, and the font of the server's own pictures: all of it from `static/package-lock.json`.
`make licences` writes this file. What pip installs comes with its own.

| package | version | licence | used |
|---|---|---|---|
"""


def describe() -> str:
    """The whole document, from the installed packages. Raises where one has no licence."""
    font = FONTS.relative_to(NODE_MODULES).parts
    used = {
        package: ", ".join(f"`{path.removeprefix(package + '/')}`" for path in paths)
        for package, paths in by_package().items()
    } | {"/".join(font[:2]): "pictures drawn on the server"}
    table, texts = HEAD, ""
    for package, what in sorted(used.items()):
        folder = NODE_MODULES / package
        about = json.loads((folder / "package.json").read_bytes())
        table += f"| {package} | {about['version']} | {about['license']} | {what} |\n"
        texts += f"\n## {package}\n\n```text\n{(folder / 'LICENSE').read_text().strip()}\n```\n"
    return table + texts


if __name__ == "__main__":
    TARGET.write_text(describe())

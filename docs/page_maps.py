"""Writes `static/js/derived/maps.js`, the list of the residual maps that the page computes. `make types` runs it.

Each file of `static/js/derived/maps` is one map, so that a new one needs no edit of another file. The list is a file,
because modules of a page can be joined and saved only if their imports are written out.
"""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "static" / "js" / "derived" / "maps"
TARGET = FOLDER.with_suffix(".js")
HEAD = "/** Lists the residual maps of the page by formula. Written by `make types` from the folder `maps`. */\n\n"


def describe() -> str:
    """The whole file."""
    names = sorted(path.stem for path in FOLDER.glob("*.js"))
    imports = "".join(f"import {{ mapLogits as {name} }} from './maps/{name}.js';\n" for name in names)
    listed = "".join(f"  {name},\n" for name in names)
    return (
        f"{HEAD}{imports}\n"
        "/** @type {Record<string, import('../../types').ResidualMap>} */\n"
        f"export const MAPS = {{\n{listed}}};\n"
    )


if __name__ == "__main__":
    TARGET.write_text(describe())

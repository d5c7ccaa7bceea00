"""The files that the server passes on: those of the checkout, or those that an installed package carries."""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent.parent
# Made by setup.py when it builds a wheel; a checkout never has it.
CARRIED = PACKAGE / "carried"
TEMPLATES, STATIC, NODE_MODULES = "templates", "static", "static/node_modules"
# Our scripts and style sheets, and one package that is published with its comments. Others are taken as they are.
COMMENTED = re.compile(r"static/(?:js/.+\.js|css/.+\.css|node_modules/eventsource-parser/.+\.js)")
# A comment between /* and */, wherever it is, and lines that begin with //. An address in a text has its slashes within
# a line, and no text or pattern of ours holds /*: tests compare what is left with what a compiler makes of each file.
COMMENT = re.compile(r"/\*.*?\*/|^[ \t]*//[^\n]*", re.DOTALL | re.MULTILINE)


class MissingAsset(RuntimeError):
    """A file that the pages need is not there."""


def read_file(path: str) -> bytes:
    """A file by its path in the checkout, such as `static/js/app.js`; our scripts and style sheets without comments.

    Comments are half of what a first visit would load. Lines keep their numbers.

    Raises
    ------
    MissingAsset
        Where it is not there.
    """
    try:
        body = (find_root() / path).read_bytes()
    except FileNotFoundError:
        raise MissingAsset(f"{path} is missing: `make setup` installs what others' files are needed") from None
    if not COMMENTED.fullmatch(path):
        return body
    return COMMENT.sub(lambda found: "\n" * found[0].count("\n"), body.decode()).encode()


def list_files(folder: str) -> list[str]:
    """Paths of all files in a folder and below, in order; none where it is not there."""
    root = find_root()
    return sorted(path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file())


def find_root() -> Path:
    """The folder that has them."""
    return CARRIED if is_installed() else CHECKOUT


def is_installed() -> bool:
    """Whether this is an installed package, and no checkout."""
    return CARRIED.is_dir()

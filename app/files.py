"""The files that the server passes on: those of the checkout, or of the archives that an installed package carries."""

import re
import tarfile
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent
TEMPLATES, STATIC, NODE_MODULES = "templates", "static", "static/node_modules"
# Made by setup.py as it builds a wheel; a checkout never has them. Packed together, files take half of what each would,
# and what people write is packed best by another method than what a machine has made short.
OURS, OTHERS = PACKAGE / "ours.tar.bz2", PACKAGE / "others.tar.xz"
# Our scripts and style sheets, and one package that is published with its comments. Others are taken as they are.
COMMENTED = re.compile(r"static/(?:js/.+\.js|css/.+\.css|node_modules/eventsource-parser/.+\.js)")
# A comment between /* and */, wherever it is, and lines that begin with //. An address in a text has its slashes within
# a line, and no text or pattern of ours holds /*: tests compare what is left with what a compiler makes of each file.
COMMENT = re.compile(r"/\*.*?\*/|^[ \t]*//[^\n]*", re.DOTALL | re.MULTILINE)
# In a style sheet it says nothing; in a script it may stand in a text of several lines.
INDENT = re.compile(r"^[ \t]+", re.MULTILINE)


class MissingAsset(RuntimeError):
    """A file that the pages need is not there."""


def read_file(path: str) -> bytes:
    """A file by its path in the checkout, such as `static/js/app.js`; our scripts and style sheets without comments.

    Raises
    ------
    MissingAsset
        Where it is not there.
    """
    try:
        return _unpack()[path] if is_installed() else _shorten(path, (CHECKOUT / path).read_bytes())
    except (KeyError, FileNotFoundError):
        raise MissingAsset(f"{path} is missing: `make setup` installs what others' files are needed") from None


def list_files(folder: str) -> list[str]:
    """Paths of all files in a folder and below, in order; none where it is not there."""
    if is_installed():
        return sorted(path for path in _unpack() if path.startswith(f"{folder}/"))
    found = (CHECKOUT / folder).rglob("*")
    return sorted(path.relative_to(CHECKOUT).as_posix() for path in found if path.is_file())


def is_installed() -> bool:
    """Whether this is a package with archives, and no checkout."""
    return OURS.is_file()


def _shorten(path: str, body: bytes) -> bytes:
    """The same lines without comments, and in style sheets without indentation: a quarter of what a browser would load.

    Lines keep their numbers.
    """
    if not COMMENTED.fullmatch(path):
        return body
    text = COMMENT.sub(lambda found: "\n" * found[0].count("\n"), body.decode())
    return (INDENT.sub("", text) if path.endswith(".css") else text).encode()


@cache
def _unpack() -> dict[str, bytes]:
    """Into memory, where the server keeps its files anyway."""
    return {name: body for archive in (OURS, OTHERS) for name, body in _read_archive(archive)}


def _read_archive(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        return [(entry.name, file.read()) for entry in archive if (file := archive.extractfile(entry)) is not None]

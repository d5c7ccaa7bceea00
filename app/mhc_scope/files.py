"""Find the files that the server serves: those of the checkout, or those in an installed package."""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent.parent
# Created by setup.py when it builds a wheel; a checkout never has it.
CARRIED = PACKAGE / "carried"
TEMPLATES, STATIC, NODE_MODULES = "templates", "static", "static/node_modules"
# Our scripts and style sheets, and one package that is published with its comments. Others are served unchanged.
COMMENTED = re.compile(r"static/(?:js/.+\.js|css/.+\.css|node_modules/eventsource-parser/.+\.js)")
# A comment between /* and */, wherever it is, and lines that begin with //. An address in a text has its slashes within
# a line, and no text or pattern of ours contains /*: tests compare the result with what a compiler makes of each file.
COMMENT = re.compile(r"/\*.*?\*/|^[ \t]*//[^\n]*", re.DOTALL | re.MULTILINE)


class MissingAsset(RuntimeError):
    """A file that the pages need does not exist."""


def read_file(path: str) -> bytes:
    """Return the content of a file of the page, such as `static/js/app.js`; comments of our own files are removed.

    Comments are half of what a first visit would load. Lines keep their numbers.

    Raises
    ------
    MissingAsset
        If it does not exist.
    """
    body = find_file(path)
    if body is None and (compressed := find_file(f"{path}.br")) is not None:  # all that a wheel carries of Plotly
        import brotli  # not in an environment that builds a wheel

        return bytes(brotli.decompress(compressed))
    if body is None:
        raise MissingAsset(f"{path} is missing: `make setup` installs the files of other packages")
    return strip_comments(body) if COMMENTED.fullmatch(path) else body


def find_file(path: str) -> bytes | None:
    """Return the path of a file of the page, such as `static/js/app.js`; None if it does not exist."""
    found = find_root() / path
    return found.read_bytes() if found.is_file() else None


def strip_comments(body: bytes) -> bytes:
    """Return a script or a style sheet without its comments."""
    return COMMENT.sub(lambda found: "\n" * found[0].count("\n"), body.decode()).encode()


def list_files(folder: str) -> list[str]:
    """Return the paths of all files in a folder and below, in order; none if it does not exist."""
    root = find_root()
    return sorted(path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file())


def find_root() -> Path:
    """Return the folder that contains `static` and `templates`: the checkout, or the folder of the installed
    package.
    """
    return CARRIED if is_installed() else CHECKOUT


def is_installed() -> bool:
    """Return whether this is an installed package, which alone carries the page's files, and not a checkout."""
    return CARRIED.is_dir()

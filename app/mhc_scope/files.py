"""Read the files that the server serves, from the checkout or from the installed package."""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent.parent
# setup.py creates this folder when it builds a wheel. A checkout does not have it.
CARRIED = PACKAGE / "carried"
TEMPLATES, STATIC, NODE_MODULES = "templates", "static", "static/node_modules"
# Files whose comments are removed: our scripts and style sheets, and one package that is published with comments.
COMMENTED = re.compile(r"static/(?:js/.+\.js|css/.+\.css|node_modules/eventsource-parser/.+\.js)")
# Comments between /* and */ anywhere, and lines that begin with //. URLs in strings have slashes within a line, and no
# string or pattern of ours contains /*. Tests compare the result with a compiler's output for each file.
COMMENT = re.compile(r"/\*.*?\*/|^[ \t]*//[^\n]*", re.DOTALL | re.MULTILINE)


class MissingAsset(RuntimeError):
    """A file that the pages need does not exist."""


def read_file(path: str) -> bytes:
    """Return the content of a file of the page, such as `static/js/app.js`, without comments if the file is ours.

    Comments would be half of what a first visit loads. Lines keep their numbers.

    Raises
    ------
    MissingAsset
        If the file does not exist.
    """
    body = find_file(path)
    if body is None and (compressed := find_file(f"{path}.br")) is not None:  # a wheel has Plotly only compressed
        import brotli  # not in an environment that builds a wheel

        return bytes(brotli.decompress(compressed))
    if body is None:
        raise MissingAsset(f"{path} is missing: `make setup` installs the files of other packages")
    return strip_comments(body) if COMMENTED.fullmatch(path) else body


def find_file(path: str) -> bytes | None:
    """Return the unchanged content of a file of the page, such as `static/js/app.js`; None if it does not exist."""
    found = find_root() / path
    return found.read_bytes() if found.is_file() else None


def strip_comments(body: bytes) -> bytes:
    """Return a script or a style sheet without its comments."""
    return COMMENT.sub(lambda found: "\n" * found[0].count("\n"), body.decode()).encode()


def list_files(folder: str) -> list[str]:
    """Return the sorted paths of all files in a folder and its subfolders; [] if the folder does not exist."""
    root = find_root()
    return sorted(path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file())


def find_root() -> Path:
    """Return the folder that contains `static` and `templates`: the checkout, or a folder in the installed package."""
    return CARRIED if is_installed() else CHECKOUT


def is_installed() -> bool:
    """Return whether this is an installed package, which contains the page's files, and not a checkout."""
    return CARRIED.is_dir()

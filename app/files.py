"""The files that the server passes on: those of the checkout, or of the archive that an installed package carries."""

import tarfile
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# Made by setup.py as it builds a wheel; a checkout never has it. Packed together, files take half of what each would.
ARCHIVE = PACKAGE / "carried.tar.xz"
CHECKOUT = PACKAGE.parent
TEMPLATES, STATIC, NODE_MODULES = "templates", "static", "static/node_modules"


class MissingAsset(RuntimeError):
    """A file that the pages need is not there."""


def read_file(path: str) -> bytes:
    """A file by its path in the checkout, such as `static/js/app.js`.

    Raises
    ------
    MissingAsset
        Where it is not there.
    """
    try:
        return _unpack()[path] if ARCHIVE.is_file() else (CHECKOUT / path).read_bytes()
    except (KeyError, FileNotFoundError):
        raise MissingAsset(f"{path} is missing: `make setup` installs what others' files are needed") from None


def list_files(folder: str) -> list[str]:
    """Paths of all files in a folder and below, in order; none where it is not there."""
    if ARCHIVE.is_file():
        return sorted(path for path in _unpack() if path.startswith(f"{folder}/"))
    found = (CHECKOUT / folder).rglob("*")
    return sorted(path.relative_to(CHECKOUT).as_posix() for path in found if path.is_file())


@cache
def _unpack() -> dict[str, bytes]:
    """Into memory, where the server keeps its files anyway."""
    with tarfile.open(ARCHIVE) as archive:
        return {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry)) is not None}

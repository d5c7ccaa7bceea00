"""A copy of the repository in which files are mutated, so that no fault is ever left in the sources."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make_copy(folder: Path) -> Path:
    """The files that git knows or would add, as they are now, and what npm has installed."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    modules = Path("static/node_modules")
    if (ROOT / modules).exists():
        (folder / modules).unlink(missing_ok=True)
        (folder / modules).symlink_to((ROOT / modules).resolve())
    return folder


@contextlib.contextmanager
def changed(path: Path, code: str) -> Iterator[None]:
    """A file with other code. Bytecode is told from stale one by the time of the file, so that is put back too."""
    source, times = path.read_bytes(), path.stat()
    path.write_text(code)
    try:
        yield
    finally:
        path.write_bytes(source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

"""Files that are kept because it was expensive to make them. Everything here can be deleted at any time."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Between the moment a file is found and the moment it is opened for its reader, it is not deleted.
SPARED_S = 60.0
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")


class EncodedFiles:
    """Files by key in one folder, at most `limit_bytes` in all; those that were used last stay.

    A file appears under its key when it is whole, so that it survives a restart and a kill.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._is_stopping = False
        self.evicted = 0

    def find(self, key: str) -> Path | None:
        """The file of that key, noted as used; None where it is not here."""
        path = self._path(key)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def begin_stop(self) -> None:
        """Stop creating folders, so that a data folder deleted during shutdown stays deleted."""
        self._is_stopping = True

    @contextmanager
    def work(self) -> Iterator[Path]:
        """A folder for files that are being made; it is gone afterwards.

        Raises
        ------
        OSError
            Where it cannot be made.
        """
        if not self._is_stopping:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix="_", dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # it may have been deleted from outside

    def put(self, key: str, made: Path) -> Path:
        """Keep a whole file, which `work` gave room for, and make room for it."""
        path = self._path(key)
        os.replace(made, path)
        self._evict()
        return path

    def clean(self) -> None:
        """Drop what an earlier process did not finish."""
        for left in self._folder.glob("_*"):
            shutil.rmtree(left, ignore_errors=True)

    def clear(self) -> None:
        """Delete everything that is kept; who reads a file now reads on."""
        for _, _, path in self._list():
            path.unlink(missing_ok=True)

    @property
    def size_bytes(self) -> int:
        """Bytes of all files that are kept."""
        return sum(size for _, size, _ in self._list())

    def _path(self, key: str) -> Path:
        assert KEY.fullmatch(key), f"{key!r} cannot name a file"
        return self._folder / key

    def _list(self) -> list[tuple[float, int, Path]]:
        """When each was used, its size, and its path."""
        found = []
        for path in self._folder.glob("[!_]*"):
            try:
                status = path.stat()
            except FileNotFoundError:  # deleted meanwhile
                continue
            found.append((status.st_mtime, status.st_size, path))
        return found

    def _evict(self) -> None:
        files = sorted(self._list())
        excess = sum(size for _, size, _ in files) - self._limit_bytes
        for used_at, size, path in files:
            if excess <= 0 or used_at > time.time() - SPARED_S:
                return
            path.unlink(missing_ok=True)
            self.evicted += 1
            excess -= size

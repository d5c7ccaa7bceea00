"""Cache files that are expensive to write. The files can be deleted at any time."""

import asyncio
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# Time for which a file is not deleted after its last use, so that its reader can open it.
SPARED_S = 60.0
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
WRITE_BYTES = 2**20


class EncodedFiles:
    """Files by key in one folder, at most `limit_bytes` in all. Those used longest ago are deleted first.

    A file gets its key only when it is complete, so that the cache is valid after a restart or a kill.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._is_stopping = False
        self.evicted = 0

    def find(self, key: str) -> Path | None:
        """Return the cached file of a key and record its use; None if there is none."""
        path = self._to_path(key)
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
        """Create a folder for files that are being written, and delete it when the context ends.

        Raises
        ------
        OSError
            If the folder cannot be created.
        """
        if not self._is_stopping:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(prefix="_", dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # it may have been deleted from outside

    def put(self, key: str, made: Path) -> Path:
        """Move a finished file from a folder of `work` into the cache, and delete others to make space."""
        path = self._to_path(key)
        os.replace(made, path)
        self._evict_oldest()
        return path

    def clean(self) -> None:
        """Delete files that an earlier process did not finish."""
        for left in self._folder.glob("_*"):
            shutil.rmtree(left, ignore_errors=True)

    def clear(self) -> None:
        """Delete all cached files; processes that have one open can continue to read it."""
        for _, _, path in self._list():
            path.unlink(missing_ok=True)

    @property
    def size_bytes(self) -> int:
        """Return the bytes of all cached files."""
        return sum(size for _, size, _ in self._list())

    def _to_path(self, key: str) -> Path:
        """Return the path of the cached file of a key."""
        assert KEY.fullmatch(key), f"{key!r} cannot name a file"
        return self._folder / key

    def _list(self) -> list[tuple[float, int, Path]]:
        """Return the time of last use, the size in bytes and the path of each cached file."""
        found = []
        for path in self._folder.glob("[!_]*"):
            try:
                status = path.stat()
            except FileNotFoundError:  # deleted since it was listed
                continue
            found.append((status.st_mtime, status.st_size, path))
        return found

    def _evict_oldest(self) -> None:
        """Delete the files that were used longest ago until all fit the limit; spare those used within SPARED_S."""
        files = sorted(self._list())
        excess = sum(size for _, size, _ in files) - self._limit_bytes
        for used_at, size, path in files:
            if excess <= 0 or used_at > time.time() - SPARED_S:
                return
            path.unlink(missing_ok=True)
            self.evicted += 1
            excess -= size


async def write_chunks(file: BinaryIO, chunks: AsyncIterator[bytes]) -> None:
    """Write chunks to a file in a thread, joined to larger ones, so that they are never in memory together."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) >= WRITE_BYTES:
            await asyncio.to_thread(file.write, bytes(buffer))
            buffer.clear()
    await asyncio.to_thread(file.write, bytes(buffer))

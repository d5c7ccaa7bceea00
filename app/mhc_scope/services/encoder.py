"""Write large results and figures to files. Each is written once for any number of simultaneous requests."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any

import mhc_core
import mhc_scope
from mhc_scope import limits
from mhc_scope.services.encoded_files import EncodedFiles, write_chunks
from mhc_scope.services.encoder_jobs import FigureRequest, write_figure, write_result
from mhc_scope.services.encoder_pool import EncodingPool
from mhc_scope.services.errors import EncodingFailedError
from mhc_scope.store.frame_log import FrameLog
from mhc_scope.store.runs import StoredRun

PACKAGES = [Path(folder) for package in (mhc_core, mhc_scope) for folder in package.__path__]
LARGE_FRAMES = 500  # limit for runs that earlier versions stored, whose bytes were not counted


class Encoder:
    """Writes large results and figures in other processes, and caches the files."""

    def __init__(self, log: FrameLog, files: EncodedFiles) -> None:
        self._log, self.files = log, files
        self.pool = EncodingPool(limits.ENCODERS, limits.ENCODER_QUEUE)
        self._inside_bytes = limits.ENCODE_INSIDE_BYTES
        self._made: dict[str, asyncio.Task[Path]] = {}

    async def start(self) -> None:
        """Prepare the folder of encoded results: delete files that an earlier process left unfinished."""
        await asyncio.to_thread(self.files.clean)

    def stop(self) -> None:
        """End the processes that write results and figures."""
        self.pool.stop()

    def is_large(self, run: StoredRun) -> bool:
        """Return whether adding up the frames of a run would block the server for too long."""
        return run.bytes > self._inside_bytes or (run.bytes == 0 and run.frames > LARGE_FRAMES)

    async def get_result(self, run: StoredRun, form: str, *, is_packed: bool) -> Path:
        """Return a file with the result of a run in a format, compressed by gzip if `is_packed`.

        Raises
        ------
        RefusalError
            If too many files are being written, or this file cannot be written.
        """
        key = f"{to_name(run)}-{form}{'.gz' if is_packed else ''}"
        return await self._get(key, [run], write_result, run.id, form, is_packed)

    async def get_figure(self, runs: Sequence[StoredRun], request: FigureRequest, *, is_packed: bool) -> Path:
        """Return a file with the figure of these runs as JSON.

        Raises
        ------
        RefusalError
            If too many files are being written, or this file cannot be written.
        """
        digest = hashlib.sha256(" ".join(map(to_name, runs)).encode()).hexdigest()[:20]
        key = f"{digest}-{request.name}{'.gz' if is_packed else ''}"
        return await self._get(key, runs, write_figure, request, is_packed)

    async def _get(self, key: str, runs: Sequence[StoredRun], work: Callable[..., None], *arguments: Any) -> Path:
        """Return the cached file of a key, or let `work` write it from files with the frames of runs."""
        if (path := await asyncio.to_thread(self.files.find, key)) is not None:
            return path
        if key not in self._made:
            self.pool.require_capacity()
            self._made[key] = asyncio.create_task(self._make_file(key, runs, work, *arguments))
            self._made[key].add_done_callback(lambda _: self._made.pop(key))
        # Shielded, because other requests may wait for it too, and later ones find the file.
        return await asyncio.shield(self._made[key])

    async def _make_file(self, key: str, runs: Sequence[StoredRun], work: Callable[..., None], *arguments: Any) -> Path:
        """Write the frames of the runs to files, run `work` in a process, and store its file under the key."""
        try:
            with self.files.work() as folder:
                frames = [folder / f"{index}.ndjson" for index in range(len(runs))]
                for run, path in zip(runs, frames, strict=True):
                    with path.open("wb") as file:
                        await write_chunks(file, self._log.read_all(run.id))
                await self.pool.run(work, frames, *arguments, folder / "made")
                return await asyncio.to_thread(self.files.put, key, folder / "made")
        except OSError as error:
            raise EncodingFailedError(f"The file could not be written: {error.strerror}.") from error
        except BrokenProcessPool as error:
            raise EncodingFailedError("The process that wrote the file ended unexpectedly.") from error


def to_name(run: StoredRun) -> str:
    """Return the cache key of a finished run's files: a hash of its frames and of the code that writes the files."""
    return f"{run.id}-{run.finished_at or 0:.3f}-{name_code()}"


@cache
def name_code() -> str:
    """Return a hash of this program's files, so that no cached file of another version is served."""
    files = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
    versions = "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
    return hashlib.sha256(versions.encode()).hexdigest()[:12]

"""Write a growing recording to a file, one frame per line. The file is complete up to the last observation."""

import logging
import os
from pathlib import Path

from mhc_core.spec import SpecError
from mhc_probe.monitor.delivery import UnavailableError
from mhc_probe.monitor.sealing import seal

logger = logging.getLogger("mhc_core.monitor")
GROWING = ".ndjson"


class GrowingFile:
    """Appends lines to a file without a buffer, so that no line is lost if the process is killed.

    An existing file is never changed: the recording then gets a numbered name such as `run-2.ndjson`.
    """

    def __init__(self, wanted: Path) -> None:
        folder = wanted.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise SpecError("to", str(wanted), "a file in a folder that is there and can be written to")
        self.target = find_free(wanted)
        self.path = self.target.with_suffix(GROWING)
        self._whole = 0  # bytes of complete observations

    @property
    def name(self) -> str:
        """Return the path of the file, as the name of this destination."""
        return str(self.path)

    def deliver(self, lines: list[bytes]) -> None:
        """Append lines of the record to the file. After an error, remove the part of them that was written."""
        try:
            # Reopen for each delivery: after a disk was unmounted, the path is another file.
            with open(self.path, "ab", buffering=0) as file:
                try:
                    _write_all(file.fileno(), b"".join(lines))
                except OSError:
                    file.truncate(self._whole)
                    raise
                self._whole = file.tell()
        except OSError as error:
            raise UnavailableError(str(error)) from error

    def keep_alive(self) -> None:
        """Do nothing: a file has no timeout."""

    def finish(self) -> None:
        """Convert the file of lines to a container if `to=` is a container. If that fails, keep the file of lines."""
        if self.target == self.path or not self.path.exists():
            return
        try:
            seal(self.path, self.target)
        except OSError as error:
            logger.warning("%s is whole, but %s cannot be made of it: %s", self.path, self.target, error)
            return
        self.path.unlink()


def find_free(path: Path) -> Path:
    """Return the path, or the first free one with a number if it or its growing file exists."""
    number, free = 1, path
    while free.exists() or free.with_suffix(GROWING).exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes. One call may write only a part, such as on a nearly full disk."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

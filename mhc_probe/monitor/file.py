"""A trace that grows in a file: one line a frame, whole up to the last observation whatever happens to the process."""

import logging
import os
from pathlib import Path

from mhc_core.spec import SpecError
from mhc_probe.monitor.delivery import UnavailableError
from mhc_probe.monitor.sealing import seal

logger = logging.getLogger("mhc_core.monitor")
GROWING = ".ndjson"


class GrowingFile:
    """Appends lines without a buffer, so that a process which is killed has written them.

    A file that is there already is left alone, and the trace gets a name beside it: `run-2.ndjson`.
    """

    def __init__(self, wanted: Path) -> None:
        folder = wanted.absolute().parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise SpecError("to", str(wanted), "a file in a folder that is there and can be written to")
        self.target = find_free(wanted)
        self.path = self.target.with_suffix(GROWING)
        self._whole = 0  # bytes that belong to whole observations

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def deliver(self, lines: list[bytes]) -> None:
        """Append lines; what a full disk took of them is cut off again."""
        try:
            # Opened anew each time: a disk that was away has another file behind the same name.
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
        """Nothing: a file does not ask."""

    def finish(self) -> None:
        """Of a trace that is asked for as a container, make it one; its lines stay where that fails."""
        if self.target == self.path or not self.path.exists():
            return
        try:
            seal(self.path, self.target)
        except OSError as error:
            logger.warning("%s is whole, but %s cannot be made of it: %s", self.path, self.target, error)
            return
        self.path.unlink()


def find_free(path: Path) -> Path:
    """The path, or where it or its growing file is there already, the next with a number."""
    number, free = 1, path
    while free.exists() or free.with_suffix(GROWING).exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _write_all(descriptor: int, data: bytes) -> None:
    """A write may take a part alone, as where the disk is nearly full."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

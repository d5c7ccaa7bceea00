"""A growing trace as a container, `*.mhct`, also of a process that was killed."""

import os
from pathlib import Path

from mhc_core.findings import summarise_captured
from mhc_core.record.codec import decode_line
from mhc_core.record.container import write_frames
from mhc_core.record.frames import AnyFrame, EndFrame, SummaryFrame
from mhc_core.record.result import Result

UNKNOWN_DTYPE = "their type"  # lines do not tell the type of the states
INTERRUPTED = "the process that was watched ended before its trace did"


def seal(lines: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Make a container of a file of lines, which stays.

    Where the trace broke off, its summary is made here, of the first observation, and it ends as failed.

    Raises
    ------
    OSError
        Where a file cannot be read or written; what was at `target` is then as it was.
    """
    frames = [decode_line(line) for line in Path(lines).read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    if not any(isinstance(frame, EndFrame) for frame in frames):
        frames = _end(frames)
    part = Path(f"{os.fspath(target)}.part")
    try:
        with open(part, "wb") as file:
            write_frames(file, frames)
        part.replace(target)
    except OSError:
        if part.is_file():
            part.unlink()
        raise


def _end(frames: list[AnyFrame]) -> list[AnyFrame]:
    """The frames of a trace that broke off, with what ends a record."""
    whole = [frame for frame in frames if getattr(frame, "step", None) is None or frame.type == "step"]
    kept = [frame for frame in whole if not isinstance(frame, SummaryFrame)]
    result = Result()
    for frame in kept:
        result.add(frame)
    return [*kept, summarise_captured(UNKNOWN_DTYPE, result), EndFrame(status="failed", reason=INTERRUPTED)]

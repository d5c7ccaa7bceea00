"""Convert a growing recording, a file of lines, to a container, `*.mhct`, also after its process was killed."""

import os
from pathlib import Path

from mhc_core.findings import summarise_captured
from mhc_core.record.codec import decode_line
from mhc_core.record.container import write_frames
from mhc_core.record.frames import AnyFrame, EndFrame, SummaryFrame
from mhc_core.record.result import Result

UNKNOWN_DTYPE = "their type"  # lines do not contain the type of the states
INTERRUPTED = "the process that was watched ended before its trace did"


def seal(lines: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Convert a file of lines to a container. The file of lines is kept.

    If the recording was interrupted, it ends as failed, with a summary that is computed here from its frames.

    Raises
    ------
    OSError
        If a file cannot be read or written. An existing `target` is then unchanged.
    """
    frames = [decode_line(line) for line in Path(lines).read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    if not any(isinstance(frame, EndFrame) for frame in frames):
        frames = _complete_frames(frames)
    part = Path(f"{os.fspath(target)}.part")
    try:
        with open(part, "wb") as file:
            write_frames(file, frames)
        part.replace(target)
    except OSError:
        if part.is_file():
            part.unlink()
        raise


def _complete_frames(frames: list[AnyFrame]) -> list[AnyFrame]:
    """Return the frames of an interrupted recording, completed by a summary and an end."""
    whole = [frame for frame in frames if getattr(frame, "step", None) is None or frame.type == "step"]
    kept = [frame for frame in whole if not isinstance(frame, SummaryFrame)]
    result = Result()
    for frame in kept:
        result.add(frame)
    return [*kept, summarise_captured(UNKNOWN_DTYPE, result), EndFrame(status="failed", reason=INTERRUPTED)]

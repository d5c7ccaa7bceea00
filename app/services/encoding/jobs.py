"""What a process that encodes does: it reads frames from a file and writes what was asked for to another."""

import zlib
from pathlib import Path

from app.services.results import WRITERS, to_json, to_packed_json
from mhc_core.record import codec
from mhc_core.record.result import Result

# Those who take a large file compressed wait for the network; 5 is what small answers get.
PACK_LEVEL = 5
GZIP_WBITS = 31
# What a file is called by: the endings, and for JSON how its arrays are written.
FORMS = {**WRITERS, "json-nested": to_json, "json-packed": to_packed_json}


def write_result(frames: Path, run_id: str, form: str, is_packed: bool, made: Path) -> None:
    """Write a result; `frames` holds one encoded frame a line."""
    body = FORMS[form](run_id, read_frames(frames))
    made.write_bytes(zlib.compress(body, PACK_LEVEL, GZIP_WBITS) if is_packed else body)


def read_frames(path: Path) -> Result:
    """Add up the frames of a file."""
    result = Result(keeps_frames=False)
    with path.open("rb") as lines:
        for line in lines:
            result.add(codec.decode_line(line))
    return result

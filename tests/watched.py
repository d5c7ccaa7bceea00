"""A small model that was watched while it trained: what its monitor wrote, as a record and as a file."""

import tempfile
from functools import cache
from pathlib import Path

from mhc_core.record.codec import decode_line
from mhc_core.record.frames import EndFrame
from mhc_core.record.result import Result
from mhc_probe import Monitor
from tests.probe.monitor.models import KINDS, train

NAME = "Tiny"
EVERY, UPDATES = 40, 330
ITERATIONS = list(range(0, UPDATES, EVERY))


@cache
def capture_lines() -> list[bytes]:
    """Every 40th of 330 updates of a residual model, as frames."""
    kind = KINDS["tiny"]
    model = kind.build()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.ndjson"
        with Monitor(model, every=EVERY, to=path, layers=kind.list_layers(model)):
            train(model, UPDATES)
        return path.read_bytes().splitlines(keepends=True)


@cache
def capture_watched() -> Result:
    """The same as a result."""
    result = Result()
    for frame in map(decode_line, capture_lines()):
        if not isinstance(frame, EndFrame):
            result.add(frame)
    return result

"""Which lines of the app a server runs, each noted as it is first run: servers of tests are killed, not ended.

Started by what `served_map.py` writes into the copy's `app/__init__.py`.
"""

import os
import sys
import threading
from types import FrameType
from typing import Any

FILE = "MUTANTS_TRACE"
PARTS = ("/app/services/", "/app/store/", "/app/api/http/stream.py")

_seen: set[tuple[str, int]] = set()


def start() -> None:
    """Note lines where the environment names a file for them."""
    if FILE in os.environ:
        threading.settrace(_enter)
        sys.settrace(_enter)


def _enter(frame: FrameType, event: str, _: Any) -> Any:
    return _note if any(part in frame.f_code.co_filename for part in PARTS) else None


def _note(frame: FrameType, event: str, _: Any) -> Any:
    line = (frame.f_code.co_filename, frame.f_lineno)
    if event == "line" and line not in _seen:
        _seen.add(line)
        with open(os.environ[FILE], "a") as sink:
            sink.write(f"{line[0]}\t{line[1]}\n")
    return _note

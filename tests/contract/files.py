"""What can be taken away of a run, as plain data: NPZ, CSV, frame logs, and what a page is told at boot."""

import csv
import io
import re
from typing import Any

import numpy as np
import orjson

BOOT = re.compile(rb'<script type="application/json" id="boot">(.*?)</script>', re.DOTALL)


def read_npz(body: bytes) -> dict[str, Any]:
    """Type and values of every array by name; `meta` is JSON."""
    with np.load(io.BytesIO(body)) as arrays:
        found: dict[str, Any] = {name: {"type": arrays[name].dtype.str, "values": arrays[name]} for name in arrays}
        return found | {"meta": orjson.loads(arrays["meta"].tobytes())}


def read_csv(body: bytes) -> dict[str, list[str]]:
    """Columns by name, their cells as they stand there; comments left out."""
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    head, *rows = csv.reader(io.StringIO("\n".join(lines)))
    return {name: [row[place] for row in rows] for place, name in enumerate(head)}


def read_lines(body: bytes) -> list[bytes]:
    """Lines of a frame log. One that did not end well is an error."""
    lines = body.splitlines()
    end = orjson.loads(lines[-1])
    if (end["type"], end["status"]) != ("end", "done"):
        raise RuntimeError(f"a run ended with {end}")
    return lines


def read_boot(body: bytes) -> Any:
    """The data that a page starts with."""
    found = BOOT.search(body)
    if found is None:
        raise RuntimeError(f"no page: {body[:300]!r}")
    return orjson.loads(found[1])

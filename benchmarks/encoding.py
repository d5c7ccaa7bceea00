"""What typed frames cost to encode, against plain dicts. `python -m benchmarks.encoding` prints rows.

The reference is what a protocol without types would do: the same values in nested dicts, packed by the same rules.
"""

from typing import Any

import numpy as np
import orjson
import torch

from benchmarks.rows import Row, print_rows
from benchmarks.side_by_side import clock, median_ratio, time_interleaved
from mhc_core.measure.run import run
from mhc_core.record.codec import encode_frame, to_fields, to_typed_array
from mhc_core.record.values import ProtocolPart
from mhc_core.spec import parse_spec

RUN = "0" * 20
OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
SPECS: tuple[dict[str, Any], ...] = (
    {"depth": 64},
    {"depth": 32, "width": 32, "connection": {"kind": "hc"}, "train": {"steps": 32}},
)


def encode_untyped(kind: str, data: dict[str, Any], index: int) -> bytes:
    """Return the line of a frame that is a dict."""
    return orjson.dumps(_pack_arrays({"run": RUN, "index": index, "type": kind, **data}), option=OPTIONS) + b"\n"


def _pack_arrays(value: Any) -> Any:
    """Return nested dicts and lists with matrices as typed arrays."""
    if isinstance(value, dict):
        return {key: _pack_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack_arrays(item) for item in value]
    if isinstance(value, np.ndarray):
        if value.ndim >= 2:
            return to_typed_array(value)
        return np.ascontiguousarray(value) if value.ndim else value[()]
    return value


def _to_dicts(value: Any) -> Any:
    """Return a frame as nested dicts; arrays stay unchanged."""
    if isinstance(value, ProtocolPart):
        return {key: _to_dicts(item) for key, item in to_fields(value).items()}
    return [_to_dicts(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    frames = [frame for spec in SPECS for frame in run(parse_spec(spec))]
    untyped = [(frame.type, _to_dicts(frame)) for frame in frames]
    typed_lines = [encode_frame(frame, RUN, index) for index, frame in enumerate(frames)]
    assert typed_lines == [encode_untyped(*frame, index) for index, frame in enumerate(untyped)]
    seconds = time_interleaved(
        {
            "typed": clock(lambda: [encode_frame(frame, RUN, index) for index, frame in enumerate(frames)]),
            "untyped": clock(lambda: [encode_untyped(*frame, index) for index, frame in enumerate(untyped)]),
        }
    )
    print_rows([Row("frame encoding", "untyped dicts", median_ratio(seconds, "typed", "untyped"), "x", 1.0)])


if __name__ == "__main__":
    main()

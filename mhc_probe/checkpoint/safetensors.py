"""Read the header of a safetensors file, and single tensors from it.

The format is 8 bytes with the length of the header, the header in JSON, then the tensors' bytes without a gap. Files
are read with seek and read, because a mapped file, as in the safetensors library, counts as memory of the process.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from mhc_core.spec import SpecError

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library
MAX_DIMENSIONS = 8
MAX_SHOWN = 100  # characters of a name in a message
MAX_TEXT = 32  # characters of a file's text in a message
CHUNK = 2**19  # number of values per read
# Bits per value of each type of the format.
BITS = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "BOOL": 8, "I8": 8, "U8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
# Supported types of coefficients, as numpy types; bfloat16 is the upper half of a float32.
READABLE = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
# First bytes of files that people take for checkpoints -> their format.
FORMATS = {
    b"PK\x03\x04": "a zip archive, as torch.save writes",
    **{bytes([0x80, protocol]): "a pickle, as old versions of torch.save write" for protocol in range(2, 6)},
    b"GGUF": "a GGUF file",
    b"\x89HDF": "an HDF5 file",
    b"version https://git-lfs": "a pointer of Git LFS; git lfs pull gets the file",
}
SAFETENSORS = "a safetensors file, as safetensors.torch.save_file writes"
CUT = "the file is incomplete"


class TensorLocation(NamedTuple):
    """The location of one tensor: bytes `start` to `end` of the file."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(path: Path) -> dict[str, TensorLocation]:
    """Return the tensors of a file by name, without reading their values.

    Raises
    ------
    SpecError
        If the file is incomplete, or of another format.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = _parse_header(file, path, size)
        data = file.tell()
    header.pop("__metadata__", None)
    entries = {name: _parse_entry(path, name, item, data, size) for name, item in header.items()}
    _check_cover(path, entries, data, size)
    return entries


def read_values(entry: TensorLocation) -> np.ndarray:
    """Return the values of one tensor, in float64 and in its shape.

    Raises
    ------
    SpecError
        If its type is not one of `READABLE`, or if the file has become shorter.
    """
    chunks = list(read_chunks(entry, 0, math.prod(entry.shape)))
    return np.concatenate([np.empty(0), *chunks]).reshape(entry.shape)


def read_chunks(entry: TensorLocation, first: int, last: int) -> Iterator[np.ndarray]:
    """Yield values `first` to `last`, exclusive, of one tensor in float64, in chunks; see `read_values`."""
    if entry.dtype not in READABLE:
        raise SpecError(f"{entry.path.name}: dtype", entry.dtype, f"one of {', '.join(READABLE)}")
    width = BITS[entry.dtype] // 8
    with entry.path.open("rb") as file:
        file.seek(entry.start + first * width)
        for start in range(first, last, CHUNK):
            wanted = min(CHUNK, last - start) * width
            content = file.read(wanted)
            if len(content) != wanted:
                raise SpecError(f"{entry.path.name}: bytes", len(content), f"{wanted}: the file has become shorter")
            yield _to_float64(content, entry.dtype)


def _to_float64(content: bytes, dtype: str) -> np.ndarray:
    """Return the stored bytes of a tensor of this dtype as float64 values."""
    values = np.frombuffer(content, READABLE[dtype])
    if dtype == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float64)


def _parse_header(file: BinaryIO, path: Path, size: int) -> dict[str, Any]:
    """Return the header's JSON, and leave the file position at the first tensor."""
    start = file.read(8 + MAX_SHOWN)
    length = int.from_bytes(start[:8], "little")
    has_json = start[8:9] in (b"{", b"")  # "" if the file ends before its header
    # A length that does not fit is that of a file that was cut off, if JSON follows, and else no length.
    is_other = not has_json and (start.startswith(tuple(FORMATS)) or length > size - 8)
    if is_other or len(start) < 8 or not 2 <= length <= MAX_HEADER_BYTES:
        field, got = f"{path.name}: header", _describe_content(start)
        raise SpecError(field, got, SAFETENSORS, f"{field}: got {got}, wanted {SAFETENSORS}")
    if length > size - 8:
        raise SpecError(f"{path.name}: header", f"a file of {size} bytes", f"{length + 8} bytes or more: {CUT}")
    file.seek(8)
    try:
        header = json.loads(file.read(length), object_pairs_hook=_refuse_duplicates)
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError
        raise SpecError(f"{path.name}: header", str(error), "JSON that names each tensor once") from None
    if not isinstance(header, dict):
        raise SpecError(f"{path.name}: header", type(header).__name__, "an object with a name for each tensor")
    return header


def _describe_content(start: bytes) -> str:
    """Describe a file of another format by its first bytes."""
    if not start:
        return "an empty file"
    for first, name in FORMATS.items():
        if start.startswith(first):
            return name
    text = " ".join(start.decode(errors="replace").rstrip("\ufffd").split())
    if text and text.isprintable() and "\ufffd" not in text:
        return f"text that starts with {text[:MAX_TEXT]!r}"
    return f"binary data that starts with {start[:8].hex(' ')}"


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dict; raise ValueError if a name occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _parse_entry(path: Path, name: str, item: Any, data: int, size: int) -> TensorLocation:
    """Check the entry of one tensor in a header, and return its location with offsets from the start of the file."""
    field = f"{path.name}: {show_name(name)}"
    if not isinstance(item, dict) or item.keys() != {"dtype", "shape", "data_offsets"}:
        raise SpecError(field, item, "dtype, shape and data_offsets")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise SpecError(f"{field}.dtype", dtype, f"one of {', '.join(BITS)}")
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS:
        raise SpecError(f"{field}.shape", shape, f"at most {MAX_DIMENSIONS} whole numbers from 0")
    if not _are_counts(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1]:
        raise SpecError(f"{field}.data_offsets", offsets, "a start and an end")
    if offsets[1] > size - data:
        wanted = f"an end within the {size - data} bytes after the header: {CUT}"
        raise SpecError(f"{field}.data_offsets", offsets, wanted)
    if (offsets[1] - offsets[0]) * 8 != math.prod(shape) * BITS[dtype]:
        raise SpecError(f"{field}.data_offsets", offsets, f"as many bytes as {dtype} of shape {shape} has")
    return TensorLocation(path, dtype, tuple(shape), data + offsets[0], data + offsets[1])


def show_name(name: str) -> str:
    """Return a tensor's name for an error: not too long, and without terminal control characters."""
    short = name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}…"
    return short if short.isprintable() else ascii(short)


def _are_counts(items: Any) -> bool:
    return isinstance(items, list) and all(type(item) is int and item >= 0 for item in items)


def _check_cover(path: Path, entries: dict[str, TensorLocation], data: int, size: int) -> None:
    """Raise if tensors overlap, leave a gap, or end before or after the file."""
    place = data
    for name, entry in sorted(entries.items(), key=lambda item: item[1].start):
        if entry.start != place:
            raise SpecError(
                f"{path.name}: {show_name(name)}.data_offsets", entry.start - data, f"a start at {place - data}"
            )
        place = entry.end
    if place != size:
        raise SpecError(f"{path.name}: size", size, f"{place} bytes, where its last tensor ends")

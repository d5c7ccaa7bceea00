"""Checkpoints to read: files written here byte by byte, and the biases of connections drawn at random."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "uint16": "BF16", "uint8": "U8"}
STREAMS, WIDTH = 4, 8


def pack(header: bytes, content: bytes) -> bytes:
    """A file of any header and any content."""
    return len(header).to_bytes(8, "little") + header + content


def write_file(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """A safetensors file; arrays of uint16 are stored as bfloat16."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        body = tensor.tobytes()
        header[name] = {
            "dtype": DTYPES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [len(content), len(content) + len(body)],
        }
        content += body
    path.write_bytes(pack(json.dumps(header).encode(), content))
    return path


def draw_connections(
    blocks: int, starts: tuple[str, str] = ("attn_hc.", "ffn_hc."), tower: str = "model.", mixed: bool = True
) -> dict[str, np.ndarray]:
    """Parameters of every connection, by the names that a checkpoint gives them."""
    rng, n = np.random.default_rng(1), STREAMS
    count = (2 + n) * n if mixed else 2 * n
    tensors: dict[str, np.ndarray] = {}
    for block in range(blocks):
        for start in starts:
            name = f"{tower}layers.{block}.{start}"
            tensors[f"{name}fn"] = np.zeros((count, n * WIDTH), dtype=np.float32)
            tensors[f"{name}base"] = rng.standard_normal(count).astype(np.float32)
            tensors[f"{name}scale"] = np.ones(3 if mixed else 2, dtype=np.float32)
    return tensors

"""A checkpoint of 70 thousand million parameters, made of holes: read in seconds, and in little memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.probe.checkpoint.stored import pack

pytestmark = pytest.mark.full

BLOCKS, STREAMS, WIDTH = 80, 4, 8192
MAX_S, MAX_BYTES = 5.0, 30e6
# In a process of its own. Memory is the peak of the process over what it held before the reading: importing torch alone
# takes 230 to 290 MB, which differs between machines. VmHWM and not getrusage, which counts the memory of the process
# that started this one, too. Time is that of the processor: holes are read from no disk, and other tests share the
# machine.
READ = """
import json, re, sys, time
from pathlib import Path
from mhc_probe.checkpoint import read_checkpoint
memory = lambda name: 1024 * int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
held = memory("VmRSS")
began = time.process_time()
result = read_checkpoint(Path(sys.argv[1]))
took = time.process_time() - began
peak = memory("VmHWM") - held
gain = float(result.layers["composite_gain_fwd"][-1])
parameters = result.source.model.parameters
print(json.dumps({"took": took, "peak": peak, "depth": result.depth, "gain": gain, "parameters": parameters}))
"""


def _write_sparse(path: Path) -> int:
    """The tensors of a whole model, all of them zero and none on the disk; returns the size of the file."""
    connection = {"fn": (24, STREAMS * WIDTH), "base": (24,), "scale": (3,)}
    branch = {"self_attn.weight": (4 * WIDTH, WIDTH), "mlp.weight": (9 * WIDTH, WIDTH)}
    header, place = {}, 0
    for block in range(BLOCKS):
        named = {f"{start}.{name}": shape for start in ("attn_hc", "ffn_hc") for name, shape in connection.items()}
        for name, shape in (named | branch).items():
            dtype, size = ("BF16", 2) if name in branch else ("F32", 4)
            count = shape[0] * (shape[1] if len(shape) > 1 else 1) * size
            offsets = [place, place := place + count]
            header[f"model.layers.{block}.{name}"] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    packed = pack(json.dumps(header).encode(), b"")
    path.write_bytes(packed)
    os.truncate(path, len(packed) + place)
    return len(packed) + place


def test_a_large_checkpoint_is_read_in_seconds_and_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    assert _write_sparse(path) > 130e9
    assert path.stat().st_blocks * 512 < 1e6  # holes: the file takes no room on the disk
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout)
    print(found)
    assert found["parameters"] > 69e9
    assert found["depth"] == 2 * BLOCKS
    assert abs(found["gain"] - 1) < 1e-3  # biases of zero: the uniform matrix
    assert found["took"] <= MAX_S
    assert found["peak"] <= MAX_BYTES

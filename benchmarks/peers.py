"""Our layer and our CKA against published packages, round by round. `python -m benchmarks.peers` prints rows.

The packages live in an environment of their own, `.venv-bench`, made on first use from peers.txt; it borrows torch
from ours. They run in one process that times itself, so that nothing of theirs is loaded here.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import peer
from benchmarks.peer import CKA_LAYERS, CKA_PAIRS, CKA_SAMPLES, LAYERS, STREAMS, TOKENS, WIDTH, draw
from benchmarks.rows import Row, print_rows
from benchmarks.side_by_side import clock, median_ratio, time_interleaved
from mhc_core.layers.connections import build_connection
from mhc_core.metrics.similarity import CkaRows
from mhc_core.spec import parse_spec

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT, REQUIREMENTS = ROOT / ".venv-bench", Path(__file__).with_name("peers.txt")


def ensure_environment() -> Path:
    """Return the peers' Python. Create its environment if it is missing or its list of packages has changed."""
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "peers.txt"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return python
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    (site,) = ENVIRONMENT.glob("lib/python3*/site-packages")
    (site / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True, stdout=sys.stderr)
    stamp.write_text(REQUIREMENTS.read_text())
    return python


class PeerProcess:
    """Runs the work of peers in a process of its own."""

    def __init__(self, device: torch.device = CPU) -> None:
        command = [str(ensure_environment()), peer.__file__, device.type]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        self.checksums: dict[str, float] = {}

    def ask(self, name: str) -> float:
        """Return the seconds that one piece of work takes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self.checksums[name] = answer["checksum"]
        return float(answer["seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def build_layers(device: torch.device = CPU) -> Callable[[], float]:
    """Return a function that runs eight dynamic mHC layers without branches, up and down, with the peer's settings."""
    connection = {"kind": "mhc", "dynamic": True, "streams": STREAMS, "init": "lucidrains", "noise": 0.0}
    spec = parse_spec({"depth": LAYERS, "width": WIDTH, "block": {"kind": "mlp"}, "connection": connection})
    built = build_connection(spec).float().to(device)
    weights = list(built.parameters())
    x = built.expand(draw(1, TOKENS, WIDTH)[0].to(device)).requires_grad_()

    def run_layers() -> float:
        state = x
        for layer in range(LAYERS):
            mixing = built.dynamic_mixing(layer, state)
            state = built.write(state, built.read(state, mixing), mixing)
        torch.autograd.grad(state.sum(), [x, *weights], allow_unused=True)
        return float(state.detach().abs().mean())

    return run_layers


def build_cka() -> Callable[[], torch.Tensor]:
    """Return a function that computes unbiased CKA of all pairs of 64 layers, 16 layers at a time as in a run."""
    features = draw(CKA_LAYERS, CKA_SAMPLES, WIDTH)

    def compute_cka() -> torch.Tensor:
        rows = CkaRows(CKA_LAYERS, CKA_SAMPLES, features.device, features.dtype, most=CKA_SAMPLES)
        found = torch.zeros(CKA_LAYERS, CKA_LAYERS)
        for block in features.split(16):
            new = rows.add(block)
            found[rows.filled - len(new) : rows.filled, : rows.filled] = new
        return found.tril() + found.tril(-1).T

    return compute_cka


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    process = PeerProcess()
    layers, cka = build_layers(), build_cka()
    seconds = time_interleaved(
        {
            "layers": clock(layers),
            "hyper_connections": lambda: process.ask("hyper_connections"),
            "cka": clock(cka),
            "pytorch_cka": lambda: process.ask("pytorch_cka"),
            "ckatorch": lambda: process.ask("ckatorch"),
        }
    )
    process.close()
    check(process.checksums, layers(), cka())
    per_pair = CKA_LAYERS * (CKA_LAYERS + 1) / 2 / CKA_PAIRS
    faster = {name: median_ratio(seconds, name, ours) for name, ours in (
        ("hyper_connections", "layers"), ("pytorch_cka", "cka"), ("ckatorch", "cka"))}  # fmt: skip
    size = f"L = {CKA_LAYERS}, N = {CKA_SAMPLES}"
    small = "operators on small tensors, 40 of Sinkhorn each way: their calls cost more than their arithmetic"
    same = "both spend most of the time in the same matrix products"
    print_rows(
        [
            Row(f"mHC layer n = {STREAMS}, C = {WIDTH}, up and down", "hyper-connections 0.4.11",
                faster["hyper_connections"], "x faster", 5, True, small),
            Row(f"CKA, {size}, unbiased", "pytorch-cka 1.1.3", faster["pytorch_cka"], "x faster", 2, True, same),
            Row(f"CKA, {size}, unbiased", "ckatorch 1.0.3", faster["ckatorch"] * per_pair, "x faster", 50, True, same),
        ]
    )  # fmt: skip


def check(theirs: dict[str, float], layers: float, cka: torch.Tensor) -> None:
    """Raise if peers and ours do not compute the same numbers: their times could not be compared."""
    pairs = torch.triu_indices(CKA_LAYERS, CKA_LAYERS).T[:CKA_PAIRS]
    check_layers(theirs, layers)
    _require_equal("pytorch_cka", theirs, float(cka.clamp(0, 1).mean()))
    _require_equal("ckatorch", theirs, float(cka[pairs[:, 0], pairs[:, 1]].mean()))


def check_layers(theirs: dict[str, float], layers: float) -> None:
    """Raise if the layers of the peer and ours do not compute the same numbers."""
    _require_equal("hyper_connections", theirs, layers)


def _require_equal(name: str, theirs: dict[str, float], ours: float) -> None:
    """Raise RuntimeError if both checksums differ by more than 1 %."""
    if abs(ours - theirs[name]) > 1e-2 * abs(ours):
        raise RuntimeError(f"{name} gives {theirs[name]}, ours {ours}: not the same work")


if __name__ == "__main__":
    main()

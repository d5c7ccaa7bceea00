"""What a run will cost, before it starts: parameters, arithmetic, memory, time.

Per token and layer, forward; the backward pass is twice that: MLP 4 r C^2 (r the ratio), attention 8 C^2 + 4 T C,
mixing 2 C (n^2 + 2 n), dynamic projection 2 n C (n^2 + 2 n), Sinkhorn 4 n^2 a round. Time adds arithmetic, bytes and
operator calls, each at a fixed rate of one core.
"""

import math

from pydantic import BaseModel, ConfigDict

from mhc_core.blocks import name_layers
from mhc_core.spec import MANIFOLD, MULTI_STREAM, RunSpec

TRIANGLES = ("triangle_outgoing", "triangle_incoming")
ITEM_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2}

# One thread of a current server core, torch on CPU; fitted to runs of this program.
FLOPS_PER_S = 6e10
BYTES_PER_S = 4e9
S_PER_CALL = 7e-6
# Several seeds at once win where calls are the cost: up to so many entries of a branch input, so many seeds, so much
# memory. A call then costs a seed this share of a call of its own.
BATCH_ENTRIES, MOST_SEEDS, BATCH_BYTES = 2**14, 8, 5e8
BATCH_CALLS = 0.5
SLOWER = {"float32": 1.0, "float64": 2.0, "bfloat16": 1.5}


class Estimate(BaseModel):
    """Predicted cost of one run.

    parameters: count, of one seed's stack. flops: of forward, backward and measurement. bytes_moved: values read and
    written by connections and branches. peak_bytes: memory at the turn from forward to backward. seconds: wall time on
    one core.
    """

    model_config = ConfigDict(frozen=True)

    parameters: int
    flops: float
    bytes_moved: float
    peak_bytes: float
    seconds: float


def estimate(spec: RunSpec) -> Estimate:
    """Predict the cost of a spec."""
    parameters = _count_parameters(spec)
    tokens = spec.input.batch * spec.input.tokens
    forward = tokens * sum(_branch_flops(spec, name) + _mixing_flops(spec) for name in name_layers(spec))
    flops = 3 * forward + _probe_flops(spec)
    moved = 3 * tokens * spec.depth * _values_moved(spec) * ITEM_BYTES[spec.dtype] + 3 * 4 * parameters
    seconds = (
        SLOWER[spec.dtype] * flops / FLOPS_PER_S
        + moved / BYTES_PER_S
        + spec.depth * _calls(spec) * S_PER_CALL
        + parameters * 2e-8  # drawing the weights
    )
    one = Estimate(
        parameters=parameters,
        flops=flops,
        bytes_moved=moved,
        peak_bytes=_peak_bytes(spec, parameters),
        seconds=seconds,
    )
    return one if spec.seeds == 1 else _add_seeds(spec, one)


def _coefficients(spec: RunSpec) -> int:
    n = spec.streams
    return n * n + 2 * n


def _raw_logits(spec: RunSpec) -> int:
    """Parameters of one layer's residual mixing matrix."""
    n = spec.streams
    special = {"mhc_lite": math.factorial(min(n, 5)), "kromhc": n.bit_length() - 1, "identity_hc": 0}
    return special.get(spec.connection.kind, n * n)


def _branch_parameters(spec: RunSpec, name: str) -> int:
    squares = {"attention": 4, "conv": 18, "triangle_outgoing": 6, "triangle_incoming": 6}
    if name in squares:
        return squares[name] * spec.width**2
    return (2 * spec.block.mlp_ratio or 1) * spec.width**2


def _count_parameters(spec: RunSpec) -> int:
    n, width = spec.streams, spec.width
    branches = sum(_branch_parameters(spec, name) for name in name_layers(spec))
    ends = 2 * 256 * width if spec.input.kind == "text" else 0
    if spec.connection.kind not in MULTI_STREAM:
        return branches + ends
    layer = 2 * n + _raw_logits(spec)
    if spec.connection.dynamic:
        layer += (width * (n + 2) + 2) if spec.connection.kind == "hc" else (n * width * layer + 3)
    return branches + ends + spec.depth * layer + _head_parameters(spec)


def _head_parameters(spec: RunSpec) -> int:
    if spec.connection.kind not in MANIFOLD or spec.connection.init != "deepseek_v4":
        return 0
    n = spec.streams
    return n * spec.width * n + n + 1 if spec.connection.dynamic else n


def _branch_flops(spec: RunSpec, name: str) -> float:
    across = {"attention": 4.0 * spec.input.tokens} | dict.fromkeys(TRIANGLES, 2.0 * spec.input.tokens**0.5)
    return 2 * _branch_parameters(spec, name) + across.get(name, 0.0) * spec.width


def _mixing_flops(spec: RunSpec) -> float:
    n, width = spec.streams, spec.width
    if n == 1:
        return width
    flops = 2.0 * width * _coefficients(spec)
    if spec.connection.dynamic:
        inputs = width if spec.connection.kind == "hc" else n * width
        flops += 2 * inputs * (2 * n + _raw_logits(spec))
        if spec.connection.kind == "mhc":
            flops += 4 * n * n * spec.connection.sinkhorn_iters
    return flops


def _kept_samples(spec: RunSpec) -> int:
    return min(spec.input.batch * spec.input.tokens, 256 if spec.depth <= 256 else 128)


def _probe_flops(spec: RunSpec) -> float:
    rank = spec.depth * 20 * min(spec.width, 256, spec.input.batch * spec.input.tokens) ** 3
    return _cka_flops(spec) + rank


def _cka_flops(spec: RunSpec) -> float:
    kept, depth = _kept_samples(spec), spec.depth
    return 2 * depth * kept**2 * spec.width + depth**2 * kept**2


def _values_moved(spec: RunSpec) -> float:
    """Values read and written per token and layer: the connection unfused (mHC Table 2), and the branch."""
    n, width = spec.streams, spec.width
    branch = (2 * spec.block.mlp_ratio + 8) * width
    if n == 1:
        return 3 * width + branch
    return (8 * n + 2) * width + 2 * _coefficients(spec) + branch


def _calls(spec: RunSpec) -> float:
    """Operator calls of one layer, forward, backward and measurement."""
    calls = 150.0
    if spec.streams > 1:
        calls += 50
        if spec.connection.dynamic:
            calls += 130 if spec.connection.kind == "hc" else 180
            calls += 13 * spec.connection.sinkhorn_iters if spec.connection.kind == "mhc" else 0
    return calls


def _peak_bytes(spec: RunSpec, parameters: int) -> float:
    """Weights, states and activations kept for the way down, CKA's Gram matrices, and the libraries themselves."""
    grams = spec.depth * _kept_samples(spec) ** 2 * (8 if spec.dtype == "float64" else 4)
    return _bytes_of_a_pass(spec, parameters) + grams + 3e8


def _bytes_of_a_pass(spec: RunSpec, parameters: int) -> float:
    n, width, item = spec.streams, spec.width, ITEM_BYTES[spec.dtype]
    tokens = spec.input.batch * spec.input.tokens
    kept = (2 * spec.block.mlp_ratio + 4 + 2 * n) * width
    if spec.connection.dynamic and n > 1:
        kept += 4 * n * width + 4 * n * n * spec.connection.sinkhorn_iters
    return parameters * (4 + item) + tokens * spec.depth * kept * item


def seeds_at_once(spec: RunSpec) -> int:
    """How many seeds are measured together: 1 where arithmetic, not operator calls, is the cost, or memory is short.

    Measured by `benchmarks/seeds.py`.
    """
    if spec.input.batch * spec.input.tokens * spec.width > BATCH_ENTRIES:
        return 1
    return max(1, min(MOST_SEEDS, int(BATCH_BYTES / _bytes_of_a_pass(spec, _count_parameters(spec)))))


def _add_seeds(spec: RunSpec, one: Estimate) -> Estimate:
    """The cost of all seeds from that of the first; the others are measured without CKA, some of them together."""
    others, together = spec.seeds - 1, seeds_at_once(spec)
    share = 1 - _cka_flops(spec) / one.flops
    calls = spec.depth * _calls(spec) * S_PER_CALL
    seconds = one.seconds - SLOWER[spec.dtype] * _cka_flops(spec) / FLOPS_PER_S
    if together > 1:
        seconds -= (1 - BATCH_CALLS) * calls
    return Estimate(
        parameters=one.parameters,
        flops=one.flops * (1 + others * share),
        bytes_moved=one.bytes_moved * spec.seeds,
        # Weights stand twice while a batch is put together.
        peak_bytes=one.peak_bytes + together * _bytes_of_a_pass(spec, 2 * one.parameters),
        seconds=one.seconds + others * seconds,
    )

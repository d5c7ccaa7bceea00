"""What a run will cost, before it starts: parameters, arithmetic, bytes moved, memory, time.

Counts are pure functions of the spec; time is counts over the rates of a machine (`mhc_core.rates`). Per token and
layer, forward; the backward pass is twice that: MLP 4 r C^2 (r the ratio), attention 8 C^2 + 4 T C, mixing
2 C (n^2 + 2 n), dynamic projection 2 n C (n^2 + 2 n), Sinkhorn 4 n^2 a round. What a branch costs is declared by the
branch. Bytes and calls are those of our operators, counted by tests on real stacks.

Symbols: L layers, n streams, C width, N = B T samples, P samples kept for CKA and rank.
"""

import math
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from mhc_core.blocks import branch_type
from mhc_core.rates import DEFAULT_RATES, SINKHORN_CALLS, SMALL_PRODUCT, Rates
from mhc_core.spec import CONNECTION_KINDS, MANIFOLD, MULTI_STREAM, RunSpec

ITEM_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2}
LIBRARY_BYTES = 3.1e8  # a process that has imported torch and run a small spec
SLACK_BYTES = 5e6
OBJECT_BYTES, LAYER_BYTES = 1100, 14_000  # autograd's node and tensors of one call; modules and frames of one layer
# A run's data comes from further away than the calibration's; in bfloat16 every operator also converts.
OUT_OF_CACHE = {"float32": 1.5, "float64": 1.5, "bfloat16": 2.0}
UP_AND_DOWN = 2.5  # operators' calls of both passes for each going up


class Estimate(BaseModel):
    """Predicted cost of one run."""

    model_config = ConfigDict(frozen=True)

    parameters: int = Field(description="Trainable values of the stack.")
    flops: float = Field(description="Additions and multiplications of forward, backward and measurement.")
    bytes_moved: float = Field(description="Bytes that forward and backward read and write.")
    peak_bytes: float = Field(description="Largest memory of the process, libraries included.")
    seconds: float = Field(description="Time on one core of the machine whose rates were used.")


def estimate(spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Predict the cost of a spec on a machine of these rates."""
    parameters = count_parameters(spec)
    return Estimate(
        parameters=parameters,
        flops=_pass_flops(spec) + _probe_flops(spec) + _rank_flops(spec),
        bytes_moved=count_pass_bytes(spec),
        peak_bytes=LIBRARY_BYTES + _run_bytes(spec),
        seconds=_to_seconds(_count_work(spec), rates, spec.dtype),
    )


class ConnectionCost(Estimate):
    """Cost of one connection in the stack of a spec."""

    connection: str = Field(description="The kind of connection.")


def compare_connections(spec: RunSpec, rates: Rates = DEFAULT_RATES) -> list[ConnectionCost]:
    """Cost of every connection at the same stack, those left out whose rules the spec's streams break."""
    found = []
    for kind in CONNECTION_KINDS:
        plain = spec.model_dump()
        plain["connection"]["kind"] = kind
        try:
            other = RunSpec.model_validate(plain)
        except ValueError:  # such as kromhc where n is no power of two
            continue
        found.append(ConnectionCost(connection=kind, **estimate(other, rates).model_dump()))
    return found


# Parameters.


def count_parameters(spec: RunSpec) -> int:
    """Trainable values of the stack, exactly."""
    branches = sum(branch_type(spec, layer).count_parameters(spec) for layer in range(spec.depth))
    ends = 2 * 256 * spec.width if spec.input.kind == "text" else 0
    if spec.connection.kind not in MULTI_STREAM:
        return branches + ends
    return branches + ends + spec.depth * _mixing_parameters(spec) + _head_parameters(spec)


def _mixing_parameters(spec: RunSpec) -> int:
    n, width, logits = spec.streams, spec.width, 2 * spec.streams + _raw_logits(spec)
    if not spec.connection.dynamic:
        return logits
    return logits + (width * (n + 2) + 2 if spec.connection.kind == "hc" else n * width * logits + 3)


def _raw_logits(spec: RunSpec) -> int:
    """Parameters of one layer's residual mixing matrix."""
    n = spec.streams
    special = {"mhc_lite": math.factorial(min(n, 5)), "kromhc": n.bit_length() - 1, "identity_hc": 0}
    return special.get(spec.connection.kind, n * n)


def _head_parameters(spec: RunSpec) -> int:
    if spec.connection.kind not in MANIFOLD or spec.connection.init != "deepseek_v4":
        return 0
    n = spec.streams
    return n * spec.width * n + n + 1 if spec.connection.dynamic else n


# Arithmetic.


def _pass_flops(spec: RunSpec) -> float:
    """Forward and backward."""
    branches = sum(branch_type(spec, layer).count_flops(spec) for layer in range(spec.depth))
    return 3 * _samples(spec) * (branches + spec.depth * _mixing_flops(spec))


def _mixing_flops(spec: RunSpec) -> float:
    n, width = spec.streams, spec.width
    if n == 1:
        return width
    flops = 2.0 * width * (n * n + 2 * n)
    if spec.connection.dynamic:
        inputs = width if spec.connection.kind == "hc" else n * width
        flops += 2 * inputs * (2 * n + _raw_logits(spec)) + 4 * n * n * _rounds(spec)
    return flops


def _slow_flops(spec: RunSpec) -> float:
    slow = sum(branch_type(spec, layer).count_slow_flops(spec) for layer in range(spec.depth))
    return 3 * _samples(spec) * slow


def _probe_flops(spec: RunSpec) -> float:
    """CKA of every two layers."""
    return 2 * spec.depth * _kept_samples(spec) ** 2 * spec.width + spec.depth**2 * _kept_samples(spec) ** 2


def _rank_flops(spec: RunSpec) -> float:
    """Gram matrix and eigenvalues behind the effective rank."""
    return spec.depth * 4.0 * _rank_size(spec) ** 3


# Bytes, calls, memory.


def count_pass_bytes(spec: RunSpec) -> float:
    """Read and written by the operators of forward and backward; weights once up, and once and their gradients down."""
    item = _values_bytes(spec)
    branches = sum(branch_type(spec, layer).count_moved(spec) for layer in range(spec.depth))
    norms = {"pre": 1, "post": spec.streams, "none": 0}[spec.block.norm_position]
    passes = 12 + norms * (30 if spec.block.norm == "rmsnorm" else 12)
    per_token = (branches + spec.depth * passes * spec.width) * item + spec.depth * _mixing_bytes(spec)
    return _samples(spec) * per_token + 3 * count_parameters(spec) * ITEM_BYTES[spec.dtype]


def _mixing_bytes(spec: RunSpec) -> float:
    """Beyond the residual connection's, per token and layer."""
    n, width, item = spec.streams, spec.width, _coefficient_bytes(spec)
    if spec.connection.kind not in MULTI_STREAM:
        return 0.0
    if not spec.connection.dynamic:
        return (20 * n - 1) * width * item
    streams = 60 if spec.connection.kind == "hc" else 48
    return (streams * n * width + 41 * n * n * _rounds(spec)) * item


def _pass_calls(spec: RunSpec) -> float:
    """Operator calls of all layers, forward; about 1.5 times as many come down."""
    layer = 2 if spec.connection.kind in MULTI_STREAM else 0
    if _is_dynamic(spec):
        layer = 25 + SINKHORN_CALLS * _rounds(spec)
    return sum(branch_type(spec, index).calls + layer for index in range(spec.depth))


def _run_bytes(spec: RunSpec) -> float:
    """Peak of the run itself: weights, what every layer keeps for the way down, Gram matrices, one probe's block."""
    parameters = count_parameters(spec)
    weights = parameters * ITEM_BYTES[spec.dtype]
    kept = count_tape_bytes(spec) + _objects_bytes(spec) + _probe_bytes(spec) + _scratch_bytes(spec)
    # Weights are drawn in float32, all of them before any is converted.
    return max(4.0 * parameters, weights + kept)


def count_tape_bytes(spec: RunSpec) -> float:
    """Values that autograd keeps until the way down."""
    n, width, item = spec.streams, spec.width, ITEM_BYTES[spec.dtype]
    norm = {"pre": 2, "post": n, "none": 0}[spec.block.norm_position]
    copied = 1 if spec.connection.kind in MULTI_STREAM else 0
    layer = (n + 1 + norm + copied) * width * item + _mixing_kept(spec)
    branches = sum(branch_type(spec, index).count_kept(spec) for index in range(spec.depth))
    return _samples(spec) * (branches * item + spec.depth * layer)


def _mixing_kept(spec: RunSpec) -> float:
    """Bytes that the mixing keeps per token and layer: normed or converted streams, logits, Sinkhorn's rounds."""
    n, width, item = spec.streams, spec.width, _coefficient_bytes(spec)
    if spec.connection.kind not in MULTI_STREAM:
        return 0.0
    kept = (2 * n + 1) * width * 4.0 if spec.dtype == "bfloat16" else 0.0
    if spec.connection.dynamic:
        kept += (2 if spec.connection.kind == "hc" else 1) * n * width * item
        kept += (4 * (2 * n + _raw_logits(spec)) + 2 * n * n + 2 * n * (n + 1) * _rounds(spec)) * item
    return kept


def _scratch_bytes(spec: RunSpec) -> float:
    """Weight gradients and copies of weights of the layer at work, and what the allocator holds back."""
    branch = branch_type(spec, 0)
    return branch.scratch * branch.count_parameters(spec) * ITEM_BYTES[spec.dtype] + SLACK_BYTES


def _objects_bytes(spec: RunSpec) -> float:
    return OBJECT_BYTES * _pass_calls(spec) + LAYER_BYTES * spec.depth


def _probe_bytes(spec: RunSpec) -> float:
    """CKA's Gram matrices, and the temporary copies of the block of layers that is measured together."""
    item = _measured_bytes(spec)
    grams = spec.depth * _kept_samples(spec) ** 2 * item
    layers = _layers_together(spec)
    states = layers * _samples(spec) * spec.width * (2 * spec.streams + 4) * item
    ranks = layers * 8 * (2 * _rank_size(spec) ** 2 + 3 * min(_samples(spec), 256) * spec.width)
    return grams + max(states, ranks)


# Time.


@dataclass(frozen=True)
class Work:
    """Counts that a machine's rates turn into seconds.

    flops: of matrix products, small ones counted higher; eigen_flops: of eigenvalue problems, in float64; moved_bytes:
    through the caches; fresh_bytes: of memory touched for the first time; calls: of operators; drawn: random values.
    """

    flops: float
    eigen_flops: float
    moved_bytes: float
    fresh_bytes: float
    calls: float
    drawn: float


def _to_seconds(work: Work, rates: Rates, dtype: str) -> float:
    return (
        work.flops / rates.flops_per_s[dtype]
        + work.eigen_flops / rates.eigen_flops_per_s
        + work.moved_bytes / rates.bytes_per_s
        + work.fresh_bytes / rates.fresh_bytes_per_s
        + work.calls * rates.s_per_call
        + work.drawn / rates.drawn_per_s
    )


def _count_work(spec: RunSpec) -> Work:
    parameters = count_parameters(spec)
    return Work(
        flops=_pass_flops(spec) * (1 + SMALL_PRODUCT / spec.width) + _slow_flops(spec) + _probe_flops(spec),
        eigen_flops=_rank_flops(spec),
        moved_bytes=OUT_OF_CACHE[spec.dtype] * (count_pass_bytes(spec) + _probe_moved_bytes(spec)),
        fresh_bytes=_run_bytes(spec),
        calls=UP_AND_DOWN * _pass_calls(spec) + _probe_calls(spec),
        drawn=parameters,
    )


def _probe_moved_bytes(spec: RunSpec) -> float:
    """Read and written by the measurement: of states, of samples for the rank, of Gram matrices, of weights."""
    kept = _kept_samples(spec)
    states = _samples(spec) * (50 + 20 * spec.streams) * spec.width
    ranks = 50 * min(_samples(spec), 256) * spec.width
    grams = kept**2 * (26 + spec.depth / 32)
    mixing = 16 * _samples(spec) * (2 * spec.streams + spec.streams**2) if _is_dynamic(spec) else 0
    return (spec.depth * (states + ranks + grams + mixing) + 2.5 * count_parameters(spec)) * _measured_bytes(spec)


def _probe_calls(spec: RunSpec) -> float:
    layer = 230.0
    if spec.connection.kind in MULTI_STREAM:
        layer += 120 if spec.connection.dynamic else 40
    return spec.depth * layer + 2000


# What is read off the spec.


def _samples(spec: RunSpec) -> int:
    return spec.input.batch * spec.input.tokens


def _is_dynamic(spec: RunSpec) -> bool:
    return spec.connection.dynamic and spec.connection.kind in MULTI_STREAM


def _rounds(spec: RunSpec) -> int:
    """Sinkhorn's rounds for every sample and layer."""
    return spec.connection.sinkhorn_iters if spec.connection.kind == "mhc" else 0


def _kept_samples(spec: RunSpec) -> int:
    return min(_samples(spec), 256 if spec.depth <= 256 else 128)


def _rank_size(spec: RunSpec) -> int:
    return min(spec.width, 256, _samples(spec))


def _layers_together(spec: RunSpec) -> int:
    most = 2**24 // (_samples(spec) * spec.width * spec.streams)
    return max(1, min(16, most, spec.depth))


def _measured_bytes(spec: RunSpec) -> int:
    return 8 if spec.dtype == "float64" else 4


def _values_bytes(spec: RunSpec) -> float:
    # bfloat16's norms run in float32.
    return 2.7 if spec.dtype == "bfloat16" else ITEM_BYTES[spec.dtype]


def _coefficient_bytes(spec: RunSpec) -> float:
    # bfloat16 streams are converted to float32 and back.
    return {"float64": 8, "float32": 4, "bfloat16": 6}[spec.dtype]

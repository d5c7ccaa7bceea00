"""What a run will cost, before it starts: parameters, arithmetic, memory, time.

Per token and layer, forward; the backward pass is twice that: MLP 4 r C^2 (r the ratio), attention 8 C^2 + 4 T C,
mixing 2 C (n^2 + 2 n), dynamic projection 2 n C (n^2 + 2 n), Sinkhorn 4 n^2 a round; between m parts of the width
mixing and projection are 2 C (2 m + 1) each. Time adds arithmetic, bytes and operator calls, each at a fixed rate of
one core. A step of training is one pass without measurement, read-out included, and the update; around the steps the
stack is measured twice. A product of the Jacobian with a vector costs a forward pass.
"""

import math

from pydantic import BaseModel, ConfigDict

from mhc_core.blocks import name_layers
from mhc_core.spec import COPYING, MULTI_STREAM, RunSpec

TRIANGLES = ("triangle_outgoing", "triangle_incoming")
ITEM_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2}

# One thread of a current server core, torch on CPU; fitted to runs of this program.
FLOPS_PER_S = 6e10
BYTES_PER_S = 4e9
S_PER_CALL = 7e-6
S_PER_UPDATE = 5e-9  # of one parameter
LOADING_S = 1.5  # torch.optim brings in torch's compiler at its first use in a process
MEASURING_CALLS = 100.0  # operator calls of one layer that a step of training is spared
CACHED_BYTES_PER_S = 2e10  # of a step, which does not stop at every layer
SLOWER = {"float32": 1.0, "float64": 2.0, "bfloat16": 1.5}


class Estimate(BaseModel):
    """Predicted cost of one run.

    parameters: count. flops: of forward, backward and measurement, and of every step of training. bytes_moved: values
    read and written by connections and branches. peak_bytes: memory at the turn from forward to backward. seconds: wall
    time on one core.
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
    products = _jacobian_products(spec)
    flops = (3 + products) * forward + _probe_flops(spec)
    moved = 3 * tokens * spec.depth * _values_moved(spec) * ITEM_BYTES[spec.dtype] + 3 * 4 * parameters
    moved += products * _product_bytes(spec) + _orthogonalisation_bytes(spec)
    seconds = (
        SLOWER[spec.dtype] * flops / FLOPS_PER_S
        + moved / BYTES_PER_S
        + spec.depth * (_calls(spec) + products * _product_calls(spec)) * S_PER_CALL
    )
    if steps := spec.train.steps:
        step_flops = 3 * (forward + tokens * _readout_flops(spec))
        step_seconds = (
            SLOWER[spec.dtype] * step_flops / FLOPS_PER_S
            + moved / CACHED_BYTES_PER_S
            + spec.depth * (_calls(spec) - MEASURING_CALLS) * S_PER_CALL
            + parameters * S_PER_UPDATE
        )
        seconds = 2 * seconds + LOADING_S + steps * step_seconds
        flops, moved = 2 * flops + steps * step_flops, (2 + steps) * moved
    seconds += parameters * 2e-8  # drawing the weights
    return Estimate(
        parameters=parameters,
        flops=flops,
        bytes_moved=moved,
        peak_bytes=_peak_bytes(spec, parameters),
        seconds=seconds,
    )


def _coefficients(spec: RunSpec) -> int:
    n = spec.streams
    return 2 * n * n + n if spec.connection.kind == "frac" else n * n + 2 * n


def _copies(spec: RunSpec) -> int:
    """Streams of full width: the parts of frac are one together."""
    return 1 if spec.connection.kind == "frac" else spec.streams


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
    vectors = {"text": 2 * 256, "digits": 1 + 64 + 10}  # embeddings and read-out
    ends = vectors.get(spec.input.kind, 0) * width
    if spec.block.scaling in ("rezero", "skipinit"):
        branches += spec.depth
    if spec.connection.kind not in MULTI_STREAM:
        return branches + ends
    layer = _coefficients(spec) - n * n + _raw_logits(spec)
    if spec.connection.dynamic:
        projections = {"hc": width * (n + 2) + 2, "frac": width // n * (2 * n + 1) + 2}
        layer += projections.get(spec.connection.kind, n * width * layer + 3)
    return branches + ends + spec.depth * layer + _head_parameters(spec)


def _head_parameters(spec: RunSpec) -> int:
    if spec.connection.kind not in COPYING or spec.output != "head":
        return 0
    n = spec.streams
    return n * spec.width * n + n + 1 if spec.connection.dynamic else n


def _branch_flops(spec: RunSpec, name: str) -> float:
    across = {"attention": 4.0 * spec.input.tokens} | dict.fromkeys(TRIANGLES, 2.0 * spec.input.tokens**0.5)
    return 2 * _branch_parameters(spec, name) + across.get(name, 0.0) * spec.width


def _readout_flops(spec: RunSpec) -> float:
    return 2.0 * 256 * spec.width if spec.input.kind == "text" else 0.0


def _mixing_flops(spec: RunSpec) -> float:
    n, width = spec.streams, spec.width
    if n == 1:
        return width
    part = width * _copies(spec) // n  # features of a stream
    flops = 2.0 * part * _coefficients(spec)
    if spec.connection.dynamic:
        inputs = part if spec.connection.kind in ("hc", "frac") else n * part
        flops += 2 * inputs * (_coefficients(spec) - n * n + _raw_logits(spec))
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
    return (8 * _copies(spec) + 2) * width + 2 * _coefficients(spec) + branch


def _calls(spec: RunSpec) -> float:
    """Operator calls of one layer, forward, backward and measurement."""
    calls = 150.0
    if spec.streams > 1:
        calls += 50
        if spec.connection.dynamic:
            calls += 130 if spec.connection.kind in ("hc", "frac") else 180
            calls += 13 * spec.connection.sinkhorn_iters if spec.connection.kind == "mhc" else 0
    return calls


def _peak_bytes(spec: RunSpec, parameters: int) -> float:
    """Weights, states and activations kept for the way down, CKA's Gram matrices, and the libraries themselves."""
    n, width, item = _copies(spec), spec.width, ITEM_BYTES[spec.dtype]
    tokens = spec.input.batch * spec.input.tokens
    kept = (2 * spec.block.mlp_ratio + 4 + 2 * n) * width
    if spec.connection.dynamic and spec.streams > 1:
        kept += 4 * n * width + 4 * n * n * spec.connection.sinkhorn_iters
    grams = spec.depth * _kept_samples(spec) ** 2 * (8 if spec.dtype == "float64" else 4)
    passes = tokens * spec.depth * kept * item + grams
    # Gradients, the optimiser's running means, and what an update holds on its way.
    copies = {"adamw": 5, "sgd": 3}[spec.train.optimizer] if spec.train.steps else 0
    return parameters * (4 + item + copies * item) + max(passes, _jacobian_bytes(spec)) + 3e8


# ---- the Jacobian's products: each walks a graph of the whole stack once, and costs about a forward pass


def _jacobian_products(spec: RunSpec) -> int:
    """Pairs, and the two walks that make the graph; 0 where none is asked for."""
    return 2 * spec.jacobian + 2 if spec.jacobian else 0


def _attention_values(spec: RunSpec) -> float:
    """Entries of the attention matrices per token and layer, which the math kernel writes out."""
    share = name_layers(spec).count("attention") / spec.depth
    return share * spec.block.heads * spec.input.tokens


def _product_bytes(spec: RunSpec) -> float:
    """Read and written by one product: its linear layers stay in cache, its attention matrices pass eight times."""
    values = 0.2 * _values_moved(spec) + 8 * _attention_values(spec)
    return spec.input.batch * spec.input.tokens * spec.depth * values * ITEM_BYTES[spec.dtype]


def _orthogonalisation_bytes(spec: RunSpec) -> float:
    """Every vector passes all earlier ones twice, there and back, in both bases."""
    return 4.0 * spec.jacobian**2 * _vector_bytes(spec)


def _vector_bytes(spec: RunSpec) -> int:
    return spec.input.batch * spec.input.tokens * spec.width * (8 if spec.dtype == "float64" else 4)


def _product_calls(spec: RunSpec) -> float:
    """Operator calls of one product in one layer."""
    calls = 50.0
    if spec.connection.dynamic and spec.streams > 1:
        calls += 70
        calls += 16 * spec.connection.sinkhorn_iters if spec.connection.kind == "mhc" else 0
    return calls


def _jacobian_bytes(spec: RunSpec) -> float:
    """The graph of the whole stack, twice differentiable, and both bases; 0 where no Jacobian is asked for."""
    if not spec.jacobian:
        return 0.0
    n = spec.streams
    kept = (2 * spec.block.mlp_ratio + 4) * spec.width + 3 * _attention_values(spec)
    if spec.connection.dynamic and n > 1:
        kept += 6 * n * spec.width
        kept += 10 * n * n * spec.connection.sinkhorn_iters if spec.connection.kind == "mhc" else 0
    samples = spec.input.batch * spec.input.tokens
    return samples * spec.depth * kept * ITEM_BYTES[spec.dtype] + 2 * spec.jacobian * _vector_bytes(spec)

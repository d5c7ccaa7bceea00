"""Which laws a spec meets the premises of: predicates, and the single-stream network that a stack amounts to."""

import math

import numpy as np

from mhc_core.meanfield import ACTIVATIONS
from mhc_core.propagation import Network
from mhc_core.spec import MANIFOLD, RunSpec

RECTIFIERS = ("relu", "gelu", "silu")
LEAST_WIDTH = 32  # below, first order in 1 / C is no longer close
SIGMOID_OF_ONE = 1 / (1 + math.exp(-1))
# H_post of the presets that give every stream the same, where the mixing is static.
UNIFORM_POST = {"residual": 1.0, "megatron": 1.0, "deepseek_v4": 1.0, "lucidrains": 2 * SIGMOID_OF_ONE}


def is_single(spec: RunSpec) -> bool:
    """One stream."""
    return spec.connection.kind in ("none", "residual")


def is_row_stochastic(spec: RunSpec) -> bool:
    """Rows of every H_res sum to 1 by construction."""
    connection = spec.connection
    sinkhorn = connection.kind == "mhc" and connection.sinkhorn_iters > 0 and connection.sinkhorn_eps == 0
    return sinkhorn or is_doubly_stochastic(spec)


def is_doubly_stochastic(spec: RunSpec) -> bool:
    """Rows and columns of every H_res sum to 1 by construction."""
    kind, untrained = spec.connection.kind, spec.train.steps == 0
    if kind == "residual":
        return spec.block.scaling != "deepnorm"  # which enlarges the skip path
    return (kind in MANIFOLD and kind != "mhc") or (kind == "hc" and spec.connection.noise == 0 and untrained)


def is_free(spec: RunSpec) -> bool:
    """Mixing of the form I + s G, G independent and standard normal, in two streams or more."""
    connection = spec.connection
    return connection.kind == "hc" and connection.noise > 0 and connection.streams > 1 and spec.train.steps == 0


def describe_network(spec: RunSpec) -> Network | None:
    """The single-stream network whose signals theory follows, or None where there is none or theory has no law."""
    post = _uniform_post(spec)
    if post is None or spec.train.steps or spec.width < LEAST_WIDTH or spec.input.kind == "digits":
        return None
    scale = post * _scales(spec)
    skip = 0.0 if spec.connection.kind == "none" else 1.0
    if not scale.any():
        return _identity(spec, scale) if skip and spec.block.norm_position != "post" else None
    if spec.block.kind != "mlp" or spec.block.scaling == "deepnorm" or spec.block.activation not in ACTIVATIONS:
        return None
    # Outputs of a single relu matrix share a mean, which adds up coherently past a skip, and which layernorm removes.
    centred = spec.block.mlp_ratio > 0 or ACTIVATIONS[spec.block.activation].odd
    layernorm = spec.block.norm_position != "none" and spec.block.norm == "layernorm"
    if not centred and (skip or layernorm):
        return None
    return _network(spec, scale, skip)


def _network(spec: RunSpec, scale_L: np.ndarray, skip: float) -> Network:
    block, width = spec.block, spec.width
    hidden = block.mlp_ratio * width or width
    return Network(
        width=width,
        samples=spec.input.batch * spec.input.tokens,
        skip=skip,
        norm=block.norm_position,
        activation=block.activation,
        scale_L=scale_L,
        norm_gain_L=_norm_gains(spec),
        gain_in=_weight_gain(spec, hidden, width, block.activation),
        gain_out=_weight_gain(spec, width, hidden, "linear") if block.mlp_ratio else 1.0,
        hidden=hidden,
        two=block.mlp_ratio > 0,
        isometric=(block.weights, block.activation, block.mlp_ratio) == ("orthogonal", "linear", 0),
        correlation=_correlation(spec),
    )


def _identity(spec: RunSpec, scale_L: np.ndarray) -> Network:
    """Branches of size zero, whatever they are."""
    samples, ones = spec.input.batch * spec.input.tokens, np.ones(spec.depth)
    return Network(
        spec.width, samples, 1.0, spec.block.norm_position, "linear", scale_L, ones, 1.0, 1.0, spec.width,
        two=False, isometric=True, correlation=_correlation(spec),
    )  # fmt: skip


def _uniform_post(spec: RunSpec) -> float | None:
    """The factor on branches where all streams carry the same, so that the stack is a single-stream one; else None.

    Several streams: rows of H_res that sum to 1 and one H_post for all keep identical streams identical, and the
    pre-norm takes the sum of H_pre out of what the layer reads.
    """
    connection = spec.connection
    if is_single(spec):
        return 1.0
    if spec.block.norm_position != "pre":
        return None
    if connection.kind == "hc":
        return 1.0 if connection.noise == 0 else None
    if connection.kind not in MANIFOLD or not is_row_stochastic(spec):
        return None
    if connection.dynamic and connection.init not in ("residual", "lucidrains"):
        return None  # phi is not zero, so tokens set their own coefficients
    return UNIFORM_POST.get(connection.init)


def _scales(spec: RunSpec) -> np.ndarray:
    """a of each layer at the start."""
    by_depth = spec.depth**-0.5 if spec.block.scaling in ("inv_sqrt_depth", "skipinit") else 1.0
    start = 0.0 if spec.block.scaling == "rezero" else by_depth
    return np.full(spec.depth, spec.block.branch_scale * start)


def _norm_gains(spec: RunSpec) -> np.ndarray:
    if spec.block.scaling == "layernorm_scaling":
        return 1 / np.arange(1, spec.depth + 1)
    return np.ones(spec.depth)


def _weight_gain(spec: RunSpec, fan_out: int, fan_in: int, activation: str) -> float:
    """Variance of a matrix's entries times its fan-in."""
    gain = 2.0 if activation in RECTIFIERS else 1.0
    if spec.block.weights == "xavier":
        return 2 * fan_in / (fan_in + fan_out)
    if spec.block.weights == "orthogonal":  # Columns of a tall matrix have unit norm, rows of a wide one.
        return gain * min(1.0, fan_in / fan_out)
    return gain


def _correlation(spec: RunSpec) -> float:
    """Of every two samples of the input; 1 where bytes repeat, for which the band is widest."""
    return {"gaussian": 0.0, "correlated": spec.input.correlation}.get(spec.input.kind, 1.0)

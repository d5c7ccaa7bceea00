"""How large a residual branch is against the path that passes it by, one rule a name.

A layer is x' = skip H_res x + H_post gain branch F(norm N(x)), where `gain` is a learned scalar, and F's weights are
drawn `weights` times as large. Three of the rules know the depth: under them a deeper stack does not keep its first
layers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mhc_core.spec import RunSpec


@dataclass(frozen=True)
class Scaling:
    """Factors of one layer: on the pre-norm's output, on the branch output, on the skip path, on the drawn weights.

    `gain` is where a learned scalar on the branch output starts; None if there is none.
    """

    norm: float = 1.0
    branch: float = 1.0
    skip: float = 1.0
    weights: float = 1.0
    gain: float | None = None


def build_scaling(spec: RunSpec, block: int) -> Scaling:
    """Return the factors of the spec's depth scaling for a layer of block number `block`, from 1."""
    return SCALINGS[spec.block.scaling](spec, block)


def _leave_unscaled(spec: RunSpec, block: int) -> Scaling:
    return Scaling()


def _inv_sqrt_depth(spec: RunSpec, block: int) -> Scaling:
    """Scale each branch by 1 / sqrt(depth), so that branches of unit variance add up to 1 at any depth."""
    return Scaling(branch=spec.depth**-0.5)


def _rezero(spec: RunSpec, block: int) -> Scaling:
    """Start every layer as the identity (arXiv 2003.04887)."""
    return Scaling(gain=0.0)


def _skipinit(spec: RunSpec, block: int) -> Scaling:
    """Start the scalar at the end of each of d residual branches at 1 / sqrt(d) (arXiv 2002.10444)."""
    return Scaling(gain=spec.depth**-0.5)


def _deepnorm(spec: RunSpec, block: int) -> Scaling:
    """Scale by DeepNorm of decoders (arXiv 2203.00555): alpha = (2 N)^(1/4) and beta = (8 N)^(-1/4) of N transformer
    blocks.

    A transformer block is two layers, and the constants come from the number of layers, 2 N: N is half the depth here
    for blocks of one and of three layers as well.
    """
    blocks = spec.depth / 2
    return Scaling(skip=(2 * blocks) ** 0.25, weights=(8 * blocks) ** -0.25)


def _layernorm_scaling(spec: RunSpec, block: int) -> Scaling:
    """Scale the norm's output in block l by 1 / sqrt(l) (arXiv 2502.05795), both norms of a transformer block alike."""
    return Scaling(norm=1 / math.sqrt(block))


SCALINGS: dict[str, Callable[[RunSpec, int], Scaling]] = {
    "constant": _leave_unscaled,
    "inv_sqrt_depth": _inv_sqrt_depth,
    "rezero": _rezero,
    "skipinit": _skipinit,
    "deepnorm": _deepnorm,
    "layernorm_scaling": _layernorm_scaling,
}

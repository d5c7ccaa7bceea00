"""Depth scaling: one function per value of `block.scaling`, which sets the size of branches relative to the skip path.

A layer computes x' = skip H_res x + H_post gain branch F(norm N(x)), where `gain` is a learned scalar, and F's initial
weights are multiplied by `weights`. Three of the rules depend on the depth, so that the first layers of a deeper stack
differ from those of a shallower one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mhc_core.spec import RunSpec


@dataclass(frozen=True)
class Scaling:
    """Factors of one layer: of the pre-norm's output, the branch output, the skip path and the initial weights.

    `gain` is the initial value of a learned scalar on the branch output; None if there is none.
    """

    norm: float = 1.0
    branch: float = 1.0
    skip: float = 1.0
    weights: float = 1.0
    gain: float | None = None


def build_scaling(spec: RunSpec, block: int) -> Scaling:
    """Return the factors of the spec's depth scaling for a layer of block `block`, counted from 1."""
    return SCALINGS[spec.block.scaling](spec, block)


def _leave_unscaled(spec: RunSpec, block: int) -> Scaling:
    return Scaling()


def _inv_sqrt_depth(spec: RunSpec, block: int) -> Scaling:
    """Scale each branch by 1 / sqrt(depth), so that branches of variance 1 add up to variance 1 at any depth."""
    return Scaling(branch=spec.depth**-0.5)


def _rezero(spec: RunSpec, block: int) -> Scaling:
    """Multiply each branch by a learned scalar that is initially 0, so that each layer is the identity (ReZero, arXiv
    2003.04887).
    """
    return Scaling(gain=0.0)


def _skipinit(spec: RunSpec, block: int) -> Scaling:
    """Multiply each of d branches by a learned scalar that is initially 1 / sqrt(d) (SkipInit, arXiv 2002.10444)."""
    return Scaling(gain=spec.depth**-0.5)


def _deepnorm(spec: RunSpec, block: int) -> Scaling:
    """Scale as DeepNorm does for decoders of N transformer blocks (arXiv 2203.00555): alpha = (2 N)^(1/4) for the skip
    path, beta = (8 N)^(-1/4) for the weights.

    A transformer block has two layers. The constants depend on the number of layers, 2 N, so N is half the depth here
    for the other blocks as well, which have one or three layers.
    """
    blocks = spec.depth / 2
    return Scaling(skip=(2 * blocks) ** 0.25, weights=(8 * blocks) ** -0.25)


def _layernorm_scaling(spec: RunSpec, block: int) -> Scaling:
    """Scale the norm's output in block l by 1 / sqrt(l) (arXiv 2502.05795): the same for all layers of a block."""
    return Scaling(norm=1 / math.sqrt(block))


SCALINGS: dict[str, Callable[[RunSpec, int], Scaling]] = {
    "constant": _leave_unscaled,
    "inv_sqrt_depth": _inv_sqrt_depth,
    "rezero": _rezero,
    "skipinit": _skipinit,
    "deepnorm": _deepnorm,
    "layernorm_scaling": _layernorm_scaling,
}

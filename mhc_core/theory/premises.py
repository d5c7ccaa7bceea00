"""The premises of the laws: which of them a spec meets, and the single-stream network equivalent to its stack."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from mhc_core.families import FAMILIES
from mhc_core.family import Family
from mhc_core.inputs.text import compute_same_byte_fraction
from mhc_core.spec import BYTE_INPUTS, RunSpec
from mhc_core.theory.activations import ACTIVATIONS
from mhc_core.theory.network import Network

RECTIFIERS = ("relu", "gelu", "silu")
MIN_WIDTH = 16  # for smaller widths, first order in 1 / C is not accurate
SIGMOID_OF_ONE = 1 / (1 + math.exp(-1))
# H_post of the initialisations in which it is the same for all streams, if mixing is static.
UNIFORM_POST = {
    "residual": 1.0, "megatron": 1.0, "deepseek_v4": 1.0, "lucidrains": 2 * SIGMOID_OF_ONE, "c_mhc": 1.0, "hy_v4": 1.0,
}  # fmt: skip
UNIFORM_FOR_TOKENS = ("residual", "lucidrains")  # those in which it is also the same for all tokens, if it is dynamic


@dataclass(frozen=True)
class UnmetPremise:
    """A premise that a spec does not meet: the field, its value, and the value that the law needs, as text."""

    field: str
    got: Any
    wanted: str


def find_unmet_premises(spec: RunSpec) -> dict[str, UnmetPremise]:
    """Return the unmet premise for each metric that has a law, but none that applies to this spec."""
    gains = () if spec.family.has_mixing else GAINS  # gains are not measured without mixing
    if spec.edits:
        return {key: _name_edits(spec) for key in SPOKEN_OF if key not in gains}
    found = {key: find(spec) for key, find in SPOKEN_OF.items() if key not in gains}
    return {key: premise for key, premise in found.items() if premise is not None}


def is_single(spec: RunSpec) -> bool:
    """Return whether the stack has one stream."""
    return not spec.family.has_streams


# Mixing.


def has_unit_row_sums(spec: RunSpec) -> bool:
    """Return whether the rows of each H_res sum to 1 by construction. Entries can be negative."""
    return _find_unmet_row_premise(spec) is None


def has_unit_sums(spec: RunSpec) -> bool:
    """Return whether rows and columns of each H_res sum to 1 by construction. Entries can be negative."""
    return _find_unmet_column_premise(spec) is None


def is_norm_bounded(spec: RunSpec) -> bool:
    """Return whether each H_res has a spectral norm of at most 1 by construction; False for one stream."""
    return spec.streams > 1 and spec.family.norm_bounded and not spec.maps_coarsely


def is_orthogonal(spec: RunSpec) -> bool:
    """Return whether each H_res is orthogonal by construction; False for one stream.

    False if H_res depends on tokens, because a mean over tokens need not be orthogonal.
    """
    is_same_for_tokens = not spec.connection.is_dynamic or spec.family.is_identity
    return spec.streams > 1 and spec.family.orthogonal and is_same_for_tokens and not spec.maps_coarsely


def is_free(spec: RunSpec) -> bool:
    """Return whether each H_res is I + s G with independent standard normal G, and there are two streams or more."""
    return _find_unmet_free_premise(spec) is None


def _starts_from_identity(family: Family) -> bool:
    """Return whether streams are copies and the initial H_res is I + s G, with independent standard normal G."""
    return family.streams == "copies" and family.drawn == "entries"


def _find_unmet_row_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the premise of the law of unit row sums that this spec does not meet, or None."""
    family = spec.family
    if family.rows == "exact" and family.columns == "free":
        return _name_rounding(spec) if spec.maps_coarsely else None
    if family.rows != "rounds":
        return _find_unmet_column_premise(spec)
    if spec.maps_coarsely:
        return _name_rounding(spec)
    if spec.connection.sinkhorn_iters == 0:
        return UnmetPremise("connection.sinkhorn_iters", 0, "1 or more, for rows that sum to 1")
    if spec.connection.sinkhorn_eps > 0:
        return UnmetPremise("connection.sinkhorn_eps", spec.connection.sinkhorn_eps, "0, for rows that sum to 1")
    return None


def _find_unmet_column_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the premise of the law of unit row and column sums that this spec does not meet, or None."""
    connection, family = spec.connection, spec.family
    if spec.edits_mixing:
        return _name_edits(spec)
    if is_single(spec) and family.skips and spec.block.scaling == "deepnorm":
        return UnmetPremise("block.scaling", "deepnorm", "a skip path that is not enlarged")
    if family.columns == "limit":
        return UnmetPremise(
            "connection.kind", connection.kind, "columns that sum to 1 by construction; Sinkhorn ends on the rows"
        )
    if _starts_from_identity(family):
        if connection.noise > 0:
            return UnmetPremise("connection.noise", connection.noise, "0, for mixing that is the identity")
        return _require_untrained(spec)
    if family.columns != "exact":
        return UnmetPremise("connection.kind", connection.kind, "mixing whose sums are 1, or HC's")
    return _name_rounding(spec) if spec.maps_coarsely else None


def _name_edits(spec: RunSpec) -> UnmetPremise:
    return UnmetPremise("edits", len(spec.edits), "a run without edits")


def _name_rounding(spec: RunSpec) -> UnmetPremise:
    """Return the unmet premise that the dtype of the mapping is fine enough to keep sums at 1."""
    return UnmetPremise(
        "connection.mapping_dtype", spec.connection.mapping_dtype, "auto, for sums of 1 up to its rounding"
    )


def _find_unmet_free_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the premise of the law for products of I + s G that this spec does not meet, or None."""
    if spec.edits_mixing:
        return _name_edits(spec)
    connection = spec.connection
    if not _starts_from_identity(spec.family):
        kinds = " or ".join(kind for kind, family in FAMILIES.items() if _starts_from_identity(family))
        return UnmetPremise("connection.kind", connection.kind, f"{kinds}, whose mixing is unconstrained")
    if connection.noise == 0:
        return UnmetPremise("connection.noise", 0.0, "more than 0")
    if connection.streams == 1:
        return UnmetPremise("connection.streams", 1, "2 or more")
    return _require_untrained(spec)


def _require_untrained(spec: RunSpec) -> UnmetPremise | None:
    """Return an unmet premise if the spec trains the stack, because laws describe stacks as initialised; else None."""
    steps = spec.train.steps
    return UnmetPremise("train.steps", steps, "0: the law is of stacks as initialised") if steps else None


def _find_unmet_gain_premise(spec: RunSpec, *, backward: bool) -> UnmetPremise | None:
    """Return the premise of the law of the forward or backward gain that this spec does not meet, or None."""
    if _starts_from_identity(spec.family) and spec.connection.noise > 0:
        return _find_unmet_free_premise(spec)
    return _find_unmet_column_premise(spec) if backward else _find_unmet_row_premise(spec)


# Signals.


def describe_network(spec: RunSpec) -> Network | None:
    """Return the single-stream network that a spec's stack is equivalent to; None if it does not meet the premises."""
    if _find_unmet_network_premise(spec) is not None:
        return None
    scale = _uniform_h_post(spec) * _scales(spec)
    skip = float(spec.family.skips)
    return _build_network(spec, scale, skip) if scale.any() else _identity(spec, scale)


def _find_unmet_network_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the first premise of mean field theory that this spec does not meet, or None."""
    found = _find_unmet_stream_premise(spec) or _require_untrained(spec)
    if found is not None:
        return found
    if spec.width < MIN_WIDTH:
        return UnmetPremise("width", spec.width, f"{MIN_WIDTH} or more: the law is of wide layers")
    if spec.input.kind == "digits":
        return UnmetPremise("input.kind", "digits", "text, corpus, gaussian or correlated")
    return _find_unmet_branch_premise(spec)


def _find_unmet_stream_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the unmet premise that the stack is equivalent to one with a single stream, or None.

    With several streams, they must stay identical. They do if the rows of H_res sum to 1 and H_post is the same for all
    streams. The pre-norm then removes the sum of H_pre from the branch input.
    """
    connection = spec.connection
    if not spec.family.has_mixing:
        return UnmetPremise("connection.kind", connection.kind, "a state that every layer adds to or replaces")
    if is_single(spec):
        is_moved = spec.family.has_coefficients and connection.noise > 0
        wanted = "0, for a state that passes each layer by unchanged"
        return UnmetPremise("connection.noise", connection.noise, wanted) if is_moved else None
    if spec.family.streams != "copies":
        return UnmetPremise("connection.kind", connection.kind, "one stream, or copies of it")
    if connection.scales_streams:
        return UnmetPremise("connection.expand", connection.expand, "copies, for streams that are alike")
    if spec.block.norm_position != "pre":
        return UnmetPremise("block.norm_position", spec.block.norm_position, "pre, where there are several streams")
    if _starts_from_identity(spec.family):
        wanted = "0, for streams that stay alike"
        return UnmetPremise("connection.noise", connection.noise, wanted) if connection.noise > 0 else None
    if (found := _find_unmet_row_premise(spec)) is not None:
        return found
    if not spec.family.is_mapped:
        return UnmetPremise("connection.kind", connection.kind, "a connection whose H_post the initialisation sets")
    if connection.is_dynamic and connection.init not in UNIFORM_FOR_TOKENS:
        names = " or ".join(UNIFORM_FOR_TOKENS)
        return UnmetPremise(
            "connection.init", connection.init, f"{names}, where mixing is dynamic"
        )  # else phi is not zero
    if connection.init not in UNIFORM_POST:
        names = ", ".join(UNIFORM_POST)
        return UnmetPremise("connection.init", connection.init, f"one H_post for all streams, as of {names}")
    return None


def _find_unmet_branch_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the first premise of mean field theory on branches that this spec does not meet, or None."""
    block, skips = spec.block, spec.family.skips
    if not _scales(spec).any():
        if not skips:
            return UnmetPremise("connection.kind", spec.connection.kind, "a skip path, where branches start at zero")
        return UnmetPremise("block.norm_position", "post", "pre or none") if block.norm_position == "post" else None
    if block.kind != "mlp":
        return UnmetPremise("block.kind", block.kind, "mlp")
    if block.scaling == "deepnorm":
        return UnmetPremise("block.scaling", "deepnorm", "another scaling")
    activation = ACTIVATIONS[block.activation]
    if not (skips or activation.odd or activation.degree_one or block.norm_position != "none"):
        # Samples that are small by chance shrink faster than others, so that a mean no longer describes them.
        return UnmetPremise("block.norm_position", "none", f"pre or post for {block.activation} that nothing passes by")
    # Outputs of a single matrix with relu have a common mean, which adds up over layers on a skip path, and which
    # layernorm removes.
    centred = block.mlp_ratio > 0 or activation.odd
    layernorm = block.norm_position != "none" and block.norm == "layernorm"
    if not centred and (skips or layernorm):
        where = "past a skip" if skips else "under layernorm"
        return UnmetPremise("block.mlp_ratio", 0, f"1 or more for {block.activation} {where}")
    return None


def _find_unmet_size_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the first premise of the law of the size of activations that this spec does not meet, or None."""
    is_normed = spec.block.norm_position == "post" and is_single(spec)
    return None if is_normed else _find_unmet_network_premise(spec)


def _find_unmet_gradient_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the premise of the law of gradients that this spec does not meet, or None."""
    found = _find_unmet_network_premise(spec)
    if found is None and spec.input.kind in BYTE_INPUTS:
        return UnmetPremise("input.kind", spec.input.kind, "gaussian or correlated, whose loss is linear in the output")
    return found


def _find_unmet_cosine_premise(spec: RunSpec) -> UnmetPremise | None:
    """Return the premise of the law of cosines between tokens that this spec does not meet, or None."""
    found = _find_unmet_network_premise(spec)
    if found is None and spec.family.skips:
        return UnmetPremise(
            "connection.kind", spec.connection.kind, "none: the law is of layers that nothing passes by"
        )
    if found is None and spec.input.kind in BYTE_INPUTS:
        return UnmetPremise("input.kind", spec.input.kind, "gaussian or correlated")
    return found


GAINS = ("composite_gain_fwd", "composite_gain_bwd")
SPOKEN_OF: dict[str, Callable[[RunSpec], UnmetPremise | None]] = {
    "composite_gain_fwd": partial(_find_unmet_gain_premise, backward=False),
    "composite_gain_bwd": partial(_find_unmet_gain_premise, backward=True),
    "act_rms": _find_unmet_size_premise,
    "grad_rms": _find_unmet_gradient_premise,
    "token_cos": _find_unmet_cosine_premise,
}


def _build_network(spec: RunSpec, scale_L: np.ndarray, skip: float) -> Network:
    """Build the single-stream network of a spec, with these factors of its branches and of the skip path."""
    block, width = spec.block, spec.width
    hidden = block.mlp_ratio * width or width
    return Network(
        width=width,
        samples=spec.input.batch * spec.input.tokens,
        skip=skip,
        norm=block.norm_position,
        activation=block.activation,
        scale_L=tuple(scale_L.tolist()),
        norm_gain_L=tuple(_norm_gains(spec).tolist()),
        gain_in=_weight_gain(spec, hidden, width, block.activation),
        gain_out=_weight_gain(spec, width, hidden, "linear") if block.mlp_ratio else 1.0,
        hidden=hidden,
        two=block.mlp_ratio > 0,
        isometric=(block.weights, block.activation, block.mlp_ratio) == ("orthogonal", "linear", 0),
        correlation=spec.input.correlation if spec.input.kind == "correlated" else 0.0,
        same=compute_same_byte_fraction(spec) if spec.input.kind in BYTE_INPUTS else 0.0,
    )


def _identity(spec: RunSpec, scale_L: np.ndarray) -> Network:
    """Return the single-stream network of a spec whose branches are all 0: signals pass it unchanged."""
    return replace(
        _build_network(spec, scale_L, 1.0),
        norm_gain_L=(1.0,) * spec.depth,
        activation="linear",
        gain_in=1.0,
        gain_out=1.0,
        hidden=spec.width,
        two=False,
        isometric=True,
    )


def _uniform_h_post(spec: RunSpec) -> float:
    """Return the initial H_post, which is the same for all streams; 1 for families without a map."""
    return UNIFORM_POST[spec.connection.init] if spec.family.is_mapped else 1.0


def _scales(spec: RunSpec) -> np.ndarray:
    """Return the initial scale a of each layer's branch, (L)."""
    by_depth = spec.depth**-0.5 if spec.block.scaling in ("inv_sqrt_depth", "skipinit") else 1.0
    start = 0.0 if spec.block.scaling == "rezero" else by_depth
    return np.full(spec.depth, spec.block.branch_scale * start)


def _norm_gains(spec: RunSpec) -> np.ndarray:
    """Return the squared factor of the pre-norm's output in each layer, (L)."""
    if spec.block.scaling == "layernorm_scaling":
        return 1 / np.arange(1, spec.depth + 1)
    return np.ones(spec.depth)


def _weight_gain(spec: RunSpec, fan_out: int, fan_in: int, activation: str) -> float:
    """Return the variance of the entries of a weight matrix times its fan-in."""
    gain = 2.0 if activation in RECTIFIERS else 1.0
    if spec.block.weights == "xavier":
        return 2 * fan_in / (fan_in + fan_out)
    if spec.block.weights == "orthogonal":  # Columns of a tall matrix have norm 1, and so do rows of a wide one.
        return gain * min(1.0, fan_in / fan_out)
    return gain

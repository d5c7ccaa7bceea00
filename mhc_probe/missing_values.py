"""Give values of a recording whose inputs were not recorded the status `unknown` instead of `nan`.

A value that was computed and is not finite keeps its status.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from mhc_core.layers.connections import Mixing
from mhc_core.metrics import LAYER_METRICS
from mhc_core.record.frames import AnyFrame, BackwardFrame, ForwardFrame, MixingFrame
from mhc_core.record.values import Status
from mhc_probe.recording.joined import JoinedLayer, JoinedPasses

# Metrics by the input that they need, which may not have been recorded in a layer.
NEIGHBOURS = ("cos_prev", "cos_prev_p05", "cos_prev_p95")
WRITING = ("h_post", "h_post_std", "write_share_max", "write_share_entropy", "branch_share")
METRICS_OF_INPUT = {
    "u": ("branch_in_rms", *NEIGHBOURS),
    "y": ("branch_out_rms", "branch_share"),
    "grad_u": ("branch_grad_rms",),
    "h_pre": ("h_pre", "h_pre_std", "read_share_max", "read_share_entropy"),
    "h_post": WRITING,
    "mixing": (
        *("h_res", "h_res_std", "h_res_row_sum", "h_res_col_sum", "h_res_min", "h_res_sigma2", "h_res_attenuation"),
        *("h_res_to_uniform", "ds_error", "ds_error_tokens", "gauge_remainder", "gain_fwd", "gain_bwd"),
        *WRITING,
    ),
}
COEFFICIENTS = {"h_pre", "h_post", "h_res"}
OF_GRADIENTS = ("mixing_grad_norm", "effect_grad")  # columns without a value for layers that received no gradient


def mark_unknown(frames: Sequence[AnyFrame], recorded: JoinedPasses, mixings: Sequence[Mixing]) -> list[AnyFrame]:
    """Return the frames with `unknown` instead of `nan` if the inputs of a value were not recorded."""
    layers = [mixings[index] if mixings else None for index in range(len(recorded.layers))]
    missing = [_find_missing(recorded, index, mixing) for index, mixing in enumerate(layers)]
    marked = [
        _mark_layer(frame, missing[frame.layer])
        if isinstance(frame, ForwardFrame | BackwardFrame) and frame.layer >= 0
        else frame
        for frame in frames
    ]
    computed = [frame for frame in marked if isinstance(frame, ForwardFrame) and _has_computed_nan(frame)]
    if not mixings:
        return [_mark_reads(frame, recorded) if isinstance(frame, MixingFrame) else frame for frame in marked]
    return [_mark_columns(frame, not computed) if isinstance(frame, MixingFrame) else frame for frame in marked]


def _mark_layer(frame: ForwardFrame | BackwardFrame, missing: set[str]) -> AnyFrame:
    return replace(frame, status={key: _to_flag(flag, key in missing) for key, flag in frame.status.items()})


def _mark_columns(frame: MixingFrame, composites: bool) -> MixingFrame:
    """Mark the columns over all layers.

    composites: whether no coefficient was computed as nan, so that a nan in a product of matrices means `unknown`.
    A layer whose mixing received no gradient has no norm, which is always `unknown`.
    """
    status = {
        key: {layer: _to_flag(flag, composites or key in OF_GRADIENTS) for layer, flag in flags.items()}
        for key, flags in frame.status.items()
    }
    return replace(frame, status=status)


def _mark_reads(frame: MixingFrame, recorded: JoinedPasses) -> MixingFrame:
    """Mark the weights with which layers read earlier outputs. The input of layer l + 1 is recorded with layer l."""
    known = [True, *(layer.knows_weights for layer in recorded.layers)]
    status = {
        key: {layer: _to_flag(flag, key == "mixing_grad_norm" or not known[layer]) for layer, flag in flags.items()}
        for key, flags in frame.status.items()
    }
    return replace(frame, status=status)


def _to_flag(flag: Status, is_missing: bool) -> Status:
    """Return the status `unknown` instead of `nan` if an input of the metric is missing."""
    return "unknown" if flag == "nan" and is_missing else flag


def _has_computed_nan(frame: ForwardFrame) -> bool:
    return any(frame.status.get(key) == "nan" for key in COEFFICIENTS)


def _find_missing(recorded: JoinedPasses, index: int, mixing: Mixing | None) -> set[str]:
    """Return the keys of the metrics of a layer whose inputs were not recorded."""
    layer, before = recorded.layers[index], recorded.layers[max(index - 1, 0)]
    reads_state = len(recorded.state_nNC) == 1  # the branch then reads the state itself
    lacks = {
        "u": layer.u_NC is None and not reads_state,
        "y": layer.y_NC is None,
        "grad_u": not _knows_read_gradient(layer, before, index),
        "h_pre": layer.h_pre is None and mixing is not None,
        "h_post": layer.h_post is None and mixing is not None,
        "mixing": mixing is not None
        and bool(torch.isnan(mixing.h_res).any())
        and _is_undetermined(recorded, layer, index),
    }
    missing = {key for part, keys in METRICS_OF_INPUT.items() if lacks[part] for key in keys}
    missing |= LAYER_METRICS.keys() if any(lacks.values()) else set()  # they do not state their inputs
    return missing | ({*NEIGHBOURS} if before.u_NC is None and not reads_state else set())


def _knows_read_gradient(layer: JoinedLayer, before: JoinedLayer, index: int) -> bool:
    """Return whether the gradient at the input of a layer's branch was recorded, or can be computed from others."""
    if layer.grad_u_NC is None:
        return index > 0 and layer.reads is not None and before.grad_after_nNC is not None
    return layer.h_post is not None or not layer.subtracts_read


def _is_undetermined(recorded: JoinedPasses, layer: JoinedLayer, index: int) -> bool:
    """Return whether H_res is unknown although all states and coefficients of the layer are finite."""
    entering = recorded.layers[index - 1].after_nNC if index else recorded.state_nNC
    coefficients = [*layer.h_res, *([] if layer.h_post is None else [layer.h_post])]
    return all(bool(torch.isfinite(part).all()) for part in [entering, layer.after_nNC, *coefficients])

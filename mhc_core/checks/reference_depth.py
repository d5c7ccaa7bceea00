"""A second implementation of reads of earlier outputs, in plain numpy by the formula of each family, and its checks.

It shares no code with `mhc_core.layers`. Sources are computed from the outputs, so that neither the state nor its
layout is used. Shapes: N samples, C width, K sources, H heads, J outputs so far with the embedding.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from mhc_core.checks.reference_edits import edit_attention, to_numpy
from mhc_core.checks.reference_ends import apply_norm
from mhc_core.checks.reference_mixing import MOVED_SAMPLES, move_parameters, read_parameters
from mhc_core.family import Array, Reading, ReferenceRead
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack


def compute_reads(
    spec: RunSpec,
    parameters: dict[str, Array],
    start_NC: Array,
    outputs: Sequence[Array],
    weights: Sequence[Array] | None = None,
    edit: Callable[[int, Array], Array] | None = None,
) -> list[ReferenceRead]:
    """Compute in numpy the weighted sum of earlier outputs that is read after each layer.

    Parameters
    ----------
    parameters: arrays of the connection by name, see `read_parameters`.
    start_NC: the embedding.
    outputs: output of each branch, (N, C).
    weights: weights of the sources after each layer, to use instead of those of the formula; default None.
    edit: a function from a layer and its weights to the weights after the edits of this layer; default None.
    """
    assert spec.family.reads is not None, "layers read earlier outputs"
    given = Reading(lambda read_NC: _apply_norm(spec, read_NC), weights, edit)
    return spec.family.reads.reference(spec, parameters, start_NC, outputs, given)


# The comparison.


def check_reads(stack: Stack, start: torch.Tensor, outputs: Sequence[LayerOutput]) -> dict[str, Array]:
    """Return the largest errors of each layer's read of earlier outputs, (L) each; nan if nothing is weighed there.

    Returns
    -------
    depth_rule: error of the read against the weighted sum of the sources, with the weights that the stack used and the
        post-norm, if any; relative to the largest entry.
    depth_weights: error of the weights against their formula: with the spec's edits at the stack's own parameters, and
        without edits at perturbed ones.
    depth_mean: error of the weights against their initial values, with the same edits; only without drift.
    """
    spec, parameters = stack.spec, read_parameters(stack)
    assert spec.family.reads is not None, "layers read earlier outputs"
    start_NC, branches = to_numpy(stack.connection.streams(start))[0], [to_numpy(output.y) for output in outputs]
    used = [to_numpy(output.mixing.attention) for output in outputs]
    moved, moved_used = _attend_moved(stack, start, outputs)
    edit = partial(edit_attention, stack)
    few = start_NC[:MOVED_SAMPLES], [branch[:MOVED_SAMPLES] for branch in branches]
    expected = zip(
        compute_reads(spec, parameters, start_NC, branches, used),
        compute_reads(spec, parameters, start_NC, branches, edit=edit),
        compute_reads(spec, moved, *few),
        strict=True,
    )
    rules, weights, means = [], [], []
    for layer, (ruled, plain, other) in enumerate(expected):
        state = to_numpy(stack.connection.streams(outputs[layer].state))[0]
        rules.append(_differ(state, ruled.read_NC) / np.abs(ruled.read_NC).max())
        pairs = ((used[layer], plain.weights_KNH), (moved_used[layer], other.weights_KNH))
        weights.append(max(_differ(*pair) for pair in pairs))
        at_start = np.broadcast_to(spec.family.reads.start(len(used[layer]))[:, None, None], used[layer].shape)
        means.append(_differ(used[layer], edit(layer + 1, at_start)))
    found = {"depth_rule": np.array(rules), "depth_weights": np.array(weights)}
    return found | ({"depth_mean": np.array(means)} if spec.connection.noise == 0 else {})


@torch.no_grad()
def _attend_moved(
    stack: Stack, start: torch.Tensor, outputs: Sequence[LayerOutput]
) -> tuple[dict[str, Array], list[Array]]:
    """Return randomly perturbed parameters, and the weights of sources after each layer that the stack computes with
    them.
    """
    connection: Any = stack.connection
    found, states = [], [start, *(output.state for output in outputs)]
    with move_parameters(stack) as moved:
        for layer, output in enumerate(outputs):
            few = states[layer].detach()[:, :MOVED_SAMPLES]
            made = connection.dynamic_mixing(layer, few)
            # Copied, because the parameters are restored in place.
            reads = connection.leave(layer, few, output.y.detach()[:MOVED_SAMPLES], made)[1]
            found.append(to_numpy(reads.attention).copy())
    return moved, found


def _apply_norm(spec: RunSpec, read_NC: Array) -> Array:
    """Return the samples after the norm of a post-norm stack; in other stacks, unchanged."""
    return apply_norm(read_NC, spec.block.norm) if spec.block.norm_position == "post" else read_NC


def _differ(got: Array, expected: Array) -> float:
    """Return the largest absolute difference of two arrays; nan if they are empty, inf if their shapes differ."""
    if got.shape != expected.shape:
        return math.inf
    return float(np.abs(got - expected).max()) if got.size else math.nan

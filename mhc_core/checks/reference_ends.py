"""A second implementation of the first state and of the output of a stack, in plain numpy, and its checks.

It shares no code with `mhc_core.layers`; it reads parameters by their names.
Shapes: n streams, N samples, C width.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mhc_core.checks.reference_edits import to_numpy
from mhc_core.checks.reference_mixing import move_parameters, read_parameters
from mhc_core.family import TINY, Array, compute_sigmoid, divide_by_rms
from mhc_core.layers.connections import PassedMixing
from mhc_core.stack import LayerOutput, Stack

LARGE = 1e100  # states with larger entries are divided by their largest entry before they are squared


def check_ends(stack: Stack, start: torch.Tensor, outputs: Sequence[LayerOutput]) -> dict[str, Array]:
    """Return the largest errors of the state before the first layer and of the output after the last one, (1) each.

    Returns
    -------
    start_rule: error of the streams against copies of the embedding, copies times vectors, or parts of it; relative to
        the largest entry.
    output_rule: error of the output against the weighted sum of the streams, relative to the largest sum of sizes, at
        the stack's own parameters and at perturbed ones; or the error of the norm after it, if larger. Omitted if the
        weights are computed in a coarse type, and for heads without a formula in their family.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        streams = to_numpy(stack.connection.streams(start))
        found = {"start_rule": _differ(streams, _start(stack), np.abs(streams))}
        error = _check_output(stack, outputs[-1], read_parameters(stack))
        if error is not None:
            with move_parameters(stack) as parameters:
                moved = _check_output(stack, outputs[-1], parameters)
            assert moved is not None, "the same formula with other numbers"
            found["output_rule"] = np.maximum(error, moved)
    return found


def _start(stack: Stack) -> Array:
    """Return the streams before the first layer in numpy, (n, N, C)."""
    spec, x_NC = stack.spec, to_numpy(stack.input().flatten(0, 1))
    if spec.family.streams == "parts":
        return np.stack(np.split(x_NC, spec.streams, axis=1))
    copies = np.repeat(x_NC[None], spec.streams, axis=0)
    return copies * read_parameters(stack)["expand_scale"][:, None] if spec.connection.scales_streams else copies


@torch.no_grad()
def _check_output(stack: Stack, last: LayerOutput, parameters: dict[str, Array]) -> Array | None:
    """Return the error of the output, or of the norm after it if larger; None if the family's output has no formula."""
    x_nNC = to_numpy(stack.connection.streams(last.state))
    weights = _weigh_streams(stack, last, parameters, x_nNC)
    if weights is None:
        return None
    if stack.spec.family.streams == "parts":
        expected_NC, size_NC = np.concatenate(x_nNC, axis=1), np.abs(np.concatenate(x_nNC, axis=1))
    else:
        expected_NC, size_NC = (weights * x_nNC).sum(0), np.abs(weights * x_nNC).sum(0)
    output_NC = to_numpy(stack.connection.reduce(last.state))
    error = _differ(output_NC, expected_NC, size_NC)
    if stack.spec.block.norm_position != "pre":
        return error
    normed_NC = apply_norm(output_NC, stack.spec.block.norm)
    collapsed_NC = to_numpy(stack.collapse(last.state).flatten(0, 1))
    return np.maximum(error, _differ(collapsed_NC, normed_NC, np.abs(normed_NC)))


def _weigh_streams(stack: Stack, last: LayerOutput, parameters: dict[str, Array], x_nNC: Array) -> Array | None:
    """Return the weights of the streams in the output, which broadcast to (n, N, C); None without a formula."""
    spec, family = stack.spec, stack.spec.family
    n = spec.streams
    if family.streams in ("one", "parts"):
        return np.ones((1, 1, 1))
    if family.streams == "source":
        return np.array([1.0, 0.0])[:, None, None]
    if spec.output in ("mean", "sum"):
        return np.full((n, 1, 1), 1 / n if spec.output == "mean" else 1.0)
    eps = spec.connection.sinkhorn_eps if family.iterates else 0.0
    if spec.output == "read":
        if isinstance(last.mixing, PassedMixing):
            return to_numpy(last.mixing.h_next).T[:, :, None]
        return None if spec.maps_coarsely else (compute_sigmoid(parameters["b_pre"][-1]) + eps)[:, None, None]
    x_NnC = np.moveaxis(x_nNC, 0, 1)
    if family.by_feature and family.mixing_reference is not None:
        gates = {name: parameters[f"output.gates.{name}"] for name in ("w_down", "w_up")}
        unused = np.zeros((n, n * spec.width))
        return np.moveaxis(family.mixing_reference(gates | {"w_post": unused}, x_NnC)[0], 0, 1)
    if family.has_head:
        return None
    logits = parameters["output.b"][None]
    if spec.connection.is_dynamic:
        v_ND = divide_by_rms(x_NnC.reshape(len(x_NnC), -1))
        logits = logits + parameters["output.a"] * (v_ND @ parameters["output.phi"])
    return (compute_sigmoid(logits) + eps).T[:, :, None]


def apply_norm(x_NC: Array, norm: str) -> Array:
    """Return the samples after layernorm or RMS norm. Large samples are first divided by their largest entry."""
    largest = np.abs(x_NC).max(-1, keepdims=True)
    x_NC = x_NC / np.where(largest > LARGE, largest, 1.0)
    x_NC = x_NC - x_NC.mean(-1, keepdims=True) if norm == "layernorm" else x_NC
    return x_NC / np.sqrt((x_NC**2).mean(-1, keepdims=True) + TINY)


def _differ(got: Array, expected: Array, size: Array) -> Array:
    """Return the largest difference of two arrays relative to `size`, (1); inf if their shapes differ."""
    if got.shape != expected.shape:
        return np.array([np.inf])
    return np.array([np.abs(got - expected).max() / max(size.max(), np.finfo(float).tiny)])

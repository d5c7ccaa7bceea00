"""A second implementation of mixing coefficients, in plain numpy from raw parameters, and its comparison with a stack.

It shares no code with `mhc_core.layers`; it reads parameters by their names. `compute_coefficients` uses the numpy
formula of each family. `check_coefficients` compares it with a stack, at the stack's own parameters and at perturbed
ones: at initial parameters a sigmoid can equal a softmax, and a projection of 0 hides errors in its input.

Arithmetic is in float64, or rounded to a coarser type after each operation, see `ROUND`.
Shapes: L layers, n streams, N samples, C width, m logits of one H_res, D = n C.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from mhc_core.checks.reference_edits import edit_coefficients
from mhc_core.family import Array, Round, compute_sigmoid, divide_by_rms
from mhc_core.layers.connections import Mixing, PassedMixing
from mhc_core.metric import ReferenceMixing
from mhc_core.rng import normal
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack

OF_THE_ENDS = ("output.", "expand_scale")  # parameters of a connection that belong to no layer
MOVE = 0.3  # standard deviation of the perturbation of parameters
MOVED_SAMPLES = 16  # number of samples that are compared at perturbed parameters


def read_parameters(stack: Stack) -> dict[str, Array]:
    """Read the connection's parameters by name, in float64."""
    return {name: p.detach().cpu().double().numpy() for name, p in stack.connection.named_parameters()}


@contextmanager
def move_parameters(stack: Stack) -> Iterator[dict[str, Array]]:
    """Perturb the connection's parameters at random until the context ends; yield a copy of them by name."""
    own = {name: p.detach().clone() for name, p in stack.connection.named_parameters()}
    try:
        with torch.no_grad():
            for name, p in stack.connection.named_parameters():
                p.add_(MOVE * normal(stack.spec.seed, f"moved.{name}", -1, *p.shape).to(p))
        yield {name: p.copy() for name, p in read_parameters(stack).items()}
    finally:
        with torch.no_grad():
            for name, p in stack.connection.named_parameters():
                p.copy_(own[name])


def compute_coefficients(
    spec: RunSpec, parameters: dict[str, Array], layer: int, x_nNC: Array, before_nNC: Array | None = None
) -> ReferenceMixing:
    """Compute H_pre, H_post and H_res of one layer in numpy, by the formula of its family.

    Parameters
    ----------
    parameters: arrays of the whole connection by name, see `read_parameters`.
    x_nNC: the streams that enter the layer; static mixing ignores them.
    before_nNC: the streams that enter the layer before, from which H_pre is computed if `read_from` is previous;
        default x_nNC.
    """
    family = spec.family
    if not family.has_coefficients:
        one = np.ones(1)
        return ReferenceMixing(one, one, np.full((1, 1), float(family.skips)))
    if family.is_mapped:
        t_pre, t_post, t_res = compute_logits(spec, parameters, layer, x_nNC)
        eps = spec.connection.sinkhorn_eps if family.iterates else 0.0
        h_pre, h_post = compute_sigmoid(t_pre) + eps, 2 * compute_sigmoid(t_post)
        found = ReferenceMixing(h_pre, h_post, map_logits(spec, t_res, lambda x: x))
        if not spec.connection.reads_previous:
            return found
        read = np.broadcast_to(np.eye(spec.streams)[0], h_pre.shape)
        if layer:
            before = x_nNC if before_nNC is None else before_nNC
            read = compute_sigmoid(compute_logits(spec, parameters, layer - 1, before)[0]) + eps
        return replace(found, h_pre=read, h_next=h_pre if spec.connection.is_dynamic else None)
    assert family.mixing_reference is not None, "a family without a map has its formula in numpy"
    x_NnC = np.moveaxis(x_nNC, 0, 1) if spec.connection.is_dynamic else None
    read, h_post, h_res = family.mixing_reference(select_layer(spec, parameters, layer), x_NnC)
    if family.by_feature:
        return ReferenceMixing(read.mean(-1), h_post, h_res, features=read)
    return ReferenceMixing(read, h_post, h_res)


def select_layer(spec: RunSpec, parameters: dict[str, Array], layer: int) -> dict[str, Array]:
    """Return the parameters of one layer by name: those with its number in their names, or its rows of static ones."""
    named = {name.removesuffix(f".{layer}"): p for name, p in parameters.items() if name.endswith(f".{layer}")}
    if named:
        return named
    if not spec.connection.is_dynamic:
        return {name: p[layer] for name, p in parameters.items() if not name.startswith(OF_THE_ENDS)}
    prefix = f"mixers.{layer}."
    return {name.removeprefix(prefix): p for name, p in parameters.items() if name.startswith(prefix)}


def compute_logits(spec: RunSpec, parameters: dict[str, Array], layer: int, x_nNC: Array) -> tuple[Array, Array, Array]:
    """Return the logits of H_pre, H_post and H_res, each (m), or (N, m) if dynamic.

    t = a (v phi) / rms(v) + b (mHC, arXiv 2512.24880, Eq. 7).
    """
    n, own = spec.streams, select_layer(spec, parameters, layer)
    t_pre, t_post, t_res = own["b_pre"], own["b_post"], own["b_res"]
    if spec.connection.is_dynamic:
        x_NnC = np.moveaxis(x_nNC, 0, 1)
        v_NnC = divide_by_rms(x_NnC) if spec.connection.init == "lucidrains" else x_NnC
        raw = divide_by_rms(v_NnC.reshape(len(v_NnC), -1)) @ own["phi"]
        a_pre, a_post, a_res = own["a"]
        t_pre = t_pre + a_pre * raw[:, :n]
        t_post = t_post + a_post * raw[:, n : 2 * n]
        t_res = t_res + a_res * raw[:, 2 * n :]
    return t_pre, t_post, t_res


# From logits to H_res.


def map_logits(spec: RunSpec, logits: Array, to_type: Round) -> Array:
    """Return H_res (..., n, n) of raw logits (..., m). `to_type` rounds each intermediate result."""
    assert spec.family.map_reference is not None, "a family with a map has its formula in numpy"
    return spec.family.map_reference(logits, spec.map_settings, to_type)


def _to_float32(x: Array) -> Array:
    return x.astype(np.float32).astype(np.float64)


def _to_bfloat16(x: Array) -> Array:
    """Round to the nearest value with 8 significant bits, ties to even."""
    bits = x.astype(np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32).astype(np.float64)


ROUND: dict[str, Round] = {"float32": _to_float32, "bfloat16": _to_bfloat16}


# The comparison.


def check_coefficients(
    stack: Stack, entering: list[Array], edited: list[Array], outputs: list[LayerOutput]
) -> dict[str, Array]:
    """Return the largest errors of H_pre, H_post and H_res of each layer, (L) each, against the formula in numpy.

    Each error is the larger one at the stack's own parameters and at perturbed ones, relative to the largest entry if
    that is above 1.

    Parameters
    ----------
    stack: in float64. Its connection's parameters are perturbed and restored.
    entering: the streams (n, N, C) that enter each layer.
    edited: these streams after the edits of the layer.
    outputs: the output of each layer.
    """
    spec, parameters = stack.spec, read_parameters(stack)
    errors = [
        _compare(
            output.mixing._asdict(),
            edit_coefficients(stack, layer, compute_coefficients(spec, parameters, layer, x_nNC, before_nNC)),
        )
        for layer, (x_nNC, before_nNC, output) in enumerate(zip(edited, [None, *edited[:-1]], outputs, strict=True))
    ]
    found = np.array(errors)
    if parameters:
        found = np.maximum(found, _check_perturbed(stack, entering, outputs))
    return dict(zip(("map_pre", "map_post", "map_res"), found.T, strict=True))


@torch.no_grad()
def _check_perturbed(stack: Stack, entering: list[Array], outputs: list[LayerOutput]) -> Array:
    """Return the largest errors of the coefficients at randomly perturbed parameters, for a few samples: (L, 3)."""
    spec, states, errors = stack.spec, [stack.embed(), *(output.state for output in outputs)], []
    with move_parameters(stack) as parameters:
        static = stack.connection.static_mixing()
        for layer, x_nNC in enumerate(entering):
            few = x_nNC[:, :MOVED_SAMPLES]
            mixing = (
                Mixing(*(part[layer] for part in static))
                if static is not None
                # The first axis of dynamic mixing is that of samples.
                else stack.connection.dynamic_mixing(layer, states[layer].detach()[:MOVED_SAMPLES])
            )
            parts = mixing._asdict()
            if isinstance(mixing, PassedMixing):  # h_pre comes from the state, and so from unperturbed parameters
                del parts["h_pre"]
            errors.append(_compare(parts, compute_coefficients(spec, parameters, layer, few)))
    return np.array(errors)


def _compare(parts: dict[str, torch.Tensor], due: ReferenceMixing) -> list[float]:
    """Return the largest relative error of H_pre, of H_post and of H_res against the formula."""
    errors = {"h_pre": 0.0}
    for name, part in parts.items():
        got, expected = part.detach().cpu().double().numpy(), getattr(due, name)
        assert got.shape == expected.shape, f"coefficients of the shape {got.shape}, not {expected.shape}"
        size = max(1.0, float(np.abs(expected).max()))
        errors[name] = float(np.abs(got - expected).max()) / size
    # Weights of single features, and those for the next layer, count as H_pre.
    reads = [error for name, error in errors.items() if name not in ("h_post", "h_res")]
    return [max(reads), errors["h_post"], errors["h_res"]]

"""Compute the coefficients of a checkpoint from its biases alone. numpy, float64.

Shapes: L layers, n streams, C width. A connection computes raw coefficients s (x phi) + b from the streams' content x;
here x phi = 0. For a family without b, the coefficients are then constants, equal in every checkpoint.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mhc_core.spec import SpecError
from mhc_probe.checkpoint.safetensors import read_values
from mhc_probe.checkpoint.sites import BASE, INJECTION, MAX_STREAMS, PROJECTION, SCALE, CheckpointLayer

MAX_ROUNDS = 1000


class MixingSettings(NamedTuple):
    """Settings of the connections, from the checkpoint's config or from the defaults of these families."""

    eps: float
    rounds: int
    magnitude: float
    """The largest value of H_post, used only by the family whose H_res is the identity."""
    assumed: tuple[str, ...]
    """Names of settings that the config does not contain."""


class StaticMixing(NamedTuple):
    """Coefficients of all layers."""

    h_pre: np.ndarray | None
    """(L, n); None for a family with a gate for each channel."""
    h_post: np.ndarray
    """(L, n)."""
    h_res: np.ndarray
    """(L, n, n), rows index the output."""
    assumed: tuple[str, ...]
    """Names of settings that the config does not contain and that this family uses."""
    h_res_swapped: np.ndarray
    """(L, n, n), H_res of the transposed logits. It can differ from H_res transposed, as Sinkhorn ends with columns."""


class Form(NamedTuple):
    """One way to compute coefficients: the number of biases for n streams, and the function that maps them."""

    scales: int
    to_streams: Callable[[int], float]
    """Returns n for a number of biases; not an integer if no n has this number."""
    to_mixing: Callable[[np.ndarray, int, MixingSettings], tuple[np.ndarray, np.ndarray, np.ndarray]]
    settings: tuple[str, ...]
    """Names of the settings that it uses."""


def read_settings(config: Mapping[str, Any]) -> MixingSettings:
    """Return the settings of the mixing in a checkpoint's config, with the families' defaults for missing ones.

    Raises
    ------
    SpecError
        If a setting is out of range.
    """
    eps = _read_number(config, "hc_eps", 1e-6, 1.0)
    rounds = _read_number(config, "hc_sinkhorn_iters", 20, MAX_ROUNDS)
    magnitude = _read_number(config, "hc_magnitude", 2.0, 1e6)
    if rounds != int(rounds):
        raise SpecError("config.json: hc_sinkhorn_iters", rounds, "a whole number")
    assumed = tuple(name for name in ("hc_eps", "hc_sinkhorn_iters", "hc_magnitude") if name not in config)
    return MixingSettings(float(eps), int(rounds), float(magnitude), assumed)


def read_mixing(sites: Sequence[CheckpointLayer], settings: MixingSettings) -> StaticMixing:
    """Read the biases of all layers, and compute the static H_pre, H_post and H_res from them.

    Raises
    ------
    SpecError
        If shapes are not those of connections, or differ from layer to layer.
    """
    if INJECTION in sites[0].parts:
        return _gate(sites)
    form = _find_form(sites[0])
    n = _count_streams(sites[0], form)
    biases = [_read_biases(site, form, n) for site in sites]
    coefficients = [form.to_mixing(base, n, settings) for base in biases]
    h_pre, h_post, h_res = (np.stack(parts) for parts in zip(*coefficients, strict=True))
    assumed = tuple(name for name in settings.assumed if name in form.settings)
    swapped = np.stack([form.to_mixing(_swap(base, n), n, settings)[2] for base in biases])
    return StaticMixing(h_pre, h_post, h_res, assumed, swapped)


def _swap(base: np.ndarray, n: int) -> np.ndarray:
    """Return the biases of a layer with the logits of H_res transposed, if there are any."""
    logits = base[2 * n :].reshape(-1, n)
    return np.concatenate([base[: 2 * n], logits.T.flatten()])


def _gate(sites: Sequence[CheckpointLayer]) -> StaticMixing:
    """Return the coefficients of a family with gates and no biases: H_post = 2 sigmoid(0) = 1, H_res = identity."""
    shapes = {site.parts[INJECTION].shape if INJECTION in site.parts else None for site in sites}
    shape = shapes.pop()
    if shapes or shape is None or len(shape) != 2 or not 1 <= shape[0] <= MAX_STREAMS or shape[1] % shape[0]:
        raise SpecError(f"checkpoint: {sites[0].name}.{INJECTION}", shape, "(n, n C), the same in every layer")
    layers, n = len(sites), shape[0]
    identity = np.tile(np.eye(n), (layers, 1, 1))
    return StaticMixing(None, np.ones((layers, n)), identity, (), identity)


def _find_form(site: CheckpointLayer) -> Form:
    """Return the form of a layer's mixing by its number of scales: with H_res or without."""
    shape = _get_shape(site, SCALE)
    for form in FORMS:
        if shape == (form.scales,):
            return form
    raise SpecError(f"checkpoint: {site.name}, {SCALE}", shape, "3 of H_pre, H_post and H_res, or 2 without H_res")


def _count_streams(site: CheckpointLayer, form: Form) -> int:
    """Return the number of streams of a layer by its number of biases."""
    shape = _get_shape(site, BASE)
    n = form.to_streams(shape[0]) if len(shape) == 1 else 0.0
    if n != int(n) or not 1 <= n <= MAX_STREAMS:
        raise SpecError(f"checkpoint: {site.name}, {BASE}", shape, f"biases of 1 to {MAX_STREAMS} streams")
    return int(n)


def _read_biases(site: CheckpointLayer, form: Form, n: int) -> np.ndarray:
    """Read the biases of a layer; raise SpecError unless all shapes are those of n streams."""
    if _get_shape(site, SCALE) != (form.scales,) or _count_streams(site, form) != n:
        raise SpecError(f"checkpoint: {site.name}", _get_shape(site, BASE), "the same streams as in the first layer")
    base = site.parts[BASE]
    shape = _get_shape(site, PROJECTION)
    if len(shape) != 2 or shape[0] != base.shape[0] or not shape[1] or shape[1] % n:
        raise SpecError(f"checkpoint: {site.name}, {PROJECTION}", shape, f"({base.shape[0]}, {n} C)")
    return read_values(base)


def _get_shape(site: CheckpointLayer, part: str) -> tuple[int, ...]:
    """Return the shape of a layer's tensor; raise SpecError if the tensor is missing."""
    if part not in site.parts:
        raise SpecError(f"checkpoint: {site.name}, {part}", "nothing", "a tensor: is a file missing?")
    return site.parts[part].shape


def _read_number(config: Mapping[str, Any], name: str, default: float, most: float) -> float:
    """Return a setting of the config as a number; raise SpecError if it is not a number or out of range."""
    value = config.get(name, default)
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise SpecError(f"config.json: {name}", value, f"a number from 0 to {most:g}")
    return float(value)


def _mix(base: np.ndarray, n: int, settings: MixingSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute H_pre, H_post and H_res from a layer's biases, with Sinkhorn rounds for H_res.

    The models apply the projected matrix transposed.
    """
    comb = project(base[2 * n :].reshape(n, n), settings.rounds, settings.eps)
    return _apply_sigmoid(base[:n]) + settings.eps, 2 * _apply_sigmoid(base[n : 2 * n]), comb.T


def _pass(base: np.ndarray, n: int, settings: MixingSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute H_pre and H_post from the biases of a layer that does not mix streams: H_res is the identity."""
    h_post = settings.magnitude * _apply_sigmoid(base[n:]) + settings.eps
    return _apply_sigmoid(base[:n]) + settings.eps, h_post, np.eye(n)


def project(logits_nn: np.ndarray, rounds: int, eps: float) -> np.ndarray:
    """Map logits to a nearly doubly stochastic matrix: softmax of rows, then columns and rows divided in turn.

    As in the library transformers: eps is added to every entry of the softmax and to every sum, and the first round
    divides only columns.
    """
    with np.errstate(invalid="ignore"):  # nan and inf propagate
        shares = np.exp(logits_nn - logits_nn.max(-1, keepdims=True))
        comb: np.ndarray = shares / shares.sum(-1, keepdims=True) + eps
        comb = comb / (comb.sum(-2, keepdims=True) + eps)
        for _ in range(rounds - 1):
            comb = comb / (comb.sum(-1, keepdims=True) + eps)
            comb = comb / (comb.sum(-2, keepdims=True) + eps)
    return comb


def _apply_sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), without overflow."""
    found: np.ndarray = (1 + np.tanh(logits / 2)) / 2  # exp(-x) would overflow
    return found


FORMS = (
    # DeepSeek-V4 and GLM-5-next: (2 + n) n biases.
    Form(3, lambda biases: math.sqrt(biases + 1) - 1, _mix, ("hc_eps", "hc_sinkhorn_iters")),
    # HY-V4: 2 n biases.
    Form(2, lambda biases: biases / 2, _pass, ("hc_eps", "hc_magnitude")),
)

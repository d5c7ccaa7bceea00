"""A second implementation of all columns and matrices of a run, in plain numpy and float64, from the catalogue's
formulas.

It shares no code with `mhc_core.metrics`. Only the rules for selecting samples are the same; they are published with
the metric. `REFERENCES` says for each key which data it is computed from; a test compares its keys with the catalogue.
A `LayerMetric` contains its second formula.
Shapes: L layers, n streams, N samples, C width, P selected samples, m logits of one H_res.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from mhc_core.checks.reference_depth import compute_reads
from mhc_core.checks.reference_edits import edit_attention, to_numpy
from mhc_core.checks.reference_mixing import OF_THE_ENDS, ROUND, compute_logits, map_logits, read_parameters
from mhc_core.layers.connections import DepthReads, GatedMixing, Mixing, PassedMixing
from mhc_core.metric import NoMixing, ReferenceLayer, ReferenceMixing
from mhc_core.metrics import LAYER_METRICS
from mhc_core.rng import normal
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack

Array = np.ndarray
Source = Literal["states", "gradients", "mixing", "jacobian", "training"]

RANKED_SAMPLES = 256  # number of samples for the effective rank
MAPPED_SAMPLES = 32  # number of samples whose logits are mapped in other types
CKA_SAMPLES = {True: 128, False: 256}  # number of samples for CKA; the key is whether there are more than 256 layers
SAME = 256  # samples count as the same if spread / size is at most this times eps
SPANNED = 1e-12  # a new direction counts as spanned if less than this fraction of it remains
SMALLEST_KNOWN = 0.03  # a least singular value counts as known if rounding of H_res changes it by less than this
NO_SIGNAL = 300  # a share of the gradient up to this times eps counts as rounding

MAPS = ("cka", "unfolded")
TOKEN_GAINS = ("s", "_min", "_median", "_mean", "_max")
REFERENCES: dict[str, Source] = {
    **dict.fromkeys(
        (
            "act_rms", "act_rms_streams", "token_cos", "effective_rank", "stream_cos", "stream_cosines", "cka",
            "branch_in_rms", "branch_out_rms", "cos_prev", "cos_prev_p05", "cos_prev_p95", "branch_share",
            "act_share_max", "act_share_entropy", "effect_state",
        ),
        "states",
    ),
    **dict.fromkeys(
        (
            "grad_rms", "grad_rms_streams", "branch_grad_rms", "param_grad_norm", "grad_to_weight",
            "mixing_grad_norm", "mixing_signal", "mixing_grad_share", "effect_grad",
        ),
        "gradients",
    ),
    **dict.fromkeys(
        (
            "h_pre", "h_read", "h_post", "h_res", "h_pre_std", "h_read_std", "h_post_std", "h_res_std",
            "h_res_row_sum", "h_res_col_sum", "ds_error", "ds_error_tokens", "h_res_min", "h_res_sigma2",
            "h_res_to_uniform", "h_res_attenuation", "gain_fwd", "gain_bwd", "composite_gain_fwd",
            "composite_gain_bwd", "composite_norm_inf", "composite_norm_1", "composite_min_col_sum", "composite_sigma2",
            "composite_sigma_max", "composite_sigma_min",
            *(f"composite_gain_{way}_token{name}" for way in ("fwd", "bwd") for name in TOKEN_GAINS),
            "res_logit_range", "ds_error_float32", "ds_error_bfloat16", "unfolded", "kernel_rank",
            "kernel_shares", "gauge_read_norm", "gauge_write_norm", "gauge_remainder",
            "read_share_max", "read_share_entropy", "write_share_max", "write_share_entropy",
        ),
        "mixing",
    ),
    **dict.fromkeys(
        (
            "jacobian_sigma_max", "jacobian_sigma_max_bound", "jacobian_sigma_min", "jacobian_sigma_min_bound",
            "jacobian_ritz", "jacobian_mismatch",
        ),
        "jacobian",
    ),
    # For the first training step. All but the first three use the formula of the metric that they are named
    # after, see `name_untrained`.
    **dict.fromkeys(
        (
            "step_loss", "step_lr", "step_grad_norm", "step_param_grad_norm", "step_mixing_grad_norm", "step_act_rms",
            "step_grad_rms", "step_cos_prev", "step_cos_prev_p05", "step_cos_prev_p95", "step_token_cos",
            "step_gain_fwd", "step_gain_bwd", "step_h_pre", "step_h_read", "step_h_post", "step_h_res", "step_cka",
            "step_act_rms_streams", "step_grad_rms_streams", "step_stream_cos", "step_unfolded",
            "step_value_weight_own", "step_value_weight_first",
        ),
        "training",
    ),
    **{
        key: "states" if added.metric.frame == "forward" else "gradients" for key, added in LAYER_METRICS.items()
    },
}  # fmt: skip


def name_untrained(key: str) -> str:
    """Return the key of the layer metric that this training metric measures at each step."""
    name = key.removeprefix("step_")
    return f"composite_{name}" if name in ("gain_fwd", "gain_bwd") else name


def read_layers(stack: Stack, entering: Sequence[Array], outputs: Sequence[LayerOutput]) -> list[ReferenceLayer]:
    """Copy the tensors that the formulas need from all layers to numpy, in float64.

    Parameters
    ----------
    stack: after its backward pass, so that states, branch inputs and h_res of `outputs` have gradients.
    entering: the streams that enter each layer.
    outputs: the output of each layer.
    """
    parameters = read_parameters(stack)
    weights: list[Array | None] = [None] * len(outputs)
    if not stack.spec.family.has_mixing:
        branches = [to_numpy(output.y) for output in outputs]
        reads = compute_reads(stack.spec, parameters, entering[0][0], branches, edit=partial(edit_attention, stack))
        weights = [np.ones(1), *(read.weights_J for read in reads[:-1])]
    return [
        _read_layer(stack, parameters, layer, x_nNC, output, weights[layer])
        for layer, (x_nNC, output) in enumerate(zip(entering, outputs, strict=True))
    ]


def _read_layer(
    stack: Stack,
    parameters: dict[str, Array],
    layer: int,
    x_nNC: Array,
    output: LayerOutput,
    weights_J: Array | None,
) -> ReferenceLayer:
    """Copy states, gradients, mixing and weights of one layer to numpy, in float64."""
    to_streams, spec = stack.connection.streams, stack.spec
    grad = output.state.grad
    assert grad is not None
    weights = list(stack.branches[layer].parameters())
    logits = compute_logits(spec, parameters, layer, x_nNC)[2] if spec.family.is_mapped else np.empty(0)
    return ReferenceLayer(
        x_nNC=to_numpy(to_streams(output.state)),
        g_nNC=to_numpy(to_streams(grad)),
        entered_nNC=to_numpy(to_streams(output.entered)),
        u_NC=to_numpy(output.u),
        y_NC=to_numpy(output.y),
        grad_u=_grad(output.u),
        mixing=None if isinstance(output.mixing, DepthReads) else _read_coefficients(output.mixing),
        weights_J=weights_J,
        logits=logits if logits.shape[-1] else None,
        weights=[to_numpy(weight) for weight in weights],
        grad_weights=[_grad(weight) for weight in weights],
        grad_mixing=_read_mixing_gradients(stack, layer),
        value_weights=_read_value_weights(stack, layer),
    )


def _read_value_weights(stack: Stack, layer: int) -> Array | None:
    """Copy the learned weights of a layer's value residual to numpy; None if it has none."""
    named = dict(stack.branches[layer].named_parameters())
    return to_numpy(named["value_weights"]) if "value_weights" in named else None


def _read_coefficients(mixing: Mixing | GatedMixing | PassedMixing) -> ReferenceMixing:
    """Copy the coefficients of one layer to numpy, with the gradient with respect to H_res."""
    grad = _grad(mixing.h_res)
    total = grad.sum(0) if grad.ndim == 3 else grad
    features = to_numpy(mixing.features) if isinstance(mixing, GatedMixing) else None
    return ReferenceMixing(to_numpy(mixing.h_pre), to_numpy(mixing.h_post), to_numpy(mixing.h_res), total, features)


def _read_mixing_gradients(stack: Stack, layer: int) -> dict[str, Array]:
    """Copy the gradients of one layer's mixing parameters to numpy, by name."""
    named = {
        name: _grad(parameter) for name, parameter in stack.connection.named_parameters() if name.endswith(f".{layer}")
    }
    if named or not stack.spec.family.has_mixing:
        return named
    prefix, found = f"mixers.{layer}.", {}
    for name, parameter in stack.connection.named_parameters():
        if not stack.spec.connection.is_dynamic and not name.startswith(OF_THE_ENDS):
            found[name] = _grad(parameter)[layer]
        elif name.startswith(prefix):
            found[name.removeprefix(prefix)] = _grad(parameter)
    return found


def compute_columns(spec: RunSpec, layers: Sequence[ReferenceLayer]) -> dict[str, Array]:
    """Compute all columns and matrices of a run; the first index is the layer. nan if the catalogue defines no value.

    Parameters
    ----------
    spec: of the run. Its dtype determines which values count as rounding errors.
    """
    with np.errstate(all="ignore"):
        found = _stack_layers([_measure_layer(spec, layer) for layer in layers])
        found |= _compare_neighbours(layers)
        found["cka"] = _compare_layers(spec, layers)
        if spec.family.has_mixing:
            found |= _stack_layers(_measure_passing(spec, layers)) | _compute_composite_metrics(layers)
        else:
            rows = [layer.weights_J for layer in layers if layer.weights_J is not None]
            found["unfolded"] = np.array([np.pad(row, (0, len(layers) + 1 - len(row))) for row in rows])
        if spec.streams > 1:
            found |= _measure_shares(found)
            if layers[0].logits is not None:
                found |= _map_again(spec, [layer.logits for layer in layers if layer.logits is not None])
        # Matrices over pairs of layers are large, and are stored in the run's type.
        size = np.float64 if spec.dtype == "float64" else np.float32
        return {key: column.astype(size) if key in MAPS else column for key, column in found.items()}


def compute_effects(stack: Stack, outputs: Sequence[LayerOutput], base: Sequence[LayerOutput]) -> dict[str, Array]:
    """Return the relative distance of each layer's state and gradient from those without edits."""
    to_streams = stack.connection.streams
    pairs = [(one.state, other.state) for one, other in zip(outputs, base, strict=True)]
    states = [[to_numpy(to_streams(state)) for state in pair] for pair in pairs]
    grads = [[to_numpy(to_streams(state.grad)) for state in pair if state.grad is not None] for pair in pairs]
    return {
        "effect_state": np.array([_measure_distance(*pair) for pair in states]),
        "effect_grad": np.array([_measure_distance(*pair) for pair in grads]),
    }


def _measure_distance(found: Array, base: Array) -> float:
    """Return the root mean square of the difference between two arrays, relative to that of the base."""
    if np.array_equal(found, base):
        return 0.0
    size = max(np.abs(found).max(), np.abs(base).max())
    return float(_rms((found - base) / size) / _rms(base / size))


def _stack_layers(rows: Sequence[dict[str, Array | float]]) -> dict[str, Array]:
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


# One layer.


def _measure_layer(spec: RunSpec, layer: ReferenceLayer) -> dict[str, Array | float]:
    """Compute all metrics of one layer except those that compare layers."""
    m_NC = _merge_streams(spec, layer.x_nNC)
    g_NC = _merge_gradient(spec, layer.g_nNC)
    gradient = _norm_of_all(layer.grad_weights)
    found: dict[str, Array | float] = {
        "act_rms": _rms(m_NC),
        "act_rms_streams": np.array([_rms(x) for x in layer.x_nNC]),
        "token_cos": _average_cosine(m_NC),
        "effective_rank": _count_directions(m_NC),
        "branch_in_rms": _rms(layer.u_NC),
        "branch_out_rms": _rms(layer.y_NC),
        "grad_rms": _rms(g_NC),
        "grad_rms_streams": np.array([_rms(g) for g in layer.g_nNC]),
        "branch_grad_rms": _rms(layer.grad_u),
        "param_grad_norm": gradient,
        "grad_to_weight": gradient / _norm_of_all(layer.weights),
    }
    if spec.streams > 1:
        found |= _compare_streams(layer.x_nNC)
    for key, added in LAYER_METRICS.items():
        with suppress(NoMixing):  # the run has no such column then
            found[key] = added.reference(spec, layer)
    if layer.mixing is None:
        has_own = bool(spec.depth > 1 or layer.grad_mixing)
        return found | ({"mixing_grad_norm": _norm_of_all(list(layer.grad_mixing.values()))} if has_own else {})
    return found | _measure_mixing(spec, layer) | _measure_pull(spec, layer, layer.mixing.grad_h_res)


def _compare_streams(x_nNC: Array) -> dict[str, Array | float]:
    """Return the cosine of each pair of streams, as a mean over samples, and its mean over pairs."""
    count, samples = x_nNC.shape[:2]
    units = _to_units(x_nNC).reshape(count, -1)
    cosines = units @ units.T / samples
    others = ~np.eye(count, dtype=bool)
    return {"stream_cosines": cosines, "stream_cos": float(cosines[others].mean())}


def _measure_mixing(spec: RunSpec, layer: ReferenceLayer) -> dict[str, Array | float]:
    """Return the coefficients of a layer (means and spreads over samples if dynamic), and the metrics of its H_res."""
    read = "h_read" if spec.family.streams == "parts" else "h_pre"
    found: dict[str, Array | float] = {}
    for key, part in ((read, layer.h_pre), ("h_post", layer.h_post), ("h_res", layer.h_res)):
        if layer.h_res.ndim == 3:
            mean = part.sum(0) / len(part)
            found |= {key: mean, f"{key}_std": np.sqrt(((part - mean) ** 2).sum(0) / len(part))}
        else:
            found[key] = part
    if layer.h_res.ndim == 3:
        found["ds_error_tokens"] = float(_miss_doubly_stochastic(layer.h_res).max())
        found["gauge_remainder"] = _measure_remainder(layer.h_res)
    return found | _measure_matrix(np.asarray(found["h_res"]))


def _measure_remainder(h_res_Nnn: Array) -> float:
    """Return the root mean square over samples of |H mean(H)^-1 - I|: the metric gauge_remainder."""
    mean = np.asarray(_average(h_res_Nnn, 2))
    values = _list_singular_values(mean)
    # The Frobenius norms of the mean and of its inverse.
    with np.errstate(divide="ignore"):
        condition = math.sqrt(float((values**2).sum())) * math.sqrt(float((1 / values**2).sum()))
    if not len(mean) * 2.0**-24 * condition < SMALLEST_KNOWN:
        return math.nan
    apart = [np.linalg.solve(mean.T, (own - mean).T) for own in h_res_Nnn]
    return math.sqrt(sum(float((part**2).sum()) for part in apart) / len(apart))


def _measure_matrix(h_res: Array) -> dict[str, Array | float]:
    """Compute the metrics of one H_res: sums, gains, distance from doubly stochastic, singular values."""
    n, rows, columns = len(h_res), h_res.sum(1), h_res.sum(0)
    found: dict[str, Array | float] = {
        "h_res_row_sum": rows,
        "h_res_col_sum": columns,
        "ds_error": float(_miss_doubly_stochastic(h_res)),
        "h_res_min": float(h_res.min()),
        "gain_fwd": float(np.abs(rows).max()),
        "gain_bwd": float(np.abs(columns).max()),
    }
    if n > 1:
        centre = np.eye(n) - 1 / n
        found |= {
            "h_res_sigma2": _list_singular_values(h_res)[1],
            "h_res_to_uniform": _list_singular_values(h_res - np.ones((n, n)) / n)[0],
            "h_res_attenuation": _list_singular_values(centre @ h_res @ centre)[0],
        }
    return found


def _miss_doubly_stochastic(matrices: Array) -> Array:
    """Return each matrix's largest deviation of a row or column sum from 1, or of an entry below 0, (...)."""
    sums = np.concatenate([matrices.sum(-1), matrices.sum(-2)], -1)
    return np.maximum(np.maximum(sums.max(-1) - 1, 1 - sums.min(-1)), -matrices.min((-1, -2)))


def _measure_pull(spec: RunSpec, layer: ReferenceLayer, grad_h_res: Array | None) -> dict[str, Array | float]:
    """Return the norm of the mixing parameters' gradient, the share of the gradient of H_res that keeps sums of 1, and
    the share of it that reaches the logits.
    """
    found: dict[str, Array | float] = {}
    if layer.grad_mixing:
        found["mixing_grad_norm"] = _norm_of_all(list(layer.grad_mixing.values()))
    has_pull = layer.logits is not None and grad_h_res is not None
    if has_pull and spec.streams > 1 and spec.family.rows != "free" and spec.family.columns != "free":
        assert grad_h_res is not None
        n = spec.streams
        centre = np.eye(n) - 1 / n
        followed = _norm_of_all([centre @ grad_h_res @ centre])
        signal = np.float64(followed) / _norm_of_all([grad_h_res])
        share = np.float64(_norm_of_all([layer.grad_mixing["b_res"]])) / followed
        found |= {
            "mixing_signal": signal,
            "mixing_grad_share": share if signal > NO_SIGNAL * _find_eps(spec) else math.nan,
        }
    return found


# A layer and the one before it.


def _measure_passing(spec: RunSpec, layers: Sequence[ReferenceLayer]) -> list[dict[str, Array | float]]:
    """Return branch_share for each layer and stream: w / (w + p), where w is the squared size of what the branch writes
    to the stream, and p that of what mixing passes on.
    """
    skip = spec.depth**0.25 if spec.block.scaling == "deepnorm" else 1.0
    found = []
    for layer in layers:
        entering = layer.entered_nNC
        count = len(entering)
        parts = np.split(layer.y_NC, count, 1) if spec.family.streams == "parts" else [layer.y_NC] * count
        shares = []
        for i in range(count):
            written = _rms(layer.h_post[..., i, None] * parts[i])
            passed = _rms(skip * sum(layer.h_res[..., i, j, None] * entering[j] for j in range(count)))
            largest = max(written, passed)
            w, p = np.float64(written) / largest, np.float64(passed) / largest
            shares.append(w**2 / (w**2 + p**2))
        found.append({"branch_share": np.array(shares)})
    return found  # type: ignore[return-value]


def _compare_neighbours(layers: Sequence[ReferenceLayer]) -> dict[str, Array]:
    """Return median, 5th and 95th percentile over samples of the cosine between the branch inputs of a layer and of the
    layer before it.
    """
    spread = [np.full(3, np.nan)]
    for before, layer in pairwise(layers):
        spread.append(np.percentile(_cosines(layer.u_NC, before.u_NC), [50, 5, 95]))
    return dict(zip(("cos_prev", "cos_prev_p05", "cos_prev_p95"), np.array(spread).T, strict=True))


# All layers.


def _compare_layers(spec: RunSpec, layers: Sequence[ReferenceLayer]) -> Array:
    """Return CKA (L, L), from HSIC_1 (Song et al. 2012, Eq. 5) or, if biased, HSIC_0; nan if a layer has no value."""
    kept = _pick_samples(layers[0].x_nNC.shape[1], CKA_SAMPLES[spec.depth > 256])
    grams = np.array(
        [_multiply_features(_merge_streams(spec, layer.x_nNC[:, kept]), _find_eps(spec)) for layer in layers]
    )
    count = grams.shape[1]
    if spec.cka == "biased":
        flat = grams.reshape(len(grams), -1)
        hsic = flat @ flat.T
    else:
        grams[:, np.arange(count), np.arange(count)] = 0
        flat, rows = grams.reshape(len(grams), -1), grams.sum(2)
        totals = rows.sum(1)
        hsic = flat @ flat.T + np.outer(totals, totals) / ((count - 1) * (count - 2)) - 2 / (count - 2) * rows @ rows.T
    scale = np.sqrt(np.diagonal(hsic))
    # Only pairs of a layer with earlier layers and itself, as in records.
    return np.where(np.tri(len(hsic), dtype=bool), hsic / np.outer(scale, scale), np.nan)


def _multiply_features(m_PC: Array, eps: float) -> Array:
    """Return the Gram matrix (P, P) of features, which are centred and divided by the largest one. CKA does not depend
    on the scale.

    nan if all samples are the same.
    """
    spread = (m_PC.max(0) - m_PC.min(0)).max()
    if not spread > SAME * eps * np.abs(m_PC).max():
        return np.full((len(m_PC), len(m_PC)), np.nan)
    centred = m_PC - m_PC.mean(0)
    centred = centred / np.abs(centred).max()
    return centred @ centred.T


def _compute_composite_metrics(layers: Sequence[ReferenceLayer]) -> dict[str, Array]:
    """Return the metrics of products of H_res over depth, forward H_l ... H_1 and backward H_L ... H_l, and those that
    follow from them, such as effective skip connections.
    """
    h_res = np.array([_average(layer.h_res, 2) for layer in layers])
    n = h_res.shape[1]
    up, up_log = map(np.array, zip(*_accumulate(h_res), strict=True))
    # The transpose of a backward product is accumulated in the same way, from the last layer to the first.
    down, down_log = map(np.array, zip(*reversed([*_accumulate(matrix.T for matrix in h_res[::-1])]), strict=True))
    down = np.swapaxes(down, 1, 2)
    found = {
        "composite_gain_fwd": _scale(np.abs(up.sum(2)).max(1), up_log),
        "composite_gain_bwd": _scale(np.abs(down.sum(1)).max(1), down_log),
        "composite_norm_inf": _scale(np.array([np.linalg.norm(m, np.inf) for m in up]), up_log),
        "composite_norm_1": _scale(np.array([np.linalg.norm(m, 1) for m in down]), down_log),
        "composite_min_col_sum": _scale(down.sum(1).min(1), down_log),
    }
    if n > 1:
        centre = np.eye(n) - 1 / n
        apart, log = zip(*_accumulate(centre @ matrix @ centre for matrix in h_res), strict=True)
        found["composite_sigma2"] = _scale(np.array([_list_singular_values(m)[0] for m in apart]), np.array(log))
        found["composite_sigma_max"] = _scale(np.array([_list_singular_values(m)[0] for m in up]), up_log)
        found["composite_sigma_min"] = _find_smallest(h_res)
    if layers[0].h_res.ndim == 3:
        found |= _multiply_tokens(layers)
    if layers[0].h_pre.ndim < layers[0].h_res.ndim:
        found["unfolded"] = _unfold(layers, h_res)
        if n > 1:
            shares = _find_kernel_shares(layers, h_res)
            found |= {"kernel_rank": _rank_kernels(shares), "kernel_shares": shares}
            found |= _measure_gauge_norms(layers, h_res)
    return found


def _find_smallest(h_res: Array) -> Array:
    """Return the smallest singular value of H_l ... H_1 for each layer, (L), as 1 / the norm of the inverse product.

    nan from the first layer at which rounding of entries to float32 could change it by 3 %. The limit in a run is
    larger, so that rounding does not decide which of the two has a value.
    """
    found, turned, log = np.full(len(h_res), np.nan), np.eye(h_res.shape[1]), 0.0
    decided_L = np.cumsum([bound_rounding(matrix) for matrix in h_res])
    for layer in range(int((decided_L < SMALLEST_KNOWN).sum())):
        turned = np.linalg.solve(h_res[layer].T, turned)
        size = np.abs(turned).max()
        turned, log = turned / size, log + float(np.log(size))
        with np.errstate(over="ignore", under="ignore"):
            found[layer] = np.exp(-log) / _list_singular_values(turned)[0]
    return found


def bound_rounding(matrix: Array) -> float:
    """Return a bound of the relative change of the least singular value by rounding entries to float32: n eps / 2 times
    the condition number.
    """
    if not np.isfinite(matrix).all():
        return math.inf
    singular = _list_singular_values(matrix)
    smallest = singular[-1]
    return len(matrix) * 2.0**-24 * float(singular[0] / smallest) if smallest > 0 else math.inf


def _accumulate(matrices: Iterable[Array]) -> Iterator[tuple[Array, Array]]:
    """Yield M_l = H_l ... H_1, divided by its largest entry, (..., n, n), and the logarithm of that entry, (...)."""
    product: Any = np.float64(1)
    log: Any = 0.0
    for matrix in matrices:
        product = matrix @ product if product.ndim else matrix
        size = np.abs(product).max((-1, -2))
        product = product / np.where(size > 0, size, 1.0)[..., None, None]
        log = log + np.log(size)
        yield product, log


def _scale(values: Array, log: Array) -> Array:
    """Return values * e^log, without an intermediate overflow of e^log."""
    return np.sign(values) * np.exp(np.log(np.abs(values)) + log)


def _multiply_tokens(layers: Sequence[ReferenceLayer]) -> dict[str, Array]:
    """Return gains of the products of each token's matrices: of the mean product, and least, median, mean and largest
    over tokens.
    """
    up = [_measure_tokens(*product) for product in _accumulate(layer.h_res for layer in layers)]
    transposed = (np.swapaxes(layer.h_res, 1, 2) for layer in reversed(layers))
    down = [_measure_tokens(*product) for product in _accumulate(transposed)][::-1]
    return {
        f"composite_gain_{way}_token{name}": np.array([row[name] for row in rows])
        for way, rows in (("fwd", up), ("bwd", down))
        for name in TOKEN_GAINS
    }


def _measure_tokens(product_Nnn: Array, log_N: Array) -> dict[str, float]:
    """Return statistics over tokens of the gains of their products, product * e^log.

    The gain is the largest |row sum| (for transposed products, column sum of the product itself).
    """
    sums_Nn, top = product_Nnn.sum(2), log_N.max()
    mean_n = (np.exp(log_N - top)[:, None] * sums_Nn).mean(0)
    own_N = np.sort(np.log(np.abs(sums_Nn).max(1)) + log_N)
    middle = own_N[[(len(own_N) - 1) // 2, len(own_N) // 2]]
    logs = {
        "s": np.log(np.abs(mean_n).max()) + top,
        "_min": own_N[0],
        "_median": middle.mean(),
        "_mean": np.log(np.exp(own_N - own_N[-1]).mean()) + own_N[-1],
        "_max": own_N[-1],
    }
    return {name: float(np.exp(value)) for name, value in logs.items()}


def _unfold(layers: Sequence[ReferenceLayer], h_res_Lnn: Array) -> Array:
    """Return the effective skip connections w[k, j] = H_pre_k H_res_{k-1} ... H_res_{j+1} H_post_j, (L, L + 1)."""
    depth = len(layers)
    reads_Ln = np.array([_average(layer.h_pre, 1) for layer in layers])
    writes_Ln = np.array([_average(layer.h_post, 1) for layer in layers])
    weights, carried_kn = np.zeros((depth, depth + 1)), reads_Ln.copy()
    for j in reversed(range(depth)):
        later = slice(j + 1, depth)
        weights[later, j + 1] = carried_kn[later] @ writes_Ln[j]
        carried_kn[later] = carried_kn[later] @ h_res_Lnn[j]
    weights[:, 0] = carried_kn.sum(1)
    return weights


def _rank_kernels(shares_Ln: Array) -> Array:
    """Return the effective rank of each layer's kernel, exp of the entropy of its shares, (L)."""
    ranks = [math.exp(-sum(p * math.log(p) for p in share if p > 0)) for share in shares_Ln]
    return np.where(np.isnan(shares_Ln).any(1), np.nan, ranks)


def _find_kernel_shares(layers: Sequence[ReferenceLayer], h_res_Lnn: Array) -> Array:
    """Return the shares of singular values (L, n) of the map from the outputs up to each layer to the reads of later
    layers, including the mean over streams at the end.

    These are the Hankel singular values of the system x -> H x + h_post y: the singular values of the product of roots
    of both Gramians.
    """
    n = h_res_Lnn.shape[1]
    reads = [*(_average(layer.h_pre, 1) for layer in layers[1:]), np.full(n, 1 / n)]
    writes = [_average(layer.h_post, 1) for layer in layers]
    reached = [*_find_roots(np.ones(n), zip(h_res_Lnn, writes, strict=True))][1:]
    back = zip(np.swapaxes(h_res_Lnn[:0:-1], 1, 2), reads[-2::-1], strict=True)
    observed = [*_find_roots(reads[-1], back)][::-1]
    found = np.zeros((len(layers), n))
    for layer, (here, ahead) in enumerate(zip(reached, observed, strict=True)):
        values = _list_singular_values(here.T @ ahead)
        if values.any():
            found[layer, : len(values)] = values / values.sum()
        else:
            found[layer] = np.nan
    return found


def _measure_gauge_norms(layers: Sequence[ReferenceLayer], h_res_Lnn: Array) -> dict[str, Array]:
    """Return the norms of reads and writes in the fixed basis, (L) each: H_pre_l times all earlier H_res, and H_post_l
    times the inverse of all H_res up to its own.

    nan if rounding of entries to float32 could change them by 3 %, as in `_find_smallest`.
    """
    reads = np.array([_average(layer.h_pre, 1) for layer in layers])
    writes = np.array([_average(layer.h_post, 1) for layer in layers])
    found = {}
    for key, (log, decided) in follow_gauge(reads, writes, h_res_Lnn).items():
        with np.errstate(over="ignore", under="ignore"):
            found[key] = np.where(decided < SMALLEST_KNOWN, np.exp(log), np.nan)
    return found


def follow_gauge(reads_Ln: Array, writes_Ln: Array, h_res_Lnn: Array) -> dict[str, tuple[Array, Array]]:
    """Transform reads and writes from their layers to the basis at the embedding. Return the natural logarithm of their
    norms (L), and a bound of their relative change by rounding entries of H_res to float32 (L).

    Rounding of H_i changes the norm by at most the norm of the product before it, times its own norm, times the norm
    after it. The bound is the sum over all i. nan from the first layer whose weights are not finite.
    """
    read, write = ((np.full(len(h_res_Lnn), np.nan), np.full(len(h_res_Lnn), np.inf)) for _ in range(2))
    layers = zip(reads_Ln, writes_Ln, h_res_Lnn, strict=True)
    depth = [*(not all(np.isfinite(part).all() for part in parts) for parts in layers), True].index(True)
    if depth:
        h_res = h_res_Lnn[:depth]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            read[0][0], read[1][0] = np.log(np.linalg.norm(reads_Ln[0])), 0.0
            fronts = _list_log_norms(h_res[:-1])[:-1]
            found = _follow_down(reads_Ln[1:depth], h_res[:-1], fronts, is_inverse=False)
            read[0][1:depth], read[1][1:depth] = found
            known = int((np.cumsum([bound_rounding(matrix) for matrix in h_res]) < SMALLEST_KNOWN).sum())
            matrices = h_res[:known]
            fronts = _list_log_norms(np.linalg.inv(matrix).T for matrix in matrices)[1:]
            written = _follow_down(writes_Ln[:known], matrices, fronts, is_inverse=True)
            write[0][:known], write[1][:known] = written
    return {"gauge_read_norm": read, "gauge_write_norm": write}


def _list_log_norms(matrices: Iterable[Array]) -> Array:
    """Return the logarithms of the spectral norms of the products of the first k matrices, for k from 0."""
    found = [np.log(_list_singular_values(product)[0]) + float(log) for product, log in _accumulate(matrices)]
    return np.array([0.0, *found])


def _follow_down(rows_Kn: Array, h_res_Knn: Array, fronts_K: Array, *, is_inverse: bool) -> tuple[Array, Array]:
    """Return logarithms of norms and bounds as in `follow_gauge`. Row k passes layer k, then all earlier layers."""
    count, n = rows_Kn.shape
    rows, sizes, changed = rows_Kn.copy(), np.zeros(count), np.full(count, -np.inf)
    for layer in reversed(range(count)):
        matrix, entered = h_res_Knn[layer], slice(layer, None)
        before = np.log(np.linalg.norm(rows[entered], axis=1)) + sizes[entered]
        moved = np.linalg.solve(matrix, rows[entered].T).T if is_inverse else rows[entered] @ matrix
        scale = np.linalg.norm(moved, axis=1)
        rows[entered] = moved / np.where(scale > 0, scale, 1.0)[:, None]
        sizes[entered] += np.log(np.where(scale > 0, scale, 1.0))
        after = np.where(scale > 0, sizes[entered], -np.inf)
        own = fronts_K[layer] + np.log(_list_singular_values(matrix)[0])
        changed[entered] = np.logaddexp(changed[entered], own + (after if is_inverse else before))
    log = np.log(np.linalg.norm(rows, axis=1)) + sizes
    # A row of 0 stays 0.
    return log, np.where(np.isneginf(log), 0.0, n * 2.0**-24 * np.exp(changed - log))


def _find_roots(start_n: Array, layers: Iterable[tuple[Array, Array]]) -> Iterator[Array]:
    """Yield roots F of a Gramian G = F F^t, up to a factor: first of G = b b^t with b = `start_n`, then, after each
    layer (H, b), of H G H^t + b b^t.
    """
    root, log = start_n[:, None], 0.0
    yield root
    for matrix, vector in layers:
        left, values, _ = np.linalg.svd(np.column_stack([matrix @ root, vector * math.exp(-log)]), full_matrices=False)
        root = left * (values / values[0]) if values[0] else 0 * left  # an edit can cut all streams
        log += math.log(values[0]) if values[0] else 0.0
        yield root


def _measure_shares(columns: dict[str, Array]) -> dict[str, Array]:
    """Return the largest share of a stream and the normalised entropy of shares, for squared sizes of streams and for
    the weights of reads and writes.
    """
    reads = np.abs(columns["h_pre"]) if "h_pre" in columns else np.abs(columns["h_read"]).sum(1)
    sizes = columns["act_rms_streams"] / columns["act_rms_streams"].max(1, keepdims=True)
    found = {}
    for key, size in (("act", sizes**2), ("read", reads), ("write", np.abs(columns["h_post"]))):
        share = size / size.sum(1, keepdims=True)
        found[f"{key}_share_max"] = share.max(1)
        entropy = np.array([-sum(p * math.log(p) for p in row if p > 0) if row.sum() > 0 else np.nan for row in share])
        found[f"{key}_share_entropy"] = entropy / math.log(share.shape[1])
    return found


def _map_again(spec: RunSpec, logits: Sequence[Array]) -> dict[str, Array]:
    """Return the largest range of the logits of one H_res, and its distance from doubly stochastic if it is mapped in
    other types.
    """
    found = {}
    if logits[0].shape[-1] > 1:
        found["res_logit_range"] = np.array([(t.max(-1) - t.min(-1)).max() for t in logits])
    samples = [0] if logits[0].ndim == 1 else _pick_samples(len(logits[0]), MAPPED_SAMPLES)
    kept = np.array([t.reshape(-1, t.shape[-1])[samples] for t in logits])
    for name, to_type in ROUND.items():
        parts = (map_logits(spec, kept[first : first + 64], to_type) for first in range(0, len(kept), 64))
        found[f"ds_error_{name}"] = np.concatenate([_miss_doubly_stochastic(part).max(1) for part in parts])
    return found


def measure_total_gradient(stack: Stack) -> Array:
    """Return the norm of the gradient of all parameters together, (1)."""
    return np.array([_norm_of_all([_grad(parameter) for parameter in stack.parameters()])])


# The Jacobian.


def compute_jacobian(stack: Stack, steps: int) -> dict[str, Array]:
    """Return the Ritz values of J = d out / d x_0 (K), and the largest and the least one with their residual bounds,
    (1) each.

    They are the singular values of J restricted to the Krylov space of J^T J, spanned by (J^T J)^k v, without a
    bidiagonal matrix. The bound is the residual of the singular pair over sqrt(2). {} if a product is not finite.
    """
    spec = stack.spec
    x = stack.input().flatten(0, 1).detach().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # other backends cannot be differentiated twice
        out = stack.connection.reduce(stack.run_layers(stack.connection.expand(x))[0])
        weights = torch.zeros_like(out, requires_grad=True)
        (pulled,) = torch.autograd.grad(out, x, weights, create_graph=True)
    start = normal(spec.seed, "jacobian", -1, *x.shape).double().numpy().ravel()
    basis, images, returned = [start / np.linalg.norm(start)], [], []
    for _ in range(min(steps, start.size)):
        v = torch.from_numpy(basis[-1]).view_as(x).to(x)
        (image,) = torch.autograd.grad(pulled, weights, v, retain_graph=True)
        (back,) = torch.autograd.grad(out, x, image, retain_graph=True)
        images.append(to_numpy(image).ravel())
        returned.append(to_numpy(back).ravel())
        new = returned[-1]
        for _ in range(2):
            new = new - np.array(basis).T @ (np.array(basis) @ new)
        length, size = np.linalg.norm(new), np.linalg.norm(returned[-1])
        if not np.isfinite(size):
            return {}
        if length <= SPANNED * size:
            break
        basis.append(new / length)
    return _find_ritz(np.array(basis[: len(images)]), np.array(images), np.array(returned))


def _find_ritz(basis_KD: Array, images_KD: Array, returned_KD: Array) -> dict[str, Array]:
    """Return Ritz values and bounds, from rows of orthonormal v, of J v, and of J^T J v."""
    _, ritz, mix_KK = np.linalg.svd(images_KD.T, full_matrices=False)
    # The residual J^T u - s v of unit vectors u and v.
    residuals = [
        np.linalg.norm(q @ returned_KD / s - s * (q @ basis_KD)) if s > 0 else 0.0
        for s, q in zip(ritz, mix_KK, strict=True)
    ]
    bounds = np.array(residuals) / math.sqrt(2)
    return {
        "jacobian_ritz": ritz,
        "jacobian_sigma_max": ritz[:1],
        "jacobian_sigma_max_bound": bounds[:1],
        "jacobian_sigma_min": ritz[-1:],
        "jacobian_sigma_min_bound": bounds[-1:],
    }


# Small formulas.


def _merge_streams(spec: RunSpec, x_nNC: Array) -> Array:
    """Merge streams (n, N, C) into one state: their mean, all parts of the width, or stream 0 if it is the state."""
    if spec.family.streams == "source":
        return x_nNC[0]
    return np.concatenate(x_nNC, 1) if spec.family.streams == "parts" else x_nNC.sum(0) / len(x_nNC)


def _merge_gradient(spec: RunSpec, g_nNC: Array) -> Array:
    """Return the gradient with respect to the merged state: the sum over copies, all parts, or that of stream 0."""
    if spec.family.streams == "source":
        return g_nNC[0]
    return np.concatenate(g_nNC, 1) if spec.family.streams == "parts" else g_nNC.sum(0)


def _rms(x: Array) -> float:
    """Return the root mean square. Entries are first divided by the largest one, whose square may overflow."""
    largest = np.abs(x).max()
    return float(largest * np.sqrt(np.mean((x / largest) ** 2))) if largest > 0 else float(largest)


def _norm_of_all(parts: Sequence[Array]) -> float:
    """Return the Euclidean norm of all entries of several arrays together."""
    flat = np.concatenate([np.ravel(part) for part in parts]) if parts else np.zeros(1)
    return _rms(flat) * math.sqrt(flat.size) if flat.size else 0.0


def _cosines(a_NC: Array, b_NC: Array) -> Array:
    """Return the cosine of each sample between two tensors."""
    return np.sum(_to_units(a_NC) * _to_units(b_NC), axis=1)


def _to_units(x_NC: Array) -> Array:
    """Divide each sample by its norm, without overflow."""
    x_NC = x_NC / np.abs(x_NC).max(-1, keepdims=True)
    return x_NC / np.sqrt((x_NC**2).sum(-1, keepdims=True))


def _average_cosine(m_NC: Array) -> float:
    """Return the mean cosine over all pairs of different samples, computed in blocks of rows."""
    unit, total = _to_units(m_NC), 0.0
    count = len(unit)
    for first in range(0, count, 1024):
        cosines = unit[first : first + 1024] @ unit.T
        total += cosines.sum() - np.trace(cosines, first)
    return float(total / (count * (count - 1)))


def _count_directions(m_NC: Array) -> float:
    """Return the effective rank of samples: exp of the entropy of the normalised singular values."""
    kept = m_NC[_pick_samples(len(m_NC), RANKED_SAMPLES)]
    if not kept.any():
        return math.nan
    values = _list_singular_values(kept / np.abs(kept).max())
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def _list_singular_values(matrix: Array) -> Array:
    """Return the singular values, largest first; nan if an entry is not finite."""
    if not np.isfinite(matrix).all():
        return np.full(min(matrix.shape), np.nan)
    return np.linalg.svd(matrix, compute_uv=False)


def _pick_samples(count: int, most: int) -> Array:
    """Return the indices of at most `most` samples, evenly spaced from first to last, as metrics publish them."""
    kept = min(count, most)
    return np.round(np.arange(kept) * (count - 1) / max(kept - 1, 1)).astype(int)


def _find_eps(spec: RunSpec) -> float:
    """Return the machine epsilon of the type in which the run measures, which is at least float32."""
    return 2.0**-52 if spec.dtype == "float64" else 2.0**-23


def _average(part: Array, ndim: int) -> Array:
    """Return the mean over samples if the array has this axis in addition to `ndim` others."""
    return part.mean(0) if part.ndim > ndim else part


def _grad(tensor: object) -> Array:
    """Return the gradient of a tensor after the backward pass; 0 if it has none."""
    grad = tensor.grad  # type: ignore[attr-defined]
    return np.zeros(tuple(tensor.shape)) if grad is None else to_numpy(grad)  # type: ignore[attr-defined]

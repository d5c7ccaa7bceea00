"""Exact relations that hold for every stack, checked on the float64 recomputation.

The recomputation runs the same network as the run. A fault in the network, such as a missing mask, changes both in the
same way, and is only found here. Each relation is either written in plain numpy, or compares two computations of the
network. Shapes: L layers, n streams, N = B T samples, C width.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from mhc_core.checks.gauge import is_static_copies, measure_gauge_error
from mhc_core.checks.reference_edits import find_matrix, list_edits, to_numpy
from mhc_core.checks.reference_mixing import MOVE, move_parameters, read_parameters, select_layer
from mhc_core.family import ResidualMap
from mhc_core.layers.branch import Carried
from mhc_core.layers.connections import DepthReads, GatedMixing, Made, Mixing
from mhc_core.layers.manifold import DynamicManifold, StaticManifold
from mhc_core.layers.norms import normalise
from mhc_core.layers.transformer import Attention, FirstAttention, ResidualAttention
from mhc_core.rng import normal
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack

Array = np.ndarray
Logits = list[tuple[Array, Array]]  # inputs and outputs of residual maps, in the order of their calls
BY_ALL_TOKENS = ("mean", "noise")  # edits that depend on all tokens: on their mean, or on their size
CAUSAL_BLOCKS = ("mlp", "transformer")  # in other blocks each token can depend on all others
STEP = 1e-7  # length of the step of a finite difference, relative to the size of the state
ROUNDING = 2.0**-50
UNSURE = 1e-7  # attention is not compared if one rounding changes it by more than this, relative
CURVED = 1e-3  # if the second difference is larger than this, relative to the first, the step was too large
TINY = 1e-290  # if the largest entry is below this, small entries are subnormal and inaccurate
NORM_EPS = 1e-20  # added to the mean square in every norm, as in the mHC paper
NORMED = 1e-5  # if the rms of a sample is below this, the eps of a norm, 1e-20, affects its output
GAUGE_DUE = 1e-9  # if outputs in two bases differ by more than this, relative, rounding is examined as the reason
GAUGE_SHAKEN = 1e-10  # outputs in two bases are not compared if rounding, or its effect on outputs, can exceed this
RECTIFIERS = ("relu", "gelu", "silu")


def measure_identities(
    stack: Stack, start: torch.Tensor, outputs: Sequence[LayerOutput], entered: Sequence[Array], logits: Logits
) -> dict[str, Array]:
    """Measure the errors of all relations that apply, (L) each; nan if a relation could not be evaluated.

    Parameters
    ----------
    stack: after its backward pass, so that `start` and the outputs' states have gradients.
    start: the state before the first layer.
    outputs: the output of each layer.
    entered: the streams (n, N, C) to which the mixing of each layer is applied, see `reference_edits`.
    logits: raw logits and matrices of residual maps, as recorded by `record_logits`.

    Returns
    -------
    layer_rule: error of x'[i] = sum_j H_res[i,j] x[j] + H_post[i] F, relative to the largest entry; only with mixing.
    read_rule: error of the branch input sum_j H_pre[j] x[j], relative to the largest sum of sizes. Without edits, both
        rules are also checked for one sequence with perturbed streams and perturbed parameters of the connection.
    projection: error of H_res against Sinkhorn's rounds in plain numpy.
    norm: error of F(2 u) = F(u), which holds if a norm precedes the branch, relative to the largest entry. With a value
        residual, both sides use the same values of the first layer.
    causality: effect of later tokens on earlier ones, relative to the largest entry.
    adjoint: relative error of <g_{l+1}, d x_{l+1}> = <g_l, d x_l>, and of d loss at the end. For the layer whose values
        later layers add to their own, the left side includes these values.
    attention: error of a layer's attention and of its gradient against plain formulas, relative to the largest entry;
        nan in layers without attention.
    weights: mean squared weights, divided by the mean that the initialisation gives, minus 1.
    weights_spread: standard deviation of `weights`.
    gauge: change of the stack's output if the mixing is written in the basis in which each H_res is the identity, (1),
        relative to the largest entry. Omitted if there is no such basis, or if rounding is too large.
    adjoint_lost: 1 in layers whose states or gradients are subnormal in float64; only if there are any.
    """
    spec = stack.spec
    lost_L = _find_subnormal(start, outputs)
    found = {}
    if logits and spec.family.iterates and spec.connection.sinkhorn_iters and not spec.maps_coarsely:
        found["projection"] = _check_projection(spec, logits)  # first, as other checks record more
    found |= _check_rules(stack, start, entered, outputs)
    found |= {"adjoint": _check_adjoint(stack, start, outputs, lost_L)}
    if lost_L.any():
        found["adjoint_lost"] = lost_L.astype(float)
    found |= dict(zip(("weights", "weights_spread"), _check_weights(stack), strict=True))
    if spec.block.norm_position == "pre":
        found["norm"] = _check_norm(stack, outputs)
    if spec.block.kind in CAUSAL_BLOCKS and not any(edit.do in BY_ALL_TOKENS for edit in spec.edits):
        found["causality"] = _check_causality(stack, outputs)
    if spec.block.kind == "transformer":
        found["attention"] = _check_attention(stack, outputs)
    if spec.block.norm_position != "post" and is_static_copies(stack):
        found |= _check_gauge(stack)
    return found


# What a layer reads, and the state after it.


def _check_rules(
    stack: Stack, start: torch.Tensor, entered: Sequence[Array], outputs: Sequence[LayerOutput]
) -> dict[str, Array]:
    """Return the errors `layer_rule` and `read_rule`, (L) each: whether state and branch input follow from the mixing.

    Without mixing, only `read_rule`.
    """
    parameters = read_parameters(stack)
    errors = [
        _check_rule(stack, parameters, layer, x_nNC, output)
        for layer, (x_nNC, output) in enumerate(zip(entered, outputs, strict=True))
    ]
    found = np.array(errors)
    if stack.spec.family.has_mixing and not stack.spec.edits:
        found = np.fmax(found, _check_perturbed_layers(stack, start, outputs))
    rules = dict(zip(("layer_rule", "read_rule"), found.T, strict=True))
    return rules if stack.spec.family.has_mixing else {"read_rule": rules["read_rule"]}


@torch.no_grad()
def _check_perturbed_layers(stack: Stack, start: torch.Tensor, outputs: Sequence[LayerOutput]) -> Array:
    """Check the layer rule and the read rule of one sequence with randomly perturbed parameters and streams: errors
    (L, 2).

    Equal streams would not reveal a transposed matrix, and a projection of 0 would not reveal errors in its input.
    """
    axis, tokens, errors = stack.connection.sample_axis, stack.spec.input.tokens, []
    with move_parameters(stack) as parameters, np.errstate(over="ignore", invalid="ignore"):
        static = stack.connection.static_mixing()
        for layer, whole in enumerate([start, *(output.state for output in outputs[:-1])]):
            state, values = whole.detach().narrow(axis, 0, tokens), _find_values(outputs, layer)
            values = None if values is None else values[:1]
            noise = normal(stack.spec.seed, "moved_state", layer, *state.shape).to(state)
            mixing = None if static is None else Mixing(*(part[layer] for part in static))
            output = stack.layer(layer, state + MOVE * state.abs().mean() * noise, mixing, values)
            errors.append(_check_rule(stack, parameters, layer, _to_streams(stack, output.entered), output))
    return np.array(errors)


def _check_rule(
    stack: Stack, parameters: dict[str, Array], layer: int, x_nNC: Array, output: LayerOutput
) -> tuple[float, float]:
    """Return the errors of the layer rule (nan without mixing) and of the read rule."""
    family, subscripts, weights = stack.spec.family, *_find_reads(stack.spec, layer, output.mixing)
    expected, size = (
        np.einsum(subscripts, *pair).reshape(output.u.shape)
        for pair in ((weights, x_nNC), (np.abs(weights), np.abs(x_nNC)))
    )
    of_read = _relative(to_numpy(output.u) - expected, size)
    if not family.has_mixing:
        return math.nan, of_read
    if family.pass_reference is not None:
        x_nNC = family.pass_reference(select_layer(stack.spec, parameters, layer), x_nNC)
    after = _to_streams(stack, output.state)
    return _relative(_apply_rule(stack.spec, x_nNC, output) - after, after), of_read


def _find_reads(spec: RunSpec, layer: int, mixing: Made) -> tuple[str, Array]:
    """Return the einsum subscripts with which a branch reads the streams, and the weights. j is a stream, i a part."""
    if isinstance(mixing, DepthReads):
        return "j,jNc->Nc", find_matrix(spec, layer)[0]
    if isinstance(mixing, GatedMixing):
        return "Njc,jNc->Nc", to_numpy(mixing.features)
    if mixing.h_pre.ndim == mixing.h_res.ndim:  # parts are read apart
        return "ij,jNc->Nic" if mixing.h_pre.ndim == 2 else "Nij,jNc->Nic", to_numpy(mixing.h_pre)
    return "j,jNc->Nc" if mixing.h_pre.ndim == 1 else "Nj,jNc->Nc", to_numpy(mixing.h_pre)


def _apply_rule(spec: RunSpec, x_nNC: Array, output: LayerOutput) -> Array:
    """Compute the streams after a layer in numpy, (n, N, C), from those before it, the mixing and the branch output."""
    h_post, h_res, y_NC = (to_numpy(part) for part in (output.mixing.h_post, output.mixing.h_res, output.y))
    count = len(x_nNC)
    if not spec.family.skips:
        h_res = np.zeros((1, 1))
    parts = y_NC.reshape(len(y_NC), count, -1) if spec.family.streams == "parts" else y_NC[:, None].repeat(count, 1)
    skip = spec.depth**0.25 if spec.block.scaling == "deepnorm" else 1.0  # (2 N)^(1/4), two layers per block
    mixed = np.einsum("...ij,jNc->iNc" if h_res.ndim == 2 else "Nij,jNc->iNc", h_res, skip * x_nNC)
    added = np.einsum("i,Nic->iNc" if h_post.ndim == 1 else "Ni,Nic->iNc", h_post, parts)
    state: Array = mixed + added
    if spec.block.norm_position != "post":
        return state
    axes = (0, 2) if spec.family.streams == "parts" else 2  # the norm is over all parts of the width
    centred = state - state.mean(axes, keepdims=True) if spec.block.norm == "layernorm" else state
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + NORM_EPS)


# The projection.


class RecordingMap:
    """A residual map that records its inputs and outputs."""

    def __init__(self, residual_map: ResidualMap, recorded: Logits) -> None:
        self._map, self._recorded, self.eps = residual_map, recorded, residual_map.eps

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        """Return H_res of raw logits, and record both."""
        out: torch.Tensor = self._map(raw)
        self._recorded.append((to_numpy(raw), to_numpy(out)))
        return out


def record_logits(stack: Stack) -> Logits:
    """Make a stack record its raw logits (..., n n) and h_res (..., n, n) from now on, and return the list of records.

    A record belongs to one layer, or to all layers if the connection maps them together.
    """
    recorded: Logits = []
    connection: Any = stack.connection
    if isinstance(connection, StaticManifold):
        connection.residual_map = RecordingMap(connection.residual_map, recorded)  # type: ignore[assignment]
    elif isinstance(connection, DynamicManifold):
        for mixer in connection.mixers:
            mixer.residual_map = RecordingMap(mixer.residual_map, recorded)  # type: ignore[assignment, arg-type]
    return recorded


def _check_projection(spec: RunSpec, logits: Logits) -> Array:
    """Return the largest error of each layer's H_res, (L), against Sinkhorn's rounds of its logits in numpy."""
    pairs = list(zip(*logits[0], strict=True)) if len(logits) == 1 < spec.depth else logits[: spec.depth]
    return np.array([np.abs(_sinkhorn(raw, spec) - out).max() for raw, out in pairs])


def _sinkhorn(raw: Array, spec: RunSpec) -> Array:
    """Return H_res of logits in numpy, by Sinkhorn's rounds (mHC Eq. 8-9) with the number and eps of the spec."""
    n, eps = spec.streams, spec.connection.sinkhorn_eps
    t = raw.reshape(*raw.shape[:-1], n, n)
    matrix = np.exp(t - t.max(-2, keepdims=True))
    matrix = matrix / matrix.sum(-2, keepdims=True) + eps
    for turn in range(spec.connection.sinkhorn_iters):
        if turn:
            matrix = matrix / (matrix.sum(-2, keepdims=True) + eps)
        matrix = matrix / (matrix.sum(-1, keepdims=True) + eps)
    return matrix


# Comparisons of two computations.


def _check_norm(stack: Stack, outputs: Sequence[LayerOutput]) -> Array:
    """Return the errors of F(2 u) = F(u) in branches with a norm, (L); nan if the eps of the norm has an effect."""
    shape, errors = _batch_shape(stack.spec), []
    with torch.no_grad():
        for layer, (branch, output) in enumerate(zip(stack.branches, outputs, strict=True)):
            sizes_N = torch.linalg.vector_norm(output.u, math.inf, dim=-1)
            if stack.edits.touches(layer, "branch") or not (
                float(sizes_N.min()) > NORMED and float(2 * sizes_N.max()) < math.inf
            ):
                errors.append(math.nan)
                continue
            carried = Carried(_find_values(outputs, layer))
            again = branch(2 * output.u.view(shape), carried).reshape(output.y.shape)
            errors.append(_relative(to_numpy(again - output.y), to_numpy(output.y)))
    return np.array(errors)


def _check_causality(stack: Stack, outputs: Sequence[LayerOutput]) -> Array:
    """Return how much the first half of sequences changes in each layer if their second half is replaced, (L)."""
    batch, tokens, width = _batch_shape(stack.spec)
    half, errors = tokens // 2, []

    def compare(layer: int, output: LayerOutput) -> None:
        """Append the relative change of the state of the first half of each sequence after this layer."""
        was, now = (
            _to_streams(stack, state).reshape(-1, batch, tokens, _last(stack))[:, :, :half]
            for state in (outputs[layer].state, output.state)
        )
        errors.append(_relative(now - was, was))

    with torch.no_grad():
        x_BTC = stack.input().clone()
        x_BTC[:, half:] = normal(0, "later_tokens", -1, batch, tokens - half, width).to(x_BTC)
        stack.run_layers(stack.connection.expand(x_BTC.flatten(0, 1)), compare)
    return np.array(errors)


def _check_adjoint(stack: Stack, start: torch.Tensor, outputs: Sequence[LayerOutput], lost_L: Array) -> Array:
    """Return the relative error of each layer's gradient against a finite difference along the gradient, (L).

    The last entry includes the gradient of the loss. nan if the layer is too nonlinear for the step, in the layers
    `lost_L`, in layers where a stream is restored, which has the gradient of the stream that it replaces, and if
    coefficients are computed from the state in a coarse type: they then change in steps, which a small move misses.
    """
    before, errors = start, []
    static = stack.connection.static_mixing()
    has_stairs = static is None and stack.spec.maps_coarsely
    for layer, output in enumerate(outputs):

        def weigh(state: torch.Tensor, unit: float, layer: int = layer, output: LayerOutput = output) -> torch.Tensor:
            """Return the layer's output for an input state, times the gradient with respect to it, over `unit`."""
            mixing = None if static is None else Mixing(*(part[layer] for part in static))
            values = _find_values(outputs, layer)
            after = stack.layer(layer, state, mixing, values)
            assert output.state.grad is not None
            moved = output.state.grad / unit * after.state
            if values is None and after.values is not None and output.values is not None:
                made = torch.zeros_like(after.values) if output.values.grad is None else output.values.grad
                moved = torch.cat([moved.flatten(), (made / unit * after.values).flatten()])
            return moved

        is_left_out = (
            lost_L[layer]
            or has_stairs
            or any(edit.do == "restore" for _, edit in list_edits(stack.spec, layer, "stream", "state"))
        )
        errors.append(math.nan if is_left_out else _compare_move(weigh, before))
        before = output.state
    last = math.nan if lost_L[-1] else _compare_move(lambda state, unit: stack.loss(state) / unit, before)
    errors[-1] = max(errors[-1], last, key=abs) if math.isfinite(last) else errors[-1]
    return np.array(errors)


def _find_subnormal(start: torch.Tensor, outputs: Sequence[LayerOutput]) -> Array:
    """Return for each layer whether a state or gradient before or after it is nonzero and below `TINY`, (L)."""
    states = [start, *(output.state for output in outputs)]
    is_tiny = np.array([_is_tiny(state) or _is_tiny(state.grad) for state in states])
    return is_tiny[1:] | is_tiny[:-1]


def _is_tiny(values: torch.Tensor | None) -> bool:
    return values is not None and 0 < _find_peak(values) < TINY


def _find_peak(values: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(values.detach(), math.inf))


def _compare_move(function: Callable[[torch.Tensor, float], torch.Tensor], state: torch.Tensor) -> float:
    """Return the change of a function's sum for a small move of the state along its gradient, divided by the change
    that the gradient predicts, minus 1.

    The function divides its result by its second argument, the largest entry of the gradient. nan if the step is too
    large for the function's curvature, or too small for its rounding errors.
    """
    grad, peak = state.grad, _find_peak(state)
    assert grad is not None
    top = _find_peak(grad)
    if not (math.isfinite(top) and top > 0):
        return math.nan
    # Arrays are divided by their largest entries before they are multiplied, because products could overflow.
    direction = grad / top
    size, step = float(direction.norm()), STEP * peak * float((state.detach() / peak).norm()) if peak else 0.0
    with torch.no_grad():
        up, down, middle = (function(state.detach() + sign * step / size * direction, top) for sign in (1, -1, 0))
    first, second = float((up - down).sum()), float((up + down - 2 * middle).sum())
    expected, rounding = 2 * step * size, float(middle.abs().sum()) * ROUNDING
    if (
        not (math.isfinite(first) and expected > 0)
        or abs(second) > CURVED * abs(first) + rounding
        or expected <= rounding / CURVED
    ):
        return math.nan
    return first / expected - 1


def _check_gauge(stack: Stack) -> dict[str, Array]:
    """Compare the outputs in two bases; {} if rounding of the embedding, amplified by the bases, changes them."""
    found = measure_gauge_error(stack)
    shaken = found.condition * ROUNDING
    if not shaken < GAUGE_SHAKEN:
        return {}
    if not found.output < GAUGE_DUE:
        with torch.no_grad():
            start = stack.embed()
            noise = normal(0, "gauge_rounding", -1, *start.shape).to(start)
            ends = [stack.run_layers(state)[0] for state in (start, start * (1 + shaken * noise))]
        plain, moved = (to_numpy(stack.connection.reduce(end)) for end in ends)
        if not _relative(moved - plain, plain) < GAUGE_SHAKEN:
            return {}
    return {"gauge": np.array([found.output])}


# Attention.


def _check_attention(stack: Stack, outputs: Sequence[LayerOutput]) -> Array:
    """Return the errors of each layer's attention and its gradient against plain operators and autograd, (L).

    The reference does not use the network's kernel, so that errors in the kernel's gradient are found.
    """
    errors = np.full(len(outputs), np.nan)
    for layer, (branch, output) in enumerate(zip(stack.branches, outputs, strict=True)):
        if isinstance(branch, Attention):
            u = output.u.detach().view(_batch_shape(stack.spec))
            u = u if branch.pre_norm is None else normalise(u, branch.pre_norm)
            errors[layer] = _compare_attention(branch, u, _find_values(outputs, layer), layer)
    return errors


def _compare_attention(branch: Attention, u_BTC: torch.Tensor, values: torch.Tensor | None, layer: int) -> float:
    """Return the largest relative error of one layer's attention: of its output and of its gradients.

    nan if one rounding of the input changes the result of the formula itself. This happens if tokens are nearly the
    same and logits so large that rounding decides which token is attended to.
    """
    shake = normal(0, "attention_rounding", layer, *u_BTC.shape).to(u_BTC) * ROUNDING
    others = [] if values is None else [values]

    def formula(*inputs: torch.Tensor) -> torch.Tensor:
        return _attend_plainly(branch, *inputs)

    def network(u: torch.Tensor, values: torch.Tensor | None = None) -> torch.Tensor:
        """Return the layer's output; for the first layer of a value residual, stacked with its values."""
        carried = Carried(values)
        y = branch.compute(u, carried)
        return torch.stack((y, carried.values)) if values is None and carried.values is not None else y

    made = formula(u_BTC, *others)
    g = normal(0, "attention_gradient", layer, *made.shape).to(u_BTC)
    expected, shaken = (_pull_back(formula, [u, *others], g) for u in (u_BTC, u_BTC * (1 + shake)))
    found = _pull_back(network, [u_BTC, *others], g)
    unsure = max(_relative(one - other, other) for one, other in zip(shaken, expected, strict=True))
    if not unsure < UNSURE:
        return math.nan
    error = max(_relative(one - other, other) for one, other in zip(found, expected, strict=True))
    return error if math.isfinite(error) else float(np.finfo(float).max)


def _pull_back(
    function: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor], g: torch.Tensor
) -> tuple[Array, ...]:
    """Return the function's value at its inputs, and the gradients of its inner product with g."""
    leaves = [one.clone().requires_grad_() for one in inputs]
    value = function(*leaves)
    grads = torch.autograd.grad(value, leaves, g, materialize_grads=True)
    return tuple(map(to_numpy, (value, *grads)))


def _attend_plainly(branch: Attention, u_BTC: torch.Tensor, first_BTC: torch.Tensor | None = None) -> torch.Tensor:
    """Return the output of attention by plain operators, (B, T, C): W_out applied to softmax(q k^T / sqrt(D)) v.

    first_BTC: the first layer's values, which later layers of a value residual add to their own. For the first layer,
    the output and the values are returned, (2, B, T, C).
    """
    tokens, width = u_BTC.shape[1:]
    size = width // branch.heads
    q, k, own = ((u_BTC @ w.T).unflatten(-1, (branch.heads, size)).transpose(1, 2) for w in branch.w_qkv.chunk(3))
    v = own
    if isinstance(branch, ResidualAttention):
        assert first_BTC is not None
        first = first_BTC.unflatten(-1, (branch.heads, size)).transpose(1, 2)
        shares = (0.5, 0.5) if branch.value_weights is None else tuple(branch.value_weights.detach())
        v = shares[0] * own + shares[1] * first
    places = torch.arange(tokens, device=u_BTC.device)
    logits = torch.where(places <= places[:, None], q @ k.mT / math.sqrt(size), -math.inf)
    scores = torch.exp(logits - logits.detach().amax(-1, keepdim=True))
    mixed = (scores / scores.sum(-1, keepdim=True)) @ v
    out = mixed.transpose(1, 2).flatten(2) @ branch.w_out.T
    return torch.stack((out, own.transpose(1, 2).flatten(2))) if isinstance(branch, FirstAttention) else out


# Weights.


def _check_weights(stack: Stack) -> tuple[Array, Array]:
    """Return by how much each layer's mean squared weights exceed the expected ones, and its standard deviation, (L)
    each.
    """
    found = [_pool(_weigh_matrices(stack.spec, branch)) for branch in stack.branches]
    excess, spread = np.array(found).T
    return excess, spread


def _weigh_matrices(spec: RunSpec, branch: Any) -> list[tuple[float, float]]:
    """Return for each matrix its mean square over the expected one, minus 1, and its number of random entries (inf if
    its mean square is not random).
    """
    shrunk = (8 * spec.depth / 2) ** -0.25 if spec.block.scaling == "deepnorm" else 1.0  # (8 N)^(-1/4)
    found = []
    for name, weight in branch.named_parameters():
        if weight.ndim < 2:
            continue
        rows = to_numpy(weight).reshape(len(weight), -1)
        is_hidden = name == "w_in" and getattr(branch, "activation", None) is not None
        gain = 2.0 if is_hidden and spec.block.activation in RECTIFIERS else 1.0
        rows = _unscale(name, branch.name, rows, shrunk)
        free = math.inf if spec.block.weights == "orthogonal" else rows.size
        found.append((float((rows**2).mean()) / _expect_square(spec, rows.shape, gain) - 1, free))
    return found


def _unscale(name: str, branch: str, rows: Array, shrunk: float) -> Array:
    """Return a weight matrix divided by the factor of the depth scaling, where it applies."""
    if name == "w_qkv":
        cut = 2 * len(rows) // 3
        return np.concatenate([rows[:cut], rows[cut:] / shrunk])
    return rows if name == "w_in" and branch.startswith("triangle") else rows / shrunk


def _expect_square(spec: RunSpec, shape: tuple[int, ...], gain: float) -> float:
    """Return the expected mean square of the initial entries of a matrix (fan_out, fan_in)."""
    fan_out, fan_in = shape
    if spec.block.weights == "he":
        return gain / fan_in
    return 2 / (fan_in + fan_out) if spec.block.weights == "xavier" else gain / max(shape)


def _pool(matrices: list[tuple[float, float]]) -> tuple[float, float]:
    """Return by how much the mean squared weights of several matrices exceed the expected ones, and its standard
    deviation.
    """
    if not matrices or not all(math.isfinite(free) for _, free in matrices):
        return max((excess for excess, _ in matrices), key=abs, default=math.nan), 0.0
    total = sum(free for _, free in matrices)
    return sum(excess * free for excess, free in matrices) / total, math.sqrt(2 / total)


# Arrays.


def _find_values(outputs: Sequence[LayerOutput], layer: int) -> torch.Tensor | None:
    """Return the values of the first attention layer that this layer adds to its own; None if it adds none."""
    values = outputs[layer - 1].values if layer else None
    return None if values is None else values.detach()


def _relative(error: Array, against: Array) -> float:
    return float(np.abs(error).max() / max(np.abs(against).max(), np.finfo(float).tiny))


def _batch_shape(spec: RunSpec) -> tuple[int, int, int]:
    return spec.input.batch, spec.input.tokens, spec.width


def _last(stack: Stack) -> int:
    return stack.spec.width // (stack.spec.streams if stack.spec.family.streams == "parts" else 1)


def _to_streams(stack: Stack, state: torch.Tensor) -> Array:
    return to_numpy(stack.connection.streams(state))

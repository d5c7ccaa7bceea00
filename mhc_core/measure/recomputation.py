"""A spec computed once more, in float64 and by plain autograd, and its main columns by plain formulas.

It shares the network with `run`, but neither the layer loop nor the metrics: states and coefficients are overheard
while the stack runs. `identities` asks what has to hold of any stack. Shapes: L layers, n streams, N samples, C width.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mhc_core.connections import Mixing
from mhc_core.cost.counts import count_run_bytes
from mhc_core.cost.estimates import LIBRARY_BYTES, Estimate, estimate
from mhc_core.cost.rates import DEFAULT_RATES, Rates
from mhc_core.measure.identities import measure_identities, overhear_logits, to_numpy
from mhc_core.measure.run import choose_device
from mhc_core.record.frames import RecomputationFrame
from mhc_core.rng import normal
from mhc_core.spec import DOUBLY_STOCHASTIC, PARTS, RunSpec
from mhc_core.stack import LayerOutput, Stack, build_stack

Array = np.ndarray
LOGARITHMIC = ("act_rms", "branch_out_rms", "grad_rms", "composite_gain_fwd", "composite_gain_bwd")
# One rounding of a state, by the type of the run that is verified.
ROUNDING = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-8}
SECONDS = ("seconds", "seconds_low", "seconds_likely", "seconds_high")
PASSES = 1.5  # two passes without metrics cost no more than this many float64 runs


def to_double(spec: RunSpec) -> RunSpec:
    """The float64 twin of a spec: the same weights, as initialised, of one seed."""
    body = spec.canonical() | {"dtype": "float64", "seeds": 1, "jacobian": 0}
    return RunSpec.model_validate({key: value for key, value in body.items() if key != "train"})


def estimate_recomputation(spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Predicted cost of `recompute`."""
    twin = to_double(spec)
    cost = estimate(twin, rates)
    more = {key: PASSES * getattr(cost, key) for key in ("flops", *SECONDS)}
    more["peak_bytes"] = LIBRARY_BYTES + count_run_bytes(twin, whole_graph=True)
    return Estimate(**cost.model_dump() | more)


def recompute(spec: RunSpec) -> RecomputationFrame:
    """The spec computed once more: columns, loss, and the error of the stream mean law where it is due.

    `unsure` and `loss_unsure` say what one rounding a layer in the spec's type does to them, in decades
    where values span decades: a chaotic stack makes much of it. They come of a second pass, in which every state is
    changed at random by as much. Values beyond float64 are inf. Memory is that of the whole graph.

    Raises
    ------
    SpecError
        Where the spec asks for a device that this machine lacks.
    """
    twin = to_double(spec)
    columns, loss, error, identities = _compute(twin, 0.0)
    shaken, shaken_loss, _, _ = _compute(twin, ROUNDING[spec.dtype])
    unsure = {key: _compare(key, columns[key], shaken[key]) for key in columns}
    return RecomputationFrame(
        columns=dict(columns),
        loss=loss,
        loss_unsure=abs(shaken_loss - loss),
        unsure=dict(unsure),
        mean_law_error=error,
        identities=dict(identities),
    )


def _compute(twin: RunSpec, rounding: float) -> tuple[dict[str, Array], float, float | None, dict[str, Array]]:
    """Columns, loss, and where nothing is rounded the error of the stream mean law, if due, and the identities."""
    stack = build_stack(twin).to(choose_device(twin))
    logits = [] if rounding else overhear_logits(stack)
    outputs, undo = _overhear(stack, rounding)
    start = stack.embed().detach().requires_grad_()
    loss = stack.loss(stack.climb(start)[0])
    loss.backward()
    undo()
    found = [_measure_layer(stack, output) for output in outputs]
    columns: dict[str, Any] = {key: np.array([layer[key] for layer in found]) for key in found[0] if key != "h_res"}
    columns |= _multiply(np.array([layer["h_res"] for layer in found]))
    due = _keeps_mean(twin) and not rounding
    value = float(loss.detach())
    identities = {} if rounding else measure_identities(stack, start, outputs, logits)
    return columns, value, _check_mean_law(stack, outputs) if due else None, identities


def _compare(key: str, column: Array, shaken: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        miss = np.abs(np.log10(shaken) - np.log10(column) if key in LOGARITHMIC else shaken - column)
    return miss.reshape(len(miss), -1).max(1)


def _overhear(stack: Stack, rounding: float) -> tuple[list[LayerOutput], Callable[[], None]]:
    """Fills with every layer's output as the stack runs, until undone; gradients at the states are kept."""
    heard: list[LayerOutput] = []
    plain = stack.layer

    def layer(index: int, state: torch.Tensor, mixing: Mixing | None) -> LayerOutput:
        output = plain(index, state, mixing)
        if rounding:
            shake = normal(0, "rounding", index, *output.state.shape).to(output.state) * rounding
            output = output._replace(state=output.state * (1 + shake))
        output.state.retain_grad()
        heard.append(output)
        return output

    def undo() -> None:
        stack.layer = plain  # type: ignore[method-assign]

    stack.layer = layer  # type: ignore[method-assign, assignment]
    return heard, undo


def _measure_layer(stack: Stack, output: LayerOutput) -> dict[str, Any]:
    grad = output.state.grad
    assert grad is not None
    state_nNC, grad_nNC = (to_numpy(stack.connection.streams(part)) for part in (output.state, grad))
    parts = stack.spec.connection.kind in PARTS
    with np.errstate(over="ignore", invalid="ignore"):
        m_NC = np.concatenate(state_nNC, axis=1) if parts else state_nNC.mean(0)
        g_NC = np.concatenate(grad_nNC, axis=1) if parts else grad_nNC.sum(0)
        h_res = to_numpy(output.mixing.h_res)
        h_res = h_res.mean(0) if h_res.ndim == 3 else h_res
        return {
            "act_rms": _rms(m_NC),
            "token_cos": _mean_cosine(m_NC),
            "branch_out_rms": _rms(to_numpy(output.y)),
            "grad_rms": _rms(g_NC),
            "h_res_row_sum": h_res.sum(1),
            "h_res_col_sum": h_res.sum(0),
            "h_res": h_res,
        }


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x * x)))


def _mean_cosine(m_NC: Array) -> float:
    """Over all pairs of different samples, from the whole matrix of cosines."""
    unit = m_NC / np.sqrt((m_NC * m_NC).sum(1, keepdims=True))
    cosines = unit @ unit.T
    count = len(cosines)
    return float((cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def _multiply(h_res_Lnn: Array) -> dict[str, Array]:
    """Composite gains by multiplying out, which leaves the range of float64 where it will."""
    layers, n = h_res_Lnn.shape[:2]
    forward, backward = np.empty(layers), np.empty(layers)
    with np.errstate(over="ignore", invalid="ignore"):
        product = np.eye(n)
        for layer in range(layers):
            product = h_res_Lnn[layer] @ product
            forward[layer] = np.abs(product.sum(1)).max()
        product = np.eye(n)
        for layer in reversed(range(layers)):
            product = product @ h_res_Lnn[layer]
            backward[layer] = np.abs(product.sum(0)).max()
    return {"composite_gain_fwd": forward, "composite_gain_bwd": backward}


def _keeps_mean(spec: RunSpec) -> bool:
    """Whether columns of every H_res sum to 1 by construction and nothing but mixing and branch makes the state."""
    is_exact = spec.connection.kind in DOUBLY_STOCHASTIC and not spec.maps_coarsely
    return is_exact and spec.block.norm_position != "post"


def _check_mean_law(stack: Stack, outputs: list[LayerOutput]) -> float:
    """Largest error of mean_i x'[i] = mean_i x[i] + mean(H_post) F, relative to the largest entry of the layer."""
    before, worst = to_numpy(stack.connection.streams(stack.embed())).mean(0), 0.0
    for output in outputs:
        after = to_numpy(stack.connection.streams(output.state)).mean(0)
        share = to_numpy(output.mixing.h_post).mean(-1)
        moved = before + (share[:, None] if share.ndim else share) * to_numpy(output.y)
        worst = max(worst, float(np.abs(after - moved).max() / max(np.abs(after).max(), np.finfo(float).tiny)))
        before = after
    return worst

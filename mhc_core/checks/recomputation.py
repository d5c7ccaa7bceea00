"""A spec computed once more, in float64 and by plain autograd, and every column by a second formula.

It shares the network with `run`, but neither the layer loop nor the metrics: states and coefficients are recorded
while the stack runs. `reference_columns` has the formulas, `reference_mixing` those of the coefficients, `identities`
what has to hold of any stack. Shapes: L layers, n streams, N samples, C width.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mhc_core.checks.identities import measure_identities, record_logits
from mhc_core.checks.reference_columns import (
    compute_columns,
    compute_effects,
    compute_jacobian,
    measure_total_gradient,
    read_layers,
)
from mhc_core.checks.reference_depth import check_reads
from mhc_core.checks.reference_edits import edit_streams, to_numpy
from mhc_core.checks.reference_ends import check_ends
from mhc_core.checks.reference_mixing import check_coefficients
from mhc_core.checks.rounding import ROUNDING, measure_distance
from mhc_core.cost.counts import count_run_bytes
from mhc_core.cost.estimates import LIBRARY_BYTES, Estimate, estimate
from mhc_core.cost.rates import DEFAULT_RATES, Rates
from mhc_core.edits import Base
from mhc_core.findings.signals import ROUNDINGS
from mhc_core.layers.connections import DepthReads, Made, Mixing, Query
from mhc_core.measure.probe import detach_output
from mhc_core.measure.run import choose_device
from mhc_core.record.frames import RecomputationFrame
from mhc_core.rng import normal
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack, build_stack

Array = np.ndarray
SECONDS = ("seconds", "seconds_low", "seconds_likely", "seconds_high")
# Roundings of a coefficient in a disturbed pass, where a state has `ROUNDINGS`; what they change is divided by it.
SHARED = {"float32": 10.0, "float64": 10.0, "bfloat16": 5.0}
PASSES = 5.0  # passes and formulas in numpy cost 3.4 to 5.9 float64 runs
BASE_DRAW = 1000  # added to the draw of the run without edits
DISTURBED = 2 / 3 * PASSES  # of them are for two disturbed passes


def to_double(spec: RunSpec) -> RunSpec:
    """Return the float64 twin of a spec: the same weights, as initialised, of one seed."""
    body = spec.canonical() | {"dtype": "float64", "seeds": 1, "jacobian": 0}
    # Edits act on what is measured, and not on the step of training that is recomputed.
    dropped = ("train", "edits") if spec.train.steps else ("train",)
    return RunSpec.model_validate({key: value for key, value in body.items() if key not in dropped})


def estimate_recomputation(spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Predict the cost of `recompute` for a spec."""
    twin = to_double(spec).model_copy(update={"jacobian": 0 if spec.train.steps else spec.jacobian})
    cost = estimate(twin, rates)
    passes = PASSES + DISTURBED * (_count_draws(spec) - 1)
    more = {key: passes * getattr(cost, key) for key in ("flops", *SECONDS)}
    more["peak_bytes"] = LIBRARY_BYTES + count_run_bytes(twin, whole_graph=True) + _count_kept_bytes(twin)
    return Estimate(**cost.model_dump() | more)


def _count_kept_bytes(spec: RunSpec) -> float:
    """Count the bytes that only the recomputation stores: gradients at branch inputs, mixing, and Jacobian vectors."""
    samples, mixing = spec.input.batch * spec.input.tokens, 2 * spec.streams**2 if spec.connection.is_dynamic else 0
    return 8.0 * samples * (spec.depth * (spec.width + mixing) + 3 * spec.jacobian * spec.width)


def recompute(spec: RunSpec) -> RecomputationFrame:
    """Compute the spec again in float64 with independent formulas: columns, loss, and errors of identities.

    Of a spec that trains it is the first step, before any update: the stack as initialised, on the step's own batch.

    `unsure` and `loss_unsure` say what one rounding per layer in the spec's type does to them, in decades where values
    span decades. Two disturbed passes show it, or six, see `_count_draws`: the input, every state and every coefficient
    are changed at random, up in one pass and down in the other, by more than one rounding, and what that changes is
    divided by `SHARED`. So what a chaotic stack makes of rounding is in it, and a unit so close to relu's kink that
    rounding may switch it is switched in one of the two. Values beyond float64 are inf. Memory is that of the whole
    graph.

    Raises
    ------
    SpecError
        If the spec asks for a device that this machine lacks.
    """
    columns, loss, error, identities = _compute(spec, 0)
    shared, loss_unsure = SHARED[spec.dtype], 0.0
    unsure = {key: np.zeros(len(column)) for key, column in columns.items()}
    for draw in range(_count_draws(spec)):
        for sign in (1, -1):
            other, other_loss, *_ = _compute(spec, sign, draw)
            apart = {key: measure_distance(spec, key, column, other.get(key)) for key, column in columns.items()}
            unsure = {key: np.maximum(most, apart[key] / shared) for key, most in unsure.items()}
            loss_unsure = float(np.maximum(loss_unsure, abs(other_loss - loss) / shared))
    return RecomputationFrame(
        columns=dict(columns),
        loss=loss,
        loss_unsure=loss_unsure,
        unsure=dict(unsure),
        mean_law_error=error,
        identities=dict(identities),
    )


def _count_draws(spec: RunSpec) -> int:
    """Return the number of random disturbances from whose effects a tolerance is taken.

    A single number, such as a row sum at the first layer, moves by |z| times its standard deviation in one draw, z
    standard normal. States of bfloat16 that coefficients depend on move it by 17 roundings over `SHARED`, so the
    tolerance is 50 |z| of what rounding does: too little in 1 of 80 draws, with three in 1 of 200,000. In other runs
    the least tolerance of the coefficients is far above what rounding does to them. Weights over depth depend on
    states too.
    """
    family = spec.family
    depends = (spec.connection.is_dynamic and family.has_streams) or not family.has_mixing
    return 3 if spec.dtype == "bfloat16" and depends else 1


def _compute(spec: RunSpec, sign: int, draw: int = 0) -> tuple[dict[str, Array], float, float | None, dict[str, Array]]:
    """Return float64 columns and loss, disturbed by rounding, or undisturbed (sign 0) with errors of identities."""
    twin = to_double(spec)
    stack = build_stack(twin).to(choose_device(twin))
    of_state = ROUNDING[spec.dtype]
    of_coefficients = of_state if spec.maps_coarsely else min(of_state, ROUNDING["float32"])
    shake = Shake(sign * ROUNDINGS[spec.dtype] * of_state, sign * SHARED[spec.dtype] * of_coefficients, draw)
    if spec.train.steps:
        stack.input.set_batch(0)
    base = _run_base(stack, shake) if twin.edits else None
    logits = [] if sign else record_logits(stack)
    done = _run(stack, shake, 0 if spec.train.steps else spec.jacobian)
    start, outputs = done.start, done.outputs
    states = [start, *(output.state for output in outputs)]
    streams = [to_numpy(stack.connection.streams(state)) for state in states[:-1]]
    edited = edit_streams(stack, streams)
    columns = compute_columns(spec, read_layers(stack, edited.seen, outputs)) | done.jacobian
    columns |= compute_effects(stack, outputs, base) if base else {}
    if spec.train.steps:
        stack.embed().backward(start.grad)  # to the embedding's own parameters, which training moves too
        columns["step_grad_norm"] = measure_total_gradient(stack)
    due = _keeps_mean(twin) and not sign
    value = float(done.loss)
    identities = {}
    if not sign:
        identities = measure_identities(stack, start, outputs, edited.entered, logits)
        identities |= check_ends(stack, start, outputs)
        if spec.family.has_mixing:
            identities |= check_coefficients(stack, streams, edited.seen, outputs)
        else:
            identities |= check_reads(stack, start, outputs)
    return columns, value, _check_mean_law(stack, outputs) if due else None, identities


@dataclass(frozen=True)
class _Pass:
    """The state before the layers, what every layer did, the loss, and columns of the Jacobian, if it is wanted."""

    start: torch.Tensor
    outputs: list[LayerOutput]
    loss: torch.Tensor
    jacobian: dict[str, Array]


def _run(stack: Stack, shake: "Shake", jacobian: int = 0) -> _Pass:
    """Run a float64 stack forward and backward, and return its states, outputs and loss."""
    recorded, undo = _record_outputs(stack, shake)
    start = shake.round(stack.embed().detach(), "state", -1).requires_grad_()
    loss = stack.loss(stack.climb(start)[0])
    loss.backward()
    outputs = list(recorded)
    columns = compute_jacobian(stack, jacobian) if jacobian else {}
    undo()
    return _Pass(start, outputs, loss.detach(), columns)


def _run_base(stack: Stack, shake: "Shake") -> list[LayerOutput]:
    """Run the recomputed stack without its edits; give the edits the states and coefficients that they restore.

    Its rounding is of another draw: two passes of a run are rounded independently.
    """
    with stack.with_edits():
        outputs = _run(stack, replace(shake, draw=shake.draw + BASE_DRAW)).outputs
    stack.zero_grad()
    stack.edits.base = Base.of([detach_output(output) for output in outputs])
    return outputs


@dataclass(frozen=True)
class Shake:
    """Rounding errors of one draw: their signed size in states and coefficients, relative to each entry; 0 for none."""

    state: float
    coefficients: float
    draw: int = 0

    def round(self, tensor: torch.Tensor, name: str, layer: int) -> torch.Tensor:
        """Return a state, or a coefficient of this name, changed at random by a few roundings of the spec's type."""
        size = self.state if name == "state" else self.coefficients
        noise = normal(self.draw, f"rounding.{name}", layer, *tensor.shape).to(tensor) if size else 0.0
        return tensor * (1 + size * noise) if size else tensor

    def round_mixing(self, mixing: Made | Query, layer: int) -> Any:
        """Return the coefficients of a layer, changed at random by a few roundings each."""
        return type(mixing)(*(self.round(part, name, layer) for name, part in mixing._asdict().items()))


def _record_outputs(stack: Stack, shake: Shake) -> tuple[list[LayerOutput], Callable[[], None]]:
    """Disturb and record every layer's output, with its gradient, until the returned function is called."""
    recorded: list[LayerOutput] = []
    plain, plain_mixing = stack.layer, stack.connection.dynamic_mixing
    is_learned = stack.spec.family.has_coefficients  # elsewhere coefficients are 0 and 1

    def layer(
        index: int, state: torch.Tensor, mixing: Mixing | None, values: torch.Tensor | None = None
    ) -> LayerOutput:
        """Compute one layer as the stack does, with its disturbance, and record the output."""
        if mixing is not None and is_learned:
            mixing = shake.round_mixing(mixing, index)
        output = plain(index, state, mixing, values)
        if shake.state:
            kept, fresh = stack.connection.split_fresh(output.state)
            output = output._replace(state=torch.cat([kept, shake.round(fresh, "state", index)]))
        mixed = [] if isinstance(output.mixing, DepthReads) else [output.mixing.h_res]
        for part in (output.state, output.u, output.values, *mixed):
            if part is not None and part.requires_grad:
                part.retain_grad()
        recorded.append(output)
        return output

    def make_mixing(index: int, state: torch.Tensor) -> Any:
        return shake.round_mixing(plain_mixing(index, state), index)

    def undo() -> None:
        stack.layer, stack.connection.dynamic_mixing = plain, plain_mixing  # type: ignore[method-assign]

    stack.layer, stack.connection.dynamic_mixing = layer, make_mixing  # type: ignore[method-assign, assignment]
    return recorded, undo


def _keeps_mean(spec: RunSpec) -> bool:
    """Return whether columns of every H_res sum to 1 by construction and nothing but mixing and branch makes the
    state.
    """
    is_exact = spec.family.has_streams and spec.family.columns == "exact" and not spec.maps_coarsely
    return is_exact and spec.block.norm_position != "post"


def _check_mean_law(stack: Stack, outputs: list[LayerOutput]) -> float:
    """Return the largest relative error of mean_i x'[i] = mean_i x[i] + mean(H_post) F over all layers."""
    before, worst = to_numpy(stack.connection.streams(stack.embed())).mean(0), 0.0
    for output in outputs:
        after = to_numpy(stack.connection.streams(output.state)).mean(0)
        share = to_numpy(output.mixing.h_post).mean(-1)
        moved = before + (share[:, None] if share.ndim else share) * to_numpy(output.y)
        worst = max(worst, float(np.abs(after - moved).max() / max(np.abs(after).max(), np.finfo(float).tiny)))
        before = after
    return worst

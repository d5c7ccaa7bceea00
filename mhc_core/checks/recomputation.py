"""Recomputes a spec in float64 by plain autograd, and all its columns by second formulas.

It uses the same network as `run`, but neither the layer loop nor the metrics: states and coefficients are recorded
while the stack runs. `reference_columns` has the formulas of columns, `reference_mixing` those of coefficients, and
`identities` the exact relations. Shapes: L layers, n streams, N samples, C width.
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
# Roundings by which coefficients are disturbed; states are disturbed by `ROUNDINGS`. Effects are divided by this.
SHARED = {"float32": 10.0, "float64": 10.0, "bfloat16": 5.0}
PASSES = 5.0  # cost of a recomputation in float64 runs; 3.4 to 5.9 were measured
BASE_DRAW = 1000  # added to the number of the draw for the run without edits
DISTURBED = 2 / 3 * PASSES  # the part of `PASSES` for two disturbed passes


def to_double(spec: RunSpec) -> RunSpec:
    """Return the float64 twin of a spec: one seed, the same initial weights, without training."""
    body = spec.canonical() | {"dtype": "float64", "seeds": 1, "jacobian": 0}
    # Edits do not act on training steps. Only the first step is recomputed.
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
    """Count the bytes that a recomputation stores in addition to a run: gradients at branch inputs, mixing, and
    Jacobian vectors.
    """
    samples, mixing = spec.input.batch * spec.input.tokens, 2 * spec.streams**2 if spec.connection.is_dynamic else 0
    return 8.0 * samples * (spec.depth * (spec.width + mixing) + 3 * spec.jacobian * spec.width)


def recompute(spec: RunSpec) -> RecomputationFrame:
    """Compute the spec again in float64 with independent formulas: columns, loss, and errors of exact relations.

    For a spec with training, this is the first step before its update: the stack as initialised, with the batch of that
    step.

    `unsure` and `loss_unsure` are the effects of one rounding per layer in the spec's type, in decades for values that
    span decades. They are measured by two disturbed passes, or six, see `_count_draws`. The input, all states and all
    coefficients are changed at random by several roundings, with opposite signs in the two passes, and the change of
    the results is divided by `SHARED`. This includes the amplification of rounding in a chaotic stack. If a unit is so
    close to the kink of relu that rounding may switch it, one of the two passes switches it. Values beyond the range of
    float64 are inf. Memory is that of the whole graph.

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
    """Return the number of random disturbances whose effects determine a tolerance: 3 if coefficients depend on states
    of bfloat16, else 1.

    In one draw, a single number such as a row sum at the first layer changes by |z| times its standard deviation, with
    z standard normal. If it depends on bfloat16 states, the tolerance is 50 |z| times the effect of rounding, which is
    too small in 1 of 80 draws; with three draws, in 1 of 200,000. In other runs, the least tolerance of coefficients is
    much larger than the effect of rounding. Weights over depth also depend on states.
    """
    family = spec.family
    depends = (spec.connection.is_dynamic and family.has_streams) or not family.has_mixing
    return 3 if spec.dtype == "bfloat16" and depends else 1


def _compute(spec: RunSpec, sign: int, draw: int = 0) -> tuple[dict[str, Array], float, float | None, dict[str, Array]]:
    """Return columns, loss, the error of the mean law and the errors of exact relations, in float64.

    sign: 1 or -1 disturbs the pass by rounding; the last two results are then None and {}. 0 does not disturb it.
    """
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
        stack.embed().backward(start.grad)  # gradients of the embedding's parameters, which are trained as well
        columns["step_grad_norm"] = measure_total_gradient(stack)
    has_law = _keeps_mean(twin) and not sign
    value = float(done.loss)
    identities = {}
    if not sign:
        identities = measure_identities(stack, start, outputs, edited.entered, logits)
        identities |= check_ends(stack, start, outputs)
        if spec.family.has_mixing:
            identities |= check_coefficients(stack, streams, edited.seen, outputs)
        else:
            identities |= check_reads(stack, start, outputs)
    return columns, value, _check_mean_law(stack, outputs) if has_law else None, identities


@dataclass(frozen=True)
class _Pass:
    """The first state, the output of each layer, the loss, and columns of the Jacobian ({} if not requested)."""

    start: torch.Tensor
    outputs: list[LayerOutput]
    loss: torch.Tensor
    jacobian: dict[str, Array]


def _run(stack: Stack, shake: "Shake", jacobian: int = 0) -> _Pass:
    """Run a float64 stack forward and backward with rounding errors. `jacobian`: number of Jacobian products."""
    recorded, undo = _record_outputs(stack, shake)
    start = shake.round(stack.embed().detach(), "state", -1).requires_grad_()
    loss = stack.loss(stack.run_layers(start)[0])
    loss.backward()
    outputs = list(recorded)
    columns = compute_jacobian(stack, jacobian) if jacobian else {}
    undo()
    return _Pass(start, outputs, loss.detach(), columns)


def _run_base(stack: Stack, shake: "Shake") -> list[LayerOutput]:
    """Run the recomputed stack without its edits, and give the edits the states and coefficients that they restore.

    Its rounding errors are of another draw, because the two passes of a run are rounded independently.
    """
    with stack.with_edits():
        outputs = _run(stack, replace(shake, draw=shake.draw + BASE_DRAW)).outputs
    stack.zero_grad()
    stack.edits.base = Base.of([detach_output(output) for output in outputs])
    return outputs


@dataclass(frozen=True)
class Shake:
    """Random rounding errors of one draw. `state` and `coefficients` are their signed sizes relative to each entry; 0
    for none.
    """

    state: float
    coefficients: float
    draw: int = 0

    def round(self, tensor: torch.Tensor, name: str, layer: int) -> torch.Tensor:
        """Return a state, or a coefficient with this name, with random rounding errors."""
        size = self.state if name == "state" else self.coefficients
        noise = normal(self.draw, f"rounding.{name}", layer, *tensor.shape).to(tensor) if size else 0.0
        return tensor * (1 + size * noise) if size else tensor

    def round_mixing(self, mixing: Made | Query, layer: int) -> Any:
        """Return the coefficients of a layer with random rounding errors."""
        return type(mixing)(*(self.round(part, name, layer) for name, part in mixing._asdict().items()))


def _record_outputs(stack: Stack, shake: Shake) -> tuple[list[LayerOutput], Callable[[], None]]:
    """Make a stack disturb and record each layer's output, with gradients. Calling the returned function ends this."""
    recorded: list[LayerOutput] = []
    plain, plain_mixing = stack.layer, stack.connection.dynamic_mixing
    is_learned = stack.spec.family.has_coefficients  # in other families coefficients are exactly 0 and 1

    def layer(
        index: int, state: torch.Tensor, mixing: Mixing | None, values: torch.Tensor | None = None
    ) -> LayerOutput:
        """Compute one layer with random rounding errors, and record its output."""
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
    """Return whether the mean law holds: columns of H_res sum to 1 by construction, and there is no post-norm."""
    is_exact = spec.family.has_streams and spec.family.columns == "exact" and not spec.maps_coarsely
    return is_exact and spec.block.norm_position != "post"


def _check_mean_law(stack: Stack, outputs: list[LayerOutput]) -> float:
    """Return the largest relative error over layers of the mean law, mean_i x'[i] = mean_i x[i] + mean(H_post) F."""
    before, worst = to_numpy(stack.connection.streams(stack.embed())).mean(0), 0.0
    for output in outputs:
        after = to_numpy(stack.connection.streams(output.state)).mean(0)
        share = to_numpy(output.mixing.h_post).mean(-1)
        moved = before + (share[:, None] if share.ndim else share) * to_numpy(output.y)
        worst = max(worst, float(np.abs(after - moved).max() / max(np.abs(after).max(), np.finfo(float).tiny)))
        before = after
    return worst

"""Predicts the cost of a run before it starts: parameters, operations, bytes moved, memory and time.

Time is computed from counts (`mhc_core.cost.counts`) and the rates of a machine (`mhc_core.cost.rates`). A run measures
its stack once; training, the Jacobian and further seeds are added.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mhc_core.cost.counts import (
    ITEM_BYTES,
    count_cka_steps,
    count_equivalent_flops,
    count_kept_probe_bytes,
    count_kept_steps,
    count_parameters,
    count_pass_bytes,
    count_pass_calls,
    count_pass_flops,
    count_probe_calls,
    count_probe_flops,
    count_probe_moved_bytes,
    count_rank_flops,
    count_readout_flops,
    count_run_bytes,
    count_samples,
    count_step_probe_bytes,
    count_step_probe_calls,
    count_tape_bytes,
    disturbs,
    recomputes,
)
from mhc_core.cost.rates import DEFAULT_RATES, SMALL_PRODUCT, UP_AND_DOWN, Rates
from mhc_core.cost.shares import MEASURES, REFERENCE, format_added
from mhc_core.layers.blocks import name_layers
from mhc_core.spec import CONNECTION_KINDS, RunSpec

LIBRARY_BYTES = 3.1e8  # memory of a process that has imported torch and run a small spec
# A run's data is less often in the cache than the calibration's; in bfloat16, operators also convert their inputs.
OUT_OF_CACHE = {"float32": 1.35, "float64": 1.2, "bfloat16": 2.4}
LENS_CALLS, READING_CALLS = 60, 20  # operator calls of one probe for all targets, and of one state that is read out
RUN_CALLS = 6000  # operator calls of any run, however small, for its start and end
LOADING_S = 0.7  # at its first use in a process, torch.optim imports torch's compiler
SPREAD = 1.3  # of measured over predicted time, from `python -m benchmarks cost`
UPDATE_PASSES = {"adamw": 20, "sgd": 8}  # passes of the optimiser over all parameters in a step
OPTIMIZER_COPIES = {"adamw": 5, "sgd": 3}  # copies of the parameters: gradients, running means, temporary tensors


# Predicted counts are rounded to integers.
Count = Annotated[int, BeforeValidator(round)]


class Estimate(BaseModel):
    """Predicted cost of one run."""

    model_config = ConfigDict(frozen=True)

    parameters: Count = Field(description="Trainable values of the stack.")
    flops: Count = Field(description="Additions and multiplications of forward, backward and measurement.")
    bytes_moved: Count = Field(description="Bytes that forward and backward read and write.")
    peak_bytes: Count = Field(description="Largest memory of the process, libraries included.")
    seconds: float = Field(description="Time on one idle core of the machine whose rates were used.")
    seconds_low: float = Field(description="What nine of ten runs exceed, as the machine is busy now.")
    seconds_likely: float = Field(description="What half of the runs exceed, as the machine is busy now.")
    seconds_high: float = Field(description="What one of ten runs exceeds, as the machine is busy now.")


def estimate(spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Predict parameters, operations, bytes and seconds of a run of this spec, on a machine with these rates."""
    work = count_work(spec)
    return Estimate(
        parameters=count_parameters(spec),
        flops=_count_flops(spec),
        bytes_moved=count_pass_bytes(spec) * _count_passes(spec) + _count_jacobian(spec).moved_bytes,
        peak_bytes=LIBRARY_BYTES + _count_peak(spec),
        **_spread(_to_seconds(work, rates, spec.dtype), LOADING_S if spec.train.steps else 0.0),
    )


def without_training(cost: Estimate, spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Return the predicted cost if the trained stack is read from a file instead of trained: less time.

    Counts do not change, because the file may be removed before the job starts.
    """
    seconds = cost.seconds - _to_seconds(_count_training(spec), rates, spec.dtype)
    return cost.model_copy(update=_spread(seconds, 0.0))


def without_base(cost: Estimate, spec: RunSpec, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Return the predicted cost of a run with edits and without training if a worker has kept the pass without edits:
    less time.

    Counts do not change, as in `without_training`.
    """
    seconds = cost.seconds - _to_seconds(_count_measured_pass(spec), rates, spec.dtype)
    return cost.model_copy(update=_spread(seconds, 0.0))


def _spread(seconds: float, loading_s: float) -> dict[str, float]:
    """Return the predicted seconds and their quantiles. `loading_s` is added to the upper one."""
    ends = {"seconds_low": seconds / SPREAD, "seconds_high": seconds * SPREAD + loading_s}
    return {"seconds": seconds, "seconds_likely": seconds, **ends}


def _count_passes(spec: RunSpec) -> int:
    """Count all forward and backward passes of a run: of seeds, training, bases of edits, and a disturbed pass."""
    return spec.seeds + (spec.train.steps + 1 if spec.train.steps else 0) + disturbs(spec) + _count_base_passes(spec)


def _count_flops(spec: RunSpec) -> float:
    """Count the operations of all passes, measurements, training steps and Jacobian products of a run."""
    twice = 1 if spec.train.steps else 0  # before training and after
    flops = (spec.seeds + twice) * (count_pass_flops(spec) + count_rank_flops(spec))
    flops += (disturbs(spec) + _count_base_passes(spec)) * count_pass_flops(spec)
    flops += (1 + twice) * count_probe_flops(spec)  # further seeds do not measure CKA
    flops += spec.train.steps * (count_pass_flops(spec) + count_readout_flops(spec))
    flops += count_cka_steps(spec) * count_probe_flops(spec)
    return flops + _jacobian_products(spec) * count_pass_flops(spec) / 3


def _count_peak(spec: RunSpec) -> float:
    """Return the peak memory of a run in bytes: the larger one of measuring or training, and of the Jacobian."""
    run = count_run_bytes(spec, whole_graph=spec.train.steps > 0)
    if spec.train.steps:
        run += OPTIMIZER_COPIES[spec.train.optimizer] * count_parameters(spec) * ITEM_BYTES[spec.dtype]
    return max(run, count_jacobian_bytes(spec) + count_parameters(spec) * ITEM_BYTES[spec.dtype])


class ConnectionCost(Estimate):
    """Cost of one connection in the stack of a spec."""

    connection: str = Field(description="The kind of connection.")
    added: dict[str, str] = Field(description="By measure: what it adds to the residual connection's cost, in words.")


def compare_connections(
    spec: RunSpec, rates: Rates = DEFAULT_RATES, kinds: Iterable[str] = CONNECTION_KINDS
) -> list[ConnectionCost]:
    """Predict the cost of several connections for the same stack. Those that its number of streams excludes are left
    out. Edits do not count: few of them are possible with every connection.

    kinds: the connections, by default all. They must include the residual connection, with which each is compared.
    """
    found: dict[str, Estimate] = {}
    for kind in kinds:
        plain = spec.model_dump()
        plain["connection"]["kind"] = kind
        plain["edits"] = ()
        try:
            other = RunSpec.model_validate(plain)
        except ValueError:  # for example, n is not a power of two
            continue
        found[kind] = estimate(other, rates)
    reference = found[REFERENCE]
    return [_compare_with_residual(kind, cost, reference) for kind, cost in found.items()]


def _compare_with_residual(kind: str, cost: Estimate, reference: Estimate) -> ConnectionCost:
    """Return the cost of one connection, with its excess over the residual connection's in percent."""
    added = {key: format_added(getattr(cost, key) / getattr(reference, key) - 1) for key in MEASURES}
    return ConnectionCost(connection=kind, added=added, **cost.model_dump())


# Time.


@dataclass(frozen=True)
class Work:
    """Counts from which the rates of a machine give seconds.

    flops: operations of matrix products, with a factor for small ones. eigen_flops: operations of eigenvalue problems,
    in float64. moved_bytes: bytes that are read and written. fresh_bytes: bytes of memory used for the first time.
    calls: operator calls. drawn: random values.
    """

    flops: float = 0.0
    eigen_flops: float = 0.0
    moved_bytes: float = 0.0
    fresh_bytes: float = 0.0
    calls: float = 0.0
    drawn: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

    def times(self, count: float) -> "Work":
        """Return this work (operations, bytes, calls) multiplied by `count`."""
        return Work(*(count * one for one in astuple(self)))


def _to_seconds(work: Work, rates: Rates, dtype: str) -> float:
    """Return the seconds that this work takes at these rates."""
    return (
        work.flops / rates.flops_per_s[dtype]
        + work.eigen_flops / rates.eigen_flops_per_s
        + work.moved_bytes / rates.bytes_per_s
        + work.fresh_bytes / rates.fresh_bytes_per_s
        + work.calls * rates.s_per_call
        + work.drawn / rates.drawn_per_s
    )


def count_work(spec: RunSpec) -> Work:
    """Count all work of a run: operations, calls and bytes."""
    work = Work(calls=RUN_CALLS) + _count_measured_pass(spec) + _count_probe(spec)
    work += _count_cka(spec) + _count_drawing(spec)
    if spec.seeds > 1:
        work += (_count_measured_pass(spec) + _count_probe(spec) + _count_drawing(spec)).times(spec.seeds - 1)
    if spec.train.steps:
        work += _count_training(spec) + _count_measured_pass(spec) + _count_probe(spec) + _count_cka(spec)
    if disturbs(spec):
        work += _count_measured_pass(spec)
    work += _count_measured_pass(spec).times(_count_base_passes(spec))
    return work + _count_jacobian(spec)


def _count_training(spec: RunSpec) -> Work:
    """Count the work of training steps, and of the measurements at kept steps."""
    if not spec.train.steps:
        return Work()
    work = _count_step(spec).times(spec.train.steps) + _count_cka(spec).times(count_cka_steps(spec))
    return work + Work(moved_bytes=count_kept_probe_bytes(spec)).times(count_kept_steps(spec))


def _count_base_passes(spec: RunSpec) -> int:
    """Count the passes without edits: one for each measured pass of a run with edits."""
    return (spec.seeds + (1 if spec.train.steps else 0)) if spec.edits else 0


def estimate_atlas_work(spec: RunSpec, cuts: float, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Predict the cost of an atlas with `cuts` cuts per layer on average: forward passes from each layer on."""
    passes = spec.seeds * cuts * (spec.depth + 1) / 2 / 3  # a forward pass is a third of a pass
    together = _count_pass(spec)
    work = Work(calls=RUN_CALLS) + _count_drawing(spec).times(spec.seeds)
    work += Work(together.flops, 0.0, together.moved_bytes).times(passes)
    work += Work(calls=together.calls / UP_AND_DOWN).times(spec.seeds * (spec.depth + 1) / 2 + spec.seeds * cuts)
    seconds, own = _to_seconds(work + _count_training(spec), rates, spec.dtype), estimate(spec, rates)
    times = _spread(seconds, LOADING_S if spec.train.steps else 0.0)
    return own.model_copy(update={"flops": round(count_pass_flops(spec) * passes), **times})


def estimate_lens_work(spec: RunSpec, readings: int, samples: int, rates: Rates = DEFAULT_RATES) -> Estimate:
    """Predict the cost of a lens that reads each row out `readings` times, and probes its streams with `samples`
    samples.
    """
    rows, tokens = spec.depth + 1, count_samples(spec)
    passes = (1 + samples / tokens) / 3
    forward = _count_pass(spec)
    size = min(spec.width, samples // 2)
    # A Gram matrix and its factorisation, then targets with up to 3 x 256 classes, in float64.
    probe_flops = samples * size * spec.width + size**3 / 3 + 4.0 * samples * size * 768
    probes = rows * spec.streams
    work = Work(calls=RUN_CALLS) + _count_drawing(spec) + Work(forward.flops, 0.0, forward.moved_bytes).times(passes)
    work += Work(count_readout_flops(spec) * readings * rows / 3 + probe_flops * probes, calls=LENS_CALLS * probes)
    work += Work(calls=forward.calls / UP_AND_DOWN + READING_CALLS * readings * rows)
    seconds, own = _to_seconds(work + _count_training(spec), rates, spec.dtype), estimate(spec, rates)
    times = _spread(seconds, LOADING_S if spec.train.steps else 0.0)
    states = 8.0 * samples * spec.width * spec.streams
    more = {"flops": round(count_pass_flops(spec) * passes + probe_flops * probes)}
    peak = own.peak_bytes + round(4 * states + 8.0 * samples * 768 + 8.0 * size * size)
    return own.model_copy(update={**more, "peak_bytes": peak, **times})


def _small(spec: RunSpec) -> float:
    """Return the factor by which small matrix products are slower than wide ones."""
    return 1 + SMALL_PRODUCT / spec.width


def _count_measured_pass(spec: RunSpec) -> Work:
    """Return the work of one measured forward and backward pass; to save memory, it may compute layers twice."""
    once = _count_pass(spec)
    return once.times(4 / 3) if recomputes(spec) else once


def _count_pass(spec: RunSpec) -> Work:
    """Return the work of one forward and backward pass: operations, moved bytes and calls."""
    return Work(
        flops=count_pass_flops(spec) * _small(spec) + count_equivalent_flops(spec),
        moved_bytes=OUT_OF_CACHE[spec.dtype] * count_pass_bytes(spec),
        calls=UP_AND_DOWN * count_pass_calls(spec),
    )


def _count_probe(spec: RunSpec) -> Work:
    """Return the work of the measurements of one pass, without the pass itself."""
    return Work(
        eigen_flops=count_rank_flops(spec),
        moved_bytes=OUT_OF_CACHE[spec.dtype] * count_probe_moved_bytes(spec),
        calls=count_probe_calls(spec),
    )


def _count_cka(spec: RunSpec) -> Work:
    return Work(flops=count_probe_flops(spec))


def _count_drawing(spec: RunSpec) -> Work:
    return Work(fresh_bytes=count_run_bytes(spec), drawn=count_parameters(spec))


def _count_step(spec: RunSpec) -> Work:
    """Return the work of one training step: pass, its few measurements, read-out and update of the weights."""
    update = UPDATE_PASSES[spec.train.optimizer] * count_parameters(spec) * ITEM_BYTES[spec.dtype]
    probe = Work(moved_bytes=count_step_probe_bytes(spec), calls=count_step_probe_calls(spec))
    graph = Work(fresh_bytes=count_tape_bytes(spec))  # freed after each step
    return _count_pass(spec) + probe + graph + Work(flops=count_readout_flops(spec) * _small(spec), moved_bytes=update)


# The Jacobian's products: each uses a graph of the whole stack once, and costs about a forward pass.


def _jacobian_products(spec: RunSpec) -> int:
    """Count the products with the Jacobian: two per requested pair, and two to build the graph; 0 without a request."""
    return 2 * spec.jacobian + 2 if spec.jacobian else 0


def _count_jacobian(spec: RunSpec) -> Work:
    """Return the work of the Jacobian's products and of the orthogonalisation of vectors; none without a request."""
    if not spec.jacobian:
        return Work()
    third = _count_pass(spec).times(1 / 3)
    attention = 8 * count_samples(spec) * spec.depth * _attention_values(spec) * ITEM_BYTES[spec.dtype]
    # Each vector is orthogonalised twice against all earlier ones, in both bases.
    orthogonal = 4.0 * spec.jacobian**2 * _vector_bytes(spec)
    products = third + Work(moved_bytes=attention, calls=spec.depth * _count_twice_differentiated_calls(spec))
    graph = Work(moved_bytes=orthogonal, fresh_bytes=count_jacobian_bytes(spec))
    return products.times(_jacobian_products(spec)) + graph


def _count_twice_differentiated_calls(spec: RunSpec) -> float:
    """Count the additional operator calls per layer and Jacobian product, for gradients of gradients."""
    share = name_layers(spec).count("attention") / spec.depth
    rounds = spec.connection.sinkhorn_iters if spec.connection.is_dynamic and spec.family.iterates else 0
    mixing = 80 if spec.connection.is_dynamic else 0
    return 30 + 70 * share + mixing + 8 * rounds


def _attention_values(spec: RunSpec) -> float:
    """Count the attention weights per token and layer, which are stored if attention is differentiated twice."""
    share = name_layers(spec).count("attention") / spec.depth
    return share * spec.block.heads * spec.input.tokens


def _vector_bytes(spec: RunSpec) -> int:
    return count_samples(spec) * spec.width * (8 if spec.dtype == "float64" else 4)


def count_jacobian_bytes(spec: RunSpec) -> float:
    """Count the bytes of a twice differentiable graph of the stack and of both Krylov bases; 0 without a Jacobian."""
    if not spec.jacobian:
        return 0.0
    n = spec.streams
    kept = (2 * spec.block.mlp_ratio + 4) * spec.width + 3 * _attention_values(spec)
    if spec.connection.is_dynamic:
        kept += 6 * n * spec.width
        kept += 5 * n * n * spec.connection.sinkhorn_iters if spec.family.iterates else 0
    tape = count_samples(spec) * spec.depth * kept * ITEM_BYTES[spec.dtype]
    return tape + 2 * spec.jacobian * _vector_bytes(spec)

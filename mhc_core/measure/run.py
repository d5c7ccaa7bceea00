"""Computes a spec: `run(spec)` yields all its frames, from start to summary."""

from collections.abc import Generator, Iterator
from dataclasses import asdict, replace

import numpy as np
import torch

from mhc_core import __version__
from mhc_core.cost.counts import disturbs
from mhc_core.cost.estimates import estimate
from mhc_core.findings import summarise
from mhc_core.inputs import describe_input
from mhc_core.layers.blocks import name_layers
from mhc_core.layers.drift import describe_drift
from mhc_core.measure.bases import Bases
from mhc_core.measure.jacobian import measure_jacobian
from mhc_core.measure.passes import keep_base, measure, measure_disturbed_gradient
from mhc_core.measure.seeds import measure_seeds
from mhc_core.measure.trained import TrainedStacks
from mhc_core.measure.training import train
from mhc_core.metrics.similarity import count_cka_samples
from mhc_core.record.frames import Frame, StartFrame
from mhc_core.record.result import Result
from mhc_core.record.start import (
    CkaEstimator,
    CorpusInput,
    Cost,
    Device,
    DigitsInput,
    DrawnInput,
    Drift,
    Input,
    Law,
    MissingPremise,
    TextInput,
    Versions,
)
from mhc_core.spec import NUMERICS_VERSION, RunSpec, SpecError
from mhc_core.stack import Stack, build_stack
from mhc_core.theory.laws import explain_missing_laws, predict

# Fields of a predicted cost that are the same on every machine.
COUNTS = {"parameters", "flops", "bytes_moved", "peak_bytes"}


def run(spec: RunSpec, trained: TrainedStacks | None = None, bases: Bases | None = None) -> Iterator[Frame]:
    """Compute a spec and yield its frames as soon as they are ready. Closing the generator stops the computation.

    A stack that is among `trained` is not trained again. A run with edits uses the pass without edits in `bases`, if
    there is one.

    Raises
    ------
    SpecError
        If the spec asks for a device that this machine lacks.
    """
    device = choose_device(spec)
    result = Result(keeps_frames=False)
    start = _build_start_frame(spec, device)
    result.add(start)
    yield start  # before the weights are drawn, which takes time
    stack = (bases.find_stack(spec) if bases else None) or build_stack(spec).to(device)
    for frame in _compute_frames(stack, device, trained, bases):
        result.add(frame)
        yield frame
    disturbed_L = measure_disturbed_gradient(stack, device) if disturbs(spec) else None
    if spec.seeds > 1:
        for frame in measure_seeds(spec, device, result):
            result.add(frame)
            yield frame
    yield summarise(spec, result, disturbed_L)


def prepare(spec: RunSpec, bases: Bases) -> Generator[None]:
    """Compute the pass of a spec without its edits in advance, and keep it if there is room.

    Yields after each layer. Closing the generator stops the computation, and nothing is kept.

    Raises
    ------
    SpecError
        If the spec asks for a device that this machine lacks.
    """
    device = choose_device(spec)
    if bases.find(spec) is None and bases.has_room(spec, device):
        yield from keep_base(build_stack(spec).to(device), bases)


def choose_device(spec: RunSpec) -> torch.device:
    """Return the device of the spec. `auto` is CUDA if this machine has a CUDA device, else the CPU.

    Raises
    ------
    SpecError
        If the spec asks for CUDA and this machine has none.
    """
    present = torch.cuda.is_available()
    if spec.device == "cuda" and not present:
        raise SpecError("device", "cuda", "auto or cpu: this machine has no CUDA device")
    return torch.device("cuda" if present and spec.device != "cpu" else "cpu")


def _compute_frames(
    stack: Stack, device: torch.device, trained: TrainedStacks | None, bases: Bases | None
) -> Iterator[Frame]:
    """Yield the frames of the stack as initialised, of training, of the trained stack and of the Jacobian."""
    spec = stack.spec
    yield from measure(stack, device, bases=bases)
    if spec.train.steps:
        with stack.with_edits():
            done = yield from (train(stack) if trained is None else trained.train(stack))
        for frame in measure(stack, device):
            yield replace(frame, step=done)
    if spec.jacobian:
        yield from measure_jacobian(stack, device)


def _build_start_frame(spec: RunSpec, device: torch.device) -> StartFrame:
    """Return the start frame: cost, device, versions, laws and drift, before the first pass."""
    samples = spec.input.batch * spec.input.tokens
    return StartFrame(
        spec=spec.canonical(),
        # Without the time, which differs between machines: a run that is computed again must give the same frames.
        cost=Cost(**estimate(spec).model_dump(include=COUNTS)),
        device=describe_device(device),
        versions=replace(describe_versions(), numerics=NUMERICS_VERSION),
        layers=spec.depth,
        streams=spec.streams,
        width=spec.width,
        blocks=name_layers(spec),
        input=_build_input(spec),
        cka=CkaEstimator(estimator=spec.cka, samples=count_cka_samples(samples, spec.depth)),
        theory=[Law(**curve.to_data()) for curve in predict(spec)],
        drift=_build_drift(spec),
        no_law={key: MissingPremise(**asdict(premise)) for key, premise in explain_missing_laws(spec).items()},
    )


def _build_drift(spec: RunSpec) -> Drift | None:
    """Return the drift of the mixing's parameters for the start frame; None if `describe_drift` has none."""
    drift = describe_drift(spec)
    return drift and Drift(origin=drift.origin.numpy(), draws=drift.draws.numpy())


def _build_input(spec: RunSpec) -> Input:
    """Return the description of the run's input for the start frame."""
    kinds: dict[str, type[Input]] = {"text": TextInput, "corpus": CorpusInput, "digits": DigitsInput}
    return kinds.get(spec.input.kind, DrawnInput)(**describe_input(spec))


def describe_device(device: torch.device) -> Device:
    """Return the type and the model name of a device."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Device(type=device.type, name=name)


def describe_versions() -> Versions:
    """Return the versions of this product, torch and numpy."""
    return Versions(mhc_scope=__version__, torch=torch.__version__, numpy=np.__version__)

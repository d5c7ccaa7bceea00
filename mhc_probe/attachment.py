"""Record a pass of a foreign model and measure it with the probes that measure our own stacks.

Forward hooks record states, branches and mixing. Hooks on tensors and parameters record gradients. No hook returns a
value, so that the model computes the same bits as without them.
"""

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import nn

from mhc_core.record.frames import AnyFrame
from mhc_core.record.result import Result
from mhc_core.record.source import Model, TraceSource
from mhc_probe.candidates import AdapterRecording, Candidates
from mhc_probe.families.finder import build_candidates
from mhc_probe.measurement import build_frames
from mhc_probe.recording import compiled, padding
from mhc_probe.recording.parameter_norms import ParameterNorms
from mhc_probe.recording.pass_recorder import PassRecorder


class Attachment:
    """A probe on a model. It records while it is entered as a context.

    Several forward passes, each with its backward pass, count as one pass over all their samples, as accumulated
    gradients do. Without gradients only the first pass counts. Without a backward pass the result has no gradients, and
    neither have layers that take none, such as those below frozen layers. The attention mask excludes padding. A
    compiled model runs uncompiled while it is recorded.
    """

    def __init__(self, model: nn.Module, candidates: Candidates) -> None:
        self.model, self.candidates = compiled.unwrap(model), candidates
        self._norms = ParameterNorms(candidates.parameters())
        self._recordings = [AdapterRecording(adapter, PassRecorder(self._norms)) for adapter in candidates.adapters]
        for item in self._recordings:
            item.recorder.alternatives = [other.recorder for other in self._recordings if other is not item]
        self._context = ExitStack()

    def __enter__(self) -> "Attachment":
        with ExitStack() as stack:  # remove all hooks if one of them fails
            stack.enter_context(compiled.run_as_written())
            for undo in self._register_hooks():
                stack.callback(undo)
            self._context = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for item in self._recordings:
            for recorded in item.recorder.passes:
                recorded.remove()
        self._context.close()

    def result(self) -> Result:
        """Return the recorded pass as columns, like the result of a run.

        Raises
        ------
        RuntimeError
            If no complete forward pass was recorded.
        SpecError
            If a layer does not receive the state of the layer before.
        """
        result = Result()
        for frame in self.frames():
            result.add(frame)
        return result

    def frames(self) -> list[AnyFrame]:
        """Return the frames of the recorded pass, in the order of a run's. Raises the errors of `result`."""
        recorded, recorder = self.candidates.choose(self._recordings)
        return build_frames(recorded, self._norms, _build_source(self.model), recorder.autocast)

    def _register_hooks(self) -> list[Callable[[], None]]:
        model = self.model
        undo = [model.register_forward_pre_hook(self._begin).remove]
        for adapter, recorder in self._recordings:
            undo += padding.register_hooks(model, adapter.find_inner(), recorder)
            undo += adapter.register_hooks(recorder)
        undo += [handle.remove for handle in self._norms.register_hooks()]
        return [*undo, model.register_forward_hook(self._end).remove]

    def _begin(self, model: nn.Module, inputs: Any) -> None:
        for item in self._recordings:
            item.recorder.begin_call()

    def _end(self, model: nn.Module, inputs: Any, output: Any) -> None:
        """Record the loss, if the model returns one: alone, or as `loss` of its output."""
        loss = output if isinstance(output, torch.Tensor) else getattr(output, "loss", None)
        is_loss = isinstance(loss, torch.Tensor) and loss.numel() == 1
        for item in self._recordings:
            item.recorder.end_call(loss.detach() if is_loss and loss is not None else None)


def _build_source(model: nn.Module) -> TraceSource:
    count = sum(parameter.numel() for parameter in model.parameters())
    return TraceSource(model=Model(name=type(model).__name__, parameters=count), versions=_find_versions(model))


def _find_versions(model: nn.Module) -> dict[str, str]:
    """Return the versions of torch and of the package that defines the model's class, if it has one."""
    package = type(model).__module__.partition(".")[0]
    found = getattr(sys.modules.get(package), "__version__", None)
    return {"torch": torch.__version__} | ({} if found is None else {package: str(found)})


def attach(model: nn.Module, layers: Iterable[nn.Module] | None = None) -> Attachment:
    """Return a probe for a model. It records while it is entered as a context.

    Parameters
    ----------
    model: a model with Hyper-Connections, or a residual model. Its structure proposes the layers, and the first
        forward pass shows how they are joined.
    layers: the layers of a residual model in order; by default they are found. Each takes the residual stream,
        (..., C), as its first argument and returns the next one, alone or first in a tuple; or it is a branch, which
        the calling code adds to the residual stream. A list of lists counts as one list.

    Raises
    ------
    SpecError
        If `layers` is missing and the structure is ambiguous. The message proposes a value for `layers`.
    """
    return Attachment(model, build_candidates(model, layers))

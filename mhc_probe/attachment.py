"""What is heard of a foreign model, handed to the same probes that listen to our own stacks.

Forward hooks bring states, branches and mixing; hooks on tensors and parameters bring their gradients. All of them read
and none returns anything: the model computes what it would compute alone, bit for bit.
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
    """A probe on a model, while it is entered.

    Several forward passes, each with its backward pass, count as one over the samples of all, as gradients that are
    accumulated do; without gradients the first pass counts. The backward pass may be left out; the result then has no
    gradients. What takes no gradient, as the layers below frozen ones, has none either. Padding is left out by the
    attention mask. A compiled model runs as it is written while it is heard.
    """

    def __init__(self, model: nn.Module, candidates: Candidates) -> None:
        self.model, self.candidates = compiled.unwrap(model), candidates
        self._norms = ParameterNorms(candidates.parameters())
        self._recordings = [AdapterRecording(adapter, PassRecorder(self._norms)) for adapter in candidates.adapters]
        for item in self._recordings:
            item.recorder.alternatives = [other.recorder for other in self._recordings if other is not item]
        self._context = ExitStack()

    def __enter__(self) -> "Attachment":
        with ExitStack() as stack:  # what fails half way leaves nothing behind
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
        """The pass as columns, as those of a run.

        Raises
        ------
        RuntimeError
            Where no whole forward pass has been heard.
        SpecError
            Where the layers do not pass one state on.
        """
        result = Result()
        for frame in self.frames():
            result.add(frame)
        return result

    def frames(self) -> list[AnyFrame]:
        """The frames of the pass, in the order of a run's; see `result`."""
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
        """The loss, where the model returns one: alone, or as `loss` of what it returns."""
        loss = output if isinstance(output, torch.Tensor) else getattr(output, "loss", None)
        is_loss = isinstance(loss, torch.Tensor) and loss.numel() == 1
        for item in self._recordings:
            item.recorder.end_call(loss.detach() if is_loss and loss is not None else None)


def _build_source(model: nn.Module) -> TraceSource:
    count = sum(parameter.numel() for parameter in model.parameters())
    return TraceSource(model=Model(name=type(model).__name__, parameters=count), versions=_find_versions(model))


def _find_versions(model: nn.Module) -> dict[str, str]:
    """Versions of torch, and of the package that the model's class is from where that has one."""
    package = type(model).__module__.partition(".")[0]
    found = getattr(sys.modules.get(package), "__version__", None)
    return {"torch": torch.__version__} | ({} if found is None else {package: str(found)})


def attach(model: nn.Module, layers: Iterable[nn.Module] | None = None) -> Attachment:
    """A probe for a model; it listens while it is entered as a context.

    Parameters
    ----------
    model: one with Hyper-Connections, or a residual model. Its structure says where its layers may be, and the first
        forward pass how they are joined.
    layers: of a residual model: its layers in order. Each takes the residual stream, (..., C), as its first argument
        and returns the next one, alone or first in a tuple; or it is a branch, which the code that calls it adds to the
        residual stream. A list of lists counts as one list.

    Raises
    ------
    SpecError
        Where `layers` is not given and the structure does not tell; it says what was seen and proposes `layers`.
    """
    return Attachment(model, build_candidates(model, layers))

"""Record one training pass of a model. Until the pass starts, the model has only one hook."""

import sys
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mhc_core.measure.probe import build_loss_frame
from mhc_core.metrics.gradients import total_norm
from mhc_core.record.frames import AnyFrame, BackwardFrame, ForwardFrame, LossFrame, SimilarityFrame
from mhc_core.record.result import Result
from mhc_probe.attachment import Attachment
from mhc_probe.candidates import Candidates
from mhc_probe.monitor.observation import Observation
from mhc_probe.recording import compiled


class PassObserver:
    """Records the next pass that builds a graph. Passes without a graph, such as evaluations, are skipped.

    Until then the model has one hook. The hooks do not change what the model computes.

    Attributes
    ----------
    has_recorded: whether a complete forward pass was recorded.
    """

    def __init__(self, model: nn.Module, candidates: Candidates) -> None:
        self.model = model
        self.has_recorded = False
        self._attachment = Attachment(model, candidates)
        self._is_attached = False
        self._norms: dict[nn.Parameter, torch.Tensor] = {}
        self._handles: list[RemovableHandle] = [
            model.register_forward_pre_hook(_PendingHook(self), prepend=True, with_kwargs=True)
        ]
        self._context: AbstractContextManager[object] | None = None
        self.prepare()

    def prepare(self) -> None:
        """Run compiled models uncompiled until the pass is recorded, because hooks do not run in compiled code.

        Call it again before each update, because the model may be compiled in the meantime.
        """
        if self._context is None and "torch._dynamo" in sys.modules:
            self._context = compiled.run_as_written()
            self._context.__enter__()

    def stop(self) -> None:
        """Remove all hooks. Do not call this during a call of the model: torch would skip some of the model's hooks."""
        if self._is_attached:
            self._attachment.__exit__(None, None, None)
        self._is_attached = False
        for handle in self._handles:
            handle.remove()
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None

    def read(self, iteration: int, rate: float | None, loss: float | None) -> Observation:
        """Return the observation of the recorded pass. `loss` is used if the model returns none."""
        self.stop()
        frames = self._attachment.frames()
        if loss is not None and not any(isinstance(frame, LossFrame) for frame in frames):
            frames.insert(_find_loss_index(frames), build_loss_frame(loss))
        result = Result()
        for frame in frames:
            result.add(frame)
        return Observation(iteration, frames, result, rate, self._join_norms())

    def attach(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        """Attach the probe when the model is called, if this pass builds a graph."""
        if self._is_attached or not torch.is_grad_enabled():
            return
        known = set(model._forward_pre_hooks)
        self._attachment.__enter__()
        self._is_attached = True
        self._handles += [
            model.register_forward_hook(self._end_pass),
            *(item.register_post_accumulate_grad_hook(self._keep_norm) for item in _list_trainable(model)),
        ]
        _run_added_hooks(model, known, args, kwargs)

    def _end_pass(self, model: nn.Module, inputs: Any, output: Any) -> None:
        self.has_recorded = True

    def _join_norms(self) -> float | None:
        """Return the norm over all parameters, which may be on several devices; None if no gradient arrived."""
        norms = [*self._norms.values()]
        return float(torch.stack([norm.to(norms[0].device) for norm in norms]).norm()) if norms else None

    @torch.no_grad()
    def _keep_norm(self, parameter: torch.Tensor) -> None:
        """Store the norm of a parameter's accumulated gradient, before any clipping."""
        assert isinstance(parameter, nn.Parameter)
        assert parameter.grad is not None
        self._norms[parameter] = total_norm([parameter.grad])


class _PendingHook:
    """The hook that waits for a pass. Copies and pickles of the model contain a hook that does nothing instead."""

    def __init__(self, observer: PassObserver) -> None:
        self._observer = observer

    def __call__(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        """Attach the observer when the model is called, unless it is being compiled."""
        if not torch.compiler.is_compiling():
            self._observer.attach(model, args, kwargs)

    def __reduce__(self) -> tuple[type["_NoOpHook"], tuple[()]]:
        return _NoOpHook, ()


class _NoOpHook:
    """A hook that does nothing."""

    def __call__(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        return


def _list_trainable(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _find_loss_index(frames: list[AnyFrame]) -> int:
    """Return the index at which the loss frame belongs: after the forward frames."""
    down = next((index for index, frame in enumerate(frames) if isinstance(frame, BackwardFrame)), None)
    if down is not None:
        return down
    up = [index for index, frame in enumerate(frames) if isinstance(frame, ForwardFrame | SimilarityFrame)]
    return up[-1] + 1


def _run_added_hooks(model: nn.Module, known: Collection[int], args: Any, kwargs: Any) -> None:
    """Run the forward pre-hooks that the observer added during this call of the model, those not in `known`.

    torch runs only hooks that existed when the call started.
    """
    for key in [key for key in model._forward_pre_hooks if key not in known]:
        hook: Any = model._forward_pre_hooks[key]
        if key in model._forward_pre_hooks_with_kwargs:
            hook(model, args, kwargs)
        else:
            hook(model, args)

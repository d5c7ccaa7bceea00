"""Record a pass of someone's model with hooks, and measure it with the code that measures our own stacks.

Forward hooks record states, branches and mixing. Hooks on tensors and parameters record gradients. Without edits no
hook returns a value, so that the model computes the same bits as without hooks. Edits change values at the hooked
points and not the model itself, so that removing the hooks restores it.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import nn

from mhc_core.record.frames import AnyFrame
from mhc_core.record.result import Result
from mhc_core.record.source import Model, TraceSource
from mhc_core.record.stages import AtlasFrame
from mhc_core.spec import EditSpec, SpecError
from mhc_probe.atlas import Batch, measure_atlas
from mhc_probe.base import BaseRunner
from mhc_probe.candidates import AdapterRecording, Candidates
from mhc_probe.edits import ModelEdits, parse_edits
from mhc_probe.measurement import Unedited, build_frames
from mhc_probe.recording import compiled, padding
from mhc_probe.recording.finder import build_candidates
from mhc_probe.recording.joined import JoinedPasses
from mhc_probe.recording.outputs import LossFunction, find_logits, find_loss, keep_rows
from mhc_probe.recording.parameter_norms import ParameterNorms
from mhc_probe.recording.pass_recorder import PassRecorder, is_in_backward
from mhc_probe.recording.passes import Pass


class Attachment:
    """A probe on a model. It records while it is entered as a context.

    Several forward passes, each with its backward pass, count as one pass over all their samples, as with gradient
    accumulation. Without gradients only the first pass counts. Without a backward pass the result has no gradients;
    layers that receive none, such as those below frozen layers, have none either. The attention mask excludes padding.
    A compiled model runs uncompiled while it is recorded.

    With edits, each call of the model first runs the same batch without edits: forward, and backward from the loss
    that the model returns or that `loss` computes from its output. Without a loss there is no gradient to compare with.
    """

    def __init__(
        self,
        model: nn.Module,
        candidates: Candidates,
        edits: Sequence[EditSpec] = (),
        loss: LossFunction | None = None,
        *,
        keeps_graph: bool = False,
    ) -> None:
        self.model, self.candidates, self.loss = compiled.unwrap(model), candidates, loss
        self._norms = ParameterNorms(candidates.parameters())
        self._recordings = [
            AdapterRecording(adapter, PassRecorder(self._norms, keeps_graph=keeps_graph))
            for adapter in candidates.adapters
        ]
        base = Attachment(model, candidates, loss=loss, keeps_graph=True) if edits else None
        self._base = None if base is None else BaseRunner(base, edits)
        self._edits: ModelEdits | None = None
        self._logits: list[torch.Tensor] = []
        self._scaled: dict[int, Pass] = {}  # passes without edits, with gradients multiplied by the loss's factor
        self._atlas: AtlasFrame | None = None
        self._hooks, self._is_entered = ExitStack(), False
        for item in self._recordings:
            item.recorder.alternatives = [other.recorder for other in self._recordings if other is not item]
        self._context = ExitStack()

    def __enter__(self) -> "Attachment":
        """Register the hooks on the model, which is recorded until the context ends."""
        with ExitStack() as stack:  # remove all hooks if one of them fails
            self._is_entered = True
            stack.callback(self._set_left)
            stack.enter_context(compiled.run_as_written())
            stack.callback(self._remove_hooks)
            if self._base is None:
                self._register_hooks()
            else:
                stack.callback(self.model.register_forward_pre_hook(self._begin_edited, with_kwargs=True).remove)
            self._context = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove all hooks from the model and from gradients."""
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
        """Return the frames of the recorded pass, in the order of a run's frames. Raises the errors of `result`."""
        recorded, recorder = self.choose()
        unedited = None
        if self._base is not None and self._edits is not None:
            _require_applied(self._edits)
            self._drop_unscaled(self._base.attachment)
            unedited = Unedited(self._base.join(), self._edits, self._base.edits, self._base.logits, self._logits)
        source = _build_source(self.model, () if self._base is None else self._base.edits)
        frames = build_frames(recorded, self._norms, source, recorder.autocast, unedited)
        return frames if self._atlas is None else [*frames[:-1], self._atlas, frames[-1]]

    def atlas(self, batch: Batch, progress: Callable[[float], object] | None = None) -> AtlasFrame:
        """Return what every single cut of a stream, or of a branch of a plain model, does to loss and output.

        Each stream of each layer is cut in three ways: set to 0, set to its mean over tokens, and kept from receiving
        anything from other streams. Each cut is one forward pass of the whole model. The model is unchanged afterwards,
        even if the call is interrupted. `frames` and `result` then contain the atlas too.

        Parameters
        ----------
        batch: keyword arguments of the model, or a function that calls it once.
        progress: called with the fraction of cuts that are done, from 0 to 1.

        Raises
        ------
        SpecError
            If nothing of the model can be cut.
        RuntimeError
            If the attachment is entered as a context: its hooks would record each cut.
        """
        if self._is_entered:
            raise RuntimeError("an atlas is measured outside of the context")
        self._atlas = measure_atlas(Attachment(self.model, self.candidates, loss=self.loss), batch, progress)
        return self._atlas

    # ---- used by `BaseRunner` and `measure_atlas`, for which an attachment records the pass without edits

    @property
    def has_passes(self) -> bool:
        """Return whether any layer of the model was recorded."""
        return any(item.recorder.passes for item in self._recordings)

    def choose(self) -> tuple[JoinedPasses, PassRecorder]:
        """Choose the adapter that the recorded states confirm; return its passes, joined into one, and its recorder."""
        return self.candidates.choose(self._recordings)

    def get_latest(self) -> Pass:
        """Return the latest recorded pass of the chosen adapter."""
        (adapter,) = self.candidates.adapters
        return next(item.recorder.passes[-1] for item in self._recordings if item.adapter is adapter)

    def take_watched(self) -> list[torch.Tensor]:
        """Return the states of the recorded passes with their graphs, and release the recorders' references to them."""
        found = [tensor for item in self._recordings for one in item.recorder.passes for tensor in one.watched]
        for item in self._recordings:
            for one in item.recorder.passes:
                one.watched = []
        return list({id(tensor): tensor for tensor in found}.values())

    # ---- hooks

    def _set_left(self) -> None:
        self._is_entered = False

    def _register_hooks(self) -> None:
        """Register hooks on the model, after removing those registered earlier."""
        self._remove_hooks()
        with ExitStack() as stack:  # remove all hooks if one of them fails
            for undo in self._list_hooks():
                stack.callback(undo)
            self._hooks = stack.pop_all()

    def _remove_hooks(self) -> None:
        self._hooks.close()

    def _list_hooks(self) -> Iterator[Callable[[], None]]:
        """Register hooks on the model, and yield for each a function that removes it."""
        model, edits = self.model, self._edits
        if edits is None:
            yield model.register_forward_pre_hook(self._begin_call).remove
        for adapter, recorder in self._recordings:
            if edits is None:
                yield from padding.register_hooks(model, adapter.find_inner(), recorder)
            if adapter in self.candidates.adapters:  # the pass without edits may have excluded the others
                yield from adapter.register_hooks(recorder, edits)
        yield from (handle.remove for handle in self._norms.register_hooks())
        yield from (handle.remove for handle in ([] if edits is None else edits.register_heads()))
        yield model.register_forward_hook(self._end_call).remove

    def _begin_edited(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        """Run a batch without edits before its call with edits. A recomputation in backward keeps its call's edits."""
        assert self._base is not None, "there are edits"
        if is_in_backward() or self._base.is_running:
            return
        if not self._base.is_due:
            return  # while a model generates, only the first pass is recorded, but all are edited
        self._remove_hooks()
        self._edits = self._base.run(args, kwargs)
        self._register_hooks()
        # Called directly: torch has already listed the hooks of this call, and would not run one registered now.
        self._begin_call(model, args)
        for item in self._recordings:
            item.recorder.mask = self._edits.base.latest.mask

    def _scale_base(self, base: Pass, grad: torch.Tensor) -> None:
        """Multiply the gradients without edits by `grad`, the factor of the loss from accumulation or a loss scaler."""
        if id(base) not in self._scaled:
            self._scaled[id(base)] = base
            base.scale_gradients(grad.detach().sum())

    def _drop_unscaled(self, base: "Attachment") -> None:
        """Drop the gradients that `base`, the attachment without edits, recorded of passes whose loss was not
        differentiated.
        """
        for item in base._recordings:
            for one in item.recorder.passes:
                if self.loss is None and id(one) not in self._scaled:
                    one.scale_gradients(None)

    def _begin_call(self, model: nn.Module, inputs: Any) -> None:
        """Mark the start of a call of the model in all recorders."""
        for item in self._recordings:
            item.recorder.begin_call()

    def _end_call(self, model: nn.Module, inputs: Any, output: Any) -> None:
        """Record the loss, if the model returns one, and the logits of an edited pass."""
        with torch.no_grad():
            loss = find_loss(output, self.loss)
        for item in self._recordings:
            item.recorder.end_call(None if loss is None else loss.detach())
        if self._edits is None or self._base is None:
            return
        own, base = find_loss(output), self._edits.base.latest
        if self.loss is None and own is not None and own.requires_grad and id(base) not in self._scaled:
            own.register_hook(partial(self._scale_base, base))
        logits = find_logits(output)
        if logits is not None and len(self._logits) < len(self._base.logits):
            self._logits.append(keep_rows(logits, self._edits.base.latest.mask))


def _build_source(model: nn.Module, edits: Sequence[EditSpec]) -> TraceSource:
    """Return the source of the recording: the model's name and size, versions and edits."""
    count = sum(parameter.numel() for parameter in model.parameters())
    return TraceSource(
        model=Model(name=type(model).__name__, parameters=count),
        versions=_find_versions(model),
        edits=[edit.model_dump(mode="json", exclude_none=True) for edit in edits] or None,
    )


def _find_versions(model: nn.Module) -> dict[str, str]:
    """Return the versions of torch and of the package that defines the model's class, if it has one."""
    package = type(model).__module__.partition(".")[0]
    found = getattr(sys.modules.get(package), "__version__", None)
    return {"torch": torch.__version__} | ({} if found is None else {package: str(found)})


def _require_applied(edits: ModelEdits) -> None:
    """Raise SpecError if an edit was not applied because the edited pass did not reach its layer."""
    for place, layer in edits.list_missed()[:1]:
        got, wanted = f"layer {layer}, which the edited pass did not reach as before", "a layer of the pass"
        raise SpecError(f"edits.{place}.layers", got, wanted, f"Edit {place + 1}: layer {layer} was not reached again.")


def attach(
    model: nn.Module,
    layers: Iterable[nn.Module] | None = None,
    edits: Sequence[EditSpec | dict[str, Any]] = (),
    loss: LossFunction | None = None,
) -> Attachment:
    """Return a probe for a model. It records while it is entered as a context.

    Parameters
    ----------
    model: a model with Hyper-Connections, or a residual model. Its structure proposes the layers, and the first
        forward pass shows how they are joined.
    layers: the layers of a residual model in order; by default they are found. Each takes the residual stream,
        (..., C), as its first argument and returns the next one, alone or first in a tuple; or it is a branch, which
        the calling code adds to the residual stream. A list of lists counts as one list.
    edits: interventions, with the fields of a spec's edits; see docs/models.md. While the context is entered, each call
        of the model runs twice: once without the edits, and once with them. Leaving the context restores the model.
    loss: function that computes the loss from the model's output; by default the loss is the output itself or its
        attribute `loss`.

    Raises
    ------
    SpecError
        If `model` is not a module, or `layers` is missing and the structure is ambiguous. The message then proposes a
        value for `layers`.
    SpecErrors
        If an edit is invalid. Whether the model allows it is checked when the model is called, which raises SpecError.
    """
    if not isinstance(model, nn.Module):
        raise SpecError("model", model, "a module of torch")
    return Attachment(model, build_candidates(model, layers), parse_edits(edits), loss)

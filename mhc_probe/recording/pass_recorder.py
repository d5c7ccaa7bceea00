"""Group the events of hooks into passes.

A pass begins with the call of the model, or with the first layer if a part of the model is called alone. A layer that
is entered twice within a pass counts once, for example if the model calls it twice or a backward pass recomputes it.
Gradients of a recomputed layer are recorded if its first forward pass had no graph.
"""

from collections.abc import Sequence

import torch

from mhc_probe.adapter import LayerPass
from mhc_probe.recording.operations import OperationTracker
from mhc_probe.recording.parameter_norms import ParameterNorms
from mhc_probe.recording.passes import Pass


class PassRecorder:
    """Records the passes of one attachment in order, as reported by one adapter. Implements `adapter.LayerRecorder`.

    Without a graph it records only the first pass, because later passes of a generation use a cache and do not run over
    the whole text.
    """

    def __init__(self, norms: ParameterNorms, *, keeps_graph: bool = False) -> None:
        self.operations, self.norms, self._keeps_graph = OperationTracker(), norms, keeps_graph
        self.passes: list[Pass] = []
        self.mask: torch.Tensor | None = None
        self.autocast: torch.dtype | None = (
            None  # type of products under autocast, which may be entered inside the model
        )
        self.returned = 0  # completed calls of the model
        self.alternatives: list[PassRecorder] = []  # recorders of other adapters on the same model
        self.is_confirmed, self._is_discarded = False, False
        self._call, self._is_open = 0, False

    def begin_call(self) -> None:
        """Mark the start of a call of the model."""
        self._call, self._is_open, self.mask = self._call + 1, True, None

    def end_call(self, loss: torch.Tensor | None) -> None:
        """Mark the end of a call of the model, and store its loss."""
        self._is_open = False
        self.returned += 1
        if self.passes and self.passes[-1].call == self._call:
            self.passes[-1].loss = loss
            self.passes[-1].is_done = True

    def confirm(self) -> None:
        """Mark this adapter as confirmed by the pass, and discard the recordings of all other adapters."""
        if not self.is_confirmed:
            self.is_confirmed = True
            for alternative in self.alternatives:
                alternative.discard()

    def discard(self) -> None:
        """Stop recording, and drop all recorded passes."""
        for recorded in self.passes:
            recorded.remove()
        self.passes, self._is_discarded = [], True

    def enter(self, site: int, state: torch.Tensor, edited: torch.Tensor | None = None) -> bool:
        """Record the state that enters a layer; return whether the layer is recorded in this call."""
        if self._is_discarded:
            return False
        if is_in_backward():
            return self._enter_again(site, state)
        if not self._is_new(site):
            return False
        if not self._continues(site):
            if self.passes and not torch.is_grad_enabled():
                return False
            if not self.passes:
                self.norms.begin()
            self.passes.append(Pass(self._call if self._is_open else 0, self.mask, keeps_graph=self._keeps_graph))
        self.passes[-1].enter(site, state, edited)
        device = state.device.type
        self.autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        return True

    def read(self, site: int, u: torch.Tensor) -> None:
        self.passes[-1].read(site, u)

    def read_inside(
        self, site: int, state: torch.Tensor, outputs: Sequence[torch.Tensor], stream: int | None = None
    ) -> None:
        """Record the gradient that reaches a layer's state, or one of its streams, through `outputs` alone."""
        self.passes[-1].read_inside(site, state, outputs, stream)

    def leave(self, site: int, written: LayerPass) -> None:
        """Record the output of a layer, or hook its gradient in a recomputation."""
        if self._is_discarded:  # since the layer was entered
            return
        recorded = self.passes[-1]
        if not is_in_backward():
            recorded.leave(site, written)
        elif not recorded.layers[site].awaits_grad_after:
            recorded.hook_gradient(recorded.layers[site], written)

    def _is_new(self, site: int) -> bool:
        """Return whether this call of the model enters the layer for the first time."""
        last = self.passes[-1] if self.passes else None
        return not (self._is_open and last is not None and last.call == self._call and site in last.layers)

    def _continues(self, site: int) -> bool:
        """Return whether the layer belongs to the current pass."""
        last = self.passes[-1] if self.passes else None
        if last is None or last.is_done or site in last.layers:
            return False
        return last.call == (self._call if self._is_open else 0)

    def _enter_again(self, site: int, state: torch.Tensor) -> bool:
        """Return whether to record a recomputed layer, which is necessary only if a hook on its gradient is missing."""
        layer = self.passes[-1].layers.get(site) if self.passes else None
        return layer is not None and not layer.is_whole


def is_in_backward() -> bool:
    """Return whether this thread is inside a backward pass. A forward pass within one is a recomputation."""
    return bool(torch._C._current_graph_task_id() != -1)

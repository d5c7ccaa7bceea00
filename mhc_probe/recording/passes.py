"""Record one forward pass of a model, layer by layer, with its gradients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from weakref import ref

import torch
from torch.utils.hooks import RemovableHandle

from mhc_probe.adapter import LayerPass
from mhc_probe.recording.edges import list_edges


class StateCopy:
    """A copy of a state that can recognise its original without comparing values."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._original, self._version = ref(tensor), tensor._version
        # The model may change its own tensor in place before this one is measured.
        self.values = tensor.detach().clone()

    def is_of(self, tensor: torch.Tensor) -> bool:
        """Return whether this is a copy of that tensor object, which was not changed in place since."""
        return tensor is self._original() and tensor._version == self._version


@dataclass
class RecordedLayer:
    """The input, output and coefficients of one layer, without their graph, and its gradients."""

    site: int
    state: StateCopy
    edited: torch.Tensor | None = None  # the edited state that the layer used, if an edit replaced the state
    u: torch.Tensor | None = None
    written: LayerPass | None = None
    after: StateCopy | None = None
    grad_after: torch.Tensor | None = None
    grad_u: torch.Tensor | None = None
    awaits_grad_after: bool = False  # whether a hook waits for it, on the first or on a recomputed forward pass
    awaits_grad_u: bool = False
    parts_left: int = 0  # number of the state's tensors whose gradient has not arrived
    handles: list[RemovableHandle] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Return whether the gradients after the layer and at its branch input are recorded or awaited by hooks."""
        return self.awaits_grad_after and (self.u is None or self.awaits_grad_u)

    def get_written(self) -> LayerPass:
        """Return the output that the adapter recorded for the layer, which must have returned."""
        assert self.written is not None, "the layer has been left"
        return self.written


class Pass:
    """The layers of one forward pass in the order in which they were entered."""

    def __init__(self, call: int, mask: torch.Tensor | None, *, keeps_graph: bool = False) -> None:
        self.call, self.mask = call, mask
        self._keeps_graph = keeps_graph
        self.watched: list[torch.Tensor] = []  # states with their graph, if `keeps_graph`
        self.layers: dict[int, RecordedLayer] = {}
        self.grad_input: torch.Tensor | None = None
        self.loss: torch.Tensor | None = None
        self.handles: list[RemovableHandle] = []
        self.is_done = False

    def enter(self, site: int, state: torch.Tensor, edited: torch.Tensor | None = None) -> None:
        """Add a layer that this pass has not entered before, with the state that enters it."""
        before = next(reversed(self.layers.values()), None)
        if before is not None and before.after is not None and before.after.is_of(state):
            copy = before.after
        else:
            copy = StateCopy(state)
        if before is None and state.requires_grad:
            self.handles.append(state.register_hook(self._take_input))
            self._keep_graph_of([state])
        self.layers[site] = RecordedLayer(site, copy, None if edited is None else edited.detach().clone())

    def read(self, site: int, u: torch.Tensor) -> None:
        """Record the input of a layer's branch, and hook its gradient."""
        layer = self.layers[site]
        layer.u = u.detach().clone() if layer.u is None else layer.u
        layer.awaits_grad_u = u.requires_grad
        if u.requires_grad:
            self.handles.append(u.register_hook(partial(self._take_u, layer)))

    def read_inside(self, site: int, state: torch.Tensor, outputs: Sequence[torch.Tensor], stream: int | None) -> None:
        """Measure the gradient at the input of a branch that reads the state, or one of its streams, inside its module.

        It is the sum of the gradients that reach the state through the graphs of `outputs`, which hooks collect.
        """
        layer = self.layers[site]
        if stream is not None:
            layer.u = state[stream].detach().clone() if layer.u is None else layer.u
        for node, place in list_edges(state, outputs):
            layer.awaits_grad_u = True
            self.handles.append(node.register_hook(partial(self._add_u, layer, place, stream)))

    def leave(self, site: int, written: LayerPass) -> None:
        """Record the output of a layer, and hook its gradient. A second call replaces the first."""
        layer = self.layers[site]
        if layer.after is not None and layer.after.is_of(written.after):
            layer.written = _detach_layer(written, layer.after.values)
            return
        layer.after = StateCopy(written.after)
        layer.written = _detach_layer(written, layer.after.values)
        self.hook_gradient(layer, written)

    def hook_gradient(self, layer: RecordedLayer, written: LayerPass) -> None:
        """Hook the gradient of the state after a layer, and remove earlier hooks."""
        for handle in layer.handles:
            handle.remove()
        parts = [part for part in written.parts or (written.after,) if part.requires_grad]
        layer.awaits_grad_after, layer.parts_left = bool(parts), len(parts)
        layer.handles = [part.register_hook(partial(self._take_after, layer, written.to_state_grad)) for part in parts]
        self._keep_graph_of(parts)

    def scale_gradients(self, factor: torch.Tensor | None) -> None:
        """Multiply the gradients of all states after layers by a factor; None drops them."""
        for layer in self.layers.values():
            if layer.grad_after is not None:
                layer.grad_after = None if factor is None else layer.grad_after * factor.to(layer.grad_after)

    def remove(self) -> None:
        """Remove all hooks on gradients of the pass."""
        for handle in (*self.handles, *(handle for layer in self.layers.values() for handle in layer.handles)):
            handle.remove()

    def _keep_graph_of(self, tensors: Sequence[torch.Tensor]) -> None:
        """Store tensors of the pass with their graph, if the caller needs it."""
        if self._keeps_graph:
            self.watched += tensors

    def _take_input(self, grad: torch.Tensor) -> None:
        """Store the gradient of the state before the layers. A second backward pass raises RuntimeError."""
        _refuse_second(self.grad_input)
        self.grad_input = grad.detach()

    def _take_u(self, layer: RecordedLayer, grad: torch.Tensor) -> None:
        layer.grad_u = grad.detach()

    def _add_u(
        self,
        layer: RecordedLayer,
        place: int,
        stream: int | None,
        grads: Sequence[torch.Tensor | None],
        outer: object,
    ) -> None:
        """Add one part of the gradient at a branch's input."""
        grad = grads[place]
        if grad is not None:
            grad = grad.detach() if stream is None else grad[stream].detach()
            layer.grad_u = grad if layer.grad_u is None else layer.grad_u + grad

    def _take_after(
        self, layer: RecordedLayer, to_state_grad: Callable[[torch.Tensor], torch.Tensor] | None, grad: torch.Tensor
    ) -> None:
        """Add one part of the gradient of the state after a layer. A second backward pass raises RuntimeError."""
        if not layer.parts_left:
            _refuse_second(layer.grad_after)
        layer.parts_left -= 1
        grad = grad.detach() if to_state_grad is None else to_state_grad(grad.detach())
        layer.grad_after = grad if layer.grad_after is None else layer.grad_after + grad


def _refuse_second(taken: torch.Tensor | None) -> None:
    """Raise RuntimeError if a gradient was recorded before: only one backward pass per forward pass is supported."""
    if taken is not None:
        raise RuntimeError("a second backward pass through one forward pass: a probe records one")


def _detach_layer(written: LayerPass, after: torch.Tensor) -> LayerPass:
    """Return the output of a layer with all tensors detached from the graph."""
    parts = [None if part is None else part.detach() for part in (written.y, written.h_pre, written.h_post)]
    matrices = tuple(h.detach() for h in written.h_res)
    return written._replace(
        after=after, y=parts[0], h_pre=parts[1], h_post=parts[2], h_res=matrices, parts=(), to_state_grad=None
    )

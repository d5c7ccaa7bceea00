"""Record residual models, in which each layer adds its output to one stream and returns the sum."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from mhc_core.spec import SpecError
from mhc_core.spec.edit import What
from mhc_probe.adapter import Adapter, LayerPass, LayerRecorder, LayerSite
from mhc_probe.edits import ModelEdits
from mhc_probe.recording.joined import JoinedLayer, JoinedPasses
from mhc_probe.recording.paths import name_layers
from mhc_probe.recording.values import find_state, list_tensors, replace_tensor

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
READS = (
    "layers that add to one state; or modules that take the list of all earlier outputs and return their weighted sum;"
    " or layers whose branches are modules, each with an input that is read from all listed tensors and the state by"
    " softmax of their products with a query, and with an output that is added to the state or starts the next one"
)


class Residual(Adapter):
    """Adapter for layers x' = c x + y. The state is (..., C), or (B, C, ...) for convolutional layers; n = 1.

    c is the factor by which the layer multiplies the state; 1 in a plain residual layer. If a norm or an activation
    follows the sum, c and y are unknown. Each listed module is one layer: attention and MLP of a transformer block
    count together.
    """

    def __init__(self, model: nn.Module, layers: Sequence[nn.Module]) -> None:
        self.model, self.layers = model, layers
        self.sites = [LayerSite(type(layer).__name__, []) for layer in self.layers]
        self._axis: dict[torch.Size, int] = {}
        self.lists: dict[int, int] = {}  # site -> number of tensors of the state's shape in lists that it returns

    def register_hooks(self, recorder: LayerRecorder, edits: ModelEdits | None = None) -> list[Callable[[], None]]:
        """Hook the layers; return functions that remove the hooks."""
        calls: dict[nn.Module, list[int]] = defaultdict(list)
        for site, layer in enumerate(self.layers):
            calls[layer].append(site)
        undo: list[Callable[[], None]] = []
        for layer, sites in calls.items():
            call = _Call(self, recorder, sites, edits)
            undo.append(layer.register_forward_pre_hook(call.enter, with_kwargs=True).remove)
            undo.append(layer.register_forward_hook(call.leave, always_call=True).remove)
        return undo

    def parameters(self) -> list[nn.Parameter]:
        return list(dict.fromkeys(parameter for layer in self.layers for parameter in layer.parameters()))

    def find_inner(self) -> nn.Module:
        return self.layers[0]

    def to_streams(self, state: torch.Tensor) -> torch.Tensor:
        return self.to_rows(state).unsqueeze(0)

    def to_rows(self, x: torch.Tensor) -> torch.Tensor:
        """Return a state or output (..., C) as rows (N, C), with the axis of channels last."""
        if x.shape not in self._axis:
            self._axis[x.shape] = find_channels(self.layers[0], x.shape)
        return x.movedim(self._axis[x.shape], -1).flatten(0, -2)

    def from_rows(self, x_NC: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return rows (N, C) with the axes of another state."""
        axis = self._axis[like.shape]
        return x_NC.view(like.movedim(axis, -1).shape).movedim(-1, axis)

    def edits_for(self, layer: JoinedLayer) -> list[What]:
        """List what edits can change in a layer: its branch, if the layer is called once and c and y are known."""
        is_called_once = list(self.layers).count(self.layers[layer.site]) == 1
        return ["branch"] if layer.h_res and layer.y_NC is not None and is_called_once else []

    def find_parts(self, layer: JoinedLayer) -> list[nn.Module]:
        return [self.layers[layer.site]]

    def find_excess(self) -> SpecError | None:
        """Return an error if the layers return growing lists, so that the model is not residual; else None."""
        # Models with attention over depth by functions return such lists; `SourceLists` supports some of them.
        sizes = [size for _, size in sorted(self.lists.items())]
        if not sizes or sizes != sorted(sizes) or sizes[0] == sizes[-1]:
            return None
        return SpecError("model", f"layers that return lists of {sizes[0]} to {sizes[-1]} earlier outputs", READS)

    def matches(self, recorded: JoinedPasses, autocast: torch.dtype | None) -> bool:
        return any(layer.h_res for layer in recorded.layers)

    def propose(self, sites: Sequence[int]) -> str | None:
        """Return the argument `layers=` that lists these layers, as an expression of `model`; None if there is none."""
        name = name_layers(self.model, [self.layers[site] for site in sites])
        return None if name is None else f"layers={name}"


class _Call:
    """Hooks on one module, which is one layer, or several layers if it is called repeatedly."""

    def __init__(self, adapter: Residual, recorder: LayerRecorder, sites: list[int], edits: ModelEdits | None) -> None:
        self.adapter, self.recorder, self.sites = adapter, recorder, sites
        # An edited module is called once: see `Residual.edits_for`.
        self.edits = edits if edits is not None and edits.touches(sites[0], "branch") else None
        self.site: int | None = None
        self.entered: torch.Tensor | None = None  # the entering state with its graph, if the branch is edited
        self.before = torch.empty(0)

    def enter(self, layer: nn.Module, args: Any, kwargs: Any) -> None:
        """Record the state that enters the layer, and track it through the layer's operations."""
        state = find_state(args, kwargs)
        self.site = None
        # A copy: the layer may add in place.
        self.entered = None if state is None or self.edits is None else state.clone()
        if state is not None:
            self.site = next((site for site in self.sites if self.recorder.enter(site, state)), None)
        if state is not None and self.site is not None:
            self.before = state.detach().clone()  # the layer may add in place
            self.recorder.operations.follow(state)

    def leave(self, layer: nn.Module, args: Any, output: Any) -> Any:
        """Record the output of the layer. A layer that raised has no output."""
        after, factor = find_state(output, None), 0.0
        if self.site is not None:
            factor = 0.0 if after is None else self.recorder.operations.find_factor(after)
            self.recorder.operations.stop()
        changed, self.entered = self._edit(self.entered, after), None
        if changed is not None:
            assert after is not None, "it was changed"
            output, after = replace_tensor(output, after, changed), changed
        site, self.site = self.site, None
        if site is not None and after is not None:
            self.adapter.lists[site] = _count_listed(output, after.shape)
            self.recorder.leave(site, self._build_layer_pass(layer, after, factor))
        return None if changed is None else output

    def _edit(self, entered: torch.Tensor | None, after: torch.Tensor | None) -> torch.Tensor | None:
        """Return c x plus the branch's edited output, which replaces the layer's output; None if it is not edited."""
        if self.edits is None or entered is None or after is None:
            return None
        passed = entered.to(after.device) * float(self.edits.get_layer(self.sites[0]).h_res[0])
        return passed + self.edits.output(self.sites[0], after - passed)

    @torch.no_grad()
    def _build_layer_pass(self, layer: nn.Module, after: torch.Tensor, factor: float) -> LayerPass:
        """Return the record of the layer, x' = c x + y; c and y are unknown if `factor` is 0 or the shape changes."""
        before, self.before = self.before, torch.empty(0)
        one = torch.ones(1, dtype=torch.float32, device=after.device)
        write = partial(LayerPass, after=after, h_pre=one, name=type(layer).__name__, weights=list(layer.parameters()))
        if not factor or after.shape != before.shape:
            return write(y=None, h_post=None, h_res=())
        return write(y=subtract(after, before, factor), h_post=one, h_res=((factor * one).view(1, 1),))


def _count_listed(output: Any, shape: torch.Size) -> int:
    """Count the floating-point tensors of that shape in lists among the parts of a layer's output."""
    lists = [part for part in output if isinstance(part, list)] if isinstance(output, tuple) else []
    return sum(x.shape == shape and x.is_floating_point() for x in list_tensors(lists))


def subtract(after: torch.Tensor, before: torch.Tensor, factor: float) -> torch.Tensor:
    """Return the branch output y of x' = c x + y, computed at least in float32."""
    wide = torch.promote_types(after.dtype, torch.float32)
    return after.to(wide) - before.to(after.device, wide) * factor


def find_channels(layer: nn.Module, shape: torch.Size) -> int:
    """Return the axis of the channels in a state that enters the layer, from the shapes of its weights.

    Raises
    ------
    SpecError
        If neither a weight has the size of the last axis nor a convolution that of the second; or if another axis has
        the streams, because a weight maps n to n^2 numbers or maps all nC features to coefficients.
    """
    shapes = {tuple(sorted(parameter.shape)) for parameter in layer.parameters() if parameter.ndim == 2}
    if len(shape) > 3 and any(shapes & _list_joint_maps(n, shape[-1]) for n in shape[:-1] if n > 1):
        raise SpecError("layers", f"a state {tuple(shape)} of streams that layers mix", "layers of one stream (..., C)")
    width = [k for parameter in layer.parameters() for k in parameter.shape]
    is_last = shape[-1] in width
    is_second = len(shape) > 2 and any(
        isinstance(module, CONVOLUTIONS) and module.in_channels == shape[1] for module in layer.modules()
    )
    order = [(is_second, 1), (is_last, -1)] if len(shape) > 3 else [(is_last, -1), (is_second, 1)]
    for is_found, axis in order:
        if is_found:
            return axis
    raise SpecError("layers", f"a state {tuple(shape)}", "one whose last or second axis is as wide as a weight is")


def _list_joint_maps(n: int, width: int) -> set[tuple[int, int]]:
    """Return the shapes of weights, smaller number first, that only layers with n streams of this width have."""
    return {(n, n * n)} | {(rows, n * width) for rows in (n, 2 * n, n * n + n, n * n + 2 * n) if rows < n * width}

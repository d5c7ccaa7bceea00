"""What is heard of a foreign model, handed to the same probes that listen to our own stacks.

Forward hooks bring states, branches and mixing; hooks on tensors and parameters bring their gradients. All of them read
and none returns anything: the model computes what it would compute alone, bit for bit.
"""

import sys
from collections import defaultdict
from functools import partial
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mhc_core.attach.adapter import Adapter
from mhc_core.connections import Mixing
from mhc_core.findings import summarise_captured
from mhc_core.measure.layout import Layout
from mhc_core.measure.probe import (
    INPUT_LAYER,
    BackwardProbe,
    ForwardProbe,
    build_loss_frame,
    build_mixing_frame,
)
from mhc_core.measure.run import describe_device, describe_versions
from mhc_core.metrics.gradients import join_norms, total_norm
from mhc_core.metrics.token_products import to_gains
from mhc_core.record.columns import fetch
from mhc_core.record.frames import AnyFrame, BackwardFrame, StartFrame
from mhc_core.record.result import Result
from mhc_core.record.source import Model, TraceSource
from mhc_core.record.start import CapturedInput
from mhc_core.stack import LayerOutput


class Attachment:
    """A probe on a model, for one forward and one backward pass while it is entered.

    The backward pass may be left out; the result then has no gradients. What takes no gradient, as the layers below
    frozen ones, has none either. Padding counts as samples.
    """

    def __init__(self, model: nn.Module, adapter: Adapter) -> None:
        self.model, self.adapter = model, adapter
        self._handles: list[RemovableHandle] = []
        self._layout: Layout | None = None
        self._up: list[AnyFrame] = []
        self._down: list[BackwardFrame] = []
        self._loss: torch.Tensor | None = None
        self._entered, self._ended = 0, False
        self._waiting: dict[str, Any] = {}  # of the layer whose next state has not come: u, y, mixing
        self._reached = len(adapter.sites)  # the place whose gradient came last
        self._grad: torch.Tensor | None = None
        self._h_res: list[torch.Tensor] = []
        self._plain: set[int] = set()  # layers that read the one stream itself
        self._grads_u: dict[int, torch.Tensor] = {}
        self._weight_norms: dict[int, list[torch.Tensor]] = defaultdict(list)
        self._mixing_norms: dict[int, list[torch.Tensor]] = defaultdict(list)

    def __enter__(self) -> "Attachment":
        self._handles = self.adapter.listen(self)
        self._handles.append(self.model.register_forward_hook(self._hear_loss))
        for layer, site in enumerate(self.adapter.sites):
            for parameters, norms in ((site.weights, self._weight_norms), (site.mixing, self._mixing_norms)):
                hook = partial(_keep_norm, norms[layer])
                self._handles += [parameter.register_hook(hook) for parameter in _trainable(parameters)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def result(self) -> Result:
        """The pass as columns, as those of a run.

        Raises
        ------
        RuntimeError
            Where no whole forward pass has been heard.
        """
        result = Result()
        for frame in self.frames():
            result.add(frame)
        return result

    def frames(self) -> list[AnyFrame]:
        """The frames of the pass, in the order of a run's; see `result`."""
        if not self._ended:
            raise RuntimeError(f"heard {self._entered} of {len(self.adapter.sites)} layers: no whole forward pass")
        self._give_gradients()
        self._down += self._backward.finish()
        loss = [] if self._loss is None else [build_loss_frame(float(self._loss))]
        frames: list[AnyFrame] = [*self._up, *loss, *self._down]
        gains = to_gains(fetch(self._forward.products.columns() | self._backward.products.columns()))
        means, norms = self._forward.mean_mixing(), self._collect_mixing_norms()
        frames.append(build_mixing_frame(means, gains, norms, self._backward.cast))
        result = Result()
        for frame in frames:
            result.add(frame)
        assert self._layout is not None
        return [*frames, summarise_captured(str(self._layout.dtype).removeprefix("torch."), result)]

    # ---- on the way up

    def enter(self, layer: int, state: torch.Tensor, u: torch.Tensor, mixing: Mixing) -> None:
        if layer != self._entered or self._ended:
            raise RuntimeError(
                f"layer {layer + 1} ran where layer {self._entered + 1} was due: a probe hears one forward pass, with "
                "gradient checkpointing off"
            )
        copy = self._pass(state)
        self._entered += 1
        self._h_res.append(mixing.h_res.detach())
        self._waiting = {"u": _to_rows(copy if u is state else u), "mixing": mixing}
        if u is state:
            self._plain.add(layer)
        elif u.requires_grad:
            self._handles.append(u.register_hook(partial(self._take_grad_u, layer)))

    def leave(self, layer: int, y: torch.Tensor) -> None:
        self._waiting["y"] = _to_rows(y)

    def end(self, state: torch.Tensor) -> None:
        self._pass(state)
        self._ended = True

    def _pass(self, state: torch.Tensor) -> torch.Tensor:
        """Take a state between two layers, as what leaves the one before; a copy of it."""
        place = self._entered - 1
        if state.requires_grad:
            self._handles.append(state.register_hook(partial(self._take_grad, place)))
        # A copy: the model may change its own tensor in place before the probe measures it.
        copy = state.detach().clone()
        with torch.no_grad(), torch.autocast(state.device.type, enabled=False):
            if place == INPUT_LAYER:
                self._begin(copy)
                self._up += self._forward.observe_input(copy)
            else:
                self._up += self._forward.observe(place, LayerOutput(state=copy, **self._waiting))
        return copy

    def _begin(self, state: torch.Tensor) -> None:
        to_streams, sites = self.adapter.to_streams, self.adapter.sites
        streams, samples, width = to_streams(state).shape
        layout = Layout(
            depth=len(sites),
            samples=samples,
            state_width=streams * width,
            dtype=state.dtype,
            device=state.device,
            to_streams=to_streams,
            merge=lambda x: x.mean(-3),
            merge_grad=lambda grad: grad.sum(-3),
        )
        self._layout = layout
        self._forward, self._backward = ForwardProbe(layout), BackwardProbe(layout)
        self._up.append(self._build_start_frame(state.device, samples, streams))

    def _build_start_frame(self, device: torch.device, samples: int, streams: int) -> StartFrame:
        sites = self.adapter.sites
        model = Model(name=type(self.model).__name__, parameters=_count(self.model))
        return StartFrame(
            source=TraceSource(model=model, versions=_find_versions(self.model)),
            device=describe_device(device),
            versions=describe_versions(),
            layers=len(sites),
            streams=streams,
            blocks=[site.name for site in sites],
            input=CapturedInput(samples=samples),
        )

    def _hear_loss(self, model: nn.Module, inputs: Any, output: Any) -> None:
        """The loss, where the model returns one: alone, or as `loss` of what it returns."""
        loss = output if isinstance(output, torch.Tensor) else getattr(output, "loss", None)
        if isinstance(loss, torch.Tensor) and loss.numel() == 1:
            self._loss = loss.detach()

    # ---- on the way down

    def _take_grad(self, place: int, grad: torch.Tensor) -> None:
        if place >= self._reached:
            raise RuntimeError("a second backward pass: a probe hears one")
        layer = place + 1
        if layer in self._plain and self._grad is not None:
            # The branch's share of the gradient is what the way past it does not bring.
            self._grads_u[layer] = _to_rows(grad).double() - _to_rows(self._grad).double()
        self._give_gradients()
        self._reached, self._grad = place, grad.detach()
        if place == INPUT_LAYER:
            self._give_gradients()

    def _take_grad_u(self, layer: int, grad: torch.Tensor) -> None:
        self._grads_u[layer] = _to_rows(grad)

    @torch.no_grad()
    def _give_gradients(self) -> None:
        """Hand the gradients of the place reached to the probe; those of its layer have all come by now."""
        layer, grad, self._grad = self._reached, self._grad, None
        if grad is None:
            return
        if layer == INPUT_LAYER:
            self._down += self._backward.observe(layer, grad)
            return
        nothing = grad.new_zeros(1)
        grad_u = self._grads_u.pop(layer, grad.new_full((1, 1), float("nan")))
        weights: list[torch.Tensor] = [weight.detach() for weight in _trainable(self.adapter.sites[layer].weights)]
        norms = self._weight_norms[layer]
        self._down += self._backward.observe(
            layer, grad, grad_u, weights or [nothing], norms or [nothing], self._h_res[layer]
        )

    def _collect_mixing_norms(self) -> dict[str, np.ndarray]:
        """Column (L), nan where a layer's mixing takes no gradient; {} where none does."""
        if not any(self._mixing_norms.values()):
            return {}
        norms = [self._mixing_norms[layer] for layer in range(len(self.adapter.sites))]
        known = next(norm for parts in norms for norm in parts)
        unknown = [torch.full_like(known, float("nan"))]
        return fetch({"mixing_grad_norm": join_norms([parts or unknown for parts in norms])})


@torch.no_grad()
def _keep_norm(norms: list[torch.Tensor], grad: torch.Tensor) -> None:
    norms.append(total_norm([grad]))


def _trainable(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]


def _to_rows(x: torch.Tensor) -> torch.Tensor:
    """(..., C) as (N, C), without its graph."""
    return x.detach().flatten(0, -2)


def _find_versions(model: nn.Module) -> dict[str, str]:
    """Versions of torch, and of the package that the model's class is from where that has one."""
    package = type(model).__module__.partition(".")[0]
    found = getattr(sys.modules.get(package), "__version__", None)
    return {"torch": torch.__version__} | ({} if found is None else {package: str(found)})


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())

"""The effect of edits on a run: its distance from the same run without edits, in each layer, the loss and the output.

Shapes: L layers.
"""

from dataclasses import dataclass, replace

import torch

from mhc_core.edits import Base
from mhc_core.measure.layout import Layout
from mhc_core.measure.probe import ForwardProbe, detach_output
from mhc_core.metrics.effects import measure_divergence, measure_sizes, to_distance
from mhc_core.stack import LayerOutput, Stack


@dataclass(frozen=True)
class BasePass:
    """A pass without edits: the state after each layer and the gradient at it, the loss, and the data that edits read.

    stack: the stack, if it is not trained afterwards; default None.
    forward: the measurements of the forward pass, if there are any; default None.
    """

    states: list[torch.Tensor]
    gradients: list[torch.Tensor]
    loss: torch.Tensor
    read: Base
    stack: Stack | None = None
    forward: ForwardProbe | None = None


class BaseRecorder:
    """Records a pass without edits layer by layer, as tensors without a graph."""

    def __init__(self) -> None:
        self.outputs: list[LayerOutput] = []
        self.gradients: list[torch.Tensor] = []

    def add_output(self, output: LayerOutput) -> None:
        """Record the output of a layer. Layers must come in order."""
        self.outputs.append(detach_output(output))

    def add_gradient(self, gradient: torch.Tensor) -> None:
        """Record the gradient with respect to the state after a layer. The last layer must come first."""
        self.gradients.append(gradient.detach())

    def build(self, loss: torch.Tensor) -> BasePass:
        """Return the recorded pass, as the base of effects."""
        states = [output.state for output in self.outputs]
        return BasePass(states, self.gradients[::-1], loss.detach(), Base.of(self.outputs))


class EffectProbe:
    """Measures the distance of an edited pass from its base. It forgets the base layer by layer.

    first: the first layer that edits change.
    """

    def __init__(self, base: BasePass, layout: Layout, first: int) -> None:
        self.first = first
        # Copies of the lists, because they shrink here, and others may keep the pass.
        self.base = replace(base, states=[*base.states], gradients=[*base.gradients])
        self.layout, self.last = layout, base.states[-1]
        self.states: list[torch.Tensor] = []
        self.gradients: list[torch.Tensor] = []

    def add_state(self, layer: int, state: torch.Tensor) -> None:
        """Measure the distance of the state after a layer from that of the base. Layers must come in order."""
        base = self.base.states[layer]
        self.states.append(self._compare(state, base) if layer >= self.first else self._compare_same(base))
        self.base.states[layer] = self.last

    def add_gradient(self, layer: int, gradient: torch.Tensor) -> None:
        """Measure the distance of the gradient at a layer's state from that of the base. The last layer comes first."""
        self.gradients.append(self._compare(gradient, self.base.gradients.pop()))

    def columns(self) -> dict[str, torch.Tensor]:
        """Return the relative distance of each layer's state and gradient from those without edits, (L) each.

        The values are on the device, in float64.
        """
        sizes_L2 = {"effect_state": self.states, "effect_grad": self.gradients[::-1]}
        return {key: to_distance(torch.stack(sizes)) for key, sizes in sizes_L2.items()}

    @torch.no_grad()
    def compare_outputs(self, stack: Stack, state: torch.Tensor) -> dict[str, float]:
        """Return the loss without edits, and the mean KL divergence of the edited output from that without edits."""
        found = {"loss_base": float(self.base.loss)}
        logits, base = (stack.input.read_out(stack.collapse(one)) for one in (state, self.last))
        if logits is not None and base is not None:
            found["output_kl"] = float(measure_divergence(base, logits))
        return found

    def _compare_same(self, base: torch.Tensor) -> torch.Tensor:
        """Return the sizes of a state that is the same as its base: the distance is 0, or nan if one is not finite."""
        return (self.layout.to_streams(base).abs().amax().double() * 0).expand(2)

    def _compare(self, found: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        return measure_sizes(self.layout.to_streams(found.detach()), self.layout.to_streams(base))

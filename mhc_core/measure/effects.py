"""What edits do to a run: its distance from the same run without them, layer by layer, in the loss and in the output.

Shapes: L layers.
"""

from dataclasses import dataclass

import torch

from mhc_core.measure.layout import Layout
from mhc_core.metrics.effects import measure_distance, measure_divergence
from mhc_core.stack import LayerOutput, Stack


@dataclass(frozen=True)
class BasePass:
    """The run without edits: of each layer the state that leaves it and the gradient there, and the loss.

    shared: what the layers below the first edit did, with or without edits.
    """

    states: list[torch.Tensor]
    gradients: list[torch.Tensor]
    loss: torch.Tensor
    shared: list[LayerOutput]


class EffectProbe:
    """Measures the distance of an edited pass from its base, which it forgets layer by layer."""

    def __init__(self, base: BasePass, layout: Layout) -> None:
        self.base, self.layout = base, layout
        self.last = base.states[-1]
        self.states: list[torch.Tensor] = []
        self.gradients: list[torch.Tensor] = []

    def add_state(self, layer: int, state: torch.Tensor) -> None:
        """Take the state that leaves a layer; layers come in order."""
        self.states.append(self._compare(state, self.base.states[layer]))
        self.base.states[layer] = self.last

    def add_gradient(self, layer: int, gradient: torch.Tensor) -> None:
        """Take the gradient at the same place; the last layer comes first."""
        self.gradients.append(self._compare(gradient, self.base.gradients.pop()))

    def columns(self) -> dict[str, torch.Tensor]:
        """Return each layer's relative distance from the run without edits, of its state and gradient, (L) each.

        The values are on the device, in float64.
        """
        return {"effect_state": torch.stack(self.states), "effect_grad": torch.stack(self.gradients[::-1])}

    @torch.no_grad()
    def compare_outputs(self, stack: Stack, state: torch.Tensor) -> dict[str, float]:
        """Return the loss without edits; where the read-out gives a distribution, the mean divergence from its own."""
        found = {"loss_base": float(self.base.loss)}
        logits, base = (stack.input.read_out(stack.collapse(one)) for one in (state, self.last))
        if logits is not None and base is not None:
            found["output_kl"] = float(measure_divergence(base, logits))
        return found

    def _compare(self, found: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        return measure_distance(self.layout.to_streams(found.detach()), self.layout.to_streams(base))

"""Record norms of parameters and of their gradients over all backward passes of one attachment."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mhc_core.metrics.gradients import measure_norms


class ParameterNorms:
    """Norms of parameters and accumulated gradients, measured before any optimiser changes the parameter.

    Gradients from before the first pass are excluded. If a gradient arrives in parts, as with recomputation or
    accumulation over several passes, the norm is that of their sum.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.gradient: dict[nn.Parameter, torch.Tensor] = {}
        self.weight: dict[nn.Parameter, torch.Tensor] = {}
        self._before: dict[nn.Parameter, torch.Tensor | None] = {}
        self._has_begun = False

    def register_hooks(self) -> list[RemovableHandle]:
        """Hook the parameters to measure their gradients; return the handles."""
        handles = [parameter.register_hook(partial(self._keep_previous, parameter)) for parameter in self.parameters]
        return handles + [
            parameter.register_post_accumulate_grad_hook(self._store_norms) for parameter in self.parameters
        ]

    def begin(self) -> None:
        """Mark the start of the first pass, so that gradients from before it are subtracted."""
        self._has_begun = True

    @torch.no_grad()
    def _keep_previous(self, parameter: nn.Parameter, coming: torch.Tensor) -> None:
        """Copy the gradient that exists when the first part arrives. Until then, the caller may still reset it."""
        if self._has_begun and parameter not in self._before:
            grad = parameter.grad
            self._before[parameter] = None if grad is None else grad.clone()

    @torch.no_grad()
    def collect(
        self, parameters: Sequence[nn.Parameter], device: torch.device
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return norms of the gradients and weights of the trainable parameters. Missing gradients are left out."""
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        weights = [self.weight[p] if p in self.weight else measure_norms([p.detach()])[0] for p in trainable]
        gradients = [self.gradient[p] for p in trainable if p in self.gradient]
        return [norm.to(device) for norm in gradients], [norm.to(device) for norm in weights]

    @torch.no_grad()
    def _store_norms(self, parameter: torch.Tensor) -> None:
        """Store the norms of a parameter and of its gradient, minus the gradient that it had before the first pass."""
        assert isinstance(parameter, nn.Parameter)
        assert parameter.grad is not None, "the hook comes after the gradient"
        before = self._before.get(parameter)
        grad = parameter.grad if before is None else parameter.grad - before
        self.gradient[parameter], self.weight[parameter] = measure_norms([grad, parameter.detach()])

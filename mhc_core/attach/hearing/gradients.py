"""Norms of parameters and of their gradients, of all backward passes that one attachment hears."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from mhc_core.metrics.gradients import measure_norms


class ParameterNorms:
    """Norms as each parameter's gradient has been added up, before any optimiser moves the parameter.

    What a parameter's gradient held before the first pass is left out. A backward pass that is run in parts, as under
    recomputation, and gradients accumulated over several passes give the norm of their sum.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.gradient: dict[nn.Parameter, torch.Tensor] = {}
        self.weight: dict[nn.Parameter, torch.Tensor] = {}
        self._before: dict[nn.Parameter, torch.Tensor] = {}

    def listen(self) -> list[RemovableHandle]:
        """Hook the parameters."""
        return [parameter.register_post_accumulate_grad_hook(self._take) for parameter in self.parameters]

    @torch.no_grad()
    def begin(self) -> None:
        """Before the first pass: keep what gradients hold already."""
        held = [(parameter, parameter.grad) for parameter in self.parameters if parameter.grad is not None]
        if held:
            norms = torch.stack([norm.cpu() for norm in measure_norms([grad for _, grad in held])]).tolist()
            self._before = {p: grad.clone() for (p, grad), norm in zip(held, norms, strict=True) if norm}

    @torch.no_grad()
    def collect(
        self, parameters: Sequence[nn.Parameter], device: torch.device
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Norms of gradients, and those of weights, of the trainable ones; to the weights none may have come."""
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        weights = [self.weight[p] if p in self.weight else measure_norms([p.detach()])[0] for p in trainable]
        gradients = [self.gradient[p] for p in trainable if p in self.gradient]
        return [norm.to(device) for norm in gradients], [norm.to(device) for norm in weights]

    @torch.no_grad()
    def _take(self, parameter: torch.Tensor) -> None:
        assert isinstance(parameter, nn.Parameter)
        assert parameter.grad is not None, "the hook comes after the gradient"
        before = self._before.get(parameter)
        grad = parameter.grad if before is None else parameter.grad - before
        self.gradient[parameter], self.weight[parameter] = measure_norms([grad, parameter.detach()])

"""The state is normalised over tokens instead of over its own entries."""

import torch

from tests.core.conformance.plain import PlainMHC


class WrongAxis(PlainMHC):
    def logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        v = x.flatten(2)
        v = v / v.square().mean(1, keepdim=True).add(1e-12).sqrt()
        return self.add_up(v)

"""Logits go into the rounds without an exponential."""

import torch

from tests.core.conformance.plain import PlainMHC


class MissingExp(PlainMHC):
    def positive(self, t: torch.Tensor) -> torch.Tensor:
        return t.abs()

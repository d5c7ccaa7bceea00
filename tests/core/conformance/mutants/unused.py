"""H_res is computed, and never applied."""

import torch

from tests.core.conformance.plain import PlainMHC


class Unused(PlainMHC):
    def mix(self, h_res: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x

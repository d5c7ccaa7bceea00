"""H_res is applied transposed."""

import torch

from tests.core.conformance.plain import PlainMHC


class Transposed(PlainMHC):
    def mix(self, h_res: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return h_res.mT @ x

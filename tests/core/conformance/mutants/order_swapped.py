"""Each round divides rows first and columns last."""

import torch

from tests.core.conformance.plain import PlainMHC


class OrderSwapped(PlainMHC):
    def round(self, matrix: torch.Tensor) -> torch.Tensor:
        matrix = matrix / matrix.sum(-1, keepdim=True)
        return matrix / matrix.sum(-2, keepdim=True)

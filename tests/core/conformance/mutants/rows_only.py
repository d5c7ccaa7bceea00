"""Rows are normalised, columns never."""

import torch

from tests.core.conformance.plain import PlainMHC


class RowsOnly(PlainMHC):
    def round(self, matrix: torch.Tensor) -> torch.Tensor:
        return matrix / matrix.sum(-1, keepdim=True)

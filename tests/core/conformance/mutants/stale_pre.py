"""Not a mistake but a design: each layer makes H_pre for the layer after it."""

import torch

from tests.core.conformance.plain import Added, PlainMHC


class StalePre(PlainMHC):
    def forward(self, x: torch.Tensor, h_pre: torch.Tensor) -> tuple[torch.Tensor, Added, torch.Tensor]:  # type: ignore[override]
        next_pre, h_post, h_res = self.coefficients(x)
        u = (h_pre.unsqueeze(-1) * x).sum(-2)
        return u, lambda y: self.mix(h_res, x) + h_post.unsqueeze(-1) * y.unsqueeze(-2), next_pre

"""H_post is sigmoid instead of twice sigmoid."""

import torch

from tests.core.conformance.plain import PlainMHC


class PostNotDoubled(PlainMHC):
    def coefficients(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        h_pre, h_post, h_res = super().coefficients(x)
        return h_pre, h_post / 2, h_res

"""The mapping is computed in bfloat16."""

import torch

from tests.core.conformance.plain import PlainMHC


class Bf16(PlainMHC):
    def coefficients(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pre, post, res = (t.bfloat16() for t in self.logits(x))
        return pre.sigmoid().float(), (2 * post.sigmoid()).float(), self.project(res).float()

"""Two mistakes more, each a finer kind of one in `mutants/`."""

import torch

from tests.core.conformance.plain import Added, PlainMHC


class MeanRead(PlainMHC):
    """The branch reads the mean of the weighted streams instead of their sum."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        u, add = super().forward(x)
        return u / self.n, add


class DetachedProjection(PlainMHC):
    """The projection of the residual logits gets no gradient, where the other columns of the same parameter do."""

    def logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pre, post, res = super().logits(x)
        return pre, post, (res - self.b_res).detach() + self.b_res

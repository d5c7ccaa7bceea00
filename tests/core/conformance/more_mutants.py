"""Three mistakes more, each a finer kind of one in `mutants/`."""

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


class FollowsState(PlainMHC):
    """The mapping is computed in the type of the state: in float32 nothing is wrong."""

    def logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        v = x.flatten(2)
        v = v / v.square().mean(-1, keepdim=True).add(1e-12).sqrt()
        pre, post, res = (v @ self.phi).split([self.n, self.n, self.n**2], -1)
        a_pre, a_post, a_res = self.gates
        t_res = (a_res * res).unflatten(-1, (self.n, self.n)) + self.b_res
        return a_pre * pre + self.b_pre, a_post * post + self.b_post, t_res

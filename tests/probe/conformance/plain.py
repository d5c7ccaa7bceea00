"""A plain small mHC connection as the paper's equations print it, with its mapping in float32: the base of variants."""

from collections.abc import Callable

import torch
from torch import nn

STREAMS, WIDTH, ROUNDS = 4, 24, 20

Added = Callable[[torch.Tensor], torch.Tensor]


class PlainMHC(nn.Module):
    """Takes streams (B, T, n, C); returns the branch's input and a function that takes the branch's output.

    Each step is a method, so that a variant replaces one.
    """

    def __init__(self, streams: int = STREAMS, width: int = WIDTH) -> None:
        super().__init__()
        self.n = streams
        self.phi = nn.Parameter(torch.zeros(streams * width, streams * (streams + 2)))
        self.b_pre = nn.Parameter(torch.zeros(streams))
        self.b_post = nn.Parameter(torch.zeros(streams))
        self.b_res = nn.Parameter(4 * torch.eye(streams))
        self.gates = nn.Parameter(torch.full((3,), 0.01))

    def logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.add_up(self.norm(x.flatten(2).float()))

    def norm(self, v: torch.Tensor) -> torch.Tensor:
        return v / v.square().mean(-1, keepdim=True).add(1e-12).sqrt()

    def add_up(self, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pre, post, res = (v @ self.phi.float()).split([self.n, self.n, self.n**2], -1)
        a_pre, a_post, a_res = self.gates.float()
        return (
            a_pre * pre + self.b_pre,
            a_post * post + self.b_post,
            (a_res * res).unflatten(-1, (self.n, self.n)) + self.b_res,
        )

    def positive(self, t: torch.Tensor) -> torch.Tensor:
        return (t - t.amax((-2, -1), keepdim=True)).exp()

    def round(self, matrix: torch.Tensor) -> torch.Tensor:
        matrix = matrix / matrix.sum(-2, keepdim=True)
        return matrix / matrix.sum(-1, keepdim=True)

    def project(self, t: torch.Tensor) -> torch.Tensor:
        matrix = self.positive(t)
        for _ in range(ROUNDS):
            matrix = self.round(matrix)
        return matrix

    def coefficients(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        pre, post, res = self.logits(x)
        return pre.sigmoid(), 2 * post.sigmoid(), self.project(res)

    def mix(self, h_res: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return h_res @ x

    def read(self, x: torch.Tensor, h_pre: torch.Tensor, h_post: torch.Tensor, h_res: torch.Tensor) -> torch.Tensor:
        return (h_pre.unsqueeze(-1) * x).sum(-2)

    def write(
        self, x: torch.Tensor, y: torch.Tensor, h_pre: torch.Tensor, h_post: torch.Tensor, h_res: torch.Tensor
    ) -> torch.Tensor:
        return self.mix(h_res, x) + h_post.unsqueeze(-1) * y.unsqueeze(-2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Added]:
        mixing = [part.float() for part in self.coefficients(x)]
        return self.read(x, *mixing).to(x.dtype), lambda y: self.write(x.float(), y, *mixing).to(x.dtype)

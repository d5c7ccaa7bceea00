"""Weighted residual: a weighted sum of the state and the embedding is the input of the branch and of the skip path.

    z = a x + b x_0,  x' = z + F(z)

With two streams, the state and the embedding, this is H_pre = [a, b], H_post = [1, 0], H_res = [[a, b], [0, 1]]. The
output is the state. nanochat (karpathy/nanochat, `nanochat/gpt.py`) has one a and one b for each transformer block,
which is two layers here. The initial values of even layers are those of nanochat, a from 1.15 to 1.05 and b from 0.20
to 0.05 over the blocks; those of odd layers are 1 and 0.

Shapes: L layers, N samples, C width.
"""

import torch
from torch import nn

from mhc_core.layers.connection import Connection, Mixing, StreamMajor
from mhc_core.layers.noise import draw_mixing_noise
from mhc_core.spec import RunSpec

FIRST, LAST = (1.15, 0.20), (1.05, 0.05)  # initial a and b of the first block and of the last


def build_start(depth: int) -> torch.Tensor:
    """Return the initial weights of state and embedding in each layer before drift is added, (L, 2), float64.

    In every second layer they lie on the line from FIRST to LAST; in the others they are 1 and 0.
    """
    start = torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(depth, 1)
    blocks = (depth + 1) // 2
    share = (torch.arange(blocks, dtype=torch.float64) / max(blocks - 1, 1)).unsqueeze(1)
    first, last = (torch.tensor(ends, dtype=torch.float64) for ends in (FIRST, LAST))
    start[::2] = first + share * (last - first)
    return start


class StateOutput(nn.Module):
    """The output of the stack: stream 0, the state."""

    def forward(self, x_nNC: torch.Tensor) -> torch.Tensor:
        return x_nNC[0]


class WeightedResidual(StreamMajor):
    """The weighted residual as two streams: 0 is the state, 1 the embedding. The merged state is stream 0."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        self.output = StateOutput()
        self.weights = nn.Parameter(build_start(spec.depth) + draw_mixing_noise(spec, 2))
        self.register_buffer("unit", torch.eye(2))

    def static_mixing(self) -> Mixing:
        """Return H_pre, H_post and H_res that read a x + b x_0: stream 0 is the state x, stream 1 the embedding."""
        unit = self.get_buffer("unit")
        rows = torch.stack([self.weights, unit[1].expand(self.layers, 2)], dim=1)
        return Mixing(self.weights, unit[0].expand(self.layers, 2), rows)

    def stacked_parameters(self) -> list[nn.Parameter]:
        return [self.weights]

    def raw_residual(self) -> nn.Parameter:
        return self.weights

    def merge(self, x: torch.Tensor) -> torch.Tensor:
        return x.select(-3, 0)

    def merge_grad(self, grad: torch.Tensor) -> torch.Tensor:
        return grad.select(-3, 0)

    def gather_input_grad(self, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient with respect to the embedding, the sum over both streams, as that of stream 0.

        Both streams start as the embedding.
        """
        return torch.stack([grad.sum(0), grad[1]])


def build_weighted(spec: RunSpec) -> Connection:
    """Build the connection of a spec in which layers read a weighted sum of state and embedding."""
    return WeightedResidual(spec)

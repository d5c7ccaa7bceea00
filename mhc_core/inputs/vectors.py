"""The inputs `gaussian` and `correlated`: random vectors, and a random linear loss.

Shapes: B sequences, T tokens, C width.
"""

import torch
from torch import nn

from mhc_core.rng import normal
from mhc_core.spec import RunSpec


class GaussianInput(nn.Module):
    """Random vectors, N(0, 1), independent over tokens. The loss is a fixed random linear function of the output."""

    x_BTC: torch.Tensor
    readout_BTC: torch.Tensor

    def __init__(self, spec: RunSpec) -> None:
        super().__init__()
        shape = (spec.input.batch, spec.input.tokens, spec.width)
        self.register_buffer("x_BTC", normal(spec.seed, "gaussian_input", -1, *shape))
        self.register_buffer("readout_BTC", normal(spec.seed, "gaussian_readout", -1, *shape))

    def set_batch(self, step: int | None) -> None:
        """Do nothing, because random vectors have only the batch that is measured.

        Specs that train on them are invalid, because the loss has no lower bound.
        """
        assert step is None, "a spec that trains on vectors is refused"

    def forward(self) -> torch.Tensor:
        """Return the input of the stack: the random vectors, (B, T, C)."""
        return self.x_BTC

    def read_out(self, out_BTC: torch.Tensor) -> None:
        """Return None: random vectors have no classes, and so no logits."""

    def loss(self, out_BTC: torch.Tensor) -> torch.Tensor:
        """Return the loss sum(R * out) / (B T). It is linear: its gradient at the stack's output has rms 1 / (B T)."""
        tokens = out_BTC.shape[0] * out_BTC.shape[1]
        return (out_BTC * self.readout_BTC).sum() / tokens


class CorrelatedInput(GaussianInput):
    """Random vectors, N(0, 1), with correlation c of each pair: sqrt(c) z + sqrt(1 - c) z_t, z common to all tokens."""

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
        common = normal(spec.seed, "correlated_input", -1, spec.width)
        share = spec.input.correlation
        self.x_BTC = share**0.5 * common + (1 - share) ** 0.5 * self.x_BTC

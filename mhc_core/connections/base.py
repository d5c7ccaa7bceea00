"""How layers are joined: one interface for every family.

Shapes: N = B * T samples, n streams, C width, L layers. A family chooses the layout of its state and keeps it to
itself; `streams` shows any state as (n, N, C). Coefficients are float32, or float64 for a float64 run.

A stack calls, for each layer: mixing = at(layer, state), u = read(state, mixing), y = F(u),
state = write(state, y, mixing). Before the first layer `expand` copies the embedding to all streams; after the last
`reduce` collapses them.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn

from mhc_core.spec import RunSpec


class Mixing(NamedTuple):
    """Coefficients of one layer, or of all layers with a leading axis L.

    x'[i] = sum_j h_res[i, j] x[j] + h_post[i] F(sum_j h_pre[j] x[j])      (mHC, arXiv 2512.24880, Eq. 3)

    h_pre, h_post: (..., n); h_res: (..., n, n), rows index the output. Dynamic families put N before n.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor


class Connection(nn.Module, ABC):
    """One family's parameters for all layers, and its arithmetic."""

    def __init__(self, spec: RunSpec, streams: int) -> None:
        super().__init__()
        self.layers, self.width, self.n = spec.depth, spec.width, streams
        self.coefficient_dtype = torch.float64 if spec.dtype == "float64" else torch.float32

    @abstractmethod
    def static_mixing(self) -> Mixing | None:
        """Coefficients of all layers at once where no token can change them, else None."""

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Mixing:
        """Coefficients of one layer for each sample of the state."""
        raise AssertionError("a static family's coefficients do not come from the state")

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        """Mixing parameters that belong to one layer alone (dynamic families); [] where layers are stacked."""
        return []

    def stacked_parameters(self) -> list[nn.Parameter]:
        """Mixing parameters with a leading axis L (static families)."""
        return []

    def residual_logits(self, layer: int) -> nn.Parameter | None:
        """The raw parameter that a map turns into h_res: of one layer where mixing is dynamic, else of all (L, ...).

        None where h_res is a parameter itself, or fixed.
        """
        return None

    @abstractmethod
    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        """The state that holds a copy of x in every stream."""

    @abstractmethod
    def read(self, state: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        """The branch input sum_j h_pre[j] x[j], (N, C)."""

    @abstractmethod
    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        """The next state, from this one and the branch output."""

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        """The stack's output (N, C): the mean over streams, unless the family learns a head."""
        return self.streams(state).mean(0)

    @abstractmethod
    def streams(self, state: torch.Tensor) -> torch.Tensor:
        """Any state as (n, N, C), without a copy."""


class StreamMajor(Connection):
    """Layout (n, N, C) for static mixing: one n x n by n x (N C) product a layer."""

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return x_NC.unsqueeze(0).repeat(self.n, 1, 1)

    def read(self, state: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        flat = state.flatten(1).to(mixing.h_pre.dtype)
        return (mixing.h_pre @ flat).view(state.shape[1:]).to(state.dtype)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        # In bfloat16 the product is made in the coefficients' float32 and rounded once.
        dtype = mixing.h_res.dtype
        flat, branch = state.flatten(1).to(dtype), y_NC.reshape(1, -1).to(dtype)
        mixed = torch.addmm(mixing.h_post.unsqueeze(1) * branch, mixing.h_res, flat)
        return mixed.view(state.shape).to(state.dtype)

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state


class SampleMajor(Connection):
    """Layout (N, n, C) for dynamic mixing: one batched n x n by n x C product a layer."""

    def static_mixing(self) -> Mixing | None:
        return None

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return x_NC.unsqueeze(1).repeat(1, self.n, 1)

    def read(self, state: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        wide = state.to(mixing.h_pre.dtype)
        return torch.bmm(mixing.h_pre.unsqueeze(1), wide).squeeze(1).to(state.dtype)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        dtype = mixing.h_res.dtype
        branch = mixing.h_post.unsqueeze(2) * y_NC.to(dtype).unsqueeze(1)
        return torch.baddbmm(branch, mixing.h_res, state.to(dtype)).to(state.dtype)

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state.transpose(0, 1)

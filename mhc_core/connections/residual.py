"""One stream: x' = x + F(x) (He et al. 2015), or the plain feed-forward x' = F(x)."""

import torch

from mhc_core.connections.connection import Connection, Mixing
from mhc_core.spec import RunSpec


class SingleStream(Connection):
    """h_pre = h_post = 1; h_res = 1 for the residual connection and 0 for none. Layout (N, C)."""

    def __init__(self, spec: RunSpec, *, identity: bool) -> None:
        super().__init__(spec, streams=1)
        self.identity = identity
        self.register_buffer("h_pre", torch.ones(spec.depth, 1))
        self.register_buffer("h_res", torch.full((spec.depth, 1, 1), float(identity)))

    def static_mixing(self) -> Mixing:
        h_pre, h_res = self.get_buffer("h_pre"), self.get_buffer("h_res")
        return Mixing(h_pre, h_pre, h_res)

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return x_NC

    def read(self, state: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        # A node of its own in the graph: the gradient at u must not include what passes the branch by.
        return state.view_as(state)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        return state + y_NC if self.identity else y_NC

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        return state

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state.unsqueeze(0)

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC[0]


def build_none(spec: RunSpec) -> Connection:
    """No connection: what residual learning was invented against."""
    return SingleStream(spec, identity=False)


def build_residual(spec: RunSpec) -> Connection:
    """The identity connection."""
    return SingleStream(spec, identity=True)

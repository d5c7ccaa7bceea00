"""Connections with one stream: the residual connection x' = x + F(x) (He et al. 2015), and none, x' = F(x)."""

import torch

from mhc_core.layers.connection import Connection, Mixing, SingleStream
from mhc_core.spec import RunSpec


class PlainConnection(SingleStream):
    """One stream with constant coefficients: h_pre = h_post = 1, and h_res = 1 for the residual connection, 0 for none.
    Layout (N, C).
    """

    def __init__(self, spec: RunSpec, *, identity: bool) -> None:
        super().__init__(spec)
        self.identity = identity
        self.register_buffer("h_pre", torch.ones(spec.depth, 1))
        self.register_buffer("h_res", torch.full((spec.depth, 1, 1), float(identity)))

    def static_mixing(self) -> Mixing:
        """Return the constant H_pre, H_post and H_res of all layers."""
        h_pre, h_res = self.get_buffer("h_pre"), self.get_buffer("h_res")
        return Mixing(h_pre, h_pre, h_res)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing) -> torch.Tensor:
        return state + y_NC if self.identity else y_NC


def build_none(spec: RunSpec) -> Connection:
    """Build the connection of plain layers: the branch output replaces the state."""
    return PlainConnection(spec, identity=False)


def build_residual(spec: RunSpec) -> Connection:
    """Build the plain residual connection: the branch output is added to the state."""
    return PlainConnection(spec, identity=True)

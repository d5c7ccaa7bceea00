"""Manifold-Constrained Hyper-Connections (mHC, arXiv 2512.24880, Eq. 8-9): h_res by Sinkhorn-Knopp."""

import torch

from mhc_core.connections.connection import Connection
from mhc_core.connections.inits import build_preset
from mhc_core.connections.manifold import ResidualMap, build_manifold
from mhc_core.connections.noise import draw_mixing_noise
from mhc_core.connections.sinkhorn import sinkhorn
from mhc_core.spec import RunSpec


class SinkhornMap(ResidualMap):
    """n^2 logits, exponentiated and normalised in turn: doubly stochastic in the limit of many rounds."""

    def __init__(self, spec: RunSpec) -> None:
        self.n = spec.connection.streams
        self.rounds, self.eps = spec.connection.sinkhorn_iters, spec.connection.sinkhorn_eps

    def initial(self, spec: RunSpec) -> torch.Tensor:
        off_diagonal = (1 - torch.eye(self.n)).flatten()
        return draw_mixing_noise(spec, self.n**2) - build_preset(spec).certainty * off_diagonal

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        return sinkhorn(raw.unflatten(-1, (self.n, self.n)), self.rounds, self.eps)


def build_mhc(spec: RunSpec) -> Connection:
    """mHC by the spec's `dynamic`."""
    return build_manifold(spec, SinkhornMap(spec))

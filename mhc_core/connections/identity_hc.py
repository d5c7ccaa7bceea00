"""Identity HC: h_res = I, with mHC's h_pre and h_post. The ablation that asks what residual mixing adds."""

import torch

from mhc_core.connections.connection import Connection
from mhc_core.connections.manifold import ResidualMap, build_manifold
from mhc_core.spec import RunSpec


class IdentityMap(ResidualMap):
    """No logits."""

    def __init__(self, spec: RunSpec) -> None:
        self.n = spec.connection.streams

    def initial(self, spec: RunSpec) -> torch.Tensor:
        return torch.zeros(spec.depth, 0)

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        eye = torch.eye(self.n, dtype=raw.dtype, device=raw.device)
        return eye.expand(*raw.shape[:-1], self.n, self.n).contiguous()


def build_identity_hc(spec: RunSpec) -> Connection:
    """Identity HC by the spec's `dynamic`."""
    return build_manifold(spec, IdentityMap(spec))

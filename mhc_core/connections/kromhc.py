"""KromHC (arXiv 2601.21579): h_res as a Kronecker product of 2 x 2 doubly stochastic matrices; n a power of two."""

import torch

from mhc_core.connections.connection import Connection
from mhc_core.connections.inits import build_preset
from mhc_core.connections.manifold import ResidualMap, build_manifold
from mhc_core.connections.noise import draw_mixing_noise
from mhc_core.spec import RunSpec


class KroneckerMap(ResidualMap):
    """log2 n logits, each a factor [[p, 1 - p], [1 - p, p]] with p = sigmoid(t): exactly doubly stochastic."""

    def __init__(self, spec: RunSpec) -> None:
        self.factors = spec.connection.streams.bit_length() - 1

    def initial(self, spec: RunSpec) -> torch.Tensor:
        return draw_mixing_noise(spec, self.factors) + build_preset(spec).certainty

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        p = torch.sigmoid(raw)
        # 1 - sigmoid(t) would lose the digits of a small remainder; sums still round to 1.
        pairs = torch.stack([p, torch.sigmoid(-raw)], dim=-1)
        factors = torch.stack([pairs, pairs.flip(-1)], dim=-2)
        product = torch.ones(*raw.shape[:-1], 1, 1, dtype=raw.dtype, device=raw.device)
        for k in range(self.factors):
            product = _kronecker(product, factors[..., k, :, :])
        return product


def _kronecker(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Kronecker product of the last two axes, batched over the others."""
    rows, columns = a.shape[-2] * b.shape[-2], a.shape[-1] * b.shape[-1]
    return torch.einsum("...ij,...kl->...ikjl", a, b).reshape(*a.shape[:-2], rows, columns)


def build_kromhc(spec: RunSpec) -> Connection:
    """KromHC by the spec's `dynamic`."""
    return build_manifold(spec, KroneckerMap(spec))

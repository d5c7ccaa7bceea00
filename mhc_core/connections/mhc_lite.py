"""mHC-lite (arXiv 2601.05732): h_res as a convex combination of all n! permutations, exactly doubly stochastic."""

from itertools import permutations

import torch

from mhc_core.connections.connection import Connection
from mhc_core.connections.inits import build_preset
from mhc_core.connections.manifold import ResidualMap, build_manifold
from mhc_core.connections.noise import draw_mixing_noise
from mhc_core.spec import RunSpec


class PermutationMap(ResidualMap):
    """n! logits through a softmax; every doubly stochastic matrix is such a combination (Birkhoff-von Neumann)."""

    def __init__(self, spec: RunSpec) -> None:
        n = spec.connection.streams
        # The identity is the first permutation.
        self.permutations_Knn = torch.eye(n)[torch.tensor(list(permutations(range(n))))]

    def initial(self, spec: RunSpec) -> torch.Tensor:
        others = torch.ones(len(self.permutations_Knn))
        others[0] = 0
        return draw_mixing_noise(spec, len(others)) - build_preset(spec).certainty * others

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        # They stay where the logits lie: copied anew, they would cost a transfer in every layer.
        self.permutations_Knn = self.permutations_Knn.to(raw)
        return torch.tensordot(torch.softmax(raw, dim=-1), self.permutations_Knn, dims=1)


def build_mhc_lite(spec: RunSpec) -> Connection:
    """mHC-lite by the spec's `dynamic`."""
    return build_manifold(spec, PermutationMap(spec))

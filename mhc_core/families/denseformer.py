"""DenseFormer (arXiv 2402.02622): after each block, a weighted average of all states so far replaces the state.

The definition follows public code: wdlctc/hyper-connection-factory, `hcfactory/connections/dense.py`, without its
dilation. The paper was not read.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mhc_core.family import Array, Family, Look, Reading, Reads, ReferenceRead


class AverageReads(Reads):
    """Costs of DenseFormer's sums, and their second implementation: one learned weight for each earlier state."""

    operations = 2
    calls = 8
    weighs_after = "block"

    def reference(
        self, spec: Any, parameters: dict[str, Array], start_NC: Array, outputs: Sequence[Array], given: Reading
    ) -> list[ReferenceRead]:
        """Compute in numpy what is read after each layer: the weights of the states, the sum, and the weight of each
        output in it.
        """
        skip = spec.depth**0.25 if spec.block.scaling == "deepnorm" else 1.0
        states, read, found = [start_NC], start_NC, []
        # `made` and `row`: the weights of the embedding and of all outputs, in each state and in what is read.
        places = np.eye(len(outputs) + 1)
        made, row = [places[0]], places[0]
        for layer, output in enumerate(outputs):
            read, row = skip * read + output, row + places[layer + 1]
            weights = np.zeros(0)
            if _ends_block(spec, layer):
                states, made = [*states, read], [*made, row]
                weights = parameters[f"weights.{layer}"] if given.weights is None else given.weights[layer].ravel()
                if given.weights is None and given.edit is not None:
                    weights = given.edit(layer + 1, weights.reshape(-1, 1, 1)).ravel()
                read, row = np.tensordot(weights, np.array(states), 1), weights @ np.array(made)
            read = given.norm(read)
            found.append(ReferenceRead(weights.reshape(-1, 1, 1), read, row[: layer + 2]))
        return found

    def start(self, sources: int) -> Array:
        return np.eye(sources)[-1] if sources else np.zeros(0)

    def count_parameters(self, spec: Any) -> int:
        return sum(self.count_sources(spec, layer) for layer in range(spec.depth) if _ends_block(spec, layer))

    def count_sources(self, spec: Any, layer: int) -> int:
        return int(2 + layer // spec.connection.depth_block)

    def count_passes(self, spec: Any) -> float:
        return 18

    def count_kept(self, spec: Any) -> tuple[int, int]:
        return 2, 0


def _ends_block(spec: Any, layer: int) -> bool:
    return bool((layer + 1) % spec.connection.depth_block == 0 or layer == spec.depth - 1)


FAMILY = Family(
    name="DenseFormer",
    summary="the state is replaced by a weighted sum of all states before it",
    year=2024,
    place=21,
    look=Look("#2855ff", "#496d9e", "12px,3px,2px,3px", "star-triangle-down"),
    streams="one",
    reads=AverageReads(),
    rows="free",
    columns="free",
    norm_bounded=False,
    signed=True,
    by_token=False,
    drawn="weights",
    build="mhc_core.layers.dense:build_dense",
    paper="arXiv 2402.02622",
    parent="residual",
    keeps="the state of every block, with a weight that each block learns",
    gives_up="one state: the states of all blocks stay in memory, which grows with depth",
)

"""Attention Residuals (arXiv 2603.15031): each layer reads a weighted sum of all earlier outputs, by attention over
depth.

The sources are the embedding and the outputs of the layers, or sums of the outputs of a block of layers. The definition
follows public code: fla-org/flash-linear-attention, `fla/ops/attnres/naive.py` (the weights); wdlctc/hyper-connection-
factory, `hcfactory/connections/depth_attention.py` (blocks, heads as in MHAR, the delta form); Inkling2 in transformers
(normed values).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from mhc_core.family import Array, Family, Look, Reading, Reads, ReferenceRead, Use

KEY_EPS = 1e-6  # in the norm of the keys, as in the public code
# How often a layer reads or writes its sources, forward and backward; the key is whether the form is a delta form.
PASSES = {False: 27, True: 34}


class AttentionReads(Reads):
    """Costs of attention over depth, and its second implementation: a softmax over sources for each sample and head."""

    operations = 6  # per feature of a source: the norm, the product with the query, the weighted sum
    calls = 25
    weighs_after = "layer"

    def reference(
        self, spec: Any, parameters: dict[str, Array], start_NC: Array, outputs: Sequence[Array], given: Reading
    ) -> list[ReferenceRead]:
        """Compute in numpy what is read after each layer: the attention weights, the weighted sum, and the weight of
        each output in it.
        """
        found = []
        for layer in range(len(outputs)):
            sources = _list_sources(spec, layer, start_NC, outputs)
            if given.weights is not None:
                attention = given.weights[layer]
            elif len(sources.sources_KNC):
                attention = sources.attend(parameters[f"queries.{layer}"])
            else:
                attention = np.zeros((0, len(start_NC), spec.connection.depth_heads))
            if given.weights is None and given.edit is not None:
                attention = given.edit(layer + 1, attention)
            read = sources.read(attention, float(parameters.get(f"gates.{layer}", 1.0)))
            found.append(replace(read, read_NC=given.norm(read.read_NC)))
        return found

    def start(self, sources: int) -> Array:
        return np.full(sources, 1 / max(sources, 1))

    def count_parameters(self, spec: Any) -> int:
        """Count the trainable values of attention over depth in all layers: queries and gates."""
        # Each read has a query, and a gate in the gated form. In a delta form, there is no read after the last layer.
        form = spec.connection.depth_form
        return int((spec.depth - (form != "replace")) * (spec.width + (form == "delta_gated")))

    def count_sources(self, spec: Any, layer: int) -> int:
        return int(2 + layer // spec.connection.depth_block)

    def count_passes(self, spec: Any) -> float:
        return PASSES[spec.connection.depth_form != "replace"]

    def count_kept(self, spec: Any) -> tuple[int, int]:
        """Count what is stored for the backward pass: copies of the sources, and further values per source."""
        # The values are weights and logits of each head, and one norm. A delta form stores the sources twice.
        copies = 1 if spec.connection.depth_form == "replace" else 2
        return copies, 2 * spec.connection.depth_heads + 1


@dataclass(frozen=True)
class _Sources:
    """The sources that attention over depth weighs after a layer, (K, N, C): the embedding, then the sums of blocks of
    `counts` outputs.

    plain: the sum of the embedding and all outputs.
    """

    spec: Any
    layer: int
    sources_KNC: Array
    counts: list[int]
    plain_NC: Array

    def attend(self, query: Array) -> Array:
        """Return the attention weights over depth of each head, softmax_i(c q . s_i / rms(s_i)), (K, N, H)."""
        heads = self.spec.connection.depth_heads
        logits = (self._split_heads(self.sources_KNC / self._source_rms) * query.reshape(heads, -1)).sum(-1)
        logits = logits / math.sqrt(self.spec.width / heads) if self._is_normed else logits
        shares = np.exp(logits - logits.max(0))
        found: Array = shares / shares.sum(0)
        return found

    def read(self, attention_KNH: Array, gate: float) -> ReferenceRead:
        """Return the weighted sum of the sources, and the weight of the embedding and each output in it."""
        values = attention_KNH / self._source_rms if self._is_normed else attention_KNH
        slices = self._split_heads(self.sources_KNC)
        read_NC = (values[..., None] * slices).sum(0).reshape(self.plain_NC.shape)
        mean = values.mean((1, 2))
        weights = np.concatenate([mean[:1], np.repeat(mean[1:], self.counts)]) if len(mean) else mean
        if self.spec.connection.depth_form != "replace":
            rest = np.zeros(self.layer + 2 - len(weights))
            read_NC, weights = self.plain_NC + gate * read_NC, 1 + gate * np.concatenate([weights, rest])
        return ReferenceRead(attention_KNH, read_NC, weights)

    def _split_heads(self, x_KNC: Array) -> Array:
        """Return the sources with an axis of heads, (K, N, H, C / H)."""
        heads = self.spec.connection.depth_heads
        return x_KNC.reshape(*x_KNC.shape[:2], heads, x_KNC.shape[2] // heads)

    @property
    def _source_rms(self) -> Array:
        """Return the root mean square of every source over depth, (K, N, 1), in numpy."""
        found: Array = np.sqrt((self.sources_KNC**2).mean(-1, keepdims=True) + KEY_EPS)
        return found

    @property
    def _is_normed(self) -> bool:
        return self.spec.connection.depth_values == "normed"


def _list_sources(spec: Any, layer: int, start_NC: Array, outputs: Sequence[Array]) -> _Sources:
    """Build the sources that are weighed after a layer: the embedding, and the sum of the outputs of each block."""
    size, done = spec.connection.depth_block, layer + 1
    counts = [min(size, done - first) for first in range(0, done, size)]
    is_delta = spec.connection.depth_form != "replace"
    if is_delta:
        counts = [count for count in counts if count == size]
    ends = [int(end) for end in np.cumsum([0, *counts])]
    blocks = [np.sum(outputs[first:last], axis=0) for first, last in pairwise(ends)]
    sources = [start_NC, *blocks]
    if is_delta and done == spec.depth:  # the read-out reads the plain state
        sources, counts = [], []
    shaped = np.array(sources).reshape(len(sources), *start_NC.shape)
    return _Sources(spec, layer, shaped, counts, start_NC + np.sum(outputs[:done], axis=0))


FAMILY = Family(
    name="AttnRes",
    summary="Attention Residuals, which read all earlier outputs by attention over depth",
    year=2026,
    place=20,
    look=Look("#a50ad7", "#ffe0b2", "6px,2px,2px,2px", "star-triangle-up"),
    streams="one",
    reads=AttentionReads(),
    rows="free",
    columns="free",
    norm_bounded=False,
    by_token=False,
    drawn="queries",
    build="mhc_core.layers.depth:build_depth_attention",
    paper="arXiv 2603.15031",
    parent="residual",
    keeps="every earlier output, with a weight that each layer learns",
    gives_up="one state: a layer reads all outputs before it, from memory that grows with depth",
    uses=(
        Use("Inkling2", "transformers, models/inkling2"),
        Use("Kimi K3, by blocks of 12 layers", "tenstorrent/tt-metal, pull request 53114"),
    ),
)

"""Attention over depth: what a layer reads is a weighted sum of the embedding and of all earlier outputs.

    h_l = sum_i a_i s_i,  a = softmax_i(c q_l . s_i / rms(s_i))

The sources s_i are the embedding and the outputs of the layers; with blocks of S layers, the embedding, the sum of the
outputs of each full block, and the sum so far of the block that is not full. c is 1. The norm has no learned gain,
which would only multiply the query, and the published eps. Where values are normed, s_i / rms(s_i) is summed in place
of s_i, and c is one over the square root of a head's features. With H heads, each slice of C / H features has weights
of its own; the norm is over all features. Formulas as in the code that `mhc_core/families/attnres.py` names.

The first layer reads the embedding alone. The sum behind the last layer goes to the read-out. In the delta form a layer
reads x_l + g sum_i a_i s_i, x_l being the plain residual state, which is the sum of all sources; only full blocks are
weighed, and the read-out takes x_L. A norm that follows the layer is of what is read; sources stay as they are. DeepNorm
has no skip path to enlarge, as without a connection.

Shapes: N samples, C width, K sources, H heads, J outputs so far with the embedding.
"""

import math

import torch
from torch import nn

from mhc_core.blocks.norms import normalise
from mhc_core.connections.connection import Connection, DepthReads, Mixing, Query
from mhc_core.connections.noise import draw_mixing_noise
from mhc_core.spec import RunSpec

KEY_EPS = 1e-6  # under the root of the keys' norm, as in the code of flash-linear-attention and of Inkling2


class DepthAttention(Connection):
    """The state is (K + 1, N, C): the sources, and last what the next layer reads of them, which is its one stream.

    A layer's own parameters are those of the sum behind it: the query with which the next layer, or the read-out, reads.
    """

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec, streams=1)
        chosen = spec.connection
        self.block, self.heads = chosen.depth_block, chosen.depth_heads
        self.is_delta, self.is_normed = chosen.depth_form != "replace", chosen.depth_values == "normed"
        count = spec.depth - 1 if self.is_delta else spec.depth
        draws = draw_mixing_noise(spec, spec.width)[:count]
        self.queries = nn.ParameterList(nn.Parameter(draw.clone()) for draw in draws)
        gated = chosen.depth_form == "delta_gated"
        self.gates = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in range(count if gated else 0))
        self.register_buffer("one", torch.ones(()))
        self.register_buffer("zero", torch.zeros(spec.width))

    def static_mixing(self) -> Mixing | None:
        return None

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Query:
        is_read = layer < len(self.queries)
        query = self.queries[layer] if is_read else self.get_buffer("zero")
        return Query(query, self.gates[layer] if is_read and len(self.gates) else self.get_buffer("one"))

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return [parts[layer] for parts in (self.queries, self.gates) if layer < len(parts)]

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        return torch.stack([x_NC, x_NC])

    def read(self, state: torch.Tensor, mixing: object) -> torch.Tensor:
        # A node of its own in the graph: the gradient at u must not include what passes the branch by.
        return state[-1].view_as(state[-1])

    def leave(
        self, layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: Query
    ) -> tuple[torch.Tensor, DepthReads]:
        sources = self._add_output(layer, state[:-1], y_NC)
        count = self._count_attended(layer)
        if not count:
            plain = sources.to(mixing.query.dtype).sum(0)
            attention = plain.new_zeros((0, len(plain), self.heads))
            made = DepthReads(attention, self._weigh(layer, attention, mixing.gate))
            return torch.cat([sources, plain.to(state.dtype).unsqueeze(0)]), made
        attention, values = self._attend(sources[:count].to(mixing.query.dtype), mixing.query)
        read = torch.einsum("knh,knhc->nhc", values, self._split(sources[:count]).to(values.dtype)).flatten(1)
        if self.is_delta:
            read = sources.to(values.dtype).sum(0) + mixing.gate * read
        made = DepthReads(attention, self._weigh(layer, values, mixing.gate))
        return torch.cat([sources, read.to(state.dtype).unsqueeze(0)]), made

    def normalise(self, state: torch.Tensor, norm: str) -> torch.Tensor:
        return torch.cat([state[:-1], normalise(state[-1:], norm)])

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        return state[-1]

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state[-1:]

    def _add_output(self, layer: int, sources: torch.Tensor, y_NC: torch.Tensor) -> torch.Tensor:
        if layer % self.block:
            return torch.cat([sources[:-1], sources[-1:] + y_NC])
        return torch.cat([sources, y_NC.unsqueeze(0)])

    def _count_attended(self, layer: int) -> int:
        """Return how many sources are weighed behind a layer; 0 where the plain state is read."""
        if not self.is_delta:
            return 2 + layer // self.block
        return 0 if layer == self.layers - 1 else 1 + (layer + 1) // self.block

    def _attend(self, sources: torch.Tensor, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the attention, and the coefficients of the sources in the sum, (K, N, H) each."""
        width = sources.shape[-1]
        norms = torch.linalg.vector_norm(sources, dim=-1, keepdim=True, dtype=torch.float64)
        inverse_rms = torch.rsqrt(norms.square() / width + KEY_EPS).to(sources.dtype)
        logits = torch.einsum("knhc,hc->knh", self._split(sources), query.view(self.heads, -1)) * inverse_rms
        if self.is_normed:
            logits = logits / math.sqrt(width // self.heads)
        attention = torch.softmax(logits, 0)
        return attention, attention * inverse_rms if self.is_normed else attention

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1))

    @torch.no_grad()
    def _weigh(self, layer: int, values: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Return the weight of the embedding and of each output in what is read, (J): that of its source."""
        means = gate * values.mean((1, 2), dtype=torch.float64)
        outputs = torch.arange(layer + 1, device=values.device) // self.block + 1
        places = torch.cat([outputs.new_zeros(1), outputs])
        if not self.is_delta:
            return means[places]
        padded = torch.cat([means, means.new_zeros(int(places[-1]) + 1)])
        return 1 + padded[places]


def build_depth_attention(spec: RunSpec) -> Connection:
    """Build attention over depth by the spec's `depth_` fields."""
    return DepthAttention(spec)

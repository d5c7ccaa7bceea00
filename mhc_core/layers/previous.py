"""Mixing in which each layer reads with the H_pre that the layer before it computed, so that one pass over the streams
is enough.

    x_{l+1}[i] = sum_j H_res(x_l)[i,j] x_l[j] + H_post(x_l)[i] F(sum_j H_pre(x_{l-1})[j] x_l[j])

The first layer reads stream 0, and the output is read with the H_pre of the last layer, as in DeepSeek-V4.1
(`DeepseekV41DecoderLayer` of transformers). All else is as in `mhc_core.layers.manifold`.
Shapes: L layers, N samples, n streams, C width.
"""

import torch
from torch import nn

from mhc_core.layers.connection import Mixing, PassedMixing
from mhc_core.layers.manifold import DynamicManifold, StaticManifold, to_reads
from mhc_core.layers.norms import normalise
from mhc_core.layers.stream_products import read_streams


class StaticPrevious(StaticManifold):
    """Static mixing with the H_pre of the layer before: row l of b_pre gives the H_pre of layer l + 1, and the last row
    the weights of the output.
    """

    def static_mixing(self) -> Mixing:
        """Return the mixing of all layers, with H_pre moved by one layer. The first layer reads stream 0."""
        made = super().static_mixing()
        first = torch.zeros_like(made.h_pre[:1])
        first[:, 0] = 1
        return made._replace(h_pre=torch.cat([first, made.h_pre[:-1]]))

    def output_parameters(self) -> list[nn.Parameter]:
        return [self.b_pre]

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        """Return the stack's output (N, C): the streams, read with the H_pre of the last row of b_pre."""
        last = self.b_pre[-1].to(self.mapping_dtype or self.coefficient_dtype)
        weights = to_reads(last, self.residual_map.eps).to(self.coefficient_dtype)
        return torch.einsum("n,nsc->sc", weights, state.to(weights.dtype)).to(state.dtype)


class DynamicPrevious(DynamicManifold):
    """Dynamic mixing with the H_pre of the layer before. Layout (N, n, C + 1): the last entry of each stream is its
    weight in the read of the next layer.

    This weight is part of the state, and has its dtype, because its gradient flows to the state before.
    """

    def expand(self, x_NC: torch.Tensor) -> torch.Tensor:
        """Return the state before the first layer: streams, with H_pre of the first layer as an additional feature."""
        streams = super().expand(x_NC)
        weights = torch.zeros_like(streams[..., :1])
        weights[:, 0] = 1
        return torch.cat([streams, weights], dim=2)

    def gather_input_grad(self, grad: torch.Tensor) -> torch.Tensor:
        return torch.cat([super().gather_input_grad(grad[..., :-1]), grad[..., -1:]], dim=2)

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> PassedMixing:  # type: ignore[override]
        """Return the mixing of one layer for each sample: H_pre is read from the state, the rest is computed."""
        made = super().dynamic_mixing(layer, state[..., :-1])
        return PassedMixing(state[..., -1].to(made.h_pre.dtype), made.h_post, made.h_res, made.h_pre)

    def read(self, state: torch.Tensor, mixing: Mixing | PassedMixing) -> torch.Tensor:
        return super().read(state[..., :-1], mixing)

    def write(self, state: torch.Tensor, y_NC: torch.Tensor, mixing: Mixing | PassedMixing) -> torch.Tensor:
        """Return the state after a layer: its streams, with the H_pre of the next layer as an additional feature."""
        assert isinstance(mixing, PassedMixing)
        after = super().write(state[..., :-1], y_NC, mixing)
        return torch.cat([after, mixing.h_next.unsqueeze(2).to(after.dtype)], dim=2)

    def normalise(self, state: torch.Tensor, norm: str) -> torch.Tensor:
        return torch.cat([normalise(state[..., :-1], norm), state[..., -1:]], dim=2)

    def reduce(self, state: torch.Tensor) -> torch.Tensor:
        """Return the stack's output (N, C): the streams, read with the H_pre that the last layer computed."""
        weights = state[..., -1].to(self.coefficient_dtype)
        return read_streams(state[..., :-1].to(weights.dtype), weights).to(state.dtype)

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state[..., :-1].transpose(0, 1)

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return torch.cat([x_nNC.transpose(0, 1), state[..., -1:]], dim=2)

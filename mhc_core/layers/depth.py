"""Attention over depth: each layer reads a weighted sum of the embedding and of all earlier outputs.

    h_l = sum_i a_i s_i,  a = softmax_i(c q_l . s_i / rms(s_i))

The sources s_i are the embedding and the outputs of the layers. With blocks of S layers they are the embedding, the sum
of the outputs of each full block, and the sum so far of the last, incomplete block. c is 1. The norm uses the published
eps and has no learned gain, which would only multiply the query. With normed values, s_i / rms(s_i) is summed instead
of s_i, and c is one over the square root of a head's features. With H heads, each slice of C / H features has separate
weights; the norm is over all features. Formulas as in the code that `mhc_core/families/attnres.py` names.

The first layer reads the embedding alone. The sum after the last layer goes to the read-out. In the delta form a layer
reads x_l + g sum_i a_i s_i, where x_l is the plain residual state, the sum of the embedding and all outputs; only the
embedding and full blocks are weighed, and the read-out reads x_L. A post-norm applies to what the next layer reads, not
to the sources. DeepNorm has no effect on the skip path, because there is none.

Shapes: N samples, C width, K sources, H heads, J outputs so far with the embedding.
"""

import math
from typing import Any

import torch
from torch import nn

from mhc_core.layers.connection import Connection, DepthReads, EditedQuery, EditOfWeights, OverDepth, Query
from mhc_core.layers.noise import draw_mixing_noise
from mhc_core.spec import RunSpec
from mhc_core.spec.edit import count_sources

KEY_EPS = 1e-6  # added to the mean square of a key, as in the code of flash-linear-attention and of Inkling2


class DepthAttention(OverDepth):
    """Attention over depth. Layout (K + 1, N, C): K sources, then their weighted sum, which the next layer reads.

    The parameters of a layer belong to the sum after it: the query with which the next layer, or the read-out, reads.
    """

    def __init__(self, spec: RunSpec) -> None:
        super().__init__(spec)
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

    def dynamic_mixing(self, layer: int, state: torch.Tensor) -> Query:
        """Return the learned query and gate of the read over depth after this layer; `state` is not used."""
        is_read = layer < len(self.queries)
        query = self.queries[layer] if is_read else self.get_buffer("zero")
        return Query(query, self.gates[layer] if is_read and len(self.gates) else self.get_buffer("one"))

    def layer_parameters(self, layer: int) -> list[nn.Parameter]:
        return [parts[layer] for parts in (self.queries, self.gates) if layer < len(parts)]

    def leave(
        self, layer: int, state: torch.Tensor, y_NC: torch.Tensor, mixing: Query | EditedQuery
    ) -> tuple[torch.Tensor, DepthReads]:
        """Add the branch output to the sources, and replace the last entry of the state by the next layer's input."""
        appends, count = layer % self.block == 0, self._count_attended(layer)
        if count:
            edit = mixing.edit if isinstance(mixing, EditedQuery) else None
            state, attention, values = read_sources(
                state, y_NC, mixing.query, count, self.heads, appends=appends, is_normed=self.is_normed, edit=edit
            )
        else:
            state = _add_output(state, y_NC, appends=appends)
            attention = values = mixing.query.new_zeros((0, len(y_NC), self.heads))
        if self.is_delta:
            added = mixing.gate * state[-1] if count else 0.0
            read = state[:-1].to(values.dtype).sum(0) + added
            state = torch.cat([state[:-1], read.to(state.dtype).unsqueeze(0)])
        return state, DepthReads(attention, self._weigh(layer, values, mixing.gate))

    def _count_attended(self, layer: int) -> int:
        """Return the number of sources that attention over depth weighs after a layer; 0 if the read-out reads the
        plain sum.
        """
        if self.is_delta and layer == self.layers - 1:
            return 0
        return count_sources(layer + 1, self.block, has_full_blocks=self.is_delta)

    @torch.no_grad()
    def _weigh(self, layer: int, values: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Return the weights of the embedding and of each output so far in the sum after a layer, (J)."""
        means = gate * values.mean((1, 2), dtype=torch.float64)
        outputs = torch.arange(layer + 1, device=values.device) // self.block + 1
        places = torch.cat([outputs.new_zeros(1), outputs])
        if not self.is_delta:
            return means[places]
        padded = torch.cat([means, means.new_zeros(int(places[-1]) + 1)])
        return 1 + padded[places]


def read_sources(
    state: torch.Tensor,
    y_NC: torch.Tensor,
    query: torch.Tensor,
    count: int,
    heads: int,
    *,
    appends: bool,
    is_normed: bool,
    edit: EditOfWeights | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Add an output to the sources, and compute the weighted sum of the first `count` of them.

    Parameters
    ----------
    state: (K + 1, N, C), the sources and the previous weighted sum, which is dropped.
    y_NC: the output. It becomes a new source if `appends`, else it is added to the last source.
    query: (C). Its dtype is that of the weights.
    is_normed: whether the sum is over normed sources, and logits are divided by the root of a head's features.
    edit: changes the attention weights before the sum; default None.

    Returns
    -------
    The new state: sources, then their weighted sum. Without a gradient: the attention weights, and the coefficients of
    the sources in the sum, (count, N, H) each.
    """
    return _ReadSources.apply(state, y_NC, query, count, heads, appends, is_normed, edit)


def _add_output(state: torch.Tensor, y_NC: torch.Tensor, *, appends: bool) -> torch.Tensor:
    """Return a new state whose sources include the output. Its last entry is a placeholder for the weighted sum."""
    if appends:
        return torch.cat([state[:-1], y_NC.unsqueeze(0), y_NC.unsqueeze(0)])
    last = state[-2] + y_NC
    return torch.cat([state[:-2], last.unsqueeze(0), last.unsqueeze(0)])


def _split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1))


def _attend(
    x_KNC: torch.Tensor, query: torch.Tensor, heads: int, *, is_normed: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the attention weights of K sources and the scaled products s . q, both (K, N, H), and 1 / rms of each
    source, (K, N, 1).
    """
    scaled = query / math.sqrt(len(query) // heads) if is_normed else query
    # In float64, because squares of large float32 values are infinite.
    if torch.is_grad_enabled():  # not `vector_norm`, because a norm of 0 has no second derivative
        squares = x_KNC.double().square().sum(-1, keepdim=True)
    else:
        squares = torch.linalg.vector_norm(x_KNC, dim=-1, keepdim=True, dtype=torch.float64).square()
    inverse = torch.rsqrt(squares / len(query) + KEY_EPS).to(x_KNC.dtype)
    along = (
        (x_KNC @ scaled).unsqueeze(-1) if heads == 1 else (_split_heads(x_KNC, heads) * scaled.view(heads, -1)).sum(-1)
    )
    return torch.softmax(along * inverse, 0), along, inverse


def _sum_weighted(values_KNH: torch.Tensor, x_KNC: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of the sources, (N, C). Each head of a source has a separate weight."""
    return (values_KNH.unsqueeze(-1) * _split_heads(x_KNC, values_KNH.shape[-1])).sum(0).flatten(1)


class _ReadSources(torch.autograd.Function):
    """`read_sources` as one node of the graph with a hand-written gradient. Autograd would read and write the sources
    several times as often.

    The output is saved for the backward pass, which needs no memory because the next state keeps it in any case.
    """

    @staticmethod
    def forward(
        ctx: Any,
        state: torch.Tensor,
        y_NC: torch.Tensor,
        query: torch.Tensor,
        count: int,
        heads: int,
        appends: bool,
        is_normed: bool,
        edit: EditOfWeights | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the new state, the attention weights (after the edit), and the coefficients of the sources before
        their norm.
        """
        found = _add_output(state, y_NC, appends=appends)
        x = found[:count].to(query.dtype)
        attention, along, inverse = _attend(x, query, heads, is_normed=is_normed)
        used = attention if edit is None else edit(attention)
        values = used * inverse if is_normed else used
        found[-1] = _sum_weighted(values, x)
        ctx.save_for_backward(found, query, attention, used, along, inverse)
        ctx.count, ctx.heads, ctx.appends, ctx.is_normed, ctx.edit = count, heads, appends, is_normed, edit
        ctx.mark_non_differentiable(used, values)
        return found, used, values

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients at the sources, the new output and the query of attention over depth."""
        found, query, *kept = ctx.saved_tensors
        x = found[: ctx.count].to(query.dtype)
        if torch.is_grad_enabled():  # the gradient will be differentiated
            attention, along, inverse = _attend(x, query, ctx.heads, is_normed=ctx.is_normed)
            kept = [attention, attention if ctx.edit is None else ctx.edit(attention), along, inverse]
        to_x, to_query = _differentiate(ctx, x, query, grad, kept)
        to_y = to_x[-1]
        before = to_x[:-1] if ctx.appends else to_x
        # The weighted sum in the state before does not contribute to the new state.
        to_state = torch.cat([before, torch.zeros_like(to_y).unsqueeze(0)])
        return to_state.to(grad.dtype), to_y.to(grad.dtype), to_query, None, None, None, None, None


def _differentiate(
    ctx: Any, x: torch.Tensor, query: torch.Tensor, grad: torch.Tensor, kept: list[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients with respect to all sources and the query: backward through sum, edit, softmax and norm."""
    attention, used, along, inverse = kept
    heads, width = ctx.heads, len(query)
    scale = 1 / math.sqrt(width // heads) if ctx.is_normed else 1.0
    g_NHc, x_KNHc = _split_heads(grad[-1].to(query.dtype), heads), _split_heads(x, heads)
    overlap = torch.linalg.vecdot(x_KNHc, g_NHc)  # of every source with the gradient, (K, N, H)
    to_used = overlap * inverse if ctx.is_normed else overlap
    to_attention = to_used if ctx.edit is None else _pass_edit(ctx.edit, attention, to_used)
    to_logits = attention * (to_attention - (attention * to_attention).sum(0))
    to_inverse = (to_logits * along).sum(-1, keepdim=True)
    if ctx.is_normed:
        to_inverse = to_inverse + (used * overlap).sum(-1, keepdim=True)
    to_along = to_logits * inverse * scale
    to_x = grad[:-1].to(query.dtype, copy=True)
    weighed = _split_heads(to_x[: ctx.count], heads)
    weighed.addcmul_(x_KNHc, (-to_inverse * inverse.pow(3) / width).unsqueeze(-1))
    weighed.addcmul_((used * inverse if ctx.is_normed else used).unsqueeze(-1), g_NHc)
    weighed.addcmul_(to_along.unsqueeze(-1), query.view(heads, -1))
    to_query = torch.einsum("mh,mhc->hc", to_along.flatten(0, 1), x_KNHc.flatten(0, 1)).flatten()
    return to_x, to_query


def _pass_edit(edit: EditOfWeights, attention: torch.Tensor, to_used: torch.Tensor) -> torch.Tensor:
    """Return the gradient with respect to the attention weights before an edit, from that with respect to the edited
    weights.
    """
    keeps_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        start = attention if attention.requires_grad else attention.detach().requires_grad_()
        (found,) = torch.autograd.grad(edit(start), start, to_used, create_graph=keeps_graph)
    return found


def build_depth_attention(spec: RunSpec) -> Connection:
    """Build the connection of attention over depth from the spec's `depth_` fields."""
    return DepthAttention(spec)

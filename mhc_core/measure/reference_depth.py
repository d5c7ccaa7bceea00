"""Attention over depth a second time, in plain numpy from the queries and from what the branches have put out.

It shares no code with `mhc_core.connections.depth`. The sources are made of the outputs here, so that neither the state
nor its layout is used. Shapes: N samples, C width, K sources, H heads, J outputs so far with the embedding.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from mhc_core.connections import DepthReads
from mhc_core.family import TINY, Array
from mhc_core.measure.reference_edits import edit_attention
from mhc_core.measure.reference_mixing import MOVE, MOVED_SAMPLES, read_parameters
from mhc_core.rng import normal
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack

KEY_EPS = 1e-6  # of the keys' norm, as in the public code


@dataclass(frozen=True)
class ReferenceRead:
    """What is read behind a layer: attention (K, N, H), the sum (N, C), and the mean weight of each output (J)."""

    attention_KNH: Array
    read_NC: Array
    weights_J: Array


@dataclass(frozen=True)
class _Sources:
    """What is weighed behind a layer: the embedding and blocks of `counts` outputs, (K, N, C).

    plain: the embedding and all outputs, summed.
    """

    spec: RunSpec
    layer: int
    sources_KNC: Array
    counts: list[int]
    plain_NC: Array

    def attend(self, query: Array) -> Array:
        """Return softmax_i(c q . s_i / rms(s_i)) of each head, (K, N, H)."""
        heads = self.spec.connection.depth_heads
        logits = (self._split(self.sources_KNC / self._rms) * query.reshape(heads, -1)).sum(-1)
        logits = logits / math.sqrt(self.spec.width / heads) if self._is_normed else logits
        shares = np.exp(logits - logits.max(0))
        found: Array = shares / shares.sum(0)
        return found

    def read(self, attention_KNH: Array, gate: float) -> ReferenceRead:
        """Return what is read by this attention, and the weight of each output in it."""
        values = attention_KNH / self._rms if self._is_normed else attention_KNH
        slices = self._split(self.sources_KNC)
        read_NC = (values[..., None] * slices).sum(0).reshape(self.plain_NC.shape)
        mean = values.mean((1, 2))
        weights = np.concatenate([mean[:1], np.repeat(mean[1:], self.counts)]) if len(mean) else mean
        if self.spec.connection.depth_form != "replace":
            rest = np.zeros(self.layer + 2 - len(weights))
            read_NC, weights = self.plain_NC + gate * read_NC, 1 + gate * np.concatenate([weights, rest])
        return ReferenceRead(attention_KNH, read_NC, weights)

    def _split(self, x_KNC: Array) -> Array:
        heads = self.spec.connection.depth_heads
        return x_KNC.reshape(*x_KNC.shape[:2], heads, x_KNC.shape[2] // heads)

    @property
    def _rms(self) -> Array:
        found: Array = np.sqrt((self.sources_KNC**2).mean(-1, keepdims=True) + KEY_EPS)
        return found

    @property
    def _is_normed(self) -> bool:
        return self.spec.connection.depth_values == "normed"


def _list_sources(spec: RunSpec, layer: int, start_NC: Array, outputs: Sequence[Array]) -> _Sources:
    size, done = spec.connection.depth_block, layer + 1
    counts = [min(size, done - first) for first in range(0, done, size)]
    is_delta = spec.connection.depth_form != "replace"
    if is_delta:
        counts = [count for count in counts if count == size]
    ends = [int(end) for end in np.cumsum([0, *counts])]
    blocks = [np.sum(outputs[first:last], axis=0) for first, last in pairwise(ends)]
    sources = [start_NC, *blocks]
    if is_delta and done == spec.depth:  # the read-out takes the plain state
        sources, counts = [], []
    shaped = np.array(sources).reshape(len(sources), *start_NC.shape)
    return _Sources(spec, layer, shaped, counts, start_NC + np.sum(outputs[:done], axis=0))


def compute_reads(
    spec: RunSpec,
    parameters: dict[str, Array],
    start_NC: Array,
    outputs: Sequence[Array],
    edit: Callable[[int, Array], Array] | None = None,
) -> list[ReferenceRead]:
    """Compute what is read behind every layer, before a norm that follows it.

    Parameters
    ----------
    parameters: of the connection, see `read_parameters`.
    start_NC: the embedding.
    outputs: of every branch, (N, C).
    edit: takes a layer and the attention that it reads by, and returns the attention after its edits.
    """
    found = []
    for layer in range(len(outputs)):
        sources = _list_sources(spec, layer, start_NC, outputs)
        attention_KNH = _attend(sources, parameters)
        attention_KNH = attention_KNH if edit is None else edit(layer + 1, attention_KNH)
        found.append(sources.read(attention_KNH, _get_gate(sources, parameters)))
    return found


def _attend(sources: _Sources, parameters: dict[str, Array]) -> Array:
    if not len(sources.sources_KNC):
        return np.zeros((0, len(sources.plain_NC), sources.spec.connection.depth_heads))
    return sources.attend(parameters[f"queries.{sources.layer}"])


def _get_gate(sources: _Sources, parameters: dict[str, Array]) -> float:
    return float(parameters.get(f"gates.{sources.layer}", 1.0))


# What has to hold of any stack.


def check_reads(stack: Stack, start: torch.Tensor, outputs: Sequence[LayerOutput]) -> dict[str, Array]:
    """Check what is read behind each layer, (L) each: the largest errors; nan where nothing is weighed.

    Returns
    -------
    depth_rule: of the read against the sum of the sources by the attention that the stack has used, normed where a norm
        follows; relative to the largest entry.
    depth_weights: of the attention against the softmax of its formula, edited as the spec says, at the
        stack's own queries and at moved ones.
    depth_mean: of the attention against one over the number of sources, edited likewise, where queries start at 0.
    """
    spec, parameters = stack.spec, read_parameters(stack)
    start_NC, branches = _read(stack.connection.streams(start))[0], [_read(output.y) for output in outputs]
    rules, weights, means = [], [], []
    moved = _attend_moved(stack, start, outputs)
    for layer, output in enumerate(outputs):
        assert isinstance(output.mixing, DepthReads)
        sources, used = _list_sources(spec, layer, start_NC, branches), _read(output.mixing.attention)
        due = _apply_norm(spec, sources.read(used, _get_gate(sources, parameters)).read_NC)
        rules.append(_differ(_read(stack.connection.streams(output.state))[0], due) / np.abs(due).max())
        few = _list_sources(spec, layer, start_NC[:MOVED_SAMPLES], [branch[:MOVED_SAMPLES] for branch in branches])
        pairs = (
            (used, edit_attention(stack, layer + 1, _attend(sources, parameters))),
            (moved[1][layer], _attend(few, moved[0])),
        )
        weights.append(max(_differ(*pair) for pair in pairs))
        even_KNH = np.full(used.shape, 1 / max(len(sources.sources_KNC), 1))
        means.append(_differ(used, edit_attention(stack, layer + 1, even_KNH)))
    found = {"depth_rule": np.array(rules), "depth_weights": np.array(weights)}
    return found | ({"depth_mean": np.array(means)} if spec.connection.noise == 0 else {})


@torch.no_grad()
def _attend_moved(
    stack: Stack, start: torch.Tensor, outputs: Sequence[LayerOutput]
) -> tuple[dict[str, Array], list[Array]]:
    """Return moved parameters, and the attention behind every layer with them, of a few samples."""
    connection: Any = stack.connection
    own = {name: p.detach().clone() for name, p in connection.named_parameters()}
    found, states = [], [start, *(output.state for output in outputs)]
    try:
        for name, p in connection.named_parameters():
            p.add_(MOVE * normal(stack.spec.seed, f"moved.{name}", -1, *p.shape).to(p))
        for layer, output in enumerate(outputs):
            few = states[layer].detach()[:, :MOVED_SAMPLES]
            made = connection.dynamic_mixing(layer, few)
            found.append(_read(connection.leave(layer, few, output.y.detach()[:MOVED_SAMPLES], made)[1].attention))
        # Copied: the parameters are put back in place.
        return {name: parameter.copy() for name, parameter in read_parameters(stack).items()}, found
    finally:
        for name, p in connection.named_parameters():
            p.copy_(own[name])


def _apply_norm(spec: RunSpec, read_NC: Array) -> Array:
    if spec.block.norm_position != "post":
        return read_NC
    read_NC = read_NC - read_NC.mean(-1, keepdims=True) if spec.block.norm == "layernorm" else read_NC
    found: Array = read_NC / np.sqrt((read_NC**2).mean(-1, keepdims=True) + TINY)
    return found


def _differ(got: Array, due: Array) -> float:
    """Return the largest difference; nan of nothing, inf of another shape."""
    if got.shape != due.shape:
        return math.inf
    return float(np.abs(got - due).max()) if got.size else math.nan


def _read(tensor: torch.Tensor) -> Array:
    found: Array = tensor.detach().cpu().double().numpy()
    return found

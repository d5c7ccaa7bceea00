"""Applies the edits of a spec to the streams, the mixing and the branch output of layers.

An edit of streams that is linear, such as a cut, is a matrix E: the layer reads and mixes E x. It is multiplied into
the coefficients, H_pre E and H_res E, so that products of mixing matrices and their gains include it. Other edits of
streams (mean over tokens, noise, restore) change the state itself.

A restored stream has the value of the run without edits, and passes on the gradient unchanged, as if the difference had
been added as a constant. A frozen value is a constant.

Shapes: n streams, N samples, C width (of a stream), L layers.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch

from mhc_core.layers.connections import GatedMixing, Made
from mhc_core.rng import normal
from mhc_core.spec import EditSpec

LINEAR = ("zero", "uniform", "scale", "swap")


class HasEdits(Protocol):
    """The parts of a spec, or of the description of someone else's model, that edits need."""

    @property
    def seed(self) -> int:
        """Return the seed of the noise."""

    @property
    def streams(self) -> int:
        """Return the number of streams, n."""

    @property
    def edits(self) -> tuple[EditSpec, ...]:
        """Return the edits in the order in which they are applied."""


class HasStreams(Protocol):
    """The conversion between a state and its streams."""

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        """Return the streams of a state, (n, N, C)."""

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return a state with these streams, whose other entries are those of `state`."""


@dataclass(frozen=True)
class Base:
    """The parts of the run without edits that edits read: each layer's input state, its coefficients, and the output of
    its branch.
    """

    states: list[torch.Tensor]
    mixings: list[Made]
    outputs: list[torch.Tensor]

    @classmethod
    def of(cls, outputs: Sequence[Any]) -> "Base":
        """Build the base of an edited run from the outputs of its layers without edits."""
        return cls([one.entered for one in outputs], [one.mixing for one in outputs], [one.y for one in outputs])


class Edits:
    """Applies the edits of a spec, by layer. `base` must be set before a layer with edits that restore or freeze."""

    def __init__(self, spec: HasEdits) -> None:
        self.seed, self.streams = spec.seed, spec.streams
        self.is_on = bool(spec.edits)
        self.base: Base | None = None
        self._by_layer: dict[int, list[tuple[int, EditSpec]]] = defaultdict(list)
        for place, edit in enumerate(spec.edits):
            if edit.do == "swap" and edit.index == edit.other:
                continue  # a copy of the matrix could have another memory layout, and its products another rounding
            for layer in range(edit.first, edit.last + 1):
                self._by_layer[layer].append((place, edit))

    def touches(self, layer: int, *whats: str) -> bool:
        """Return whether any edit changes one of `whats`, such as "stream" or "h_res", in this layer."""
        return any(True for _ in self._list_edits(layer, *whats))

    def enter(
        self, layer: int, state: torch.Tensor, connection: HasStreams
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the state that enters a layer, after its edits, and the matrix E (n, n) of linear edits that the
        coefficients must still include, if any.
        """
        matrix: torch.Tensor | None = None
        for place, edit in self._list_edits(layer, "stream", "state"):
            if edit.do in LINEAR:
                step = to_matrix(edit, self.streams)
                matrix = step if matrix is None else step @ matrix
                continue
            if matrix is not None:
                state, matrix = turn(state, matrix, connection), None
            state = self._replace(place, edit, layer, state, connection)
        if matrix is None or torch.equal(matrix, torch.eye(self.streams, dtype=torch.float64)):
            return state, None
        return state, matrix

    def mix(self, layer: int, mixing: Made) -> Made:
        """Return the coefficients of a layer after their edits.

        With attention over depth, a layer also computes the read of the next layer, so the edits of the next layer's
        sources are applied here.
        """
        if self.touches(layer + 1, "source"):
            mixing = mixing.with_edit(partial(self.weigh, layer + 1))
        for place, edit in self._list_edits(layer, "h_pre", "h_post", "h_res"):
            entries = getattr(mixing, edit.what)
            kept = getattr(self._get_base().mixings[layer], edit.what) if edit.do == "freeze" else None
            rank = entries.ndim - mixing.h_post.ndim + 1
            noise = self._draw_noise(place, layer, *entries.shape[-rank:]) if edit.do == "noise" else None
            changed = edit_entries(edit, entries, rank, kept, noise)
            mixing = mixing._replace(**{edit.what: changed})
        return mixing

    def weigh(self, layer: int, attention: torch.Tensor) -> torch.Tensor:
        """Return the weights of the sources that a layer reads, (K, N, H) or (K, 1, 1), after edits."""
        weights = attention.movedim(0, -1)
        for place, edit in self._list_edits(layer, "source"):
            kept = self._get_base().mixings[layer - 1].attention.movedim(0, -1) if edit.do == "freeze" else None
            noise = self._draw_noise(place, layer, weights.shape[-1]) if edit.do == "noise" else None
            weights = edit_entries(edit, weights, 1, kept, noise)
        return weights.movedim(-1, 0).contiguous()

    def output(self, layer: int, y_NC: torch.Tensor) -> torch.Tensor:
        """Return the branch output of a layer, (N, C), after its edits."""
        for place, edit in self._list_edits(layer, "branch"):
            if edit.do == "freeze":
                y_NC = hold(y_NC, self._get_base().outputs[layer])
            else:
                y_NC = self._change(place, edit, layer, y_NC)
        return y_NC

    def _list_edits(self, layer: int, *whats: str) -> Iterable[tuple[int, EditSpec]]:
        """Return the edits of a layer that change one of `whats`, such as "stream", with their indices in the spec."""
        if layer not in self._by_layer:
            return ()
        return [item for item in self._by_layer[layer] if item[1].what in whats]

    def _replace(
        self, place: int, edit: EditSpec, layer: int, state: torch.Tensor, connection: HasStreams
    ) -> torch.Tensor:
        """Return the state after an edit of one or all streams that no matrix expresses: mean over tokens, noise, or
        the stream of the run without edits (restore).
        """
        x_nNC = connection.streams(state)
        changed = list(x_nNC.unbind())
        base = connection.streams(self._get_base().states[layer]) if edit.do == "restore" else x_nNC
        for stream in range(self.streams) if edit.index is None else [edit.index]:
            if edit.do == "restore":
                changed[stream] = _Restore.apply(x_nNC[stream], base[stream])
            else:
                changed[stream] = self._change(place, edit, layer, x_nNC[stream], stream)
        return connection.join_streams(torch.stack(changed), state)

    def _change(self, place: int, edit: EditSpec, layer: int, x_NC: torch.Tensor, stream: int = 0) -> torch.Tensor:
        """Return one stream or branch output (N, C) after an edit that does not need other streams."""
        match edit.do:
            case "zero":
                return hold(x_NC, torch.zeros_like(x_NC))
            case "scale":
                assert edit.value is not None
                return x_NC * edit.value
            case "mean":
                return x_NC.mean(0, keepdim=True).expand_as(x_NC)
            case "noise":
                assert edit.value is not None
                size = x_NC.double().square().mean().sqrt() * edit.value
                noise = self._draw_noise(place, layer, *x_NC.shape, stream=stream)
                return x_NC + (size * noise.to(size)).to(x_NC)
        raise AssertionError(f"{edit.do} needs other streams or the base")

    def _draw_noise(self, place: int, layer: int, *shape: int, stream: int = 0) -> torch.Tensor:
        return normal(self.seed, f"edit.{place}.{stream}", layer, *shape)

    def _get_base(self) -> Base:
        """Return the recorded run without edits, which edits that restore or freeze need."""
        assert self.base is not None, "the run without edits has to be recorded first"
        return self.base


class _Restore(torch.autograd.Function):
    """Returns the value of the run without edits, but passes the gradient on to the value that it replaces."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        return base.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad, None


def find_first_edit(spec: HasEdits) -> int:
    """Return the first layer, from 0, that edits change. The sources of a layer are summed in the layer before it."""
    return min(edit.first - (edit.what == "source") for edit in spec.edits)


def hold(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return a constant instead of x. It stays in the graph of x, with a gradient of 0."""
    return _Hold.apply(x, value)


class _Hold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return value.detach().clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return torch.zeros_like(grad), None


def to_matrix(edit: EditSpec, n: int) -> torch.Tensor:
    """Return the matrix E (n, n), float64, of a linear edit of streams. Row i has the weights of the new stream i."""
    matrix = torch.eye(n, dtype=torch.float64)
    rows = list(range(n)) if edit.index is None else [edit.index]
    match edit.do:
        case "zero":
            matrix[rows] = 0.0
        case "scale":
            assert edit.value is not None
            matrix[rows] *= edit.value
        case "uniform":
            matrix[rows] = 1 / n
        case "swap":
            assert edit.index is not None
            assert edit.other is not None
            matrix[[edit.index, edit.other]] = matrix[[edit.other, edit.index]]
        case _:
            raise AssertionError(f"{edit.do} is not linear")
    return matrix


def fold(mixing: Made, matrix: torch.Tensor | None) -> Made:
    """Return coefficients multiplied by the matrix E of an edit, H_pre E and H_res E; unchanged if E is None."""
    if matrix is None:
        return mixing
    turned = matrix.to(mixing.h_res)
    folded = mixing._replace(h_pre=mixing.h_pre @ turned, h_res=mixing.h_res @ turned)
    if isinstance(mixing, GatedMixing):
        return folded._replace(features=torch.einsum("njc,jk->nkc", mixing.features, turned))
    return folded


def turn(state: torch.Tensor, matrix: torch.Tensor, connection: HasStreams) -> torch.Tensor:
    """Return a state with the streams E x, for the matrix E (n, n) of an edit."""
    x_nNC = connection.streams(state)
    mixed = matrix.to(x_nNC) @ x_nNC.flatten(1)
    return connection.join_streams(mixed.view(x_nNC.shape), state)


def edit_entries(
    edit: EditSpec, entries: torch.Tensor, rank: int, kept: torch.Tensor | None, noise: torch.Tensor | None
) -> torch.Tensor:
    """Return H_pre, H_post, H_res or source weights of one layer after an edit.

    Parameters
    ----------
    entries: (..., n) or (..., n, n), with a leading axis N if they depend on tokens.
    rank: 1 for a vector, 2 for a matrix.
    kept: the coefficients of the run without edits, for `freeze`.
    noise: standard normal numbers (n) or (n, n), for `noise`.
    """
    if edit.do == "swap":
        order = list(range(entries.shape[-rank]))
        assert edit.index is not None
        assert edit.other is not None
        order[edit.index], order[edit.other] = edit.other, edit.index
        return entries[..., order, :] if rank == 2 else entries[..., order]
    changed = _change_all(edit, entries, rank, kept, noise)
    if edit.index is None:
        return changed
    is_edited = torch.zeros(entries.shape[-rank], dtype=torch.bool, device=entries.device)
    is_edited[edit.index] = True
    return torch.where(is_edited.unsqueeze(-1) if rank == 2 else is_edited, changed, entries)


def _change_all(
    edit: EditSpec, entries: torch.Tensor, rank: int, kept: torch.Tensor | None, noise: torch.Tensor | None
) -> torch.Tensor:
    """Return coefficients with an edit applied to all rows of a matrix, or to all entries of a vector."""
    match edit.do:
        case "zero":
            return hold(entries, torch.zeros_like(entries))
        case "identity":
            return hold(entries, torch.eye(entries.shape[-1]).to(entries).expand_as(entries))
        case "mean":
            return entries.mean(0, keepdim=True).expand_as(entries) if entries.ndim > rank else entries
        case "uniform":
            axes = (-1,) if rank == 1 or edit.index is not None else (-2, -1)
            return entries.mean(axes, keepdim=True).expand_as(entries)
        case "scale":
            assert edit.value is not None
            return entries * edit.value
        case "set":
            values = torch.tensor(edit.values, dtype=torch.float64).to(entries)
            shape = entries.shape[-rank:] if edit.index is None else entries.shape[1 - rank :] if rank == 2 else (1,)
            return hold(entries, values.view(shape).expand_as(entries))
        case "noise":
            assert noise is not None
            assert edit.value is not None
            return entries + edit.value * noise.to(entries)
        case "freeze":
            assert kept is not None
            return hold(entries, kept)
        case "top_k":
            assert edit.k is not None
            return keep_largest(entries, edit.k)
    raise AssertionError(f"{edit.do} is not an edit of coefficients")


def keep_largest(entries: torch.Tensor, k: int) -> torch.Tensor:
    """Set all but the k largest |entries| of each row to 0, and scale the rest to the same sum of |entries|.

    Of equal entries, the first ones are kept.
    """
    sizes = entries.abs()
    places = torch.sort(sizes, dim=-1, descending=True, stable=True).indices[..., :k]
    kept = torch.zeros_like(entries).scatter(-1, places, entries.gather(-1, places))
    left = kept.abs().sum(-1, keepdim=True)
    whole = sizes.sum(-1, keepdim=True)
    factor = torch.where(left > 0, whole / torch.where(left > 0, left, 1.0), 1.0)
    return kept * factor

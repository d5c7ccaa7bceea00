"""Join the passes of one attachment into one: their samples concatenated, without padding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from mhc_core.layers.connections import DepthReads
from mhc_core.spec import SpecError
from mhc_probe.adapter import Adapter, LayerPass, SourceRead
from mhc_probe.recording.passes import Pass, RecordedLayer


@dataclass
class JoinedLayer:
    """One layer over the samples of all passes. Tensors are on one device; coefficients have an axis N or none.

    `reads` is None unless layers read earlier outputs; then there are no coefficients.
    """

    name: str
    weights: list[nn.Parameter]
    mixing: list[nn.Parameter]
    after_nNC: torch.Tensor
    u_NC: torch.Tensor | None
    y_NC: torch.Tensor | None
    h_pre: torch.Tensor | None
    h_post: torch.Tensor | None
    h_res: list[torch.Tensor]
    grad_after_nNC: torch.Tensor | None
    grad_u_NC: torch.Tensor | None
    reads: DepthReads | None = None
    knows_weights: bool = False  # whether the weights in `reads` are known
    reads_count: int = 1  # number of tensors whose mean is the state
    site: int = 0
    entered_nNC: torch.Tensor | None = None  # the edited state that the layer used, if an edit replaced the state
    chosen: int | None = None  # index of the candidate for H_res that the states obey; None if unknown
    subtracts_read: bool = False  # see `LayerPass`
    gates: torch.Tensor | None = None  # see `LayerPass`


@dataclass
class JoinedPasses:
    """Several recorded passes, joined into one over all samples. `dtype` is that of the states."""

    dtype: torch.dtype
    state_nNC: torch.Tensor
    grad_input_nNC: torch.Tensor | None
    layers: list[JoinedLayer]
    loss: float | None


class NoPassError(RuntimeError):
    """No pass has reached all layers."""


def join(passes: Sequence[Pass], adapter: Adapter) -> JoinedPasses:
    """Join complete passes into one, over the samples of all.

    Raises
    ------
    SpecError
        If a layer does not receive the output of the previous layer, or changes its shape, or if layers are connected
        by more than the state.
    NoPassError
        If no pass has reached all layers.
    """
    chosen = _choose(passes, adapter)
    orders = [list(recorded.layers.values()) for recorded in chosen]
    check_chain(orders[0], adapter)
    if (excess := adapter.find_excess()) is not None:
        raise excess
    rows = [_Rows(recorded, adapter) for recorded in chosen]
    first = [order[0] for order in orders]
    losses = [float(recorded.loss) for recorded in chosen if recorded.loss is not None]
    return JoinedPasses(
        dtype=first[0].state.values.dtype,
        state_nNC=_join_states([row.streams(layer.state.values) for row, layer in zip(rows, first, strict=True)]),
        grad_input_nNC=_join([row.streams(recorded.grad_input) for row, recorded in zip(rows, chosen, strict=True)], 1),
        layers=[_join_layer(layers, rows, adapter) for layers in zip(*orders, strict=True)],
        loss=sum(losses) / len(losses) if len(losses) == len(chosen) else None,
    )


def check_chain(layers: Sequence[RecordedLayer], adapter: Adapter) -> None:
    """Raise SpecError if a layer does not receive the output of the previous layer, or changes the state's shape."""
    breaks: list[tuple[int, str]] = []
    for index, layer in enumerate(layers):
        assert layer.after is not None
        entered, left = layer.state.values, layer.after.values
        if entered.shape != left.shape:
            breaks.append((index, f"layer {index + 1} makes a state {tuple(entered.shape)} one of {tuple(left.shape)}"))
        if index and not _is_same(layer.state.values, layers[index - 1].after):
            breaks.append((index, f"what enters layer {index + 1} is not what left layer {index}"))
    if breaks:
        raise SpecError("layers", breaks[0][1], f"layers that pass one state on; {_propose(layers, breaks, adapter)}")


ADVICE = (
    "no two of them do. Put what happens between two layers into a module together with one of them, such that it takes"
    " a state and returns the next one, and list these modules as layers="
)


def _propose(layers: Sequence[RecordedLayer], breaks: Sequence[tuple[int, str]], adapter: Adapter) -> str:
    """Return advice for the error: an argument `layers=` with the longest run of layers without a break."""
    runs, first = [], 0
    for index in range(len(layers) + 1):
        changes = index < len(layers) and any(at == index and "makes" in why for at, why in breaks)
        if index == len(layers) or changes or any(at == index for at, _ in breaks):
            runs.append((index - first, first))
            first = index + 1 if changes else index
    length, first = max(runs, key=lambda run: run[0])
    proposal = adapter.propose([layer.site for layer in layers[first : first + length]]) if length > 1 else None
    return ADVICE if proposal is None else f"try {proposal}"


def _is_same(state: torch.Tensor, before: object) -> bool:
    """Return whether a state equals the one recorded after the previous layer, on any device and in any dtype."""
    values = getattr(before, "values", None)
    if values is state:
        return True
    assert isinstance(values, torch.Tensor)
    return values.shape == state.shape and torch.equal(values.to(state.device, state.dtype), state)


def _choose(passes: Sequence[Pass], adapter: Adapter) -> list[Pass]:
    """Return the complete passes that have a graph, or the first complete pass if none has one."""
    whole = [
        recorded
        for recorded in passes
        if len(recorded.layers) == adapter.count_layers()
        and all(layer.after is not None for layer in recorded.layers.values())
    ]
    if not whole or not adapter.count_layers():
        reached = max((len(recorded.layers) for recorded in passes), default=0)
        raise adapter.explain() or NoPassError(
            f"recorded {reached} of {adapter.count_layers()} layers: no complete forward pass"
        )
    with_graph = [recorded for recorded in whole if any(layer.awaits_grad_after for layer in recorded.layers.values())]
    return with_graph or whole[:1]


class _Rows:
    """Selects the samples of one pass that are not padding."""

    def __init__(self, recorded: Pass, adapter: Adapter) -> None:
        state = next(iter(recorded.layers.values())).state.values
        self.adapter, self.device = adapter, state.device
        self.samples = adapter.to_streams(state).shape[1]
        self.kept: torch.Tensor | None = None
        if recorded.mask is not None:
            if recorded.mask.numel() != self.samples:
                shapes = f"a mask {tuple(recorded.mask.shape)} for a state {tuple(state.shape)}"
                raise SpecError("attention_mask", shapes, "one value for each sample of the state")
            kept = recorded.mask.flatten().to(self.device)
            self.kept = None if bool(kept.all()) else kept

    def streams(self, state: torch.Tensor | None) -> torch.Tensor | None:
        """Return a state or its gradient as (n, N, C), without padding; None for None."""
        return None if state is None else self._select_samples(self.adapter.to_streams(state.to(self.device)), 1)

    def rows(self, x: torch.Tensor | None) -> torch.Tensor | None:
        """Return the input or output of a branch as (N, C), without padding; None for None."""
        return None if x is None else self._select_samples(self.adapter.to_rows(x.to(self.device)), 0)

    def select_coefficients(self, h: torch.Tensor | None) -> torch.Tensor | None:
        """Return coefficients (N, ...) without those of padding."""
        return None if h is None else self._select_samples(h.to(self.device), 0)

    def _select_samples(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        return x if self.kept is None else x.index_select(axis, self.kept.nonzero()[:, 0])


def _join_layer(layers: Sequence[RecordedLayer], rows: Sequence[_Rows], adapter: Adapter) -> JoinedLayer:
    """Concatenate the samples of one layer over all passes. Static coefficients keep their shape without N."""

    def gather(read: Callable[[_Rows, RecordedLayer], torch.Tensor | None], axis: int = 0) -> torch.Tensor | None:
        return _join([read(row, layer) for row, layer in zip(rows, layers, strict=True)], axis)

    def gather_coefficients(read: Callable[[LayerPass], torch.Tensor | None], static_ndim: int) -> torch.Tensor | None:
        """Return one coefficient of a layer over the samples of all passes. A static one is returned unchanged."""
        parts = [read(layer.get_written()) for layer in layers]
        if parts[0] is not None and parts[0].ndim == static_ndim:  # the same in all passes
            return parts[0].to(rows[0].device)
        return _join([row.select_coefficients(part) for row, part in zip(rows, parts, strict=True)], 0)

    first = layers[0].get_written()
    count = min(len(layer.get_written().h_res) for layer in layers)
    matrices = [gather_coefficients(partial(_get_matrix, k), 2) for k in range(count)]
    return JoinedLayer(
        site=layers[0].site,
        entered_nNC=_join([row.streams(layer.edited) for row, layer in zip(rows, layers, strict=True)], 1),
        name=first.name,
        weights=first.weights,
        mixing=adapter.sites[layers[0].site].mixing,
        after_nNC=_join_states(
            [row.streams(layer.get_written().after) for row, layer in zip(rows, layers, strict=True)]
        ),
        u_NC=gather(lambda row, layer: row.rows(layer.u)),
        y_NC=gather(lambda row, layer: row.rows(layer.get_written().y)),
        h_pre=gather_coefficients(lambda written: written.h_pre, 1),
        h_post=gather_coefficients(lambda written: written.h_post, 1),
        h_res=[matrix for matrix in matrices if matrix is not None],
        grad_after_nNC=gather(lambda row, layer: row.streams(layer.grad_after), 1),
        grad_u_NC=gather(lambda row, layer: row.rows(layer.grad_u)),
        reads=_join_reads([layer.get_written().read for layer in layers], rows),
        knows_weights=all(layer.get_written().knows_weights for layer in layers),
        subtracts_read=first.subtracts_read,
        gates=gather_coefficients(lambda written: written.gates, 2),
        reads_count=1 if first.read is None else first.read.tensors,
    )


def _join_reads(reads: Sequence[SourceRead | None], rows: Sequence[_Rows]) -> DepthReads | None:
    """Return attention and mean weights over the samples of all passes; None if layers read no earlier outputs."""
    known = [read for read in reads if read is not None]
    if len(known) < len(reads):
        return None
    places = known[0].places
    attention = _join([row.select_coefficients(read.attention) for row, read in zip(rows, known, strict=True)], 0)
    values = _join([row.select_coefficients(read.values) for row, read in zip(rows, known, strict=True)], 0)
    assert attention is not None, "attention was recorded"
    if values is None:
        weights = torch.full((len(places),), float("nan"), dtype=torch.float64, device=rows[0].device)
    else:
        means = [*values.mean((0, 2), dtype=torch.float64), values.new_zeros((), dtype=torch.float64)]
        weights = torch.stack([means[-1 if place is None else place] for place in places])
    return DepthReads(attention.transpose(0, 1), weights)


def _get_matrix(k: int, written: LayerPass) -> torch.Tensor:
    return written.h_res[k]


def _join(parts: Sequence[torch.Tensor | None], axis: int) -> torch.Tensor | None:
    """Concatenate the tensors of all passes; None if a pass has none."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return known[0] if len(known) == 1 else torch.cat(known, axis)


def _join_states(parts: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """Return states, (n, N, C), over the samples of all passes."""
    joined = _join(parts, 1)
    assert joined is not None, "states were recorded"
    return joined

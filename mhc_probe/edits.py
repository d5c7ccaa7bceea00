"""Apply edits to someone's model, at the points of a layer where the probe reads.

A stream edit replaces the state that a layer reads and mixes; an edit of coefficients replaces what the connection
returns; one of a branch replaces its output. `mhc_core.edits` has the arithmetic, which is that of a spec's edits.
Padding is not edited.

Shapes: n streams, N samples, C width, H heads.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import torch
from pydantic import ValidationError
from torch import nn

from mhc_core.edits import Base, Edits, edit_entries, turn
from mhc_core.layers.connections import Mixing
from mhc_core.rng import normal
from mhc_core.spec import EditSpec, SpecError
from mhc_core.spec.edit import What, check_edit
from mhc_core.spec.errors import to_spec_errors

if TYPE_CHECKING:
    from mhc_probe.adapter import Adapter
    from mhc_probe.recording.joined import JoinedLayer, JoinedPasses
    from mhc_probe.recording.passes import Pass

SEED = 0  # of the noise
HEAD_DOES = ("zero", "mean", "scale", "noise")


class HeadSite(NamedTuple):
    """The module that takes all heads of a layer's attention next to each other, and how many there are."""

    projection: nn.Module
    heads: int


class _Edited(NamedTuple):
    """The fields of a spec that `mhc_core.edits` reads."""

    seed: int
    streams: int
    edits: tuple[EditSpec, ...]


class _Streams:
    """States that are (n, N, C) already."""

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC


class UneditedPass(NamedTuple):
    """The pass without edits.

    Attributes
    ----------
    recorded: all passes without edits so far, as one.
    latest: the pass of the current batch.
    heads: by layer, where its heads are; only where an edit names one.
    """

    recorded: "JoinedPasses"
    latest: "Pass"
    heads: dict[int, HeadSite]


class ModelEdits:
    """The edits of one attachment during one call of the model.

    Attributes
    ----------
    matrices: layer -> E (n, n), by which linear edits of streams have multiplied the state; no entry for the identity.
    applied: (place of an edit, layer), for each edit that has changed something.
    """

    def __init__(self, edits: Sequence[EditSpec], adapter: "Adapter", base: UneditedPass) -> None:
        self.adapter, self.base = adapter, base
        self.layers = {layer.site: index for index, layer in enumerate(base.recorded.layers)}
        self.matrices: dict[int, torch.Tensor] = {}
        self.applied: set[tuple[int, int]] = set()
        self._edits = list(enumerate(edits))
        streams = base.recorded.state_nNC.shape[0]
        self._whole = Edits(_Edited(SEED, streams, tuple(_keep_place(edit) for edit in edits)))
        self._base = self._whole.base = self._build_base(streams)

    def touches(self, site: int, *whats: What) -> bool:
        """Return whether an edit changes any of these parts, such as H_res, in the layer of a site."""
        return bool(self._list_edits(site, *whats))

    def enter(self, site: int, state: torch.Tensor) -> torch.Tensor:
        """Return the state that a layer is to use: the entered one after edits, itself if nothing is edited."""
        edits = self._list_edits(site, "stream", "state")
        if not edits:
            return state
        layer = self.layers[site]
        x_nNC = self.adapter.to_streams(state)
        kept = self.find_kept(x_nNC.shape[1], x_nNC.device)
        part = x_nNC if kept is None else x_nNC.index_select(1, kept)
        self._require_base(edits, self._base.states[layer], part)
        part, matrix = self._whole.enter(layer, part, _Streams())
        if matrix is not None:
            part, self.matrices[layer] = turn(part, matrix, _Streams()), matrix
        self._store_applied(edits, layer)
        return self.adapter.from_streams(part if kept is None else x_nNC.index_copy(1, kept, part), state)

    def mix(self, site: int, what: What, entries: torch.Tensor) -> torch.Tensor:
        """Return the coefficients `what`, (N, n) or (N, n, n), with the edits of the layer."""
        edits = self._list_edits(site, what)
        if not edits:
            return entries
        layer, rank = self.layers[site], entries.ndim - 1
        kept = self.find_kept(len(entries), entries.device)
        part = entries if kept is None else entries.index_select(0, kept)
        self._require_base(edits, getattr(self._base.mixings[layer], what), part)
        for place, edit in edits:
            before = getattr(self._base.mixings[layer], what) if edit.do == "freeze" else None
            noise = normal(SEED, f"edit.{place}.0", layer, *part.shape[1:]) if edit.do == "noise" else None
            part = edit_entries(edit, part, rank, before, noise)
        self._store_applied(edits, layer)
        return part if kept is None else entries.index_copy(0, kept, part)

    def output(self, site: int, y: torch.Tensor) -> torch.Tensor:
        """Return the output of a branch, (..., C), with its edits."""
        edits = self._list_edits(site, "branch")
        if not edits:
            return y
        layer, y_NC = self.layers[site], self.adapter.to_rows(y)
        kept = self.find_kept(len(y_NC), y.device)
        part = y_NC if kept is None else y_NC.index_select(0, kept)
        self._require_base(edits, self._base.outputs[layer], part)
        part = self._whole.output(layer, part).to(y.dtype)
        self._store_applied(edits, layer)
        return self.adapter.from_rows(part if kept is None else y_NC.index_copy(0, kept, part), y)

    def get_layer(self, site: int) -> "JoinedLayer":
        """Return the record of a layer in the pass of the same batch without edits."""
        return self.base.recorded.layers[self.layers[site]]

    def register_heads(self) -> list[Any]:
        """Register hooks that edit attention heads; return their handles."""
        found = []
        for layer, site in self.base.heads.items():
            for place, edit in self._edits:
                if names_head(edit) and edit.first <= layer <= edit.last:
                    hook = _HeadEdit(self, place, edit, layer, site.heads)
                    found.append(site.projection.register_forward_pre_hook(hook))
        return found

    def list_missed(self) -> list[tuple[int, int]]:
        """List the place and the layer of edits that were never applied."""
        wanted = [(place, layer) for place, edit in self._edits for layer in range(edit.first, edit.last + 1)]
        return [item for item in wanted if item not in self.applied]

    def _list_edits(self, site: int, *whats: What) -> list[tuple[int, EditSpec]]:
        """Return the edits of these parts in the layer of a site with their places, edits of heads excepted."""
        layer = self.layers.get(site)
        if layer is None:
            return []
        return [
            (place, edit)
            for place, edit in self._edits
            if edit.what in whats and edit.first <= layer <= edit.last and not names_head(edit)
        ]

    def _require_base(
        self, edits: Sequence[tuple[int, EditSpec]], base: torch.Tensor | None, found: torch.Tensor
    ) -> None:
        """Raise if an edit needs a value of the pass without edits, but that pass had other samples."""
        place = next((place for place, edit in edits if edit.do in ("freeze", "restore")), None)
        if place is not None and (base is None or base.shape != found.shape):
            got = f"a pass over {tuple(found.shape)}"
            wanted = "a pass that was recorded without edits: of a generation this is the first one"
            raise SpecError(f"edits.{place}.do", got, wanted)

    def _store_applied(self, edits: Sequence[tuple[int, EditSpec]], layer: int) -> None:
        self.applied |= {(place, layer) for place, _ in edits}

    def find_kept(self, samples: int, device: torch.device) -> torch.Tensor | None:
        """Return the indices (K) of the samples that are no padding; None if no padding is known."""
        mask = self.base.latest.mask
        if mask is None or mask.numel() != samples or bool(mask.all()):
            return None
        return mask.flatten().nonzero()[:, 0].to(device)

    def _build_base(self, streams: int) -> Base:
        """Return states, mixings and branch outputs of the batch without edits, each layer on its own device."""
        states, mixings, outputs = [], [], []
        for layer, joined in zip(self.base.latest.layers.values(), self.base.recorded.layers, strict=True):
            x_nNC = self.adapter.to_streams(layer.state.values)
            kept = self.find_kept(x_nNC.shape[1], x_nNC.device)
            written = layer.get_written()
            y = None if written.y is None else self.adapter.to_rows(written.y)
            parts = [written.h_pre, written.h_post, written.h_res[joined.chosen] if joined.chosen in (0, 1) else None]
            sizes = [(streams,), (streams,), (streams, streams)]
            rows = [
                _select_samples(_expand_samples(h, x_nNC.shape[1], size), kept)
                for h, size in zip(parts, sizes, strict=True)
            ]
            states.append(x_nNC if kept is None else x_nNC.index_select(1, kept))
            mixings.append(Mixing(*rows))  # type: ignore[arg-type]
            outputs.append(_select_samples(y, kept))
        return Base(states, mixings, outputs)  # type: ignore[arg-type]


class _HeadEdit:
    """Edits one head in the input of the module that takes all heads."""

    def __init__(self, owner: ModelEdits, place: int, edit: EditSpec, layer: int, heads: int) -> None:
        self.owner, self.key, self.heads = owner, (place, layer), heads
        assert edit.index is not None, "it names a head"
        self.head, self.layer = edit.index, layer
        whole = edit.model_copy(update={"index": None})
        self.edits = Edits(_Edited(SEED + place, 1, (whole,)))

    def __call__(self, module: nn.Module, args: Any) -> Any:
        """Return the arguments of a module with one attention head of its input edited."""
        x = args[0]
        parts = list(x.unflatten(-1, (self.heads, -1)).unbind(-2))
        rows = parts[self.head].flatten(0, -2)
        kept = self.owner.find_kept(len(rows), rows.device)
        edited = self.edits.output(self.layer, rows if kept is None else rows.index_select(0, kept))
        rows = edited if kept is None else rows.index_copy(0, kept, edited)
        parts[self.head] = rows.view(parts[self.head].shape)
        self.owner.applied.add(self.key)
        return (torch.cat(parts, -1), *args[1:])


def names_head(edit: EditSpec) -> bool:
    """Return whether an edit is of one head of attention."""
    return edit.what == "branch" and edit.index is not None


def _keep_place(edit: EditSpec) -> EditSpec:
    """Return an edit of an attention head as one in no layer, which keeps its place; other edits as they are."""
    return edit.model_copy(update={"layers": (0, -1)}) if names_head(edit) else edit


def _expand_samples(h: torch.Tensor | None, samples: int, size: tuple[int, ...]) -> torch.Tensor | None:
    """Expand a coefficient to (N, *size); a static one, without N, is the same for all samples."""
    return None if h is None else h.expand(samples, *size)


def _select_samples(x: torch.Tensor | None, kept: torch.Tensor | None) -> torch.Tensor | None:
    return x if x is None or kept is None else x.index_select(0, kept.to(x.device))


# ---- what a model allows


class _EditedLayers(NamedTuple):
    """The layers of an edit, as the checks of a spec's edits see a stack."""

    depth: int
    streams: int
    possible: list[What]
    where: str

    def count_entries(self, what: What, layer: int) -> int:
        return self.streams

    def is_matrix(self, what: What) -> bool:
        return what == "h_res"


def parse_edits(edits: Sequence[EditSpec | dict[str, Any]]) -> tuple[EditSpec, ...]:
    """Return edits as specs, from objects or plain data.

    Raises
    ------
    SpecErrors
        With one item per mistake, such as `edits.0.do`.
    """
    found = []
    for place, edit in enumerate(edits):
        try:
            found.append(edit if isinstance(edit, EditSpec) else EditSpec.model_validate(edit))
        except ValidationError as error:
            errors = to_spec_errors(error, EditSpec.model_json_schema())
            errors.errors = [item.under(f"edits.{place}") for item in errors.errors]
            raise errors from None
    return tuple(found)


def check_model_edits(edits: Sequence[EditSpec], adapter: "Adapter", recorded: "JoinedPasses", name: str) -> None:
    """Check that a model allows every edit, as a pass without edits has shown it.

    Raises
    ------
    SpecError
        Names the first field that is wrong, such as `edits.2.index`, with what was received and what is allowed.
    """
    depth, streams = len(recorded.layers), recorded.state_nNC.shape[0]
    for place, edit in enumerate(edits):
        layers = recorded.layers[max(edit.first, 0) : edit.last + 1] or recorded.layers
        possible = [what for what in get_args(What) if all(what in adapter.edits_for(layer) for layer in layers)]
        where = f"in {'these layers' if len(layers) > 1 else 'this layer'} of {name}"
        whole = edit.model_copy(update={"index": None}) if names_head(edit) else edit
        check_edit(place, whole, _EditedLayers(depth, streams, possible, where))
        if names_head(edit) and edit.do not in HEAD_DOES:
            wanted = f"{', '.join(HEAD_DOES)} of a head"
            raise SpecError(f"edits.{place}.do", edit.do, wanted, f"Edit {place + 1}: do must be one of {wanted}.")

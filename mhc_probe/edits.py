"""Apply edits to someone's model, at the points where the probe's hooks read tensors.

An edit of a stream replaces the state that a layer reads and mixes. An edit of coefficients replaces those that the
connection returns. An edit of a branch replaces its output. `mhc_core.edits` does the arithmetic, as for the edits of a
spec. Padding is not edited.

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
from mhc_core.spec import EditSpec, SpecError, SpecErrors
from mhc_core.spec.edit import What, check_edit
from mhc_core.spec.errors import to_spec_errors

if TYPE_CHECKING:
    from mhc_probe.adapter import Adapter
    from mhc_probe.recording.joined import JoinedLayer, JoinedPasses
    from mhc_probe.recording.passes import Pass

SEED = 0  # of the noise
HEAD_DOES = ("zero", "mean", "scale", "noise")


class HeadSite(NamedTuple):
    """The output projection of a layer's attention, whose input has all heads next to each other, and their number."""

    projection: nn.Module
    heads: int


class _Edited(NamedTuple):
    """The fields of a spec that `mhc_core.edits` reads."""

    seed: int
    streams: int
    edits: tuple[EditSpec, ...]


class _Streams:
    """Gives `mhc_core.edits` access to streams of states that are (n, N, C) already."""

    def streams(self, state: torch.Tensor) -> torch.Tensor:
        return state

    def join_streams(self, x_nNC: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return x_nNC


class UneditedPass(NamedTuple):
    """The recorded pass without edits, on which edits may depend.

    Attributes
    ----------
    recorded: all passes without edits so far, joined into one.
    latest: the pass of the current batch.
    heads: layer -> attention heads, for layers of which an edit names a head.
    """

    recorded: "JoinedPasses"
    latest: "Pass"
    heads: dict[int, HeadSite]


class ModelEdits:
    """The edits of one attachment during one call of the model.

    Attributes
    ----------
    matrices: layer -> E (n, n), by which linear edits of streams have multiplied the state; no entry if there are none.
    applied: (index of an edit, layer), for each edit that was applied in a layer.
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
        """Return whether an edit changes any of these parts, such as H_res, in the layer at a site."""
        return bool(self._list_edits(site, *whats))

    def enter(self, site: int, state: torch.Tensor) -> torch.Tensor:
        """Return the state that a layer is to use: the entering state with the layer's edits, if any."""
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
        """List (index of an edit, layer) for each edit that was not applied in one of its layers."""
        wanted = [(place, layer) for place, edit in self._edits for layer in range(edit.first, edit.last + 1)]
        return [item for item in wanted if item not in self.applied]

    def _list_edits(self, site: int, *whats: What) -> list[tuple[int, EditSpec]]:
        """Return the edits of these parts in the layer at a site, with their indices, except edits of heads."""
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
        """Raise SpecError if an edit needs a value of the pass without edits, but that pass had other samples."""
        place = next((place for place, edit in edits if edit.do in ("freeze", "restore")), None)
        if place is not None and (base is None or base.shape != found.shape):
            got = f"a pass over {tuple(found.shape)}"
            wanted = "a pass that was recorded without edits: of a generation this is the first one"
            raise SpecError(f"edits.{place}.do", got, wanted)

    def _store_applied(self, edits: Sequence[tuple[int, EditSpec]], layer: int) -> None:
        self.applied |= {(place, layer) for place, _ in edits}

    def find_kept(self, samples: int, device: torch.device) -> torch.Tensor | None:
        """Return the indices (K) of the samples that are not padding; None if there is no padding."""
        mask = self.base.latest.mask
        if mask is None or mask.numel() != samples or bool(mask.all()):
            return None
        return mask.flatten().nonzero()[:, 0].to(device)

    def _build_base(self, streams: int) -> Base:
        """Collect states, mixings and branch outputs of the batch without edits, each on the device of its layer."""
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
    """A hook that edits one head in the input of the output projection."""

    def __init__(self, owner: ModelEdits, place: int, edit: EditSpec, layer: int, heads: int) -> None:
        self.owner, self.key, self.heads = owner, (place, layer), heads
        assert edit.index is not None, "it names a head"
        self.head, self.layer = edit.index, layer
        whole = edit.model_copy(update={"index": None})
        self.edits = Edits(_Edited(SEED + place, 1, (whole,)))

    def __call__(self, module: nn.Module, args: Any) -> Any:
        """Return the arguments of the projection with one head edited."""
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
    """Replace an edit of an attention head by one that applies to no layer, so that indices of edits stay the same."""
    return edit.model_copy(update={"layers": (0, -1)}) if names_head(edit) else edit


def _expand_samples(h: torch.Tensor | None, samples: int, size: tuple[int, ...]) -> torch.Tensor | None:
    """Expand a coefficient to (N, *size). A static coefficient, without N, is the same for all samples."""
    return None if h is None else h.expand(samples, *size)


def _select_samples(x: torch.Tensor | None, kept: torch.Tensor | None) -> torch.Tensor | None:
    return x if x is None or kept is None else x.index_select(0, kept.to(x.device))


# ---- what a model allows


class _EditedLayers(NamedTuple):
    """The layers of an edit, with the interface of a stack that `check_edit` needs."""

    depth: int
    streams: int
    possible: list[What]
    where: str

    def count_entries(self, what: What, layer: int) -> int:
        return self.streams

    def is_matrix(self, what: What) -> bool:
        return what == "h_res"


def parse_edits(edits: Sequence[EditSpec | dict[str, Any]]) -> tuple[EditSpec, ...]:
    """Return edits as `EditSpec` objects, from objects or plain data.

    Raises
    ------
    SpecErrors
        With one item per mistake, for a field such as `edits.0.do`.
    """
    found = []
    for place, edit in enumerate(edits):
        if not isinstance(edit, EditSpec | dict):
            raise SpecErrors([SpecError(f"edits.{place}", edit, "an object")])
        try:
            found.append(edit if isinstance(edit, EditSpec) else EditSpec.model_validate(edit))
        except ValidationError as error:
            errors = to_spec_errors(error, EditSpec.model_json_schema())
            errors.errors = [item.under(f"edits.{place}") for item in errors.errors]
            raise errors from None
    return tuple(found)


def check_model_edits(edits: Sequence[EditSpec], adapter: "Adapter", recorded: "JoinedPasses", name: str) -> None:
    """Check that a model allows every edit, given its recorded pass without edits.

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

"""Edits: interventions in the network of a spec. `mhc_core/edits.py` applies them.

The table `DOES` has the actions that are possible on each target. A range of layers is [first, last], both included,
counted from 0.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import Field

from mhc_core.family import Family
from mhc_core.spec.errors import SpecError
from mhc_core.spec.part import SpecPart

What = Literal["stream", "state", "h_pre", "h_post", "h_res", "branch", "source"]
Do = Literal["zero", "identity", "mean", "uniform", "scale", "set", "swap", "noise", "freeze", "restore", "top_k"]

MAX_EDITS = 64
MAX_ENTRIES = 256  # largest length of `values`, for a matrix of 16 streams

VECTOR: tuple[Do, ...] = ("zero", "mean", "uniform", "scale", "set", "swap", "noise", "freeze", "top_k")
DOES: dict[What, tuple[Do, ...]] = {
    "stream": ("zero", "mean", "uniform", "scale", "swap", "noise", "restore"),
    "state": ("zero", "mean", "uniform", "scale", "noise", "restore"),
    "h_pre": VECTOR,
    "h_post": VECTOR,
    "h_res": (*VECTOR, "identity"),
    "branch": ("zero", "mean", "scale", "noise", "freeze"),
    "source": VECTOR,
}
MIXED: tuple[What, ...] = ("h_pre", "h_post", "h_res")
NEEDS: dict[str, tuple[Do, ...]] = {
    "value": ("scale", "noise"),
    "other": ("swap",),
    "values": ("set",),
    "k": ("top_k",),
}


class EditSpec(SpecPart):
    """One edit: in a range of layers, something is replaced before the layer uses it.

    Edits are applied in order. They act on every pass that is measured, and not on training.
    """

    layers: tuple[int, int] = Field(
        strict=False, title="Layers", description="First and last layer of the edit, from 0, both included."
    )
    what: What = Field(
        title="What",
        description="stream: one stream where it enters a layer. state: all streams there. h_pre, h_post, h_res: the "
        "mixing of a layer. branch: the output of its branch. source: the weights over depth by which a layer reads "
        "the embedding and earlier outputs.",
    )
    index: int | None = Field(
        None,
        ge=0,
        title="Index",
        description="Which stream; of h_res one row, of h_pre and h_post one entry; of source one source, 0 being the "
        "embedding. Without it the whole matrix or vector, or all sources.",
    )
    do: Do = Field(
        title="Do",
        description="zero: 0. identity: the identity matrix, or its row. mean: the average over all tokens. uniform: "
        "the average over the streams, or over the entries of the matrix, row or vector. scale: times `value`. set: "
        "`values`. "
        "swap: exchanged with `other`. noise: plus Gaussian noise of standard deviation `value`, of streams and "
        "branches times their root mean square. freeze, restore: as in the run without edits; freeze is of mixing and "
        "branches, restore of streams. top_k: the k largest entries of each row, scaled so that the sum of "
        "their sizes stays.",
    )
    value: float | None = Field(None, ge=-1000.0, le=1000.0, title="Value", description="The factor, or the noise.")
    other: int | None = Field(None, ge=0, title="Other", description="The stream, row or entry to exchange with.")
    values: tuple[float, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        max_length=MAX_ENTRIES,
        title="Values",
        description="Numbers to set, row by row: n, or n n of the whole of h_res; one number of an entry or source.",
    )
    k: int | None = Field(None, ge=1, title="k", description="How many entries of each row are kept.")

    @property
    def first(self) -> int:
        """Return the first layer that the edit changes."""
        return self.layers[0]

    @property
    def last(self) -> int:
        """Return the last layer that the edit changes."""
        return self.layers[1]


class EditedStack(Protocol):
    """The properties of a stack on which valid edits depend."""

    @property
    def depth(self) -> int:
        """Return the number of layers, L."""

    @property
    def possible(self) -> list[What]:
        """Return the targets that can be edited."""

    @property
    def where(self) -> str:
        """Return the end of an error's sentence that describes the stack, such as "where connection.kind is hc"."""

    def count_entries(self, what: What, layer: int) -> int:
        """Return the number of streams, or of sources that a layer weighs."""

    def is_matrix(self, what: What) -> bool:
        """Return whether these coefficients are n x n."""


class Edited(NamedTuple):
    """The properties of a spec's stack on which valid edits depend.

    block: number of outputs in one source over depth. has_full_blocks: whether only full blocks are sources.
    """

    kind: str
    family: Family
    depth: int
    streams: int
    block: int = 1
    has_full_blocks: bool = False

    def count_entries(self, what: str, layer: int) -> int:
        """Return the number of streams, or of sources that a layer weighs: 0 if it reads the plain state."""
        if what != "source":
            return self.streams
        reads = self.family.reads
        if reads is None or (reads.weighs_after == "block" and layer % self.block):
            return 0
        return count_sources(layer, self.block, has_full_blocks=self.has_full_blocks)

    @property
    def possible(self) -> list[What]:
        """Return the targets that edits can change in this family, such as "stream", "h_res" or "branch"."""
        return list_possible(self.family)

    @property
    def where(self) -> str:
        """Return the end of an error's sentence that names the kind of connection."""
        return f"where connection.kind is {self.kind}"

    def is_matrix(self, what: What) -> bool:
        """Return whether these coefficients are an n x n matrix: H_res, and H_pre if streams are parts of the width."""
        return what == "h_res" or (what == "h_pre" and self.family.streams == "parts")


def count_sources(layer: int, block: int, *, has_full_blocks: bool) -> int:
    """Return the number of sources over depth in the sum that a layer reads: the embedding and blocks of outputs.

    layer: 1 or later. has_full_blocks: whether only full blocks are sources, as in the delta forms; otherwise the sum
    so far of an incomplete block is also a source.
    """
    return 1 + layer // block if has_full_blocks else 1 + (layer + block - 1) // block


def check_edits(edits: tuple[EditSpec, ...], stack: Edited) -> None:
    """Check that all edits are possible in this stack.

    Raises
    ------
    SpecError
        Names the first invalid field, such as `edits.2.index`.
    """
    for place, edit in enumerate(edits):
        check_edit(place, edit, stack)


def check_edit(place: int, edit: EditSpec, stack: EditedStack) -> None:
    """Raise SpecError unless an edit is possible in this stack. `place` is its index in the list of edits."""
    for name, got, wanted, text in _find_mistakes(edit, stack):
        raise SpecError(f"edits.{place}.{name}", got, wanted, f"Edit {place + 1}: {text}")


def _find_mistakes(edit: EditSpec, stack: EditedStack) -> Iterator[tuple[str, Any, str, str]]:
    """Yield each mistake of an edit: field, received value, allowed values and a sentence."""
    first, last = edit.layers
    if not 0 <= first <= last < stack.depth:
        wanted = f"two layers from 0 to {stack.depth - 1}, the first not after the last"
        yield "layers", list(edit.layers), wanted, f"layers must be {wanted}."
    elif edit.what == "source" and first == 0:
        wanted = f"two layers from 1 to {stack.depth - 1}: the first layer reads the embedding alone"
        yield "layers", list(edit.layers), wanted, f"layers must be {wanted}."
    elif edit.what == "source" and "source" in stack.possible and not stack.count_entries("source", first):
        wanted = "two layers; the first must begin a block, because only such layers weigh sources"
        yield "layers", list(edit.layers), wanted, f"layers must be {wanted}."
    if edit.what not in stack.possible:
        wanted = f"{', '.join(stack.possible) or 'nothing'} {stack.where}"
        yield "what", edit.what, wanted, f"what must be one of {wanted}."
    allowed = DOES[edit.what]
    if edit.do not in allowed:
        wanted = f"{', '.join(allowed)} where what is {edit.what}"
        yield "do", edit.do, wanted, f"do must be one of {wanted}."
    yield from _find_misplaced(edit)
    yield from _find_wrong_index(edit, stack)
    yield from _find_wrong_values(edit, stack)


def list_possible(family: Family) -> list[What]:
    """List the targets that edits can change in a family, such as "stream" or "h_res"."""
    if not family.has_mixing:
        return ["branch", "source"]
    # If features have separate weights, there is no common H_pre, and streams are not mixed.
    fixed = MIXED if not family.has_streams else ("h_pre", "h_res") if family.by_feature else ()
    return [what for what in DOES if what not in (*fixed, "source")]


def _find_misplaced(edit: EditSpec) -> Iterator[tuple[str, Any, str, str]]:
    """Yield field, value, allowed values and a sentence for each field that the action needs or does not allow."""
    for name, dos in NEEDS.items():
        got = getattr(edit, name)
        if edit.do in dos and got is None:
            yield name, None, f"a value, which {edit.do} needs", f"{edit.do} needs {name}."
        if edit.do not in dos and got is not None:
            received = list(got) if isinstance(got, tuple) else got
            yield name, received, f"nothing where do is {edit.do}", f"{edit.do} has no {name}."


def _find_wrong_index(edit: EditSpec, stack: EditedStack) -> Iterator[tuple[str, Any, str, str]]:
    """Yield field, value, allowed values and a sentence for each index that this edit cannot have in this stack."""
    limit = stack.count_entries(edit.what, edit.first)
    is_needed = edit.what == "stream" or edit.do == "swap"
    is_refused = edit.what in ("state", "branch")
    if is_refused and edit.index is not None:
        yield "index", edit.index, f"nothing where what is {edit.what}", "it has no index: the whole is edited."
    if is_needed and edit.index is None:
        wanted = f"a number from 0 to {limit - 1}"
        yield "index", None, wanted, f"index must be {wanted}."
    if is_refused:
        return
    for name in ("index", "other"):
        got = getattr(edit, name)
        if got is not None and got >= limit:
            wanted = f"a number from 0 to {limit - 1}"
            yield name, got, wanted, f"{name} ({got}) must be {wanted}."


def _find_wrong_values(edit: EditSpec, stack: EditedStack) -> Iterator[tuple[str, Any, str, str]]:
    """Yield field, value, allowed values and a sentence for each number of an edit that does not fit the stack."""
    n, is_matrix = stack.count_entries(edit.what, edit.first), stack.is_matrix(edit.what)
    if edit.values is not None:
        size = (n if is_matrix else 1) * (n if edit.index is None else 1)
        if len(edit.values) != size:
            yield "values", list(edit.values), f"{size} numbers", f"values must be {size} numbers."
        if edit.index is None and stack.count_entries(edit.what, edit.last) != n:
            wanted = "layers that weigh equally many sources, where values are of all"
            yield "layers", list(edit.layers), wanted, f"layers must be {wanted}."
    if edit.k is not None and edit.k > n:
        yield "k", edit.k, f"a number from 1 to {n}", f"k ({edit.k}) must be a number from 1 to {n}."
    if edit.do == "top_k" and not is_matrix and edit.index is not None:
        yield "index", edit.index, "nothing where do is top_k of a vector", "top_k is of the whole vector."
    if edit.do == "noise" and edit.value is not None and edit.value < 0:
        yield "value", edit.value, "0 or more, a standard deviation", "noise must be 0 or more."

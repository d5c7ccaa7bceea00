"""Describe every family of connections for the page `/families`, from its properties and stored numbers.

The page has no script. All families are compared in the stack of the opening view.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mhc_core.cost.estimates import compare_connections
from mhc_core.cost.shares import REFERENCE
from mhc_core.families import FAMILIES
from mhc_core.family import GROUPS, Family, Group, Use
from mhc_core.figures.run_names import LETTERS
from mhc_core.figures.style import THEMES, sample_color, to_contrast
from mhc_core.findings.numerals import format_fixed, format_gain
from mhc_scope.presets.families import LAYER, Measured, build_family_spec, read_measured
from mhc_scope.presets.opening import OPENING

BOUND = 1.0  # absolute value of an entry at the ends of the colour scale
COSTS = {"parameters": "parameters", "flops": "arithmetic", "bytes_moved": "memory traffic"}
INKS = ("#000000", "#ffffff")  # on any colour, one of the two has a contrast of 4.5 or more
SUMS = {"exact": "sum to 1", "rounds": "sum to 1", "limit": "sum to 1 after many Sinkhorn rounds"}

MEANINGS: dict[Group, str] = {
    "One stream": "There is one state, so nothing is mixed.",
    "Free mixing": "Each layer mixes the streams with any weights, so their product over depth can grow or vanish.",
    "Doubly stochastic": "Each layer only averages the streams: no weight is below 0, and each row and column sums to "
    "1, exactly or after many Sinkhorn rounds. A signal that the streams share keeps its size.",
    "Orthogonal": "Each layer rotates or reflects the streams, which keeps the size of all of them together.",
    "Other constraints": "The streams are not mixed, or in another form.",
    "Earlier outputs": "No state is mixed: a layer reads a weighted sum of the outputs of earlier layers.",
}


@dataclass(frozen=True)
class Cell:
    """One matrix entry of H_res: its text, and the colours of background and text as CSS."""

    text: str
    fill: str
    ink: str


@dataclass(frozen=True)
class Entry:
    """Content of the page for one family.

    kind: name of the family in specs. parent: name of the family that it modifies; None for none. children: entries of
    families that modify it. properties: properties of its mixing, in words. cells: H_res of one layer, by rows; [] for
    one stream. gains: largest gain over depth, forward and backward; {} without mixing. costs: measure -> cost that it
    adds to the residual connection. href: address of the opening view with this family.
    """

    kind: str
    family: Family
    parent: str | None
    children: list["Entry"]
    properties: list[str]
    cells: list[list[Cell]]
    gains: dict[str, str]
    costs: dict[str, str]
    href: str

    @property
    def uses(self) -> tuple[Use, ...]:
        """Return the published models that use the family."""
        return self.family.uses


def build_entries() -> list[Entry]:
    """Build one entry for each family in the package, in the order of `FAMILIES`."""
    measured = read_measured()
    entries: dict[str, Entry] = {}
    for kind, family in FAMILIES.items():
        if kind not in measured:  # a family of another package, whose numbers are not stored
            continue
        parent = FAMILIES[family.parent].name if family.parent else None
        entries[kind] = Entry(
            kind,
            family,
            parent,
            [],
            describe_properties(family),
            [[Cell(format_fixed(value, 2), *_color(value)) for value in row] for row in measured[kind].h_res or []],
            _format_gains(family, measured[kind]),
            _find_costs(kind),
            _build_href(kind),
        )
    for entry in entries.values():
        if entry.family.parent in entries:
            entries[entry.family.parent].children.append(entry)
    return list(entries.values())


@dataclass(frozen=True)
class EntryGroup:
    """The entries of families whose mixing has the same constraint, with the title and meaning of the constraint."""

    title: Group
    meaning: str
    entries: list[Entry]


def group_entries(entries: Sequence[Entry]) -> list[EntryGroup]:
    """Group the entries by the constraint on their mixing, in the order of `GROUPS`; leave out empty groups."""
    members = {title: [entry for entry in entries if entry.family.group == title] for title in GROUPS}
    return [EntryGroup(title, MEANINGS[title], found) for title, found in members.items() if found]


def list_roots(entries: Sequence[Entry]) -> list[Entry]:
    """List the entries of families that modify no other family: the roots of the tree on the page."""
    return [entry for entry in entries if entry.family.parent is None]


def describe_properties(family: Family) -> list[str]:
    """Describe in phrases the properties of H_res that a family guarantees; [] for a single stream."""
    if not family.has_mixing:
        return ["a layer reads the embedding and earlier outputs, and no state is mixed"]
    if not family.has_streams:
        return []
    if family.is_identity:
        return ["H_res is the identity"]
    stated = {"rows": family.rows, "columns": family.columns}
    sums = [f"{name} {SUMS[kind]}" for name, kind in stated.items() if kind in SUMS]
    bounded = "norm at most 1 after many Sinkhorn rounds" if "limit" in stated.values() else "norm not bounded by 1"
    return [
        *sums,
        "norm at most 1" if family.norm_bounded else bounded,
        "entries of either sign" if family.signed else "no negative entries",
    ]


def _color(value: float) -> tuple[str, str]:
    """Return the colours of a table cell and of its text for a value, for both themes."""
    scales = [THEMES[name].signed_scale for name in ("light", "dark")]
    fills = [sample_color(scale, (value / BOUND + 1) / 2) for scale in scales]
    return f"light-dark({', '.join(fills)})", f"light-dark({', '.join(map(_find_ink, fills))})"


def _find_ink(fill: str) -> str:
    """Return the colour of text with the most contrast on a fill."""
    return max(INKS, key=lambda ink: to_contrast(ink, fill))


def _format_gains(family: Family, measured: Measured) -> dict[str, str]:
    """Format the measured gains of a family as the page does, by direction; {} if it has none."""
    if measured.gain_forward is None:
        return {}
    pairs = {"forward": measured.gain_forward, "backward": measured.gain_backward}
    logs = {name: math.log10(gain) if gain else -math.inf for name, gain in pairs.items()}
    return {name: format_gain(log10, is_exact=not family.has_streams) for name, log10 in logs.items()}


def _find_costs(kind: str) -> dict[str, str]:
    """Return what a family adds to the cost of the residual connection, by measure; {} for residual itself."""
    if kind == REFERENCE:
        return {}
    costs = {cost.connection: cost for cost in compare_connections(build_family_spec(kind), kinds=(REFERENCE, kind))}
    return {words: costs[kind].added[measure] for measure, words in COSTS.items()}


def _build_href(kind: str) -> str:
    """Build the address of the opening view with an additional run of this family."""
    kinds = [spec.connection.kind for spec in OPENING.specs]
    if kind in kinds:
        return "/"
    runs = [*kinds, kind]
    specs = [*OPENING.specs, build_family_spec(kind)]
    starts = [
        f"{letter}.connection.init={spec.connection.init}"
        for letter, spec in zip(LETTERS, specs, strict=False)
        if spec.family.is_mapped
    ]
    return "/#" + "&".join(["v=1", f"runs={','.join(runs)}", *starts])


def describe_setting() -> dict[str, int | float]:
    """Return the settings of the stack in which all families on the page were measured."""
    spec = OPENING.specs[-1]
    return {
        "depth": spec.depth,
        "width": spec.width,
        "streams": spec.connection.streams,
        "drift": spec.connection.noise,
        "layer": LAYER + 1,
    }

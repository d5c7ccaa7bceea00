"""Labels of runs that are shown together: a letter and a few words."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from mhc_core.findings.edits import distinguish_edits
from mhc_core.record.source import Source, SpecSource
from mhc_core.spec import FAMILIES, EditSpec

KIND_NAMES = {kind: family.name for kind, family in FAMILIES.items()}
LETTERS = "ABCDEFGH"
SWEEP_DEFAULT = ("composite_gain_fwd", "max")  # default metric and reduction of a sweep
KEYS = {"name": "name", "map": "map", "metric": "map.metric", "reduce": "map.reduce"}  # of a page's state
NAME_LENGTH = 24  # largest number of letters in a run's name, for which figures have room


def shorten_name(name: str, most: int = NAME_LENGTH) -> str:
    """Shorten a name to at most `most` letters, as `static/js/figures/labels.js` does.

    A path (a name without spaces) first loses its folders. If that is not enough, the middle of the name is left out,
    so that both ends identify it.
    """
    if len(name) <= most:
        return name
    last = name if " " in name else name[name.rfind("/", 0, -1) + 1 :]
    if len(last) + 2 <= most:
        return f"…/{last}"
    if len(last) <= most:
        return last
    tail = (most - 1) // 2
    return f"{last[: most - 1 - tail]}…{last[len(last) - tail :]}"


def to_labels(own: Sequence[str], names: Mapping[str, str] | None = None) -> list[str]:
    """Return labels such as `A Residual`, `B HC`: the letter, and the name that a user gave, or else the run's own."""
    return [f"{letter} {(names or {}).get(letter, label)}" for letter, label in zip(LETTERS, own, strict=False)]


def label_sources(sources: Sequence[Source], names: Mapping[str, str] | None = None) -> list[str]:
    """Return the labels of records: the letter, the connection or model, and edits if these differ."""
    alike = [[other for other in sources if other.label == source.label] for source in sources]
    return to_labels([_name_source(*pair) for pair in zip(sources, alike, strict=True)], names)


def _name_source(source: Source, alike: Sequence[Source]) -> str:
    """Return the name of a record's source, with its edits if runs of the same name have different edits.

    alike: the sources with the same name.
    """
    edits = [_read_edits(other) for other in alike]
    if all(own == edits[0] for own in edits):
        return shorten_name(source.label)
    return f"{shorten_name(source.label, NAME_LENGTH // 2)} {distinguish_edits(edits)[alike.index(source)]}"


def _read_edits(source: Source) -> list[EditSpec]:
    """Return the edits of a spec or of a recording."""
    found = source.spec.get("edits") if isinstance(source, SpecSource) else source.edits
    return [EditSpec.model_validate(edit) for edit in found or ()]


def to_sweep_choice(state: str) -> tuple[str, str] | None:
    """Return the metric and the reduction of the sweep in a page's state (a query string); None without a sweep."""
    pairs = dict(parse_qsl(state))
    if KEYS["map"] not in pairs:
        return None
    metric, reduction = SWEEP_DEFAULT
    return pairs.get(KEYS["metric"], metric), pairs.get(KEYS["reduce"], reduction)


def read_run_names(state: str) -> dict[str, str]:
    """Return the names that a user gave to runs, by letter, from the query of a view's address: `C.name=ours`."""
    pairs = parse_qsl(state)
    named = [(key[0], value) for key, value in pairs if key[1:] == f".{KEYS['name']}" and value]
    return {letter: value[:NAME_LENGTH] for letter, value in named if letter in LETTERS}

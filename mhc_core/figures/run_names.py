"""Name runs that are shown together: a letter and a few words."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from mhc_core.findings.edits import distinguish_edits
from mhc_core.record.source import Source, SpecSource
from mhc_core.spec import FAMILIES, EditSpec

KIND_NAMES = {kind: family.name for kind, family in FAMILIES.items()}
LETTERS = "ABCDEFGH"
SWEEP_DEFAULT = ("composite_gain_fwd", "max")  # metric and reduction of a sweep that states none
KEYS = {"name": "name", "map": "map", "metric": "map.metric", "reduce": "map.reduce"}  # of a page's state
NAME_LENGTH = 24  # letters of a run's name that figures have room for


def shorten_name(name: str, most: int = NAME_LENGTH) -> str:
    """Return a name in so many letters, so that both ends identify it, as `static/js/figures/labels.js` does.

    Without the folders before it where it is a path, which has no spaces, and that is enough, or else with the middle
    of its last part left out.
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
    """Return `A Residual`, `B HC`: the letter, and a run's own name, or the one that someone gave it."""
    return [f"{letter} {(names or {}).get(letter, label)}" for letter, label in zip(LETTERS, own, strict=False)]


def label_sources(sources: Sequence[Source], names: Mapping[str, str] | None = None) -> list[str]:
    """Return the labels of records: `to_labels` of their connection or model, and of edits where these differ."""
    alike = [[other for other in sources if other.label == source.label] for source in sources]
    return to_labels([_name_source(*pair) for pair in zip(sources, alike, strict=True)], names)


def _name_source(source: Source, alike: Sequence[Source]) -> str:
    """Return the label of a record's source: its name, and its edits where runs of one name have different ones."""
    edits = [_read_edits(other) for other in alike]
    if all(own == edits[0] for own in edits):
        return shorten_name(source.label)
    return f"{shorten_name(source.label, NAME_LENGTH // 2)} {distinguish_edits(edits)[alike.index(source)]}"


def _read_edits(source: Source) -> list[EditSpec]:
    """Return the edits of a spec or of a recording."""
    found = source.spec.get("edits") if isinstance(source, SpecSource) else source.edits
    return [EditSpec.model_validate(edit) for edit in found or ()]


def to_sweep_choice(state: str) -> tuple[str, str] | None:
    """Return the metric and the reduction of the sweep that a page's state shows; None without one."""
    pairs = dict(parse_qsl(state))
    if KEYS["map"] not in pairs:
        return None
    metric, reduction = SWEEP_DEFAULT
    return pairs.get(KEYS["metric"], metric), pairs.get(KEYS["reduce"], reduction)


def read_run_names(state: str) -> dict[str, str]:
    """Read the names that a user gave to runs, by letter, from the query of a view's address, as in `C.name=ours`."""
    pairs = parse_qsl(state)
    named = [(key[0], value) for key, value in pairs if key[1:] == f".{KEYS['name']}" and value]
    return {letter: value[:NAME_LENGTH] for letter, value in named if letter in LETTERS}

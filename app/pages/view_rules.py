"""What server and page both know of views: letters of runs, their names, the first view, maps, hash keys, costs."""

from typing import Any

from app.figures.panels.costs import MEASURES
from app.figures.run_names import KEYS, LETTERS, MAP, NAME_LENGTH
from app.figures.style import MAX_RUNS
from app.presets import DEFAULT
from mhc_core.spec import FAMILIES


def to_view_rules() -> dict[str, Any]:
    """The rules as plain data, for the page."""
    return {
        "letters": LETTERS[:MAX_RUNS],
        "name_length": NAME_LENGTH,
        "kinds": [spec.connection.kind for spec in DEFAULT.specs],
        "connections": {kind: {"name": family.name, "year": family.year} for kind, family in FAMILIES.items()},
        "map": {"metric": MAP[0], "reduce": MAP[1]},
        "keys": KEYS,
        "costs": MEASURES,
    }

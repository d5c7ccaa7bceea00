"""Collect the rules about views that the server shares with the page: names and styles of runs, first view, costs."""

from typing import Any

from mhc_core.family import GROUPS
from mhc_core.figures import PANELS
from mhc_core.figures.derivation import to_derivation_rules
from mhc_core.figures.methods import to_plain_methods
from mhc_core.figures.panels.costs import MEASURES
from mhc_core.figures.run_names import KEYS, LETTERS, NAME_LENGTH, SWEEP_DEFAULT
from mhc_core.figures.style import MAX_RUNS
from mhc_core.layers.inits import list_projecting
from mhc_core.spec import FAMILIES
from mhc_core.spec.connection import MAPPED
from mhc_core.spec.edit import DOES, MAX_EDITS, MAX_ENTRIES, MIXED, NEEDS
from mhc_scope.presets import DEFAULT, KEY, OPENING, TRAINED


def to_view_rules() -> dict[str, Any]:
    """Return the rules about views, addresses and settings as plain data, which is sent with the page."""
    return {
        "letters": LETTERS[:MAX_RUNS],
        "name_length": NAME_LENGTH,
        "kinds": [spec.connection.kind for spec in DEFAULT.specs],
        "opening": [spec.model_dump(mode="json") for spec in OPENING.specs],
        "trained": [spec.model_dump(mode="json") for spec in TRAINED.specs],
        "connections": {
            kind: {
                "name": family.name,
                "year": family.year,
                "has_streams": family.has_streams,
                "has_mixing": family.has_mixing,
                "weighs_after": family.reads.weighs_after if family.reads else None,
                "has_parts": family.streams == "parts",
                "fixed_streams": family.fixed_streams,
                "is_free": family.drawn == "entries",
            }
            for kind, family in FAMILIES.items()
        },
        "groups": [
            {"title": title, "kinds": [kind for kind, family in FAMILIES.items() if family.group == title]}
            for title in GROUPS
        ],
        "map": {"metric": SWEEP_DEFAULT[0], "reduce": SWEEP_DEFAULT[1]},
        "keys": KEYS | {"preset": KEY},
        "costs": MEASURES,
        "methods": to_plain_methods(),
        "panels_over_steps": [key for key, panel in PANELS.items() if panel.over_steps],
        "derivation": to_derivation_rules(),
        "edits": {"does": DOES, "needs": NEEDS, "mixed": MIXED, "most": MAX_EDITS, "entries": MAX_ENTRIES},
        "dynamic": {"inits": list_projecting(), "kinds": MAPPED},
    }

"""What server and page both know of views: letters, names and looks of runs, the first view, maps, hash keys, costs."""

from typing import Any

from app.figures.methods import to_plain_methods
from app.figures.panels.costs import MEASURES
from app.figures.run_names import KEYS, LETTERS, MAP, NAME_LENGTH
from app.figures.style import MAX_RUNS
from app.presets import DEFAULT, KEY, OPENING
from mhc_core.connections.math.presets import list_projecting
from mhc_core.metrics import METRICS
from mhc_core.metrics.similarity import MANY_LAYERS
from mhc_core.spec import FAMILIES, MANIFOLD, NUMERICS_VERSION
from mhc_core.spec.block import DEPTH_SCALED


def to_view_rules() -> dict[str, Any]:
    """The rules as plain data, for the page."""
    return {
        "letters": LETTERS[:MAX_RUNS],
        "name_length": NAME_LENGTH,
        "kinds": [spec.connection.kind for spec in DEFAULT.specs],
        "opening": [spec.model_dump(mode="json") for spec in OPENING.specs],
        "connections": {
            kind: {"name": family.name, "year": family.year, "has_streams": family.streams != "one"}
            for kind, family in FAMILIES.items()
        },
        "map": {"metric": MAP[0], "reduce": MAP[1]},
        "keys": KEYS | {"preset": KEY},
        "costs": MEASURES,
        "methods": to_plain_methods(),
        "at_once": to_at_once_rules(),
        "dynamic": {"inits": list_projecting(), "kinds": MANIFOLD},
    }


def to_at_once_rules() -> dict[str, Any]:
    """What lets the page know columns of a view without asking: see `static/js/instant`."""
    return {
        "numerics": NUMERICS_VERSION,
        "prefix": [key for key, metric in METRICS.items() if metric.prefix],
        "forward": [key for key, metric in METRICS.items() if metric.frame == "forward"],
        "absolute": [key for key, metric in METRICS.items() if metric.precision and metric.precision[1]],
        "depth_scaled": DEPTH_SCALED,
        "cka_layers": MANY_LAYERS,
    }

"""Rules by which figures follow sliders without the server: which columns can be derived from a record on the page, and
which settings have sliders.
"""

from typing import Any

from mhc_core.families import FAMILIES
from mhc_core.metrics import METRICS
from mhc_core.metrics.similarity import MANY_LAYERS
from mhc_core.spec import NUMERICS_VERSION, RunSpec
from mhc_core.spec.block import DEPTH_SCALED

MOVABLE = ("depth", "connection.noise", "connection.sinkhorn_iters")


def to_derivation_rules() -> dict[str, Any]:
    """Return the rules by which the page derives columns without the server (`static/js/derived`).

    `DerivationRules` in `static/types.d.ts` documents each key.
    """
    return {
        "numerics": NUMERICS_VERSION,
        "prefix": [key for key, metric in METRICS.items() if metric.prefix],
        "forward": [key for key, metric in METRICS.items() if metric.frame == "forward"],
        "relative": {key: metric.precision[0] for key, metric in METRICS.items() if metric.precision and metric.prefix},
        "absolute": [key for key, metric in METRICS.items() if metric.precision and metric.precision[1]],
        "depth_scaled": DEPTH_SCALED,
        "by_token": [kind for kind, family in FAMILIES.items() if family.always_by_token],
        "by_depth": [kind for kind, family in FAMILIES.items() if family.by_depth],
        "cka_layers": MANY_LAYERS,
        "maps": {
            kind: {"formula": family.page_map.formula, "iterates": family.iterates, "layers": family.page_map.layers}
            for kind, family in FAMILIES.items()
            if family.page_map is not None
        },
    }


def to_movable_fields() -> list[dict[str, Any]]:
    """Return the settings with sliders that need no server, with the ranges and steps of the sliders."""
    schema = RunSpec.model_json_schema()
    return [_to_field(schema, path) for path in MOVABLE]


def _to_field(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """Return path, title, unit, range and step of one setting, from the JSON schema of a spec."""
    part, _, leaf = path.rpartition(".")
    model = schema["$defs"][schema["properties"][part]["$ref"].rpartition("/")[2]] if part else schema
    field = model["properties"][leaf]
    ends = {"min": field["minimum"], "max": field["maximum"], "step": field["step"]}
    return {"path": path, "title": field["title"], "unit": field.get("unit", ""), **ends}

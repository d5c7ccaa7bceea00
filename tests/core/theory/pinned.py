"""Curves and bands of theory as they are on purpose: `python -m tests.core.theory.pinned` writes the file anew.

`npm run format` in `static/` then gives it the layout that `make lint` wants.

Measured columns lie in the bands, but would also lie in wider ones, and many terms of a width are too small for any
column to show. Those who change one on purpose write the file anew and see in the difference what they have moved.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mhc_core.theory.laws import Curve, predict
from tests.core.conftest import build_spec
from tests.core.theory.test_curves import BASE, CASES

FILE = Path(__file__).with_name("pinned.json")
LAYERS = [0, 7, 31]
DIGITS = 8


def compute() -> dict[str, dict[str, dict[str, Any]]]:
    """Case -> metric -> the law's formula, and the curve and the ends of its band at some layers."""
    return {
        name: {
            curve.metric: {"formula": curve.formula, **_pick(curve)} for curve in predict(build_spec(BASE, **fields))
        }
        for name, (fields, _) in CASES.items()
    }


def _pick(curve: Curve) -> dict[str, Any]:
    parts = {"values": curve.values, "low": curve.low, "high": curve.high}
    if curve.values_log10 is not None and curve.low_log10 is not None and curve.high_log10 is not None:
        parts = {"values": curve.values_log10, "low": curve.low_log10, "high": curve.high_log10}
    if curve.steps_log10 is not None:
        parts |= {f"step_{name}": np.append(0.0, part) for name, part in curve.steps_log10._asdict().items()}
    return {"formula": curve.formula} | {name: _to_list(part[LAYERS]) for name, part in parts.items()}


def _to_list(values: np.ndarray) -> list[float | None]:
    """Rounded; None where theory is too weak."""
    return [None if np.isnan(value) else value for value in np.round(values, DIGITS).tolist()]


if __name__ == "__main__":
    FILE.write_text(json.dumps(compute(), indent=2) + "\n")

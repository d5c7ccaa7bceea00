"""Build the sketches of presets for the gallery from records: a few points of one curve per run, and its number.

They are stored in one file, which `python -m mhc_scope.presets.records` writes, because reading all records takes
seconds.
"""

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mhc_core.metrics import METRICS
from mhc_core.record.result import Result
from mhc_scope.presets import PRESETS, Preset
from mhc_scope.presets.records import read_result

FILE = Path(__file__).with_name("sketches.json.xz")
POINTS = 48
DIGITS = 4  # significant digits of a point of a curve, which is drawn 240 px wide
NUMBER_DIGITS = 7  # significant digits of the number of a run; the page shows four


@cache
def read_sketches() -> dict[str, list[dict[str, Any]]]:
    """Return the stored sketches by name of the preset, one per run: {id, curve, value, log10, status}."""
    return json.loads(lzma.decompress(FILE.read_bytes()))


def build_sketch(preset: Preset, result: Result) -> dict[str, Any]:
    """Return the sketch of one run: the points of its curve on the scale of the preset's metric, and its number.

    None for a point or number without a finite value.
    """
    column = _find_curve(preset.metric, result)
    places = np.unique(np.linspace(0, len(column) - 1, min(POINTS, len(column))).round().astype(int))
    number = preset.read_number(result)
    return {
        "curve": [_round_digits(value, DIGITS) for value in column[places]],
        "value": _round_digits(number.value, NUMBER_DIGITS),
        "log10": _round_digits(number.log10, NUMBER_DIGITS),
        "status": number.status,
    }


def _round_digits(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.{digits}g}")


def _find_curve(key: str, result: Result) -> np.ndarray:
    """Return the column of a metric over layers or steps, as logarithms if it spans decades."""
    metric = METRICS[key]
    is_of_steps, is_log = metric.table == "steps", metric.scale == "log"
    values = (result.steps_log10 if is_log else result.steps) if is_of_steps else None
    if values is None:
        values = result.layers_log10 if is_log else result.layers
    return values.get(key, np.full(1, np.nan))


def build_sketches() -> dict[str, list[dict[str, Any]]]:
    """Build the sketches of all presets from their records."""
    return {
        preset.name: [{"id": spec.id, **build_sketch(preset, read_result(spec.id))} for spec in preset.specs]
        for preset in PRESETS
    }


def write_sketches() -> None:
    """Write the file with the sketches of all presets."""
    text = json.dumps(build_sketches(), separators=(",", ":"))
    FILE.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))

"""Measure how the mixing learns from every published initialisation, for the page `/families`.

The numbers are stored in `learning.json`, because training takes seconds. `python -m mhc_scope.presets.learning`
measures what the file lacks; with `--all` it measures all of them again.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_scope.presets.initialisations import INITIALISATIONS, Initialisation

FILE = Path(__file__).with_name("learning.json")
LAYER = 1  # layer whose weights are shown, from 0; not the first, which reads only stream 0 in DeepSeek-V4.1
DIGITS = 5


@dataclass(frozen=True)
class Learning:
    """Measurements of one initialisation, before and after the same training.

    id: id of the trained run. h_pre, h_post: largest and smallest weight of a stream in one layer, before training.
    diagonal: mean of the diagonal of H_res in that layer, before training. signal, share: medians over layers of the
    metrics `mixing_signal` and `mixing_grad_share` before training; None if no layer has a value. moved: median over
    layers of the Frobenius norm of the change of H_res, averaged over tokens. gain_backward: largest backward composite
    gain after training.
    """

    id: str
    h_pre: tuple[float, float]
    h_post: tuple[float, float]
    diagonal: float
    signal: float | None
    share: float | None
    moved: float
    gain_backward: float


def measure_learning(initialisation: Initialisation) -> Learning:
    """Compute the runs of an initialisation without and with training, and return their measurements."""
    spec = initialisation.build_spec()
    before, after = _compute(initialisation.build_spec(is_trained=False)), _compute(spec)
    return Learning(
        spec.id,
        _find_range(before.matrices["h_pre"][LAYER]),
        _find_range(before.matrices["h_post"][LAYER]),
        _round_digits(float(np.diag(before.matrices["h_res"][LAYER]).mean())),
        _find_median(before, "mixing_signal"),
        _find_median(before, "mixing_grad_share"),
        _round_digits(measure_distance(before, after)),
        _round_digits(float(after.layers["composite_gain_bwd"].max())),
    )


def measure_distance(before: Result, after: Result) -> float:
    """Return the median over layers of the Frobenius norm of the difference between two runs' H_res."""
    change = np.float64(after.matrices["h_res"]) - before.matrices["h_res"]
    return float(np.median(np.linalg.norm(change, axis=(1, 2))))


def _compute(spec: RunSpec) -> Result:
    """Compute the run of a spec, and return its columns."""
    from mhc_core.measure.run import run  # imports torch, which reading the file does not need

    result = Result()
    for frame in run(spec):
        result.add(frame)
    return result


def _find_range(weights: np.ndarray) -> tuple[float, float]:
    return _round_digits(float(weights.max())), _round_digits(float(weights.min()))


def _find_median(result: Result, key: str) -> float | None:
    """Return the median over layers of a metric; None if no layer has a value."""
    column = result.layers.get(key)
    if column is None or np.isnan(column).all():
        return None
    return _round_digits(float(np.nanmedian(column)))


def _round_digits(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def read_learning() -> dict[str, Learning]:
    """Return the stored measurements by key of the initialisation."""
    return {key: Learning(**entry) for key, entry in json.loads(FILE.read_text()).items()}


def main(arguments: Iterable[str]) -> None:
    """Measure the initialisations that the file lacks, or all with `--all`, and write the file."""
    stored = {} if "--all" in arguments or not FILE.is_file() else read_learning()
    lines = []
    for key, initialisation in INITIALISATIONS.items():
        is_known = key in stored and stored[key].id == initialisation.build_spec().id
        learning = stored[key] if is_known else measure_learning(initialisation)
        lines.append(f"{json.dumps(key)}: {json.dumps(asdict(learning))}")
        sys.stderr.write(f"{lines[-1]}\n")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Measures several seeds of one spec, and the percentiles of columns over them: how much a curve depends on the seed.

The seeds are seed, seed + 1, ... seed + k - 1. For each metric with one value per layer, the result is, in each layer,
the least and largest value over seeds, and the 5th, 50th and 95th percentile (linear interpolation between order
statistics).

Metrics that span decades are ranked by their log10, which is known beyond the range of the type. Exact zeros rank below
all numbers. Lost values (`overflow` or `nan`, from a product of infinities) rank above all numbers: without them, a
stack would look stable because its worst seeds have no number. Lost values of other metrics have no rank and are left
out. If an end of a band is zero or lost, it is nan. `lost` counts the seeds without a number.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mhc_core.measure.passes import measure
from mhc_core.metrics import METRICS
from mhc_core.record.frames import BandsFrame, ProgressFrame
from mhc_core.record.result import Result
from mhc_core.record.values import Values
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack

LEVELS = {"min": 0.0, "p05": 0.05, "p50": 0.5, "p95": 0.95, "max": 1.0}
LARGEST = ("composite_gain_fwd", "composite_gain_bwd")
PROGRESS_FRAMES = 100


def measure_seeds(spec: RunSpec, device: torch.device, first: Result) -> Iterator[ProgressFrame | BandsFrame]:
    """Measure the spec with each of its seeds; yield `progress` frames, then one `bands` frame over all seeds.

    `first` is the result of the spec's own seed.
    """
    steps, done, reported = 3 * spec.depth * (spec.seeds - 1), 0, 0
    results = [first]
    for seed in range(spec.seed + 1, spec.seed + spec.seeds):
        results.append(Result(spec.depth, keeps_frames=False))
        for passed in _measure_one(spec.model_copy(update={"seed": seed}), device, results[-1]):
            done += passed
            if PROGRESS_FRAMES * done // steps > reported:
                reported = PROGRESS_FRAMES * done // steps
                yield ProgressFrame(done=done / steps)
    yield build_bands_frame(spec.seed, results)


def _measure_one(spec: RunSpec, device: torch.device, result: Result) -> Iterator[int]:
    """Measure one seed into its result. Yield the number of layers done since the last yield; the sum is 3 L, for
    drawing, forward and backward.
    """
    stack = build_stack(spec).to(device)
    yield spec.depth  # drawing the weights counts as a pass
    for frame in measure(stack, device, with_cka=False):
        result.add(frame)
        if frame.type in ("forward", "backward") and frame.layer >= 0:
            yield 1


def build_bands_frame(first_seed: int, results: Sequence[Result]) -> BandsFrame:
    """Build the frame with percentiles of columns over the results of all seeds.

    bands: key -> "min", "p05", "p50", "p95", "max" -> (L); log10 for metrics that span decades.
    lost: key -> layer -> number of seeds without a number there; only if there are any.
    largest: each seed's largest log10 of the composite gains over depth, (k); only with mixing; nan if the gain of a
        layer is not known.
    gradient_growth: each seed's log10 of grad_rms at the first layer over that at the last, (k); -inf if it is zero at
        the first layer. Its median is not the ratio of the medians, and does not follow from the bands.
    """
    bands: dict[str, Values] = {}
    lost: dict[str, dict[int, int]] = {}
    for key in results[0].layers:
        if METRICS[key].shape != "L":
            continue
        bands[key] = _to_band(np.stack([_to_ranks(result, key) for result in results]))
        counts = np.sum([_find_lost(result, key) for result in results], axis=0)
        if counts.any():
            lost[key] = {int(layer): int(counts[layer]) for layer in np.flatnonzero(counts)}
    largest: Values = {
        key: np.array([_find_largest(result, key) for result in results]) for key in LARGEST if key in results[0].layers
    }
    return BandsFrame(
        first=first_seed,
        seeds=len(results),
        bands=bands,
        lost=lost,
        largest=largest,
        gradient_growth=np.array([_find_gradient_growth(result) for result in results]),
    )


def _find_largest(result: Result, key: str) -> float:
    """Return the largest log10 of a metric over depth; nan if a layer is lost, because the maximum is then unknown."""
    largest = float(_to_ranks(result, key).max())
    return float("nan") if largest == np.inf else largest


def _find_gradient_growth(result: Result) -> float:
    """Return log10 of the gradient at the first layer over that at the last; nan if either is lost, or if that at the
    last layer is 0.
    """
    first, last = _to_ranks(result, "grad_rms")[[0, -1]]
    return float(first - last) if np.isfinite(last) and first < np.inf else float("nan")


def _to_ranks(result: Result, key: str) -> np.ndarray:
    """Return a column (L) as numbers that can be ordered: log10 if the metric spans decades, else its values.

    -inf for zero, inf for a lost value, nan for a value without a rank.
    """
    values = result.layers[key].astype(np.float64)
    if METRICS[key].scale == "linear":
        return values
    ranks = result.layers_log10[key].astype(np.float64)
    unknown = np.isnan(ranks)
    ranks[unknown & (values == 0)] = -np.inf
    ranks[unknown & _find_lost(result, key)] = np.inf
    return ranks


def _find_lost(result: Result, key: str) -> np.ndarray:
    """Return for each layer whether its value and log10 are both lost, although the metric applies there, (L)."""
    flagged = np.zeros(len(result.layers[key]), dtype=bool)
    flagged[list(result.status.get(key, {}))] = True
    return flagged & np.isnan(result.layers_log10.get(key, result.layers[key]))


def _to_band(ranks_kL: np.ndarray) -> Values:
    """Return the percentiles over seeds at each layer, ignoring nan. Those that are infinite or unknown are nan."""
    ordered = np.sort(ranks_kL, axis=0)  # nan last
    last = np.maximum(np.isfinite(ordered).sum(0) + np.isinf(ordered).sum(0) - 1, 0)
    band: Values = {}
    for name, level in LEVELS.items():
        place = level * last
        below, above = np.floor(place).astype(int), np.ceil(place).astype(int)
        low, high = (np.take_along_axis(ordered, edge[None], 0)[0] for edge in (below, above))
        with np.errstate(invalid="ignore"):
            value = np.where(low == high, low, low + (high - low) * (place - below))
        band[name] = np.where(np.isfinite(value), value, np.nan)
    return band

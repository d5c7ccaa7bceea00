"""Many seeds of one spec: how far a curve moves when nothing but the draw changes.

The seeds are seed, seed + 1, ... seed + k - 1. A metric with one value per layer gets, at every layer, its least and
largest value over seeds and the 5th, 50th and 95th percentile (linear interpolation between order statistics).

A metric that spans decades is ranked by its log10, which is known beyond the range of the type. A true zero ranks below
every number, and a value that is lost (`overflow` or `nan`: a product of infinities) above: leaving it out would call a
stack tame because its worst seeds have no number. A lost value of any other metric has no rank and is left out. Where
a band's edge is itself zero or lost it is nan; `lost` counts the seeds without a number.
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
    """Measure one seed into its result; yields how many layers are drawn or passed so far, three times L in all."""
    stack = build_stack(spec).to(device)
    yield spec.depth  # drawing the weights counts as a pass
    for frame in measure(stack, device, with_cka=False):
        result.add(frame)
        if frame.type in ("forward", "backward") and frame.layer >= 0:
            yield 1


def build_bands_frame(first_seed: int, results: Sequence[Result]) -> BandsFrame:
    """Build the frame with percentiles of columns over the results of all seeds.

    bands: key -> "min", "p05", "p50", "p95", "max" -> (L); log10 for metrics that span decades.
    lost: key -> layer -> how many seeds have no number there; only if there are any.
    largest: each seed's largest log10 of the composite gains over depth, (k), where there is mixing; nan if a
        layer's is not known.
    gradient_growth: each seed's log10 of grad_rms at the first layer over that at the last, (k); -inf if it has
        become zero. The median of these is
        not the ratio of the medians, and cannot be made of the bands.
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
    """Return the largest value over depth, as log10; nan if a layer is lost, because the gain of the stack is then
    unknown.
    """
    largest = float(_to_ranks(result, key).max())
    return float("nan") if largest == np.inf else largest


def _find_gradient_growth(result: Result) -> float:
    """Return log10 of the gradient at the first layer over that at the last; nan if a layer is lost, or the gradient
    starts at zero.
    """
    first, last = _to_ranks(result, "grad_rms")[[0, -1]]
    return float(first - last) if np.isfinite(last) and first < np.inf else float("nan")


def _to_ranks(result: Result, key: str) -> np.ndarray:
    """Return a column (L) as numbers that can be ordered: log10 where the metric has one.

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
    """Return the layers (L) at which neither value nor log10 of a metric is known, though the metric applies there."""
    flagged = np.zeros(len(result.layers[key]), dtype=bool)
    flagged[list(result.status.get(key, {}))] = True
    return flagged & np.isnan(result.layers_log10.get(key, result.layers[key]))


def _to_band(ranks_kL: np.ndarray) -> Values:
    """Return percentiles over seeds at each layer, without nan; nan if there is none or it is infinite."""
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

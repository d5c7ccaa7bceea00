"""Predict the cost of jobs: counts over the workers' rates, corrected by how long earlier jobs took.

Rates are processor times. The correction learns the rest: how much workers and other programs slow each other when
they share cores and memory, and how wrong the counts are for the specs that people run on this machine. Other programs
start and stop, so a job counts half as much as the one that ended two jobs later.
"""

import bisect
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mhc_core.checks.recomputation import estimate_recomputation
from mhc_core.cost.estimates import SPREAD, Estimate, estimate, without_base, without_training
from mhc_core.cost.rates import Rates
from mhc_core.measure.atlas import estimate_atlas
from mhc_core.measure.lens import estimate_lens
from mhc_core.spec import RunSpec
from mhc_scope.engine.contract import ATLAS, LENS, RUN, VERIFICATION, Engine

# What a job of a kind is predicted to cost, on a machine with these rates.
COUNT: dict[str, Callable[[RunSpec, Rates], Estimate]] = {
    RUN: estimate,
    VERIFICATION: estimate_recomputation,
    ATLAS: estimate_atlas,
    LENS: estimate_lens,
}
REMEMBERED = 16  # jobs; the weight of what came before is below a hundredth
HALF_LIFE = 2.0  # jobs: three after a load has ended or begun outweigh all earlier ones
SHORTEST_S = 0.1  # of counted time: in shorter jobs, messages and other work of the machine are a large part
# Until jobs have ended, use the spread of the counts.
UNKNOWN = [math.log(SPREAD) * fraction for fraction in (-1.0, 0.0, 1.0)]


@dataclass
class _ExpectedJob:
    """Remember a submitted job: its counted time, and once it begins, its start and whether others run."""

    kind: str
    counted_s: float
    since: float = 0.0
    is_shared: bool = False


class Predictions:
    """Predict jobs, and learn from those that end. Ratios are logarithms of measured over counted time."""

    def __init__(self, engine: Engine, workers: int) -> None:
        self._engine, self._workers = engine, workers
        self._ratios: dict[tuple[str, bool], deque[float]] = {
            (kind, is_shared): deque(UNKNOWN, REMEMBERED) for kind in COUNT for is_shared in (False, True)
        }
        self._expected: dict[str, _ExpectedJob] = {}

    def predict(self, kind: str, spec: RunSpec, together: int = 1) -> Estimate:
        """Return the predicted cost of a job that is submitted with others, `together` in all."""
        counted = self._count(kind, spec)
        low, likely, high = self._learned(kind, is_shared=min(self._workers, self._engine.running + together) > 1)
        seconds = {
            "seconds_low": counted.seconds * low,
            "seconds_likely": counted.seconds * likely,
            # The count already includes what may be added, such as loading at first use.
            "seconds_high": counted.seconds * high + counted.seconds_high - SPREAD * counted.seconds,
        }
        return counted.model_copy(update=seconds)

    def expect(self, job_id: str, kind: str, spec: RunSpec) -> None:
        """Record that a job is submitted, so that its time can be predicted together with others."""
        self._expected[job_id] = _ExpectedJob(kind, self._count(kind, spec).seconds)

    def begin(self, job_id: str) -> None:
        """Record that a worker has begun the job."""
        job = self._expected[job_id]
        job.since, job.is_shared = time.monotonic(), self._is_shared()

    def end(self, job_id: str, *, is_done: bool) -> None:
        """Record that the job has ended, and learn from it if it is done."""
        job = self._expected.pop(job_id)
        # Where others ran at one end only, they slowed a part of it: it belongs to neither kind.
        if is_done and job.is_shared == self._is_shared():
            ratios = self._ratios[job.kind, job.is_shared]
            ratio = math.log((time.monotonic() - job.since) / job.counted_s)
            # Messages lengthen short jobs: these can show that predictions are too long, never that they are too short.
            if job.counted_s >= SHORTEST_S or ratio < find_quantile(ratios, 0.5) - math.log(SPREAD):
                ratios.append(ratio)

    def _count(self, kind: str, spec: RunSpec) -> Estimate:
        """Return the counted cost, without what workers have already: a trained stack, or the pass without edits.

        A verification trains nothing.
        """
        counted = COUNT[kind](spec, self._engine.rates)
        if spec.train.steps and kind != VERIFICATION and self._engine.has_trained(spec):
            return without_training(counted, spec, self._engine.rates)
        if kind == RUN and spec.edits and not spec.train.steps and self._engine.has_base(spec):
            return without_base(counted, spec, self._engine.rates)
        return counted

    def _is_shared(self) -> bool:
        return self._engine.running > 1

    def _learned(self, kind: str, *, is_shared: bool) -> tuple[float, ...]:
        """Return the quantiles 0.1, 0.5 and 0.9 of measured over predicted time of past jobs."""
        return tuple(math.exp(find_quantile(self._ratios[kind, is_shared], fraction)) for fraction in (0.1, 0.5, 0.9))


def find_quantile(values: Sequence[float], fraction: float) -> float:
    """Return the least value such that it and all below it have the fraction `fraction` of the weight.

    Values are ordered from the oldest to the latest; each weighs half as much as the one `HALF_LIFE` places later.
    """
    weighted = sorted((value, 0.5 ** (-place / HALF_LIFE)) for place, value in enumerate(values))
    ends = list(itertools.accumulate(weight for _, weight in weighted))
    return weighted[bisect.bisect_left(ends, fraction * ends[-1])][0]

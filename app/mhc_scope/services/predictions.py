"""Predict the cost of jobs: counted operations over the workers' rates, corrected by how long earlier jobs took.

Rates are measured in processor time. The correction accounts for the rest: how much workers and other programs slow
each other, because they share cores and memory, and errors of the counts for the specs that people run on this machine.
Because other programs start and stop, a job has half the weight of the one that ended two jobs later.
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

# Kind of job -> function that returns its predicted cost on a machine with given rates.
COUNT: dict[str, Callable[[RunSpec, Rates], Estimate]] = {
    RUN: estimate,
    VERIFICATION: estimate_recomputation,
    ATLAS: estimate_atlas,
    LENS: estimate_lens,
}
REMEMBERED = 16  # number of latest jobs that are used; earlier ones would have less than a hundredth of the weight
HALF_LIFE = 2.0  # in jobs, so that three jobs after a change of load outweigh all earlier ones
SHORTEST_S = 0.1  # counted seconds below which messages and other work of the machine are a large part of a job's time
# Initial values, which give the spread of the counts until jobs have ended.
UNKNOWN = [math.log(SPREAD) * fraction for fraction in (-1.0, 0.0, 1.0)]


@dataclass
class _ExpectedJob:
    """A submitted job: its counted time and, when it has begun, its start and whether other jobs ran then."""

    kind: str
    counted_s: float
    since: float = 0.0
    is_shared: bool = False


class Predictions:
    """Predicts the cost of jobs, and learns from those that end. Ratios are log(measured time / counted time)."""

    def __init__(self, engine: Engine, workers: int) -> None:
        self._engine, self._workers = engine, workers
        self._ratios: dict[tuple[str, bool], deque[float]] = {
            (kind, is_shared): deque(UNKNOWN, REMEMBERED) for kind in COUNT for is_shared in (False, True)
        }
        self._expected: dict[str, _ExpectedJob] = {}

    def predict(self, kind: str, spec: RunSpec, together: int = 1) -> Estimate:
        """Return the predicted cost of a job. together: number of jobs that are submitted together, including this."""
        counted = self._count(kind, spec)
        low, likely, high = self._learned(kind, is_shared=min(self._workers, self._engine.running + together) > 1)
        seconds = {
            "seconds_low": counted.seconds * low,
            "seconds_likely": counted.seconds * likely,
            # The upper bound of the count also includes possible additional time, such as loading at first use.
            "seconds_high": counted.seconds * high + counted.seconds_high - SPREAD * counted.seconds,
        }
        return counted.model_copy(update=seconds)

    def expect(self, job_id: str, kind: str, spec: RunSpec) -> None:
        """Record that a job is submitted, to compare its time with the counted time when it ends."""
        self._expected[job_id] = _ExpectedJob(kind, self._count(kind, spec).seconds)

    def begin(self, job_id: str) -> None:
        """Record that a worker has begun the job."""
        job = self._expected[job_id]
        job.since, job.is_shared = time.monotonic(), self._is_shared()

    def end(self, job_id: str, *, is_done: bool) -> None:
        """Record that the job has ended, and learn from it if it is done."""
        job = self._expected.pop(job_id)
        # If other jobs ran only at its beginning or end, the job was shared for a part of its time: ignore it.
        if is_done and job.is_shared == self._is_shared():
            ratios = self._ratios[job.kind, job.is_shared]
            ratio = math.log((time.monotonic() - job.since) / job.counted_s)
            # Messages lengthen short jobs, which can therefore only show that predictions are too long.
            if job.counted_s >= SHORTEST_S or ratio < find_quantile(ratios, 0.5) - math.log(SPREAD):
                ratios.append(ratio)

    def _count(self, kind: str, spec: RunSpec) -> Estimate:
        """Return the counted cost, without a trained stack or a pass without edits that workers have already.

        A verification does not train.
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
        """Return the quantiles 0.1, 0.5 and 0.9 of measured over counted time of past jobs."""
        return tuple(math.exp(find_quantile(self._ratios[kind, is_shared], fraction)) for fraction in (0.1, 0.5, 0.9))


def find_quantile(values: Sequence[float], fraction: float) -> float:
    """Return a weighted quantile: the smallest value such that those up to it have at least this share of the weight.

    Values are ordered from the oldest to the latest. Each has half the weight of the one `HALF_LIFE` places later.
    """
    weighted = sorted((value, 0.5 ** (-place / HALF_LIFE)) for place, value in enumerate(values))
    ends = list(itertools.accumulate(weight for _, weight in weighted))
    return weighted[bisect.bisect_left(ends, fraction * ends[-1])][0]

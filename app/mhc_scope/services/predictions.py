"""What jobs will cost here: counts over the workers' rates, corrected by how long jobs have really taken.

Rates are processor times. What they cannot know is learned: how much workers and other programs take from each other
when they share cores and memory, and by how much the counts are wrong for what people run on this machine. Other
programs come and go, so a job counts half as much as the one that ended two jobs later.
"""

import bisect
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mhc_core.cost.estimates import SPREAD, Estimate, estimate
from mhc_core.cost.rates import Rates
from mhc_core.measure.recomputation import estimate_recomputation
from mhc_core.spec import RunSpec
from mhc_scope.engine.contract import RUN, VERIFICATION, Engine

# What a job of a kind is predicted to cost, on a machine of these rates.
COUNT: dict[str, Callable[[RunSpec, Rates], Estimate]] = {RUN: estimate, VERIFICATION: estimate_recomputation}
REMEMBERED = 16  # jobs; the weight of what came before is below a hundredth
HALF_LIFE = 2.0  # jobs: three after a load has ended or begun outweigh all before
SHORTEST_S = 0.1  # of counted time: of shorter jobs, messages and what else the machine does are a large part
# Until jobs have ended, the spread that the counts have.
UNKNOWN = [math.log(SPREAD) * share for share in (-1.0, 0.0, 1.0)]


@dataclass
class _ExpectedJob:
    """A job that has been submitted: what was counted for it, and where it has begun, when, and whether others ran."""

    kind: str
    counted_s: float
    since: float = 0.0
    is_shared: bool = False


class Predictions:
    """Predicts jobs, and learns from those that end. Ratios are logarithms of measured over counted time."""

    def __init__(self, engine: Engine, workers: int) -> None:
        self._engine, self._workers = engine, workers
        self._ratios: dict[tuple[str, bool], deque[float]] = {
            (kind, is_shared): deque(UNKNOWN, REMEMBERED) for kind in COUNT for is_shared in (False, True)
        }
        self._expected: dict[str, _ExpectedJob] = {}

    def predict(self, kind: str, spec: RunSpec, together: int = 1) -> Estimate:
        """Cost of a job, `together` with so many submitted at once, itself among them."""
        counted = COUNT[kind](spec, self._engine.rates)
        others = self._engine.running + self._engine.waiting
        low, likely, high = self._learned(kind, is_shared=min(self._workers, others + together) > 1)
        seconds = {
            "seconds_low": counted.seconds * low,
            "seconds_likely": counted.seconds * likely,
            # What may come on top, such as loading at first use, is known to the count.
            "seconds_high": counted.seconds * high + counted.seconds_high - SPREAD * counted.seconds,
        }
        return counted.model_copy(update=seconds)

    def expect(self, job_id: str, kind: str, spec: RunSpec) -> None:
        """The job is submitted."""
        self._expected[job_id] = _ExpectedJob(kind, COUNT[kind](spec, self._engine.rates).seconds)

    def begin(self, job_id: str) -> None:
        """A worker has the job."""
        job = self._expected[job_id]
        job.since, job.is_shared = time.monotonic(), self._is_shared()

    def end(self, job_id: str, *, is_done: bool) -> None:
        """The job has ended; one that was not done teaches nothing."""
        job = self._expected.pop(job_id)
        # Others that ran at one end alone slowed a part of it: it belongs to neither kind.
        if is_done and job.is_shared == self._is_shared():
            ratios = self._ratios[job.kind, job.is_shared]
            ratio = math.log((time.monotonic() - job.since) / job.counted_s)
            # Messages lengthen short jobs: they cannot show that predictions are too short, but that they are too long.
            if job.counted_s >= SHORTEST_S or ratio < find_quantile(ratios, 0.5) - math.log(SPREAD):
                ratios.append(ratio)

    def _is_shared(self) -> bool:
        return self._engine.running > 1

    def _learned(self, kind: str, *, is_shared: bool) -> tuple[float, ...]:
        """Measured over counted time, of which one, five and nine of ten jobs stay below."""
        return tuple(math.exp(find_quantile(self._ratios[kind, is_shared], share)) for share in (0.1, 0.5, 0.9))


def find_quantile(values: Sequence[float], share: float) -> float:
    """The least value that, with all below it, has so large a share of the weight.

    Values are ordered from the oldest to the latest; each weighs half as much as the one `HALF_LIFE` places later.
    """
    weighed = sorted((value, 0.5 ** (-place / HALF_LIFE)) for place, value in enumerate(values))
    ends = list(itertools.accumulate(weight for _, weight in weighed))
    return weighed[bisect.bisect_left(ends, share * ends[-1])][0]

"""Predictions: what counts say, corrected by how long jobs really took."""

import math
from dataclasses import dataclass

import pytest

from mhc_core.checks.recomputation import estimate_recomputation
from mhc_core.cost.estimates import SPREAD, estimate
from mhc_core.cost.rates import DEFAULT_RATES, Rates
from mhc_core.spec import RunSpec, parse_spec
from mhc_scope.engine.contract import ATLAS, LENS, RUN, VERIFICATION
from mhc_scope.services import predictions as rooms
from mhc_scope.services.predictions import REMEMBERED, Predictions, find_quantile

SPEC = parse_spec({"seeds": 4})
COUNTED_S = estimate(SPEC).seconds


@dataclass
class Busy:
    """As much of an engine as predictions ask."""

    running: int = 0
    rates: Rates = DEFAULT_RATES
    trained: tuple[RunSpec, ...] = ()
    bases: tuple[RunSpec, ...] = ()

    def has_trained(self, spec: RunSpec) -> bool:
        return spec in self.trained

    def has_base(self, spec: RunSpec) -> bool:
        return spec.model_copy(update={"edits": ()}) in self.bases


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rooms, "time", clock)
    return clock


def make(engine: Busy, workers: int = 2) -> Predictions:
    return Predictions(engine, workers)  # type: ignore[arg-type]


def compute(
    predictions: Predictions, clock: Clock, took_s: float, spec: RunSpec = SPEC, *, is_done: bool = True
) -> None:
    """One job from its submission to its end."""
    predictions.expect("a", RUN, spec)
    predictions.begin("a")
    clock.now_s += took_s
    predictions.end("a", is_done=is_done)


def test_nothing_learned_the_counts_stand_with_their_spread() -> None:
    found = make(Busy()).predict(RUN, SPEC)
    assert found.seconds_likely == pytest.approx(COUNTED_S)
    assert found.seconds_likely / found.seconds_low == pytest.approx(found.seconds_high / found.seconds_likely)
    assert 1.1 < found.seconds_high / found.seconds_likely <= SPREAD
    learned = {"seconds_low", "seconds_likely", "seconds_high"}
    assert found.model_dump(exclude=learned) == estimate(SPEC).model_dump(exclude=learned)


def test_jobs_that_took_three_times_longer_are_predicted_so_and_others_within_them(clock: Clock) -> None:
    predictions = make(Busy(running=1))
    for share in (2.0, 3.0, 4.0) * 6:
        compute(predictions, clock, share * COUNTED_S)
    predictions._engine.running = 0  # type: ignore[misc]
    found = predictions.predict(RUN, SPEC)
    assert found.seconds_likely == pytest.approx(3 * COUNTED_S)
    assert found.seconds_low == pytest.approx(2 * COUNTED_S)
    assert found.seconds_high == pytest.approx(4 * COUNTED_S)


@pytest.mark.parametrize("load", [(7.0,) * 40, (14.0, 1.1, 9.0, 7.0, 1.3) * 8], ids=["steady", "now and then"])
def test_a_load_that_has_ended_is_forgotten_after_three_jobs(clock: Clock, load: tuple[float, ...]) -> None:
    predictions = make(Busy(running=1), workers=1)
    for slower in load:
        compute(predictions, clock, slower * COUNTED_S)
    for _ in range(3):
        compute(predictions, clock, COUNTED_S)
    predictions._engine.running = 0  # type: ignore[misc]
    assert predictions.predict(RUN, SPEC).seconds_likely == pytest.approx(COUNTED_S, rel=0.1)
    predictions._engine.running = 1  # type: ignore[misc]
    for _ in range(5):
        compute(predictions, clock, COUNTED_S)
    predictions._engine.running = 0  # type: ignore[misc]
    assert predictions.predict(RUN, SPEC).seconds_high == pytest.approx(COUNTED_S, rel=0.1)


def test_short_jobs_show_that_a_load_has_ended(clock: Clock) -> None:
    predictions, short = make(Busy(running=1), workers=1), parse_spec({"depth": 2, "width": 16})
    for _ in range(REMEMBERED):
        compute(predictions, clock, 10 * COUNTED_S)
    for _ in range(3):
        compute(predictions, clock, 2 * estimate(short).seconds, short)
    predictions._engine.running = 0  # type: ignore[misc]
    assert predictions.predict(RUN, SPEC).seconds_likely == pytest.approx(2 * COUNTED_S)


def test_one_slow_job_changes_no_prediction(clock: Clock) -> None:
    predictions = make(Busy(running=1), workers=1)
    for _ in range(REMEMBERED):
        compute(predictions, clock, COUNTED_S)
    compute(predictions, clock, 10 * COUNTED_S)
    predictions._engine.running = 0  # type: ignore[misc]
    assert predictions.predict(RUN, SPEC).seconds_likely == pytest.approx(COUNTED_S)


def test_a_quantile_weighs_the_latest_most() -> None:
    values = [1.0, 2.0, 3.0]  # weights 1/2, 1/sqrt(2) and 1: the shares end at 0.23, 0.55 and 1
    assert [find_quantile(values, share) for share in (0.1, 0.22, 0.24, 0.5, 0.56, 1.0)] == [1, 1, 2, 2, 3, 3]


def test_what_is_learned_beside_others_is_told_beside_others(clock: Clock) -> None:
    engine = Busy(running=2)
    predictions = make(engine)
    for _ in range(REMEMBERED):
        compute(predictions, clock, 2 * COUNTED_S)
    engine.running = 0
    assert predictions.predict(RUN, SPEC).seconds_likely == pytest.approx(COUNTED_S)
    assert predictions.predict(RUN, SPEC, together=2).seconds_likely == pytest.approx(2 * COUNTED_S)
    engine.running = 1
    assert predictions.predict(RUN, SPEC).seconds_likely == pytest.approx(2 * COUNTED_S)
    assert make(engine, workers=1).predict(RUN, SPEC, together=3).seconds_likely == pytest.approx(
        COUNTED_S
    )  # one at a time


def test_what_was_alone_for_a_part_or_cancelled_or_hardly_begun_teaches_nothing(clock: Clock) -> None:
    engine = Busy(running=1)
    predictions = make(engine)
    predictions.expect("a", RUN, SPEC)
    predictions.begin("a")
    engine.running, clock.now_s = 2, 100 * COUNTED_S
    predictions.end("a", is_done=True)
    engine.running = 1
    compute(predictions, clock, 100 * COUNTED_S, is_done=False)
    compute(predictions, clock, 100.0, parse_spec({"depth": 2, "width": 16}))
    engine.running = 0
    assert all(
        predictions.predict(RUN, SPEC, together).seconds_likely == pytest.approx(COUNTED_S) for together in (1, 2)
    )


def test_a_recomputation_learns_for_itself(clock: Clock) -> None:
    predictions = make(Busy(running=1))
    counted_s = estimate_recomputation(SPEC).seconds
    for _ in range(REMEMBERED):
        compute(predictions, clock, 5 * COUNTED_S)
    predictions._engine.running = 0  # type: ignore[misc]
    assert predictions.predict(VERIFICATION, SPEC).seconds_likely == pytest.approx(counted_s)
    assert predictions.predict(RUN, SPEC).seconds_likely == pytest.approx(5 * COUNTED_S)


def test_loading_at_first_use_is_in_the_upper_end_alone() -> None:
    plain, trained = SPEC, parse_spec({"seeds": 1, "train": {"steps": 5}})
    for spec in (plain, trained):
        found, counted = make(Busy()).predict(RUN, spec), estimate(spec)
        added_s = counted.seconds_high - SPREAD * counted.seconds
        assert math.isclose(added_s, 0.7 if spec is trained else 0.0, abs_tol=1e-9)
        assert found.seconds_high - added_s == pytest.approx(found.seconds_likely**2 / found.seconds_low)


def test_a_run_with_edits_whose_base_is_kept_takes_one_pass_less() -> None:
    edit = {"layers": [1, 1], "what": "branch", "do": "zero"}
    plain, edited, trained = (
        parse_spec({"edits": edits, "train": {"steps": steps}}) for edits, steps in (([], 0), ([edit], 0), ([edit], 5))
    )
    new, kept = make(Busy()), make(Busy(bases=(plain, trained.model_copy(update={"edits": ()}))))
    assert kept.predict(RUN, edited).seconds == pytest.approx(new.predict(RUN, plain).seconds, rel=0.1)
    assert new.predict(RUN, edited).seconds > 1.2 * new.predict(RUN, plain).seconds
    assert kept.predict(RUN, edited).flops == new.predict(RUN, edited).flops
    for kind, spec in ((RUN, plain), (RUN, trained), (ATLAS, edited), (VERIFICATION, edited)):
        assert kept.predict(kind, spec) == new.predict(kind, spec)


def test_where_the_trained_stack_is_stored_steps_take_no_time(clock: Clock) -> None:
    """What is left of the time of a run is that of its two measured passes, which no step adds to."""
    short, long = (parse_spec({"train": {"steps": steps, "kept": 2}}) for steps in (100, 400))
    new, stored = make(Busy()), make(Busy(trained=(short, long)))
    for kind in (RUN, ATLAS, LENS):
        left = [stored.predict(kind, spec) for spec in (short, long)]
        assert left[0].seconds == pytest.approx(left[1].seconds, rel=1e-9)
        assert 0 < left[0].seconds_high < new.predict(kind, short).seconds
        assert left[0].flops == new.predict(kind, short).flops
    passes = estimate(parse_spec({})).seconds
    assert passes < stored.predict(RUN, long).seconds < 2 * passes
    assert stored.predict(VERIFICATION, long) == new.predict(VERIFICATION, long)
    compute(stored, clock, 3 * stored.predict(RUN, long).seconds, long)
    assert stored.predict(RUN, long).seconds_high == pytest.approx(3 * stored.predict(RUN, long).seconds)

"""A clock that jumps ends nothing."""

from dataclasses import dataclass

import pytest

from mhc_scope.services.housekeeping import RateLimitedClock

YEAR_S = 365 * 86_400.0


@dataclass
class Hands:
    """What the machine's clocks say."""

    wall: float = 1e9
    steady: float = 50.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """Clocks that are moved by hand."""
    hands = Hands()
    monkeypatch.setattr("mhc_scope.services.housekeeping.time.time", lambda: hands.wall)
    monkeypatch.setattr("mhc_scope.services.housekeeping.time.monotonic", lambda: hands.steady)
    return hands


def test_a_clock_that_goes_right_is_told_as_it_is(hands: Hands) -> None:
    clock = RateLimitedClock()
    for _ in range(5):
        hands.pass_by(600)
        assert clock.now() == pytest.approx(hands.wall)


def test_a_jump_ahead_is_followed_no_faster_than_time_passes(hands: Hands) -> None:
    clock = RateLimitedClock()
    hands.wall += YEAR_S
    assert clock.now() == pytest.approx(1e9)
    hands.pass_by(600)
    assert clock.now() == pytest.approx(1e9 + 1200)
    hands.wall -= YEAR_S
    assert clock.now() == pytest.approx(1e9 + 600), "set right again, it is right again"


def test_a_clock_that_is_set_back_is_followed(hands: Hands) -> None:
    clock = RateLimitedClock()
    hands.wall -= YEAR_S
    assert clock.now() == pytest.approx(1e9 - YEAR_S)
    hands.wall += YEAR_S
    assert clock.now() == pytest.approx(1e9 - YEAR_S)


def test_after_a_sleep_of_the_machine_it_catches_up(hands: Hands) -> None:
    clock = RateLimitedClock()
    hands.wall += 8 * 3600
    for _ in range(49):
        hands.pass_by(600)
        told = clock.now()
    assert told == pytest.approx(hands.wall)

"""Who comes next, as a function of what waits and what was used."""

from hypothesis import given
from hypothesis import strategies as st

from mhc_scope.store.fairness import HALF_LIFE_S, OWN, WaitingRun, decay, order_fairly


def make(*clients: str, seconds: float = 1.0) -> list[WaitingRun]:
    """Runs named after their client and place, the oldest first."""
    return [WaitingRun(f"{client}{place}", client, seconds) for place, client in enumerate(clients)]


def test_clients_take_turns_and_each_ones_oldest_run_comes_first() -> None:
    assert order_fairly(make("a", "a", "a", "b", "b", "c"), {}) == ["a0", "b3", "c5", "a1", "b4", "a2"]


def test_one_run_behind_a_sweep_comes_second_at_most() -> None:
    waiting = make(*["a"] * 200, "b")
    assert order_fairly(waiting, {}).index("b200") == 1
    assert order_fairly(waiting, {"a": 1.0}).index("b200") == 0, "a cell is under way"


def test_who_used_much_lately_waits_until_others_have_used_as_much() -> None:
    assert order_fairly(make("a", "b", "b", "b", "b"), {"a": 2.5}) == ["b1", "b2", "b3", "a0", "b4"]


def test_long_runs_count_as_long() -> None:
    waiting = [WaitingRun("a0", "a", 10.0), WaitingRun("a1", "a", 10.0), *make("b", "b", "b")]
    assert order_fairly(waiting, {}) == ["a0", "b0", "b1", "b2", "a1"]


def test_the_servers_own_runs_come_before_those_of_clients_that_used_something() -> None:
    assert order_fairly(make("a", OWN, OWN), {"a": 0.1}) == ["1", "2", "a0"]


def test_use_halves_with_time_and_a_clock_set_back_does_no_harm() -> None:
    assert decay(8.0, HALF_LIFE_S) == 4.0
    assert decay(8.0, 3 * HALF_LIFE_S) == 1.0
    assert decay(8.0, -5.0) == 8.0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 100)), max_size=30),
    st.dictionaries(st.sampled_from("abc"), st.floats(0, 500)),
)
def test_no_run_is_lost_and_no_client_is_overtaken_by_one_that_used_more(
    runs: list[tuple[str, float]], used: dict[str, float]
) -> None:
    waiting = [WaitingRun(str(place), client, seconds) for place, (client, seconds) in enumerate(runs)]
    order = order_fairly(waiting, used)
    assert sorted(order) == sorted(run.id for run in waiting)
    by_id, total = {run.id: run for run in waiting}, {client: used.get(client, 0.0) for client in "abc"}
    left = list(waiting)
    for run_id in order:
        run = by_id[run_id]
        assert all(total[run.client] <= total[other.client] for other in left)
        assert run == next(other for other in left if other.client == run.client), "the oldest of its client"
        total[run.client] += run.seconds
        left.remove(run)

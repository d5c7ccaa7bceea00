"""The loads of the service still find what they measure: few clients, some seconds, and no duration asserted."""

from collections.abc import Sequence

import pytest

from benchmarks.rows import Row
from benchmarks.service import edge, light_user, mixed, students

pytestmark = pytest.mark.trial


def get_values(rows: Sequence[Row]) -> dict[str, float]:
    """Values by name; nothing may have gone wrong."""
    for row in rows:
        if "error" in row.measure:
            assert row.value == 0, row.reason
    return {row.measure: row.value for row in rows if row.value is not None}


def test_a_light_user_beside_a_greedy_one() -> None:
    known = light_user.parse(["--heavy", "3", "--heavy-s", "4", "--views", "400", "--seconds", "8"])
    found = get_values(light_user.measure(known))
    assert found["503 to other clients"] == 0
    assert found["views refused of it"] > 0
    assert found["database, largest"] < light_user.STORE_BYTES / 1e6


def test_connections_that_want_nothing() -> None:
    counts = ["--half-open", "200", "--streams", "60", "--bodies", "30", "--downloads", "8", "--depth", "40"]
    found = get_values(edge.measure(edge.parse([*counts, "--seconds", "8"])))
    assert found["/livez without an answer"] == 0
    assert found["downloads sent"] > 0


def test_a_small_course() -> None:
    found = get_values(students.measure(students.parse(["--students", "4", "--wave", "2", "--seconds", "4"])))
    assert found["calls"] > 100
    assert found["final answer, median"] > 0


def test_mixed_work() -> None:
    found = get_values(mixed.measure(minutes=0.3, people=4, seed=1))
    assert found["things done"] > 0

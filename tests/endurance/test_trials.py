"""The trials of kills, faults and two servers in short. The long forms are `python -m tests.endurance NAME`."""

from collections.abc import Sequence

import pytest

from benchmarks.rows import Row
from tests.endurance import faults, kills, two_servers
from tests.endurance.site.clocks import find_library
from tests.service.postgresql import find_programs

pytestmark = pytest.mark.trial

FEW = ("--workers", "3", "--servers", "1", "--stops", "1")
BRIEF = ("--disk-s", "14", "--lock-s", "14", "--folder-s", "1", "--cut-s", "12", "--clock-s", "3")


def test_kills_lose_nothing() -> None:
    """Of one server: with a cluster, whose machines take minutes to start, only a person kills."""
    assert list_missed(kills.run(["--site", "sqlite", *FEW])) == []


@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_fault_is_told_and_nothing_is_lost(name: str) -> None:
    require_postgresql(name in faults.ON_POSTGRESQL)
    if name == "clock of the server" and find_library() is None:
        pytest.skip("a clock that can be set is missing: apt-get install faketime")
    assert list_missed(faults.run(["--only", name, *BRIEF])) == []


def test_what_one_server_is_asked_the_other_shows_stops_and_finishes() -> None:
    require_postgresql(True)
    assert list_missed(two_servers.run(["--times", "1"])) == []


def require_postgresql(is_needed: bool) -> None:
    if is_needed and find_programs() is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")


def list_missed(rows: Sequence[Row]) -> list[Row]:
    """Targets that are missed; how long something takes is for a quiet machine."""
    return [row for row in rows if row.is_met is False and row.unit != "s"]

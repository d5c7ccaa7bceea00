"""Each fault for a few seconds: the long form is `python -m tests.endurance faults`."""

import pytest

from tests.app.store.postgresql import find_programs
from tests.endurance import faults
from tests.endurance.site.clocks import find_library

BRIEF = ("--disk-s", "3", "--lock-s", "8", "--folder-s", "1", "--cut-s", "12", "--clock-s", "3")


@pytest.mark.full
@pytest.mark.parametrize("name", faults.FAULTS)
def test_a_fault_is_told_and_nothing_is_lost(name: str) -> None:
    require_parts(name)
    missed = [row for row in faults.run(["--only", name, *BRIEF]) if row.is_met is False]
    assert missed == []


def require_parts(name: str) -> None:
    if name in faults.ON_POSTGRESQL and find_programs() is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    if name == "clock of the server" and find_library() is None:
        pytest.skip("a clock that can be set is missing: apt-get install faketime")

"""Each once: the long form is `python -m tests.endurance two_servers`."""

import pytest

from tests.endurance import two_servers


@pytest.mark.full
def test_what_one_server_is_asked_the_other_shows_stops_and_finishes() -> None:
    rows = two_servers.run(["--times", "1"])
    # How long a takeover takes is for a quiet machine.
    missed = [row for row in rows if row.is_met is False and "lease" not in row.measure]
    assert missed == []

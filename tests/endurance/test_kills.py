"""A few kills of each kind: the long form is `python -m tests.endurance kills`."""

import pytest

from tests.endurance import kills

FEW = ("--workers", "3", "--servers", "1", "--stops", "1", "--raylets", "1", "--bridges", "1")


@pytest.mark.full
@pytest.mark.parametrize("site", ["sqlite", "cluster"])
def test_kills_lose_nothing(site: str) -> None:
    missed = [row for row in kills.run(["--site", site, *FEW]) if row.is_met is False]
    assert missed == []

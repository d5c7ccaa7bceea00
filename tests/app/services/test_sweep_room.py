"""How many sweeps a client may have under way: its own count, and not those of others; and which are forgotten."""

from typing import Any, cast

import pytest

from app.services.errors import TooManyRunsError
from app.services.identity import Client
from app.services.sweeps import HELD, MAX_KNOWN, OPEN_PER_CLIENT, Sweep, Sweeps
from app.settings import Settings
from mhc_core.record.grid import Axis


def open_sweeps(client: str, count: int) -> Sweeps:
    """As many open sweeps of one client."""
    sweeps = Sweeps(Settings(), cast(Any, None))
    for name in map(str, range(count)):
        x = Axis("depth", (4,))
        sweeps._known[name] = Sweep(
            name, Client(client, client), {}, x, None, [["run"]], {"run": (4, None)}, {"run": HELD}
        )
    return sweeps


@pytest.mark.parametrize("other", ["a", "c"])
def test_sweeps_of_another_client_take_no_room(other: str) -> None:
    open_sweeps(other, OPEN_PER_CLIENT)._require_room(Client("b", "b"))


def test_a_client_has_a_limit_of_its_own() -> None:
    open_sweeps("b", OPEN_PER_CLIENT - 1)._require_room(Client("b", "b"))
    with pytest.raises(TooManyRunsError):
        open_sweeps("b", OPEN_PER_CLIENT)._require_room(Client("b", "b"))


def test_what_is_forgotten_is_over_and_the_oldest() -> None:
    sweeps = open_sweeps("b", MAX_KNOWN + 2)
    for name in ("3", "5", "7"):
        sweeps._known[name].states["run"] = "done"
    sweeps._forget_oldest()
    assert set(map(str, range(MAX_KNOWN + 2))) - sweeps._known.keys() == {"3", "5"}

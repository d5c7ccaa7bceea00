"""Sweeps in the database: who may begin one, who runs it, and what others see and request."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import update

from mhc_scope.store.notifications import Hub
from mhc_scope.store.sweeps import SweepLimits, SweepRow, TooManyOpen, drop_ended
from mhc_scope.store.tables import sweeps
from tests.app.store import queue_scenes
from tests.app.store.place import Place

LIMITS = SweepLimits(client=2, address=3, all=4)
GRID = {"spec": {"input": {"text": "a\0b"}}, "x": {"field": "depth", "values": [2, 4]}, "y": None, "ids": [["p", "q"]]}
PENDING = {"q": "held", "p": "held"}  # the cheapest first, and not by name


def build_row(name: str, client: str = "ann", address: str = "here") -> SweepRow:
    """A sweep that nobody has asked for before."""
    return SweepRow(name, GRID, PENDING, {}, {"key": client}, client, address, is_open=True)


class Scene:
    """A database as this server sees it."""

    def __init__(self, place: Place) -> None:
        self.database = place.open()
        self.store = place.build_store(self.database, Hub()).sweeps

    async def open(self, name: str, client: str = "ann", address: str = "here") -> SweepRow | None:
        return await self.store.open(build_row(name, client, address), LIMITS, 2)

    async def set(self, name: str, **values: object) -> None:
        await self.database.call(lambda c: c.execute(update(sweeps).where(sweeps.c.id == name).values(values)))

    async def find(self, name: str) -> SweepRow:
        row = await self.store.find(name)
        assert row is not None
        return row


def play(place: Place, act: Callable[[Scene], Awaitable[None]]) -> None:
    """Do `act` on a new scene."""
    queue_scenes.play(lambda: Scene(place), act)


def test_what_is_stored_is_read_with_its_order_and_every_character(place: Place) -> None:
    async def act(scene: Scene) -> None:
        assert await scene.open("s") is None
        assert await scene.find("s") == replace(build_row("s"), server=scene.store.server)
        assert list((await scene.find("s")).states) == ["q", "p"]
        assert await scene.store.find("t\0") is None

    play(place, act)


def test_one_that_is_under_way_is_joined_and_not_begun_again(place: Place) -> None:
    async def act(scene: Scene) -> None:
        assert await scene.store.join("s", "ben", 2) is None
        await scene.open("s")
        await scene.store.keep("s", {"q": "done", "p": "held"}, {}, True)
        joined = await scene.open("s", "ben")
        assert joined is not None
        assert joined.states == {"q": "done", "p": "held"}
        assert await scene.store.list_requesters("s") == {"ann", "ben"}
        await scene.open("s", "cid")  # no more than two
        assert await scene.store.list_requesters("s") == {"ann", "ben"}
        await scene.store.leave("s", {"ann"})
        assert await scene.store.list_requesters("s") == {"ben"}

    play(place, act)


def test_one_that_is_over_is_begun_again_by_who_asks(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.open("s")
        await scene.store.request_cancel("s")
        assert await scene.store.keep("s", {"q": "cancelled", "p": "cancelled"}, {"q": "why"}, False) is True
        assert await scene.open("s", "ben") is None
        assert await scene.store.list_requesters("s") == {"ben"}
        row = await scene.find("s")
        assert (row.states, row.reasons, row.is_cancel_asked, row.client) == (PENDING, {}, False, "ben")

    play(place, act)


@pytest.mark.parametrize(
    ("whose", "taken", "free"),
    [
        ("client", [("ann", "here")] * 2, ("ben", "here")),
        ("address", [("ann", "here"), ("ben", "here"), ("cid", "here")], ("ann", "there")),
        ("all", [("ann", "here"), ("ann", "there"), ("ben", "here"), ("ben", "there")], None),
    ],
)
def test_open_ones_are_a_share(
    place: Place, whose: str, taken: list[tuple[str, str]], free: tuple[str, str] | None
) -> None:
    async def act(scene: Scene) -> None:
        for index, (client, address) in enumerate(taken):
            assert await scene.open(f"s{index}", client, address) is None
        with pytest.raises(TooManyOpen) as refused:
            await scene.open("more", "dan" if whose == "all" else "ann", "here")
        assert refused.value.whose == whose
        if free is not None:
            assert await scene.open("other", *free) is None
        await scene.store.keep("s0", {"q": "done", "p": "done"}, {}, False)
        assert await scene.open("more", "dan" if whose == "all" else "ann", "there") is None

    play(place, act)


def test_a_server_that_lost_a_sweep_writes_nothing_of_it(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.open("s")
        assert await scene.store.keep("s", PENDING, {}, True) is False
        await scene.set("s", server="other")
        assert await scene.store.keep("s", {"q": "done", "p": "done"}, {}, False) is None
        assert (await scene.find("s")).states == PENDING

    play(place, act)


def test_a_released_one_is_taken_over_at_once_and_one_that_is_over_never(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.open("s")
        await scene.open("ended", "ben")
        await scene.store.keep("ended", {}, {}, False)
        assert await scene.store.take_over() == []
        await scene.store.release()
        assert (await scene.find("s")).server is None
        assert [row.id for row in await scene.store.take_over()] == ["s"]
        assert await scene.store.take_over() == []

    play(place, act)


def test_ended_ones_are_dropped_when_their_time_is_over(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.open("open")
        await scene.open("new")
        await scene.store.keep("new", {}, {}, False)
        await scene.open("old")
        await scene.store.keep("old", {}, {}, False)
        for name in ("old", "open"):
            await scene.set(name, changed_at=5.0)
        assert await scene.database.call(lambda c: drop_ended(c, 10.0)) == 1
        assert await scene.store.find("old") is None
        assert await scene.store.list_requesters("old") == set()
        assert {(await scene.find(name)).id for name in ("open", "new")} == {"open", "new"}

    play(place, act)

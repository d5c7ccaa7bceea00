"""A scene: a database as one server sees it, on which a test acts."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from mhc_scope.store.database import Database
from tests.apart import run_loop


class Scene(Protocol):
    """What has a database that is to be closed."""

    database: Database


S = TypeVar("S", bound=Scene)


def play(build: Callable[[], S], act: Callable[[S], Awaitable[None]]) -> None:
    """Do `act` on a new scene."""

    async def inside() -> None:
        scene = build()
        try:
            await act(scene)
        finally:
            await scene.database.close()

    run_loop(inside())

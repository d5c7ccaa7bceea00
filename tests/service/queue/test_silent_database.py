"""A PostgreSQL that is there and says nothing: callers are told in time, and all goes on once it speaks."""

import asyncio
import signal
import time
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from mhc_scope.store.database import Database
from mhc_scope.store.errors import StoreUnavailable
from mhc_service.queue import postgresql as module
from mhc_service.queue.postgresql import PostgreSQLDatabase
from tests.conftest import StartServer
from tests.endurance.site.relay import Relay
from tests.service.postgresql import PostgreSQL

pytestmark = pytest.mark.full


@pytest.fixture
def relay(postgresql: PostgreSQL) -> Iterator[tuple[Relay, str]]:
    """A relay, and the address of a new database behind it."""
    url = make_url(postgresql.create_database())
    relay = Relay(url.port or 0)
    yield relay, url.set(port=relay.port).render_as_string(hide_password=False)
    relay.close()


async def ask(store: Database) -> int:
    return await store.call(lambda connection: int(connection.execute(text("SELECT 7")).scalar_one()))


def test_a_silent_database_is_told_in_time(relay: tuple[Relay, str], monkeypatch: pytest.MonkeyPatch) -> None:
    cable, url = relay
    monkeypatch.setattr(module, "ANSWER_S", 0.5)

    async def scene() -> None:
        store = PostgreSQLDatabase(url)
        assert await ask(store) == 7
        cable.stall()
        begun = time.monotonic()
        asked = [asyncio.create_task(ask(store)) for _ in range(2 * module.THREADS)]  # more than can be asked at once
        said = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(error) for error in said} == {StoreUnavailable}
        assert {str(error) for error in said} == {"the database has not answered for 0.5 s"}
        assert time.monotonic() - begun < 20
        cable.mend()
        await answer_again(store)
        await store.close()

    asyncio.run(scene())


def test_reset_connections_are_told_and_made_anew(relay: tuple[Relay, str]) -> None:
    cable, url = relay

    async def scene() -> None:
        store = PostgreSQLDatabase(url)
        cable.refuse()
        with pytest.raises(StoreUnavailable, match="cannot be used now"):
            await ask_until_refused(store)
        cable.mend()
        await answer_again(store)
        await store.close()

    asyncio.run(scene())


def test_a_server_ends_though_its_database_is_silent(relay: tuple[Relay, str], launch: StartServer) -> None:
    cable, url = relay
    server = launch("--workers", "1", "--database-url", url)
    spec = {"depth": 64, "train": {"steps": 200}}
    assert httpx.post(f"{server.api}/runs", json=spec).status_code == 202
    cable.stall()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    said = server.log.read_text()
    assert "the database does not answer: its running calls are abandoned" in said
    assert "Application shutdown complete" in said
    assert "Traceback" not in said
    cable.mend()


async def ask_until_refused(store: Database) -> None:
    """The relay drops connections a moment later."""
    for _ in range(200):
        await ask(store)
        await asyncio.sleep(0.05)


async def answer_again(store: Database) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert await ask(store) == 7
            return
        except StoreUnavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("it is not used again")

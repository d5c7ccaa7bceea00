"""U+0000, which PostgreSQL's texts cannot hold: no room has it, and a run that has it hides nothing from a count."""

import pytest
from pydantic import ValidationError

from mhc_core.record.source import SpecSource
from mhc_scope.store.database import Database
from mhc_scope.store.runs import NewJob, RunStore
from mhc_service.rooms.models import RoomRequest
from mhc_service.rooms.store import RoomStore
from mhc_service.stored_bytes import StoredBytes
from tests.apart import run_loop
from tests.records import TRACE


def test_no_room_has_it_and_a_trace_next_to_a_run_that_has_it_is_counted(database_url: str) -> None:
    async def inside() -> None:
        database = Database(database_url)
        try:
            store = RunStore(database)
            source = SpecSource(spec={"input": {"text": "a\0b"}})
            await store.put_queued({"r": NewJob("run", source, {"seconds": 1.0})})
            assert await store.add_record("t", TRACE, [])
            assert await StoredBytes(database).sum_stored("", "") != (0, 0)
            assert await RoomStore(database).get("a\0b") is None
        finally:
            await database.close()

    run_loop(inside())


@pytest.mark.parametrize("field", ["title", "sheet"])
def test_a_room_with_it_is_refused(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        RoomRequest.model_validate({"title": "t", field: "a\0b"})

"""U+0000, which PostgreSQL's texts cannot hold: in rooms it is refused, and what it is stored with is counted."""

import pytest
from pydantic import ValidationError

from mhc_core.record.source import SpecSource
from mhc_scope.store.runs import NewJob, RunStore
from mhc_service.room_models import RoomRequest
from mhc_service.room_store import RoomStore
from mhc_service.stored_bytes import StoredBytes
from tests.apart import run_loop
from tests.app.store.place import Place
from tests.app.store.test_nul import test_an_id_with_it_is_known_to_no_store_and_a_spec_may_have_it  # noqa: F401
from tests.records import TRACE

pytestmark = pytest.mark.full


def test_a_trace_is_counted_next_to_a_spec_with_it(place: Place) -> None:
    async def inside() -> None:
        database = place.open()
        try:
            store = RunStore(database)
            await store.put_queued({"r": NewJob("run", SpecSource(spec={"input": {"text": "a\0b"}}), {"seconds": 1.0})})
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

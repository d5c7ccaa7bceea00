"""U+0000, which PostgreSQL's texts cannot hold: no id has it, texts are refused, and that of a spec is kept."""

import pytest
from pydantic import ValidationError

from mhc_core.record.source import SpecSource
from mhc_scope.api.models.snapshots import SnapshotRequest
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.snapshots import SnapshotStore
from tests.apart import run_loop
from tests.app.store.place import Place
from tests.records import TRACE


def test_an_id_with_it_is_known_to_no_store_and_a_spec_may_have_it(place: Place) -> None:
    async def inside() -> None:
        database = place.open()
        try:
            store = RunStore(database)
            source = SpecSource(spec={"input": {"text": "a\0b"}})
            await store.put_queued({"r": NewJob("run", source, {"seconds": 1.0})})
            run = await store.get("r")
            assert run is not None
            assert run.source == source
            assert len(await store.list_live_costs()) == 1
            assert await store.add_record("t", TRACE, [])
            assert await store.get("a\0b") is None
            assert await SnapshotStore(database).get("a\0b") is None
            assert await LiveTraceStore(database).find("a\0b") is None
        finally:
            await database.close()

    run_loop(inside())


@pytest.mark.sample(4)
@pytest.mark.parametrize("field", ["state", "title", "note", "sweep"])
def test_a_view_with_it_is_refused(field: str) -> None:
    plain = {"runs": ["r"], field: "a\nb"}
    assert SnapshotRequest(**plain)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=field):
        SnapshotRequest(**plain | {field: "a\0b"})  # type: ignore[arg-type]

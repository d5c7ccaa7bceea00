"""Store rooms of courses in the database, and list and delete the views and runs that belong to them."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from mhc_scope.store.database import Database, reading, transaction
from mhc_scope.store.pins import list_runs_of_view, unpin_unreferenced
from mhc_scope.store.runs import LIVE
from mhc_scope.store.snapshots import StoredSnapshot
from mhc_scope.store.tables import frames, rooms, runs, snapshots

ROOM_PREFIX = "room:"  # prefix of a room's id in the column `address` of runs that were requested in the room


@dataclass(frozen=True)
class Room:
    """One row of `rooms`.

    Attributes
    ----------
    key_hash: hash of the teacher's key.
    sheet: Markdown, as the teacher wrote it.
    presets: each with title, description and state, which is the hash in a view's address.
    max_seconds: largest predicted time of waiting and running runs of all clients in the room.
    client: key of the client that created it.
    """

    id: str
    key_hash: str
    title: str
    sheet: str
    presets: list[dict[str, str]]
    max_seconds: float
    client: str
    created_at: float


class RoomStore:
    """Reads and writes the rows of rooms."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, room: Room) -> None:
        """Insert the room of a new course."""
        await self._database.call(lambda connection: connection.execute(insert(rooms).values(asdict(room))))

    @reading
    def get(self, connection: Connection, room_id: str) -> Room | None:
        """Return the room of an id; None if it is unknown."""
        if "\0" in room_id:  # PostgreSQL rejects such text
            return None
        row = connection.execute(select(rooms).where(rooms.c.id == room_id)).one_or_none()
        return None if row is None else Room(**row._mapping)

    async def change(self, room_id: str, values: dict[str, Any]) -> None:
        """Update the columns of a room that the teacher sets."""
        query = update(rooms).where(rooms.c.id == room_id).values(values)
        await self._database.call(lambda connection: connection.execute(query))

    async def count(self) -> int:
        """Return the number of rooms."""
        return int(await self._database.read(lambda c: c.execute(select(func.count()).select_from(rooms)).scalar_one()))

    @reading
    def list_views(self, connection: Connection, room_id: str) -> list[StoredSnapshot]:
        """Return the views that were saved in a room, newest first."""
        query = select(snapshots).where(snapshots.c.room == room_id).order_by(snapshots.c.created_at.desc())
        return [StoredSnapshot(**row._mapping) for row in connection.execute(query)]

    @transaction
    def delete(self, connection: Connection, room_id: str) -> tuple[int, int]:
        """Delete the room, its views, and its finished runs that no other view uses. Return the numbers of both."""
        own = list(connection.execute(select(snapshots).where(snapshots.c.room == room_id)))
        connection.execute(delete(snapshots).where(snapshots.c.room == room_id))
        unpin_unreferenced(connection, {run_id for view in own for run_id in list_runs_of_view(view.runs, view.sweep)})
        of_room = runs.c.address == f"{ROOM_PREFIX}{room_id}"
        unpinned = select(runs.c.id).where(of_room, ~runs.c.pinned, runs.c.status.not_in(LIVE))
        ids = list(connection.execute(unpinned).scalars())
        connection.execute(delete(frames).where(frames.c.run_id.in_(ids)))
        connection.execute(delete(runs).where(runs.c.id.in_(ids)))
        connection.execute(delete(rooms).where(rooms.c.id == room_id))
        return len(own), len(ids)

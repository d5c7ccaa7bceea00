"""Manage rooms of courses: a teacher creates one, shares its link, and sees the views that students have saved."""

import json
import secrets
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from markdown_it import MarkdownIt

from mhc_scope.services.errors import RoomKeyRequiredError, RoomTokenRequiredError, TooManyRoomsError
from mhc_scope.services.identity import ClientIdentity, hash_secret
from mhc_scope.store.frame_log import FrameLog
from mhc_scope.store.pins import list_runs_of_view
from mhc_scope.store.snapshots import StoredSnapshot
from mhc_service.room_store import Room, RoomStore
from mhc_service.settings import ServiceSettings

# Without HTML and images, because a sheet is shown to everyone in the room and must not load anything from elsewhere.
MARKDOWN = MarkdownIt("js-default", {"html": False, "linkify": False}).disable("image")
SPOOL_BYTES = 8_000_000  # largest export that is kept in memory; larger ones go to a temporary file


@dataclass(frozen=True)
class RoomPlan:
    """What the teacher chooses for a room. None as max_seconds means the server's limit."""

    title: str
    sheet: str
    presets: list[dict[str, str]]
    max_seconds: float | None


class Rooms:
    """Implements what teachers do with rooms: create, change and export them."""

    def __init__(self, settings: ServiceSettings, store: RoomStore, log: FrameLog) -> None:
        self._settings, self.store, self._log = settings, store, log

    async def open(self, plan: RoomPlan, client: ClientIdentity) -> tuple[Room, str]:
        """Create a room. Return it and its key. Only the hash of the key is stored.

        Raises
        ------
        RoomTokenRequiredError
            If only clients with a token may create rooms, and this client has none.
        TooManyRoomsError
            If the server has reached its limit of rooms.
        """
        self._require_teacher(client)
        if await self.store.count() >= self._settings.max_rooms:
            raise TooManyRoomsError(f"This server has {self._settings.max_rooms} rooms, its limit.")
        key = secrets.token_urlsafe(24)
        values = self._to_values(plan)
        room = Room(secrets.token_hex(6), hash_secret(key), **values, client=client.key, created_at=time.time())
        await self.store.add(room)
        return room, key

    async def change(self, room: Room, plan: RoomPlan) -> Room:
        """Replace title, sheet, presets and quota of a room."""
        await self.store.change(room.id, self._to_values(plan))
        changed = await self.store.get(room.id)
        assert changed is not None
        return changed

    def require_key(self, room: Room, key: str, client: ClientIdentity) -> None:
        """Refuse a client that is neither the teacher of the room, who sends its key, nor an admin."""
        if client.rights != "admin" and not secrets.compare_digest(hash_secret(key), room.key_hash):
            raise RoomKeyRequiredError(f"This needs the key of room {room.id}. Send `Authorization: Bearer KEY`.")

    async def export(self, room: Room) -> IO[bytes]:
        """Write everything of the room to a zip: the room, its sheet, its views, and the frames of their runs."""
        views = await self.store.list_views(room.id)
        file = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - the caller sends and closes it
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("room.json", _to_json({"id": room.id, "title": room.title, "presets": room.presets}))
            archive.writestr("sheet.md", room.sheet)
            archive.writestr("views.json", _to_json([_to_plain(view) for view in views]))
            for run_id in dict.fromkeys(
                run_id for view in views for run_id in list_runs_of_view(view.runs, view.sweep)
            ):
                with archive.open(f"runs/{run_id}.ndjson", "w") as entry:
                    async for line in self._log.read_all(run_id):
                        entry.write(line)
        file.seek(0)
        return file

    def _to_values(self, plan: RoomPlan) -> dict[str, Any]:
        """Return the columns of a room's row for a plan, with the quota within the server's limit."""
        limit = self._settings.max_room_seconds
        seconds = limit if plan.max_seconds is None else min(plan.max_seconds, limit)
        return {"title": plan.title, "sheet": plan.sheet, "presets": plan.presets, "max_seconds": seconds}

    def _require_teacher(self, client: ClientIdentity) -> None:
        """Refuse a client that may not create rooms."""
        if self._settings.rooms_by == "token" and client.rights != "admin" and not client.is_known:
            raise RoomTokenRequiredError("Creating rooms needs a token. Ask the operator of this server.")


def render_sheet(text: str) -> str:
    """Render Markdown as HTML, without HTML of the author, links to scripts, and images."""
    return str(MARKDOWN.render(text))


def _to_plain(view: StoredSnapshot) -> dict[str, object]:
    """Return a saved view as plain data for the exported zip."""
    names = ("id", "runs", "state", "title", "note", "created_at", "sweep")
    return {name: getattr(view, name) for name in names}


def _to_json(value: object | Sequence[object]) -> str:
    return json.dumps(value, indent=2)

"""Define request and response bodies of rooms, which are for courses."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from mhc_scope.api.models.fields import NO_NUL, to_time
from mhc_scope.api.models.links import to_address
from mhc_scope.store.snapshots import StoredSnapshot
from mhc_service.room_store import Room
from mhc_service.rooms import RoomPlan, render_sheet

MAX_TITLE, MAX_SHEET, MAX_DESCRIPTION, MAX_STATE, MAX_PRESETS = 120, 20_000, 400, 16_000, 40


class RoomPreset(BaseModel):
    """A view that a teacher prepared."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = Field(min_length=1, max_length=MAX_TITLE, pattern=NO_NUL)
    description: str = Field("", max_length=MAX_DESCRIPTION)
    state: str = Field(max_length=MAX_STATE, description="The view, as in the hash of its address.")


class RoomRequest(BaseModel):
    """Set what the teacher chooses for a room."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = Field(min_length=1, max_length=MAX_TITLE, pattern=NO_NUL)
    sheet: str = Field("", max_length=MAX_SHEET, pattern=NO_NUL, description="Markdown; HTML in it is shown as text.")
    presets: list[RoomPreset] = Field([], max_length=MAX_PRESETS)
    max_seconds: float | None = Field(
        None, gt=0, description="Predicted time of runs that all in the room may have waiting or running."
    )

    def to_plan(self) -> RoomPlan:
        """Convert the request body to the plan of a room for the service."""
        presets = [preset.model_dump() for preset in self.presets]
        return RoomPlan(self.title, self.sheet, presets, self.max_seconds)


class RoomBody(BaseModel):
    """Describe a room, as everyone may see it."""

    id: str
    url: str = Field(description="The page of the room, for students.")
    title: str
    sheet: str
    sheet_html: str = Field(description="The sheet as HTML, without any HTML of the author.")
    presets: list[RoomPreset]
    max_seconds: float
    created_at: datetime

    @classmethod
    def build(cls, room: Room) -> "RoomBody":
        """Build the response about a room from its row."""
        return cls(
            id=room.id,
            url=to_address(f"/r/{room.id}"),
            title=room.title,
            sheet=room.sheet,
            sheet_html=render_sheet(room.sheet),
            presets=[RoomPreset.model_validate(preset) for preset in room.presets],
            max_seconds=room.max_seconds,
            created_at=to_time(room.created_at),
        )


class NewRoomBody(BaseModel):
    """Answer a POST that creates a room."""

    room: RoomBody
    key: str = Field(description="The teacher's key, returned only now; send it as `Authorization: Bearer KEY`.")
    teacher_url: str = Field(description="The page of the room, with the key after `#`, which is never sent.")


class SavedViewBody(BaseModel):
    """A view that was saved in the room."""

    id: str
    url: str
    title: str
    note: str
    runs: list[str]
    created_at: datetime

    @classmethod
    def build(cls, view: StoredSnapshot) -> "SavedViewBody":
        """Build the response about a view saved in a room from its row."""
        kept = {name: getattr(view, name) for name in ("id", "title", "note", "runs")}
        return cls(url=to_address(f"/s/{view.id}"), created_at=to_time(view.created_at), **kept)


class DeletedRoomBody(BaseModel):
    """Count what was deleted with a room."""

    views: int
    runs: int

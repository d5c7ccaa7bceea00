"""Serve the routes of rooms for courses: a teacher creates a room, and students use it without accounts."""

from collections.abc import Iterator
from typing import IO

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.responses import Response

from mhc_scope.api.bodies import parse_model, refer_to
from mhc_scope.api.contents import Responses
from mhc_scope.api.credentials import KEY, TOKEN, require
from mhc_scope.api.dependencies import Runner
from mhc_scope.api.models.links import API, to_address
from mhc_service.room_dependencies import OwnRoom, RoomById, RoomService
from mhc_service.room_models import DeletedRoomBody, NewRoomBody, RoomBody, RoomRequest, SavedViewBody

router = APIRouter(prefix=API, tags=["rooms"])
owner_router = APIRouter(prefix=API, tags=["rooms"])  # for callers with the key of the room

BODY = {"requestBody": refer_to(RoomRequest)}
OF_TEACHER = require(KEY, TOKEN)  # an admin's token
OCTETS = "application/octet-stream"  # not application/zip, which generated clients do not support
PIECE = 2**16
ZIP: Responses = {
    200: {"description": "A zip", "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("/rooms", status_code=201, response_model=NewRoomBody, openapi_extra=BODY)
async def open_room(request: Request, rooms: RoomService, client: Runner) -> Response:
    """Create a room: a link for students, and a key for the teacher, which is returned only now."""
    plan = parse_model(RoomRequest, await request.body()).to_plan()
    room, key = await rooms.open(plan, client)
    shown = RoomBody.build(room)
    body = NewRoomBody(room=shown, key=key, teacher_url=f"{shown.url}#key={key}")
    return JSONResponse(body.model_dump(mode="json"), 201, {"Location": to_address(f"{API}/rooms/{room.id}")})


@router.get("/rooms/{room_id}")
async def get_room(room: RoomById) -> RoomBody:
    """Return a room: its sheet and its presets."""
    return RoomBody.build(room)


@owner_router.put("/rooms/{room_id}", response_model=RoomBody, openapi_extra=BODY | OF_TEACHER)
async def change_room(request: Request, rooms: RoomService, room: OwnRoom) -> RoomBody:
    """Replace the teacher's settings of the room."""
    plan = parse_model(RoomRequest, await request.body()).to_plan()
    return RoomBody.build(await rooms.change(room, plan))


@owner_router.get("/rooms/{room_id}/views", openapi_extra=OF_TEACHER)
async def list_room_views(rooms: RoomService, room: OwnRoom) -> list[SavedViewBody]:
    """Return the views that were saved in the room, newest first; for its teacher."""
    return [SavedViewBody.build(view) for view in await rooms.store.list_views(room.id)]


@owner_router.get("/rooms/{room_id}/export", response_class=Response, responses=ZIP, openapi_extra=OF_TEACHER)
async def export_room(rooms: RoomService, room: OwnRoom) -> Response:
    """Return everything of the room in a zip: sheet, presets, views, and the frames of their runs; for its teacher."""
    file = await rooms.export(room)
    headers = {"Content-Disposition": f'attachment; filename="room-{room.id}.zip"'}
    return StreamingResponse(_read_pieces(file), media_type=OCTETS, headers=headers)


@owner_router.delete("/rooms/{room_id}", openapi_extra=OF_TEACHER)
async def delete_room(rooms: RoomService, room: OwnRoom) -> DeletedRoomBody:
    """Delete the room, the views that were saved in it, and their runs that no other view uses; for its teacher."""
    views, runs = await rooms.store.delete(room.id)
    return DeletedRoomBody(views=views, runs=runs)


def _read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of an open file in pieces, and close it."""
    with file:
        while piece := file.read(PIECE):
            yield piece

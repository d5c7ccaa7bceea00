"""Serve the pages of rooms: the room itself, a form that creates one, and the instrument within a room."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from mhc_scope.api.dependencies import Service
from mhc_scope.pages.routes import get_pages, render_index, to_boot
from mhc_service.room_dependencies import RoomById, RoomService, find_room
from mhc_service.room_models import RoomBody
from mhc_service.room_store import Room

router = APIRouter(include_in_schema=False)


@router.get("/")
async def get_index_in_room(
    request: Request,
    service: Service,
    rooms: RoomService,
    room: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """Return the page of the instrument, in a room if the query names one."""
    entered = {} if room is None else {"room": to_boot_room(await find_room(rooms, room))}
    return await render_index(request, service, **entered)


@router.get("/r/{room_id}")
async def get_room_page(request: Request, room: RoomById) -> Response:
    """Return the page of a room: its sheet and views to start from; for its teacher also what was saved in it."""
    body = RoomBody.build(room)
    boot = to_boot("room", room=to_boot_room(room))
    return get_pages(request).render("service/room.html", boot=boot, room=body, sheet=Markup(body.sheet_html))


@router.get("/rooms")
async def get_new_room_page(request: Request) -> Response:
    """Return the page with a form that creates a room."""
    return get_pages(request).render("service/room.html", boot=to_boot("new-room"), room=None, sheet="")


def to_boot_room(room: Room) -> dict[str, str]:
    """Return the data of a room that is sent with the page."""
    return {"id": room.id, "title": room.title}

"""Define the dependencies of routes of rooms: the service of rooms, and the room that an address names."""

from typing import Annotated

from fastapi import Depends, Request

from mhc_scope.api.dependencies import KeyHolder, Service, read_bearer
from mhc_scope.api.problems import not_found
from mhc_service.room_store import Room, RoomStore
from mhc_service.rooms import Rooms


def get_rooms(request: Request, service: Service) -> Rooms:
    """Return the service of rooms from the app's state."""
    return Rooms(request.app.state.settings, RoomStore(request.app.state.database), service.log)


RoomService = Annotated[Rooms, Depends(get_rooms)]


async def find_room(rooms: RoomService, room_id: str) -> Room:
    """Return the room of an id; raise the problem 404 if there is none."""
    room = await rooms.store.get(room_id)
    if room is None:
        raise not_found("room", room_id)
    return room


RoomById = Annotated[Room, Depends(find_room)]


async def find_own_room(request: Request, rooms: RoomService, client: KeyHolder, room: RoomById) -> Room:
    """Return the room of an id if its teacher sends the request. This is checked before the body is read."""
    rooms.require_key(room, read_bearer(request) or "", client)
    return room


OwnRoom = Annotated[Room, Depends(find_own_room)]

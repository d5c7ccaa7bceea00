"""Define the policy of a server for groups: accounts, rooms of courses, and quotas of clients and IP addresses."""

from collections.abc import Sequence
from dataclasses import replace

from mhc_scope.api.problems import Problem, not_found
from mhc_scope.services.identity import ClientIdentity
from mhc_scope.services.policy import Credentials, OpenPolicy
from mhc_scope.store.database import Database
from mhc_scope.store.runs import LiveCost
from mhc_service.cookies import COOKIE, TOKEN_COOKIE
from mhc_service.identity import Identities
from mhc_service.quotas import QuotaStreams, ReadQuota, StorageQuota, require_queue_quota
from mhc_service.room_store import ROOM_PREFIX, RoomStore
from mhc_service.settings import ServiceSettings
from mhc_service.stored_bytes import StoredBytes
from mhc_service.tokens import TokenStore, read_token_id

ROOM_HEADER = "x-room"  # header with the id of the room in which a request is made


class ServicePolicy(OpenPolicy):
    """Adds accounts and quotas to the limits of the whole server."""

    sign_in_path: str | None = "/sign-in"

    def __init__(self, settings: ServiceSettings, database: Database) -> None:
        super().__init__(settings)
        self._service = settings
        self._identities = Identities(settings, TokenStore(database))
        self._rooms = RoomStore(database)
        self._reads = ReadQuota(settings)
        self._storage = StorageQuota(settings, StoredBytes(database))
        self.event_streams = QuotaStreams(settings)

    async def identify(self, credentials: Credentials) -> ClientIdentity:
        """Return the client, in the room of a course if the request names one."""
        token = credentials.cookies.get(TOKEN_COOKIE) if credentials.token is None else credentials.token
        client = await self._identities.identify(
            credentials.host,
            token=token,
            name=self._read_name(credentials) if credentials.is_from_proxy else None,
            cookie=credentials.cookies.get(COOKIE),
        )
        return await self._enter_room(client, credentials)

    async def identify_holder(self, host: str, token: str) -> ClientIdentity:
        """Return the client with this access token, regardless of cookies and names.

        Raises
        ------
        InvalidTokenError
            If the token is unknown or has expired.
        """
        return await self._identities.identify(host, token=token)

    def is_token(self, text: str) -> bool:
        """Return whether a bearer token has the form of an access token."""
        return read_token_id(text) is not None

    def require_queue_capacity(self, client: ClientIdentity, new_s: Sequence[float], live: Sequence[LiveCost]) -> None:
        """Refuse runs that exceed the quota of the client or of its IP address, or a limit of the server."""
        require_queue_quota(client, new_s, live, self._service)
        super().require_queue_capacity(client, new_s, live)

    def charge_read(self, client: ClientIdentity, size_bytes: int) -> None:
        """Count the bytes of frames that a client reads against its quota and that of its IP address."""
        self._reads.charge(client, size_bytes)

    async def require_storage(self, client: ClientIdentity) -> None:
        """Refuse a client that has used up its quota of stored bytes, or that of its IP address."""
        await self._storage.require_capacity(client)

    async def _enter_room(self, client: ClientIdentity, credentials: Credentials) -> ClientIdentity:
        """If the request names a room, return the client with the room's quota instead of its IP address's."""
        name = next((value for header, value in credentials.headers if header == ROOM_HEADER), "")
        if not name:
            return client
        room = await self._rooms.get(name)
        if room is None:
            raise not_found("room", name)
        return replace(client, address=f"{ROOM_PREFIX}{room.id}", room=room.id, room_s=room.max_seconds)

    def _read_name(self, credentials: Credentials) -> str | None:
        """Return the name of the person who has signed in at the proxy; None if there is none.

        Raise Problem for two names, because one of them is forged.
        """
        wanted = self._service.sso_header.lower()
        names = [value for header, value in credentials.headers if wanted and header == wanted]
        if len(names) > 1:
            raise Problem("http", 400, "The proxy sent more than one user name.")
        return names[0].strip() if names else None

"""Cache response bodies that do not change while the server runs, also compressed in each encoding."""

import hashlib
from collections.abc import Mapping
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from mhc_scope.api.codings import PACKERS, choose_coding


class CachedBody:
    """A JSON body, plain and compressed in each encoding in which it was sent."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        self._packed: dict[str, bytes] = {}

    def pack(self, coding: str) -> bytes:
        """Return the body compressed in an encoding, such as gzip, and cache it."""
        if coding not in self._packed:
            self._packed[coding] = PACKERS[coding](self.plain)
        return self._packed[coding]

    @cached_property
    def etag(self) -> str:
        """Return the ETag of the body, a hash of its content."""
        return f'"{hashlib.sha256(self.plain).hexdigest()[:20]}"'

    def respond(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """Return the body as a response, compressed if the client accepts that."""
        sent = {**(headers or {}), "Vary": "Accept-Encoding"}
        coding = choose_coding(request.headers.get("accept-encoding", ""))
        if coding is None:
            return Response(self.plain, headers=sent, media_type="application/json")
        return Response(self.pack(coding), headers={**sent, "Content-Encoding": coding}, media_type="application/json")

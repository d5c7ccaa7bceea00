"""Cache bodies that stay the same while the server runs: each is written and compressed once."""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

PACK_LEVEL = 9  # it is compressed once


class CachedBody:
    """Keep a JSON body in the forms in which it is sent."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain

    @cached_property
    def packed(self) -> bytes:
        """Return the body compressed by gzip."""
        return gzip.compress(self.plain, PACK_LEVEL, mtime=0)

    @cached_property
    def etag(self) -> str:
        """Return the ETag of the body, a hash of its content."""
        return f'"{hashlib.sha256(self.plain).hexdigest()[:20]}"'

    def respond(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """Answer with the body, compressed if the caller accepts that."""
        sent = {**(headers or {}), "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self.plain, headers=sent, media_type="application/json")
        return Response(self.packed, headers={**sent, "Content-Encoding": "gzip"}, media_type="application/json")

"""Build absolute addresses, which links outside of the page and their previews need."""

import re

from starlette.requests import Request

from mhc_scope.api.models.links import to_address

# A host name or an IP address with an optional port, without characters that could end an attribute or begin a path.
HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")


def to_base(request: Request, public_base: str) -> str | None:
    """Return the base address of this server: as set by its operator, else by the header Host; None if Host is invalid.

    A client can send any Host, but only this client gets the response, because pages are not cached.
    """
    if public_base:
        return public_base
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}{to_address('')}" if HOST.fullmatch(host) else None

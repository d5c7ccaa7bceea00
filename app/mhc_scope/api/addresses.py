"""Build absolute addresses for readers outside the page: previews of links cannot follow relative ones."""

import re

from starlette.requests import Request

from mhc_scope.api.models.links import to_address

# A name or an address with a port, and nothing that could end an attribute or begin a path.
HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")


def to_base(request: Request, public_base: str) -> str | None:
    """Return the base address of this server: as set by its operator, else as requested; None if the Host is not
    valid.

    The sender chooses the Host of its request, but only the sender gets the answer: caches do not store pages.
    """
    if public_base:
        return public_base
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}{to_address('')}" if HOST.fullmatch(host) else None

"""Who sees the operator's page: an admin, by the token that a browser asks for, or a process of this machine."""

import base64
import binascii
import ipaddress

from fastapi import Request

from app.api.dependencies import read_bearer
from app.api.http.problems import Problem
from app.services.errors import RefusedError
from app.services.identity import Claims, Identities, require_rights

# What a proxy adds to a request: it comes from elsewhere then, whatever its peer is.
FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"}
ASK = {"WWW-Authenticate": 'Basic realm="mHC Scope: an admin\'s token as password"'}


async def require_operator(request: Request) -> None:
    """Refuse everyone else; a browser then asks for a name, which is of no matter, and a password, the token."""
    token = read_bearer(request) or read_password(request)
    if token is None:
        if is_on_this_machine(request):
            return
        raise Problem("no-token", 401, "this needs the token of an admin", headers=ASK)
    identities: Identities = request.app.state.identities
    host = request.client.host if request.client else "unknown"
    try:
        require_rights(await identities.recognise(Claims(host, token)), "admin")
    except RefusedError as error:
        raise Problem("no-token", 401, str(error), headers=ASK) from None


def read_password(request: Request) -> str | None:
    """The password that a browser has asked for; None without one."""
    scheme, _, packed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(packed, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def is_on_this_machine(request: Request) -> bool:
    """Whether a process of this machine asks, without a proxy."""
    if request.client is None or FORWARDED & set(request.headers.keys()):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False

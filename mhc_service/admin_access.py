"""Protect the operator's page: admit requests with an admin's token, or from an operator's network location."""

import base64
import binascii

from fastapi import Request

from mhc_scope.api.problems import Problem
from mhc_scope.services.errors import RefusalError
from mhc_scope.services.identity import require_rights
from mhc_service.cookies import read_access_token
from mhc_service.operators import identify_holder, is_operator_request

CHALLENGE = {"WWW-Authenticate": 'Basic realm="mHC Scope: an admin\'s token as password"'}


async def require_operator_password(request: Request) -> None:
    """Refuse requests of others than operators with 401, so that browsers ask for a password, which is the token.

    Browsers also ask for a user name, which is ignored.

    Raises
    ------
    Problem
        If the request has a token that is not an admin's, or no token and is not from an operator's network location.
    """
    token = read_access_token(request) or read_password(request)
    if token is None:
        if is_operator_request(request):
            return
        raise Problem("no-token", 401, "this needs the token of an admin", headers=CHALLENGE)
    try:
        require_rights(await identify_holder(request, token), "admin")
    except RefusalError as error:
        raise Problem("no-token", 401, str(error), headers=CHALLENGE) from None


def read_password(request: Request) -> str | None:
    """Return an operator's password of HTTP Basic authentication; None without one, "" if it is malformed."""
    scheme, _, packed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(packed, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""

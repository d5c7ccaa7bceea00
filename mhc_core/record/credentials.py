"""The access token for servers that require one. `mhc-scope token add` prints it."""

import os

from mhc_core.spec.errors import SpecError

TOKEN_VARIABLE = "MHC_SCOPE_TOKEN"


def to_headers(token: str | None = None) -> dict[str, str]:
    """Return the request headers with an access token, by default that of the environment; {} without a token.

    Raises
    ------
    SpecError
        If the text cannot be a token. The error does not contain it.
    """
    token = os.environ.get(TOKEN_VARIABLE) if token is None else token
    if not token:
        return {}
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SpecError("token", f"{len(token)} characters", "an access token of the server, in ASCII without spaces")
    return {"Authorization": f"Bearer {token}"}

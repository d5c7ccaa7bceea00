"""Identify the client of a request: by an access token, else by a name from a trusted proxy, else by a cookie with a
random number, else by its IP address.
"""

import re
import secrets
import time

from mhc_scope.services.errors import InvalidTokenError
from mhc_scope.services.identity import ClientIdentity, Rights, hash_secret, hash_text, to_block, to_ip_key
from mhc_service.settings import ServiceSettings
from mhc_service.tokens import TokenStore, read_token_id

COOKIE_BYTES = 24
COOKIE = re.compile(r"[A-Za-z0-9_-]{32}")
MAX_NAME = 80  # longest name from a proxy that is stored; a hash replaces longer ones


class Identities:
    """Finds the client of a request from its token, name, cookie and address."""

    def __init__(self, settings: ServiceSettings, tokens: TokenStore) -> None:
        self._anonymous: Rights | None = None if settings.anonymous == "none" else settings.anonymous
        self._tokens = tokens

    async def identify(
        self, host: str, *, token: str | None = None, name: str | None = None, cookie: str | None = None
    ) -> ClientIdentity:
        """Return the client at the IP address `host`. Pass `name` only if a trusted proxy sent it.

        Raises
        ------
        InvalidTokenError
            If the token is unknown or has expired. Such a request is never treated as one without a token.
        """
        address = to_block(host)
        if token is not None:
            return await self._find_holder(token, address)
        if name:
            return ClientIdentity(to_named_key(name), address, "run", is_known=True)
        key = to_ip_key(address) if cookie is None else to_cookie_key(cookie)
        return ClientIdentity(key or to_ip_key(address), address, self._anonymous)

    async def _find_holder(self, text: str, address: str) -> ClientIdentity:
        """Return the client of an access token; raise InvalidTokenError if it is unknown or has expired."""
        token_id = read_token_id(text)
        token = None if token_id is None else await self._tokens.find(token_id)
        # Compare even if no such token exists, so that the response time reveals nothing.
        is_right = secrets.compare_digest(hash_secret(text), token.token_hash if token else "")
        if token is None or not is_right:
            raise InvalidTokenError("This server does not know the token.")
        if token.expires_at is not None and token.expires_at <= time.time():
            raise InvalidTokenError("The token has expired.")
        return ClientIdentity(f"token:{token.id}", address, token.rights, is_known=True)


def new_cookie() -> str:
    """Return a new random value for the cookie of a client."""
    return secrets.token_urlsafe(COOKIE_BYTES)


def to_cookie_key(cookie: str) -> str | None:
    """Return the key of a client with this cookie; None if this server never creates such a value."""
    return f"cookie:{hash_text(cookie)}" if COOKIE.fullmatch(cookie) else None


def to_named_key(name: str) -> str:
    """Return the key of a client with a name from a trusted proxy: its hash if it is long or not printable."""
    return f"name:{name}" if len(name) <= MAX_NAME and name.isprintable() else f"name-hash:{hash_text(name)}"

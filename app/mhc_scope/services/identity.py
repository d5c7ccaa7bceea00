"""Who asks. What they may do, and what their share is, hangs on it.

A client is known, in this order, by an access token, by the name that a trusted proxy gives, by a cookie that holds
nothing but a random number, or by its address alone.
"""

import hashlib
import ipaddress
import re
import secrets
import time
from dataclasses import dataclass
from typing import Literal

from mhc_scope.services.errors import InvalidTokenError, NoRightError, NoTokenError
from mhc_scope.settings import Settings
from mhc_scope.store.tokens import TokenStore, hash_secret, read_token_id

Rights = Literal["read", "run", "admin"]
# Each includes those before it.
ORDER: tuple[Rights, ...] = ("read", "run", "admin")

COOKIE_BYTES = 24
COOKIE = re.compile(r"[A-Za-z0-9_-]{32}")
MAX_NAME = 80  # of a client that a proxy names; a longer one is known by a hash
IPV6_PREFIX = 64  # what one household or one machine is given, and may change addresses within


@dataclass(frozen=True)
class ClientIdentity:
    """One who asks.

    Attributes
    ----------
    key: names the client in rows and logs; it holds no secret.
    address: where the request comes from, as a block that shares a budget.
    rights: the most that the client may do: `read`, `run` (which includes it) or `admin` (which includes both).
    is_known: whether it is known by a token or by a trusted proxy, and not by a cookie or an address alone.
    room: the course that it works in; empty outside.
    room_s: predicted seconds of runs that all in the room may have waiting or running.
    """

    key: str
    address: str
    rights: Rights | None = "run"
    is_known: bool = False
    room: str = ""
    room_s: float = 0.0

    def owns(self, key: str, address: str = "") -> bool:
        """Whether what was made by the client `key` at `address` is this client's, or this client may have it anyhow.

        What a script without a cookie made belongs to its address, as nothing else is known of it.
        """
        is_own = key != "" and key == self.key
        return is_own or (key != "" and key == to_address_key(self.address)) or self.rights == "admin"


# Runs that the server starts on its own count against no client.
SERVER = ClientIdentity("", "", "admin")


@dataclass(frozen=True)
class Claims:
    """What a request says of who sends it; `name` only where a trusted proxy says it."""

    host: str
    token: str | None = None
    name: str | None = None
    cookie: str | None = None


class Identities:
    """Tells who asks."""

    def __init__(self, settings: Settings, tokens: TokenStore) -> None:
        self._anonymous: Rights | None = None if settings.anonymous == "none" else settings.anonymous
        self._tokens = tokens

    async def recognise(self, claims: Claims) -> ClientIdentity:
        """The client.

        Raises
        ------
        InvalidTokenError
            Where a token is given that is unknown or has expired: it is never taken for no token.
        """
        address = to_block(claims.host)
        if claims.token is not None:
            return await self._find_holder(claims.token, address)
        if claims.name:
            return ClientIdentity(to_named_key(claims.name), address, "run", is_known=True)
        key = to_address_key(address) if claims.cookie is None else to_cookie_key(claims.cookie)
        return ClientIdentity(key or to_address_key(address), address, self._anonymous)

    async def _find_holder(self, text: str, address: str) -> ClientIdentity:
        token_id = read_token_id(text)
        token = None if token_id is None else await self._tokens.find(token_id)
        # Compared also where there is no such token, so that the time tells nothing.
        is_right = secrets.compare_digest(hash_secret(text), token.token_hash if token else "")
        if token is None or not is_right:
            raise InvalidTokenError("This server does not know the token.")
        if token.expires_at is not None and token.expires_at <= time.time():
            raise InvalidTokenError("The token has expired.")
        return ClientIdentity(f"token:{token.id}", address, token.rights, is_known=True)


def require_rights(client: ClientIdentity, wanted: Rights) -> None:
    """Refuse a client that may not do so much.

    Raises
    ------
    NoTokenError
        Where it may do so with a token.
    NoRightError
        Where it is known, and may not.
    """
    if client.rights is not None and ORDER.index(client.rights) >= ORDER.index(wanted):
        return
    if not client.is_known:
        raise NoTokenError(f"This needs a bearer token with the right to {wanted}.")
    raise NoRightError(f"This needs the right to {wanted}; you have the right to {client.rights}.")


def to_block(host: str) -> str:
    """The block of addresses that shares a budget: an IPv4 address as it is, of IPv6 the first 64 bits.

    What is no address, such as the name of a Unix socket, is a block of its own.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return f"host:{hashlib.sha256(host.encode()).hexdigest()[:24]}"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, IPV6_PREFIX), strict=False))


def new_cookie() -> str:
    """A random value for a client that has none."""
    return secrets.token_urlsafe(COOKIE_BYTES)


def to_cookie_key(cookie: str) -> str | None:
    """The key of a client with this cookie; None where this server gave out no such value."""
    return f"cookie:{_digest(cookie)}" if COOKIE.fullmatch(cookie) else None


def to_address_key(address: str) -> str:
    """The key of all clients of an address of which nothing else is known."""
    return f"address:{address}"


def to_named_key(name: str) -> str:
    """The key of a client whom a trusted proxy names."""
    return f"name:{name}" if len(name) <= MAX_NAME and name.isprintable() else f"name-hash:{_digest(name)}"


def to_viewer(client: ClientIdentity, own: str | None) -> str:
    """Whose streams are meant: a text of the caller's own, which means nothing in the mouth of another client."""
    return _digest(f"{client.key}\n{own or ''}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

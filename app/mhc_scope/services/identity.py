"""Describe who sends a request: a client with an address and rights."""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Literal

from mhc_scope.services.errors import MissingRightError, NoTokenError

Rights = Literal["read", "run", "admin"]
# Each includes those before it.
ORDER: tuple[Rights, ...] = ("read", "run", "admin")

IPV6_PREFIX = 64  # one household or one machine usually has such a block, and may change addresses within it


@dataclass(frozen=True)
class ClientIdentity:
    """The client that sends a request.

    Attributes
    ----------
    key: names the client in rows and logs; it contains no secret.
    address: where the request comes from, as a block of addresses with one quota.
    rights: the most that the client may do: `read`, `run` (which includes it) or `admin` (which includes both).
    is_known: whether a token or a trusted proxy identifies it, and not a cookie or an address alone.
    room: the course that it works in; empty outside.
    room_s: predicted seconds of runs that all in the room may have waiting or running.
    """

    key: str
    address: str
    rights: Rights | None = "run"
    is_known: bool = False
    room: str = ""
    room_s: float = 0.0

    def owns(self, key: str) -> bool:
        """Return whether this client may change what the client `key` made: it is the maker, or an admin.

        What a script without a cookie made belongs to its address, as nothing else is known of the script.
        """
        is_own = key != "" and key == self.key
        return is_own or (key != "" and key == to_ip_key(self.address)) or self.rights == "admin"


# Runs that the server starts on its own count against no client.
SERVER = ClientIdentity("", "", "admin")


def require_rights(client: ClientIdentity, wanted: Rights) -> None:
    """Refuse a client without the right `wanted`, such as "run".

    Raises
    ------
    NoTokenError
        If a token would give the right.
    MissingRightError
        If the client is known by its token, and does not have the right.
    """
    if client.rights is not None and ORDER.index(client.rights) >= ORDER.index(wanted):
        return
    if not client.is_known:
        raise NoTokenError(f"This needs a bearer token with the right to {wanted}.")
    raise MissingRightError(f"This needs the right to {wanted}; you have the right to {client.rights}.")


def to_block(host: str) -> str:
    """Return the block of addresses with one quota: an IPv4 address itself, of IPv6 the first 64 bits.

    Text that is not an address, such as the name of a Unix socket, is its own block.
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


def to_ip_key(address: str) -> str:
    """Return the key of all clients at an IP address that nothing else identifies."""
    return f"address:{address}"


def to_viewer(client: ClientIdentity, own: str | None) -> str:
    """Return the key of a viewer: the text `own` of one client means nothing when another client sends it."""
    return hash_text(f"{client.key}\n{own or ''}")


def hash_text(text: str) -> str:
    """Return 32 hexadecimal digits of SHA-256; any text is accepted, including lone surrogates."""
    return hash_secret(text)[:32]


def hash_secret(text: str) -> str:
    """Return the hash of a secret for the store: secrets are random and long, so one round is enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

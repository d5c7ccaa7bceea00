"""Define the client that sends a request, with its address and rights."""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Literal

from mhc_scope.services.errors import MissingRightError, NoTokenError

Rights = Literal["read", "run", "admin"]
# Each right includes those before it.
ORDER: tuple[Rights, ...] = ("read", "run", "admin")

IPV6_PREFIX = 64  # a household or a machine usually has a block of this size, and may use any address in it


@dataclass(frozen=True)
class ClientIdentity:
    """The client that sends a request.

    Attributes
    ----------
    key: identifies the client in rows and logs. It contains no secret.
    address: the IP address of the request, or the block of addresses that shares a quota.
    rights: `read`, `run` (which includes `read`) or `admin` (which includes both); None for no rights.
    is_known: whether a token or a trusted proxy identifies the client, and not only a cookie or an address.
    room: id of the room in which it works; "" for none.
    room_s: largest predicted time of waiting and running runs of all clients in the room.
    """

    key: str
    address: str
    rights: Rights | None = "run"
    is_known: bool = False
    room: str = ""
    room_s: float = 0.0

    def owns(self, key: str) -> bool:
        """Return whether this client may change what the client `key` has created: it is that client, or an admin.

        What a script without a cookie has created belongs to all clients of its address.
        """
        is_own = key != "" and key == self.key
        return is_own or (key != "" and key == to_ip_key(self.address)) or self.rights == "admin"


# The client of runs that the server starts itself, which have no quota.
SERVER = ClientIdentity("", "", "admin")


def require_rights(client: ClientIdentity, wanted: Rights) -> None:
    """Refuse a client without the right `wanted`, such as "run".

    Raises
    ------
    NoTokenError
        If the client is not known, so that it may have the right with a token.
    MissingRightError
        If the client is known, and does not have the right.
    """
    if client.rights is not None and ORDER.index(client.rights) >= ORDER.index(wanted):
        return
    if not client.is_known:
        raise NoTokenError(f"This needs a bearer token with the right to {wanted}.")
    raise MissingRightError(f"This needs the right to {wanted}; you have the right to {client.rights}.")


def to_block(host: str) -> str:
    """Return the block of addresses that shares a quota: an IPv4 address, or the first 64 bits of an IPv6 address.

    Text that is not an address, such as the name of a Unix socket, is a separate block.
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
    """Return the key of all clients at an address that have no token, name or cookie."""
    return f"address:{address}"


def to_viewer(client: ClientIdentity, own: str | None) -> str:
    """Return the key of a viewer. own: an identifier that the client has chosen; other clients can use the same one."""
    return hash_text(f"{client.key}\n{own or ''}")


def hash_text(text: str) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a text, which may contain lone surrogates."""
    return hash_secret(text)[:32]


def hash_secret(text: str) -> str:
    """Return the hash of a secret for the store. One round is enough, because secrets are random and long."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""Who asks. What they may do, and what their share is, hangs on it."""

from dataclasses import dataclass
from typing import Literal

Rights = Literal["read", "run", "admin"]


@dataclass(frozen=True)
class Client:
    """One who asks.

    Attributes
    ----------
    key: names the client in rows and logs; it holds no secret.
    address: where the request comes from, as a block that shares a budget.
    rights: the most that the client may do: `read`, `run` (which includes it) or `admin` (which includes both).
    is_known: whether it is known by a token or by a trusted proxy, and not by a cookie or an address alone.
    room: the course that it works in; its runs count against the room's share.
    """

    key: str
    address: str
    rights: Rights = "run"
    is_known: bool = False
    room: str = ""


# Runs that the server starts on its own count against no client.
SERVER = Client("", "", "admin")

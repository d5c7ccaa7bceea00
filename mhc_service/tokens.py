"""Store access tokens, which give clients rights. Only the hash of a token is stored."""

import re
import secrets
import time
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Row, delete, insert, select

from mhc_scope.services.identity import hash_secret
from mhc_scope.store.database import Database, reading
from mhc_scope.store.tables import tokens

ID_BYTES, SECRET_BYTES = 8, 32
TOKEN = re.compile(r"mhc_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Token:
    """One row of `tokens`."""

    id: str
    token_hash: str
    name: str
    rights: Literal["read", "run", "admin"]
    created_at: float
    expires_at: float | None


class TokenStore:
    """Reads access tokens for the server."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @reading
    def find(self, connection: Connection, token_id: str) -> Token | None:
        """Return the access token with an id, even if it has expired; None if there is none."""
        row = connection.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
        return None if row is None else _to_token(row)


def add_token(
    connection: Connection, name: str, rights: Literal["read", "run", "admin"], expires_at: float | None
) -> tuple[Token, str]:
    """Create an access token. Return it and its text. Only the hash of the text is stored."""
    token_id = secrets.token_hex(ID_BYTES)
    text = f"mhc_{token_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    token = Token(token_id, hash_secret(text), name, rights, time.time(), expires_at)
    connection.execute(insert(tokens).values(vars(token)))
    return token, text


def list_tokens(connection: Connection) -> list[Token]:
    """Return all access tokens, the oldest first."""
    return [_to_token(row) for row in connection.execute(select(tokens).order_by(tokens.c.created_at))]


def remove_token(connection: Connection, token_id: str) -> bool:
    """Remove the access token with an id, so that it is refused from now on. Return whether there was one."""
    return connection.execute(delete(tokens).where(tokens.c.id == token_id)).rowcount > 0


def read_token_id(text: str) -> str | None:
    """Return the id at the beginning of an access token; None if the text is not a token."""
    found = TOKEN.fullmatch(text)
    return None if found is None else found[1]


def _to_token(row: Row[tuple[object, ...]]) -> Token:
    return Token(**row._mapping)

"""Store live recordings, which clients write. Only a client with the recording's token may write."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from mhc_core.record.source import Source
from mhc_scope.store.database import Database, transaction
from mhc_scope.store.runs import LIVE, to_record_row
from mhc_scope.store.tables import live_traces, runs


@dataclass(frozen=True)
class LiveTrace:
    """One row of `live_traces`: a record that a client writes or has written."""

    run_id: str
    token_hash: str

    def accepts(self, token: str) -> bool:
        """Return whether this is the token that was returned when the live recording was created."""
        return secrets.compare_digest(hash_token(token), self.token_hash)


class LiveTraceStore:
    """Read and write the rows of live recordings; their frames are in the store of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @transaction
    def open(
        self, connection: Connection, run_id: str, source: Source, token: str, client: str = "", address: str = ""
    ) -> None:
        """Store a new live recording: a running record without frames."""
        row = to_record_row(run_id, source, "running", client, address)
        connection.execute(insert(runs).values(row | {"started_at": row["created_at"]}))
        connection.execute(insert(live_traces).values(run_id=run_id, token_hash=hash_token(token)))

    @transaction
    def find(self, connection: Connection, run_id: str) -> LiveTrace | None:
        """Return the row of a live recording; None if it is unknown."""
        if "\0" in run_id:  # PostgreSQL rejects such text
            return None
        query = select(live_traces).where(live_traces.c.run_id == run_id)
        row = connection.execute(query).one_or_none()
        return None if row is None else LiveTrace(**row._mapping)

    async def list_open(self) -> list[str]:
        """Return the ids of live recordings that have not ended."""
        query = select(runs.c.id).join(live_traces, live_traces.c.run_id == runs.c.id).where(runs.c.status.in_(LIVE))
        return await self._database.read(lambda connection: list(connection.execute(query).scalars()))


def hash_token(token: str) -> str:
    """Return the hash of a live recording's token. The token is long and random, so one round of SHA-256 suffices."""
    return hashlib.sha256(token.encode()).hexdigest()

"""Store live traces, which clients write: the hash of a token identifies who may write."""

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from mhc_core.record import codec
from mhc_core.record.source import Source
from mhc_scope.store.database import Database, transaction
from mhc_scope.store.runs import LIVE
from mhc_scope.store.tables import live_traces, runs


@dataclass(frozen=True)
class LiveTrace:
    """Describe one row: a record that a client writes, or has written."""

    run_id: str
    token_hash: str

    def accepts(self, token: str) -> bool:
        """Return whether a token is the one that was returned when the live trace was created."""
        return secrets.compare_digest(hash_token(token), self.token_hash)


class LiveTraceStore:
    """Read and write these rows; the frames are in the store of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @transaction
    def open(
        self, connection: Connection, run_id: str, source: Source, token: str, client: str = "", address: str = ""
    ) -> None:
        """Store a new live trace: a running record without frames."""
        now = time.time()
        values = {
            "id": run_id,
            "kind": "run",
            "source": codec.to_plain(source),
            "status": "running",
            "cost": {},
            "client": client,
            "address": address,
            "created_at": now,
            "started_at": now,
            "used_at": now,
        }
        connection.execute(insert(runs).values(values))
        connection.execute(insert(live_traces).values(run_id=run_id, token_hash=hash_token(token)))

    @transaction
    def find(self, connection: Connection, run_id: str) -> LiveTrace | None:
        """Return the row of a live trace, if the trace exists."""
        if "\0" in run_id:  # PostgreSQL rejects such text
            return None
        query = select(live_traces).where(live_traces.c.run_id == run_id)
        row = connection.execute(query).one_or_none()
        return None if row is None else LiveTrace(**row._mapping)

    async def list_open(self) -> list[str]:
        """Return the ids of live traces that have not ended."""
        query = select(runs.c.id).join(live_traces, live_traces.c.run_id == runs.c.id).where(runs.c.status.in_(LIVE))
        return await self._database.read(lambda connection: list(connection.execute(query).scalars()))


def hash_token(token: str) -> str:
    """Return the hash of a live trace's token for the store: it is random and long, so one round is enough."""
    return hashlib.sha256(token.encode()).hexdigest()

"""Register the servers that use the database, and which viewers watch which run on each server."""

import hashlib
import os
import socket
from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, func, insert, select, update

from mhc_scope.store.tables import runs, servers, watchers
from mhc_service.queue.lease_watch import LeaseWatch

Watched = Mapping[tuple[str, str], int]  # (run, viewer) -> event streams


def register(connection: Connection, server: str, now: float) -> None:
    """Insert the row of a server, which its heartbeats renew."""
    name = f"{socket.gethostname()}:{os.getpid()}"
    connection.execute(insert(servers).values(id=server, name=name, started_at=now, seen_at=now))


def note_alive(connection: Connection, server: str, now: float, duration_s: float, watch: LeaseWatch[str]) -> None:
    """Renew the server's row, and delete the rows and viewers of servers that have not renewed theirs in time."""
    others = connection.execute(select(servers.c.id, servers.c.seen_at).where(servers.c.id != server))
    if silent := watch.find({row.id: row.seen_at + duration_s for row in others}, now):
        connection.execute(delete(servers).where(servers.c.id.in_(silent)))
    if connection.execute(update(servers).where(servers.c.id == server).values(seen_at=now)).rowcount == 0:
        register(connection, server, now)  # another server deleted the row while this one could not renew it


def remove(connection: Connection, server: str) -> None:
    """Delete the row of a server that stops."""
    connection.execute(delete(servers).where(servers.c.id == server))


def put_watchers(connection: Connection, server: str, watched: Watched) -> None:
    """Replace the rows that state which viewers watch which run on this server."""
    wanted: Counter[tuple[str, str]] = Counter()
    for (run_id, viewer), streams in watched.items():
        wanted[run_id, hash_viewer(viewer)] += streams
    mine = watchers.c.server == server
    query = select(watchers.c.run_id, watchers.c.viewer, watchers.c.streams).where(mine)
    present = {(row.run_id, row.viewer): row.streams for row in connection.execute(query)}
    changed = {key for key in wanted.keys() | present.keys() if wanted.get(key) != present.get(key)}
    for run_id, viewer in changed & present.keys():
        connection.execute(delete(watchers).where(mine, watchers.c.run_id == run_id, watchers.c.viewer == viewer))
    known = _find_known(connection, {run_id for run_id, _ in changed})
    rows = [
        {"run_id": run_id, "server": server, "viewer": viewer, "streams": wanted[run_id, viewer]}
        for run_id, viewer in changed
        if run_id in known and wanted[run_id, viewer]
    ]
    if rows:
        connection.execute(insert(watchers), rows)


def count_watchers(connection: Connection, run_id: str, server: str, excluded_viewer: str) -> int:
    """Count the event streams of a run that are open on other servers, except those of one viewer, who is leaving."""
    query = select(func.coalesce(func.sum(watchers.c.streams), 0)).where(
        watchers.c.run_id == run_id, watchers.c.server != server, watchers.c.viewer != hash_viewer(excluded_viewer)
    )
    return int(connection.execute(query).scalar_one())


def hash_viewer(viewer: str) -> str:
    """Return the hash that identifies a viewer in the table of viewers: its name can contain any character."""
    return hashlib.sha256(viewer.encode()).hexdigest()[:32]


def _find_known(connection: Connection, run_ids: Iterable[str]) -> set[str]:
    return set(connection.execute(select(runs.c.id).where(runs.c.id.in_(run_ids))).scalars())

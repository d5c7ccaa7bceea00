"""Build the store of a server: its database, and the objects that read and write it."""

from dataclasses import dataclass

from mhc_scope import limits
from mhc_scope.store.database import Database
from mhc_scope.store.frame_log import FrameLog
from mhc_scope.store.local_queue import LocalQueue
from mhc_scope.store.notifications import Hub
from mhc_scope.store.queue_contract import Queue
from mhc_scope.store.runs import RunStore
from mhc_scope.store.sweeps import SweepStore


@dataclass(frozen=True)
class Store:
    """The parts of the store that differ between one process and several servers on a database."""

    database: Database
    runs: RunStore
    log: FrameLog
    queue: Queue
    sweeps: SweepStore


def build_local(database: Database, hub: Hub) -> Store:
    """Build the store of a single process."""
    runs = RunStore(database)
    log = FrameLog(runs, hub, limits.LOG_CACHE_BYTES)
    return Store(database, runs, log, LocalQueue(database), SweepStore(database))

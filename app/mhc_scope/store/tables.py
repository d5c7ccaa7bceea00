"""Define the current tables, to which `migrations` upgrades a database. Times are seconds since 1970.

A row of `runs` is a record and the job that computes it. `kind` is the kind of computation, `source` its input, and
`of_run` the id of the run that the job is about, if it is about another run.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("of_run", String(32)),
    Column("source", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text),
    Column("cost", JSON, nullable=False),
    Column("device", JSON),
    Column("versions", JSON),
    Column("summary", JSON),
    Column("frames", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("used_at", Float, nullable=False),
    Column("pinned", Boolean, nullable=False, default=False),
    Column("client", String(96), nullable=False, server_default=""),
    Column("address", String(64), nullable=False, server_default=""),
    Column("server", String(40)),
    Column("leased_until", Float),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("server_losses", Integer, nullable=False, server_default="0"),
    Column("is_cancel_asked", Boolean, nullable=False, server_default=false()),
    Column("wanted_at", Float),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Index("runs_by_status", "status", "created_at"),
    Index("runs_of_run", "of_run", "kind", unique=True),
)

frames = Table(
    "frames",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("line", LargeBinary, nullable=False),
)

live_traces = Table(
    "live_traces",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("token_hash", String(64), nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("runs", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("sweep", JSON),
    Column("client", String(96), nullable=False, server_default=""),
    Column("address", String(64), nullable=False, server_default=""),
    Column("key_hash", String(64)),
    Column("expires_at", Float),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("room", String(12), index=True),
)

# Rooms of courses. The teacher of a room has a key. Only its hash is stored.
rooms = Table(
    "rooms",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("key_hash", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("sheet", Text, nullable=False),
    Column("presets", JSON, nullable=False),
    Column("max_seconds", Float, nullable=False),
    Column("client", String(96), nullable=False),
    Column("created_at", Float, nullable=False),
)

# Grids of runs. One server runs an open sweep; if several share the database, it does so until its lease ends.
sweeps = Table(
    "sweeps",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("grid", JSON, nullable=False),
    Column("states", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("asked_by", JSON, nullable=False),
    Column("client", String(96), nullable=False),
    Column("address", String(64), nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("is_cancel_asked", Boolean, nullable=False),
    Column("server", String(40)),
    Column("leased_until", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("sweeps_open", "is_open", "changed_at"),
)
# The requesters of sweeps that have not left them.
sweep_askers = Table(
    "sweep_askers",
    metadata,
    Column("sweep", ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True),
    Column("client", String(96), primary_key=True),
)

# Tokens that the operator has created; only hashes are stored.
tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("rights", String(8), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
)

# Computing seconds that clients have used recently: a sum that decays with time, as of `at`.
usage = Table(
    "usage",
    metadata,
    Column("client", String(96), primary_key=True),
    Column("seconds", Float, nullable=False),
    Column("at", Float, nullable=False),
)

# Servers that share this database; `watchers` has the number of their open event streams. Both are empty on SQLite.
servers = Table(
    "servers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)
# Rows that servers write to test whether the database is writable.
probes = Table(
    "probes",
    metadata,
    Column("server", String(40), primary_key=True),
    Column("at", Float, nullable=False),
)
watchers = Table(
    "watchers",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("server", ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True),
    Column("viewer", String(96), primary_key=True),
    Column("streams", Integer, nullable=False),
)

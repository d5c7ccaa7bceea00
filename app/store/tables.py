"""The tables as they are now; `migrations` says how a database gets there. Times are seconds since 1970.

A row of `runs` is a record and the job that makes it. Its `kind` says what is computed, its `source` what from, and
`of_run` names the run that the job is about, where it is about another run.
"""

from sqlalchemy import (
    JSON,
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
)

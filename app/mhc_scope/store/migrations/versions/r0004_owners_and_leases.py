"""Add owners of runs and snapshots, leases of runs, and tokens that operators create."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add columns of owners and leases, empty in existing rows, and tables such as tokens, usage and servers."""
    _add_columns("runs", *_columns_of_runs())
    op.execute("UPDATE runs SET bytes = coalesce((SELECT sum(length(line)) FROM frames WHERE run_id = runs.id), 0)")
    _add_columns(
        "snapshots",
        sa.Column("client", sa.String(96), nullable=False, server_default=""),
        sa.Column("address", sa.String(64), nullable=False, server_default=""),
        sa.Column("key_hash", sa.String(64)),
        sa.Column("expires_at", sa.Float),
        sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("rights", sa.String(8), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
    )
    op.create_table(
        "usage",
        sa.Column("client", sa.String(96), primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
    )
    op.create_table(
        "watchers",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("server", sa.String(40), sa.ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("viewer", sa.String(96), primary_key=True),
        sa.Column("streams", sa.Integer, nullable=False),
    )
    op.create_table(
        "probes",
        sa.Column("server", sa.String(40), primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
    )


def _columns_of_runs() -> list[sa.Column[object]]:
    """Return the columns that this migration adds to the table of runs."""
    return [
        sa.Column("client", sa.String(96), nullable=False, server_default=""),
        sa.Column("address", sa.String(64), nullable=False, server_default=""),
        sa.Column("server", sa.String(40)),
        sa.Column("leased_until", sa.Float),
        sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("is_cancel_asked", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
    ]


def _add_columns(table: str, *columns: sa.Column[object]) -> None:
    """Add columns to a table of the database."""
    for column in columns:
        op.add_column(table, column)

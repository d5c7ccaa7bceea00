"""Create the tables of release 0.1, which had no revisions. Its databases count as this revision."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables of runs, frames and snapshots."""
    op.create_table(
        "runs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("cost", sa.JSON, nullable=False),
        sa.Column("device", sa.JSON),
        sa.Column("versions", sa.JSON),
        sa.Column("summary", sa.JSON),
        sa.Column("frames", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("finished_at", sa.Float),
        sa.Column("used_at", sa.Float, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
    )
    op.create_index("runs_by_status", "runs", ["status", "created_at"])
    op.create_table(
        "frames",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("idx", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("line", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("runs", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("note", sa.Text, nullable=False, server_default=""),
        sa.Column("sweep", sa.JSON),
    )

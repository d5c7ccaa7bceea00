"""Add rooms of courses, to which a view may belong."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table of rooms, and the column of a snapshot's room."""
    op.create_table(
        "rooms",
        sa.Column("id", sa.String(12), primary_key=True),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("sheet", sa.Text, nullable=False),
        sa.Column("presets", sa.JSON, nullable=False),
        sa.Column("max_seconds", sa.Float, nullable=False),
        sa.Column("client", sa.String(96), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.add_column("snapshots", sa.Column("room", sa.String(12)))
    op.create_index("ix_snapshots_room", "snapshots", ["room"])

"""Store sweeps in the database, so that any server can show, cancel and continue them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables of sweeps."""
    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("grid", sa.JSON, nullable=False),
        sa.Column("states", sa.JSON, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("asked_by", sa.JSON, nullable=False),
        sa.Column("client", sa.String(96), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("is_cancel_asked", sa.Boolean, nullable=False),
        sa.Column("server", sa.String(40)),
        sa.Column("leased_until", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
    )
    op.create_index("sweeps_open", "sweeps", ["is_open", "changed_at"])
    op.create_table(
        "sweep_askers",
        sa.Column("sweep", sa.String(20), sa.ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("client", sa.String(96), primary_key=True),
    )

"""A run knows when another client asked for it last, so that its own client does not cancel it under that one."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("wanted_at", sa.Float))

"""Losses of a server are counted apart from the attempts that a run itself broke off."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("server_losses", sa.Integer, nullable=False, server_default="0"))

"""Count losses of a server separately from the attempts that a run itself ended."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column that counts how often the server of a run was lost."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("server_losses", sa.Integer, nullable=False, server_default="0"))

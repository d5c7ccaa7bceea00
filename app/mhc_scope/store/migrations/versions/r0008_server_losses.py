"""Count lost servers of a run separately from its attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column with the number of times that the server of a run was lost."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("server_losses", sa.Integer, nullable=False, server_default="0"))

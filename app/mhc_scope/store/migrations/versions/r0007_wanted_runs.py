"""Record when another client requested a run last, so that the run's own client cannot cancel it then."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column that says when another client last requested a run."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("wanted_at", sa.Float))

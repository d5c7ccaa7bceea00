"""Record when another client last requested a run, so that the run's own client cannot cancel it then."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column with the time at which another client last requested a run."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("wanted_at", sa.Float))

"""Add the kind of jobs and the source of records. Before, only ids that ended in `-verify` marked verifications."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

VERIFICATION = "-verify"

runs = sa.table(
    "runs",
    sa.column("id", sa.String),
    sa.column("spec", sa.JSON),
    sa.column("kind", sa.String),
    sa.column("of_run", sa.String),
    sa.column("source", sa.JSON),
)


def upgrade() -> None:
    """Add kind, of_run and source, set them from id and spec, and drop spec."""
    for column in (sa.Column("kind", sa.String(16)), sa.Column("of_run", sa.String(32)), sa.Column("source", sa.JSON)):
        op.add_column("runs", column)
    connection = op.get_bind()
    for run_id, spec in connection.execute(sa.select(runs.c.id, runs.c.spec)).all():
        connection.execute(sa.update(runs).where(runs.c.id == run_id).values(_to_new(run_id, spec)))
    with op.batch_alter_table("runs") as batch:  # SQLite cannot alter a column: Alembic copies the table
        batch.alter_column("kind", existing_type=sa.String(16), nullable=False)
        batch.alter_column("source", existing_type=sa.JSON(), nullable=False)
        batch.drop_column("spec")
    op.create_index("runs_of_run", "runs", ["of_run", "kind"], unique=True)


def _to_new(run_id: str, spec: object) -> dict[str, object]:
    """Return kind, source and related run of a stored run, from its id and spec."""
    source = {"kind": "spec", "spec": spec}
    if run_id.endswith(VERIFICATION):
        return {"kind": "verification", "of_run": run_id.removesuffix(VERIFICATION), "source": source}
    return {"kind": "run", "source": source}

"""Apply revisions in the transaction that `mhc_scope.store.schema` has opened. Alembic runs this file."""

from alembic import context

from mhc_scope.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

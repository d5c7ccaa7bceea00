"""Alembic runs this file: it applies revisions in the transaction that `mhc_scope.store.schema` opened."""

from alembic import context

from mhc_scope.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

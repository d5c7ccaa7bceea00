"""Alembic runs this file: it applies revisions in the transaction that `app.store.schema` opened."""

from alembic import context

from app.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

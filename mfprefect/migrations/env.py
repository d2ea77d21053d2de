"""Alembic runs this with the connection and layout that `store.database.migrate` passes."""

from __future__ import annotations

from alembic import context

from mfprefect.migrations.support import configure_options

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    layout=attributes["layout"],
    **configure_options(attributes["layout"], attributes["transactional_ddl"]),
)
with context.begin_transaction():
    context.run_migrations()

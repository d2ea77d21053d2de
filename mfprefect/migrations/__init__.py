"""Alembic migrations of the session/metric schema, run by `store.create_schema()`."""

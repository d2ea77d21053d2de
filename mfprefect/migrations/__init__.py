"""Alembic migrations of the session/metric schema, run by `store.create_schema()`."""

__all__ = ["REVISIONS", "VERSION_TABLE"]

REVISIONS = ("0001", "0002", "0003", "0004")
"""All of them, oldest first. Written down: asking Alembic takes a process a tenth of a second."""
VERSION_TABLE = "mfprefect_version"
"""Where Alembic keeps the revision, but for the installation's prefix."""

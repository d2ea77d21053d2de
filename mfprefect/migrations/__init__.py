"""Alembic migrations of the session/metric schema, run by `store.create_schema()`."""

__all__ = ["REVISIONS", "VERSION_TABLE"]

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")
"""All of them, oldest first. Listed here because asking Alembic takes 0.1 seconds."""
VERSION_TABLE = "mfprefect_version"
"""The table in which Alembic stores the revision, without the installation's prefix."""

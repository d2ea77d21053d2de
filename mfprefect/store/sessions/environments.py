"""The environments that sessions and their attempts ran in, each stored once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.store.database import Database
from mfprefect.store.held_rows import HOLD, WITHOUT_LOCK, is_committed

__all__ = ["add_environment", "delete_unused"]


def add_environment(db: Database, connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Insert an environment, unless it is stored already."""
    e = db.schema.environments
    same = e.c.environment_digest == row["environment_digest"]
    stored = sa.select(e.c.environment_digest).where(same)
    if connection.scalar(stored, execution_options=WITHOUT_LOCK) is None or not is_committed(
        db, connection, e.c.environment_digest, row["environment_digest"]
    ):
        connection.execute(e.insert(), dict(row))


def delete_unused(db: Database, connection: sa.Connection) -> None:
    """Delete the environments that no session and no attempt ran in."""
    e = db.schema.environments
    users = (db.schema.sessions, db.schema.session_attempts)
    used = (sa.exists().where(t.c.environment_digest == e.c.environment_digest) for t in users)
    unused = [~condition for condition in used]
    if not db.backend.reads_uncommitted:
        connection.execute(e.delete().where(*unused))
        return
    # That would lock all environments and sessions. Whoever opens a session in one that is held
    # here waits, and whoever has opened one before is seen, committed or not.
    digest = e.c.environment_digest
    select = sa.select(digest).where(*unused)
    for name in connection.scalars(select, execution_options=WITHOUT_LOCK).all():
        this = digest == name
        connection.execute(sa.select(digest).where(this), execution_options=HOLD)
        if connection.scalar(select.where(this), execution_options=WITHOUT_LOCK):
            connection.execute(e.delete().where(this))

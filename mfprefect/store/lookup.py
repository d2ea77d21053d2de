"""Looking up a model or a session by its id, or saying which ids there are."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from mfprefect.errors import UnknownModel, UnknownSession
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, find

__all__ = ["find_session", "model_ids", "require_all", "require_model", "require_session"]


def model_ids(db: Database, connection: sa.Connection) -> list[str]:
    """Return the registered models' ids, in order."""
    models = db.schema.models
    return list(connection.scalars(sa.select(models.c.model_id).order_by(models.c.model_id)))


def require_model(db: Database, connection: sa.Connection, model_id: str) -> None:
    """Raise UnknownModel, naming the known ones, unless the model is registered."""
    known = model_ids(db, connection)
    if model_id not in known:
        raise UnknownModel(model_id, known)


def find_session(db: Database, session_id: str) -> SessionHandle:
    """Return a session's handle.

    Raises:
        UnknownSession: there is no such session.
    """
    return db.read_transaction(lambda connection: require_session(db, connection, session_id))


def require_session(db: Database, connection: sa.Connection, session_id: str) -> SessionHandle:
    """Return a session's handle inside a transaction; raise UnknownSession where there is none."""
    found = find(db, connection, session_id)
    if found is None:
        raise UnknownSession(session_id)
    return found


def require_all(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Raise UnknownSession for the first wanted session that is not known."""
    missing = set(wanted) - set(known)
    if missing:
        raise UnknownSession(min(missing))

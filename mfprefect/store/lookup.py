"""Looking up models and sessions by id, with an error that lists the choices."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from mfprefect.errors import UnknownModel, UnknownSession
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, find
from mfprefect.store.held_rows import WITHOUT_LOCK

__all__ = ["find_session", "model_ids", "require_all", "require_model", "require_session"]


def model_ids(db: Database, connection: sa.Connection) -> list[str]:
    """Return the ids of all registered models, sorted."""
    models = db.schema.models
    ids = sa.select(models.c.model_id).order_by(models.c.model_id)
    return list(connection.scalars(ids, execution_options=WITHOUT_LOCK))


def require_model(db: Database, connection: sa.Connection, model_id: str) -> None:
    """Raise UnknownModel, which names the registered models, if the model is not registered."""
    c = db.schema.models.c
    if connection.scalar(sa.select(c.model_id).where(c.model_id == model_id)) is None:
        raise UnknownModel(model_id, model_ids(db, connection))


def find_session(db: Database, session_id: str) -> SessionHandle:
    """Return the handle of a session.

    Raises:
        UnknownSession: there is no such session.
    """
    return db.read_transaction(lambda connection: require_session(db, connection, session_id))


def require_session(db: Database, connection: sa.Connection, session_id: str) -> SessionHandle:
    """Return the handle of a session, within a transaction; errors as in `find_session`."""
    handle = find(db, connection, session_id)
    if handle is None:
        raise UnknownSession(session_id)
    return handle


def require_all(session_ids: Iterable[str], existing: Iterable[str]) -> None:
    """Raise UnknownSession, for the first id in order, if an id is not among the existing ones."""
    missing = set(session_ids) - set(existing)
    if missing:
        raise UnknownSession(min(missing))

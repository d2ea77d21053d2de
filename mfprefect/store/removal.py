"""Deleting models and sessions: with all they produced, and only where nothing builds on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidValue
from mfprefect.store.database import Database
from mfprefect.store.handle import RUNNING, require_session
from mfprefect.store.registry import record, require_model

__all__ = ["delete_model", "delete_session"]

DELETE_CHUNK = 500


def delete_model(db: Database, model_id: str) -> None:
    """Delete a model with all its sessions and everything they produced.

    Raises:
        UnknownModel: there is no such model.
        InvalidValue: a session of it is running, or another model's session used one of its.
    """
    schema = db.schema
    own = sa.select(schema.sessions.c.session_no).where(schema.sessions.c.model_id == model_id)

    def work(connection: sa.Connection, _: bool) -> None:
        require_model(db, connection, model_id)
        _refuse_running(db, connection, schema.sessions.c.model_id == model_id)
        numbers = list(connection.scalars(own))
        for table in (schema.model_thresholds, schema.model_stages):
            connection.execute(table.delete().where(table.c.model_id == model_id))
        _remove_sessions(db, connection, numbers)
        connection.execute(schema.models.delete().where(schema.models.c.model_id == model_id))
        record(db, connection, "delete_model", model_id, sessions=len(numbers))

    db.write(work, also_retry=IntegrityError)


def _refuse_running(db: Database, connection: sa.Connection, where: Any) -> None:
    """Refuse to delete what is still being written."""
    s = db.schema.sessions
    running = connection.scalars(sa.select(s.c.session_id).where(where, s.c.status == RUNNING))
    if names := list(running):
        raise InvalidValue(
            f"session {names[0]!r} is running; end it first, for example with "
            f"`mfprefect session close {names[0]} --status cancelled`."
        )


def delete_session(db: Database, session_id: str) -> None:
    """Delete a session and everything it produced.

    Raises:
        UnknownSession: there is no such session.
        InvalidValue: it is running, a scoring session used its model, or it was promoted.
    """
    schema = db.schema

    def work(connection: sa.Connection, _: bool) -> None:
        handle = require_session(db, connection, session_id)
        _refuse_running(db, connection, schema.sessions.c.session_id == session_id)
        stages = schema.model_stages
        if connection.scalar(
            sa.select(sa.func.count()).where(stages.c.session_no == handle.session_no)
        ):
            raise InvalidValue(
                f"session {session_id!r} is on record as a stage of {handle.model_id!r}; "
                "it goes only with the model, by store.delete_model."
            )
        _remove_sessions(db, connection, [handle.session_no])
        record(
            db, connection, "delete_session", session_id, model=handle.model_id, was=handle.status
        )

    db.write(work, also_retry=IntegrityError)


def _remove_sessions(db: Database, connection: sa.Connection, numbers: Iterable[int]) -> None:
    """Delete sessions with all they produced, refusing where others build on them."""
    s = db.schema.sessions
    numbers = sorted(set(numbers))
    for start in range(0, len(numbers), DELETE_CHUNK):
        some = numbers[start : start + DELETE_CHUNK]
        users = connection.execute(
            sa.select(s.c.session_no, s.c.session_id).where(s.c.parent_session_no.in_(some))
        )
        names = [user.session_id for user in users if user.session_no not in numbers]
        if names:
            raise InvalidValue(
                f"session {names[0]!r} used the model of a session to be deleted, and would "
                "lose its origin; delete that one first."
            )
    for start in range(0, len(numbers), DELETE_CHUNK):
        some = numbers[start : start + DELETE_CHUNK]
        for table in (*db.schema.session_tables(), db.schema.sessions):
            connection.execute(table.delete().where(table.c.session_no.in_(some)))
    unused = ~sa.exists().where(
        s.c.environment_digest == db.schema.environments.c.environment_digest
    )
    connection.execute(db.schema.environments.delete().where(unused))

"""Deleting models and sessions with all they produced, unless other sessions need them.

A small session is deleted in one transaction. For a session with many scores, a first transaction
marks it, which hides it from every reader; then its scores are deleted in batches, and at last the
rest. Its number stays in use until then. An interrupted deletion is finished by deleting again, by
`prune` and by the `maintain` flow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidValue, UnknownModel, UnknownSession
from mfprefect.store.audit import seals
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, find, null_flow_run_seq
from mfprefect.store.held_rows import WITHOUT_LOCK, delete_of_sessions
from mfprefect.store.lookup import model_ids, require_model, require_session
from mfprefect.store.models.stages import in_production
from mfprefect.store.retention.batches import LARGE, delete_in_batches, lock_session, score_rows
from mfprefect.store.sessions.environments import delete_unused
from mfprefect.store.states import DELETING_MODEL, DELETING_SESSION, Status, being_deleted

__all__ = ["delete_model", "delete_session", "finish_deletions"]

log = logging.getLogger(__name__)
DELETE_CHUNK = 500


def delete_session(
    db: Database, session_id: str, *, with_stages: bool = False, **detail: Any
) -> None:
    """Delete a session and everything it produced.

    Args:
        db: the database.
        session_id: the session.
        with_stages: delete its stages as well; the audit event keeps them.
        detail: further fields of the audit event.

    Raises:
        UnknownSession: there is no such session.
        InvalidValue: it is running, a scoring session used its model, or it was promoted.
    """

    def begin(connection: sa.Connection, again: bool) -> SessionHandle | None:
        if again and find(db, connection, session_id) is None:
            return None  # the first try was committed, and only its answer was lost
        handle = require_session(db, connection, session_id)
        marked = lock_session(db, connection, _marked(db, handle))
        rows = score_rows(db, connection, handle.session_no)
        event: dict[str, Any] = {}
        if not marked:
            _refuse_running(db, connection, db.schema.sessions.c.session_id == session_id)
            _refuse_used(db, connection, [handle.session_no])
            event = {"model": handle.model_id, "was": handle.status, "scores": rows, **detail}
            event |= _stages(db, connection, handle, with_stages)
            event |= _seals(db, connection, handle)
        large = not db.backend.drop_scores(connection, handle.session_no) and rows > LARGE
        if not large:
            _remove_sessions(db, connection, [handle.session_no])
        elif not marked:
            only_this = db.schema.sessions.c.session_no == handle.session_no
            _mark(db, connection, only_this, DELETING_SESSION)
        if not marked:  # last: sessions that end wait for the end of the audit trail
            record(db, connection, "delete_session", session_id, **event)
        return handle if large else None

    handle = db.write_transaction(begin, also_retry=IntegrityError)
    if handle is not None:
        delete_in_batches(db, handle.session_no, _marked(db, handle))
        _end(db, handle)


def _end(db: Database, handle: SessionHandle) -> None:
    def work(connection: sa.Connection, _: bool) -> None:
        if lock_session(db, connection, _marked(db, handle)):
            _remove_sessions(db, connection, [handle.session_no])

    db.write_transaction(work)


def _marked(db: Database, handle: SessionHandle) -> tuple[Any, ...]:
    """Return the conditions that a session is this one and is being deleted."""
    s = db.schema.sessions.c
    same = (s.session_no == handle.session_no, s.session_id == handle.session_id)
    return (*same, being_deleted(db.schema.sessions))


def _mark(db: Database, connection: sa.Connection, where: Any, deletion: str) -> None:
    changes = {
        "status": Status.CANCELLED,
        "deletion": deletion,
        "failure_kind": None,
        "failure_text": "it is being deleted; delete it again, or run mfprefect prune or the "
        "maintain flow, to finish that",
        "published_at": None,
        # A retry of its flow run must not resume it.
        "flow_run_id": None,
        "flow_run_seq": null_flow_run_seq(db, db.schema.sessions.c.session_no),
    }
    connection.execute(db.schema.sessions.update().where(where).values(changes))


def _stages(
    db: Database, connection: sa.Connection, handle: SessionHandle, delete: bool
) -> dict[str, Any]:
    """Delete the stages of a session and return them, or refuse a session that has any."""
    stages = db.schema.model_stages
    of_session = stages.c.session_no == handle.session_no
    select = sa.select(stages).where(of_session).order_by(stages.c.set_at)
    rows = connection.execute(select).all()
    if rows and not delete:
        raise InvalidValue(
            f"session {handle.session_id!r} was promoted to a stage of {handle.model_id!r}; delete "
            "it with the model by store.delete_model, or set retired_days."
        )
    if in_production(db, connection, handle.model_id) == handle.session_id:
        raise InvalidValue(f"session {handle.session_id!r} is in production now.")
    if rows:
        connection.execute(stages.delete().where(of_session))
    columns = ("set_at", "stage", "set_by", "reason", "gates")
    deleted = [{name: row._mapping[name] for name in columns} for row in rows]
    return {"stages": deleted} if deleted else {}


def _seals(db: Database, connection: sa.Connection, handle: SessionHandle) -> dict[str, str]:
    """Return the seals of a session, which the chain needs to bridge the gap."""
    s = db.schema.sessions.c
    row = connection.execute(
        sa.select(s.seal, s.previous_seal).where(s.session_no == handle.session_no)
    ).one()
    return {name: seal for name, seal in row._mapping.items() if seal is not None}


def delete_model(db: Database, model_id: str) -> None:
    """Delete a model with all its sessions and everything they produced.

    Raises:
        UnknownModel: there is no such model.
        InvalidValue: a session of it is running, or a session of another model used one of its
            sessions.
    """
    s = db.schema.sessions.c
    of_model = sa.select(s.session_no, s.session_id).where(s.model_id == model_id)
    with_model = being_deleted(db.schema.sessions, DELETING_MODEL)

    def begin(connection: sa.Connection, again: bool) -> list[int] | None:
        if again and model_id not in model_ids(db, connection):
            return None  # the first try was committed, and only its answer was lost
        require_model(db, connection, model_id)
        _refuse_running(db, connection, s.model_id == model_id)
        numbers = [row.session_no for row in connection.execute(of_model)]
        _refuse_used(db, connection, numbers)
        large = [
            number
            for number in numbers
            if not db.backend.drop_scores(connection, number)
            and score_rows(db, connection, number) > LARGE
        ]
        marked = of_model.where(with_model).limit(1)
        if connection.execute(marked).first() is None:
            chain = seals.head(db, connection, model_id)
            record(db, connection, "delete_model", model_id, sessions=len(numbers), **chain)
        if not large:
            _remove_model(db, connection, model_id, numbers)
            return None
        _mark(db, connection, s.model_id == model_id, DELETING_MODEL)
        _remove_stages(db, connection, model_id)
        return large

    def end(connection: sa.Connection, _: bool) -> None:
        _refuse_running(db, connection, s.model_id == model_id)
        numbers = [row.session_no for row in connection.execute(of_model)]
        _refuse_used(db, connection, numbers)
        _remove_model(db, connection, model_id, numbers)

    large = db.write_transaction(begin, also_retry=IntegrityError)
    if large is None:
        return
    for number in large:
        delete_in_batches(db, number, (s.session_no == number, s.model_id == model_id, with_model))
    db.write_transaction(end, also_retry=IntegrityError)


def _remove_stages(db: Database, connection: sa.Connection, model_id: str) -> None:
    for table in (db.schema.model_thresholds, db.schema.model_stages):
        connection.execute(table.delete().where(table.c.model_id == model_id))


def _remove_model(
    db: Database, connection: sa.Connection, model_id: str, numbers: Sequence[int]
) -> None:
    models = db.schema.models
    _remove_stages(db, connection, model_id)
    _remove_sessions(db, connection, numbers)
    connection.execute(models.delete().where(models.c.model_id == model_id))


def _refuse_running(db: Database, connection: sa.Connection, where: Any) -> None:
    """Refuse to delete a session that is running."""
    s = db.schema.sessions
    running = connection.scalars(
        sa.select(s.c.session_id).where(where, s.c.status == Status.RUNNING)
    )
    if names := list(running):
        raise InvalidValue(
            f"session {names[0]!r} is running; end it first, for example with "
            f"`mfprefect session close {names[0]} --status cancelled`."
        )


def _refuse_used(db: Database, connection: sa.Connection, numbers: Sequence[int]) -> None:
    """Refuse to delete sessions that sessions need which are not deleted with them."""
    s = db.schema.sessions
    deleted = set(numbers)
    for chunk in _chunks(numbers):
        using = sa.select(s.c.session_no, s.c.session_id).where(s.c.parent_session_no.in_(chunk))
        # Whoever opens a session holds the row of its parent, as this transaction does.
        users = connection.execute(using, execution_options=WITHOUT_LOCK)
        names = [user.session_id for user in users if user.session_no not in deleted]
        if names:
            raise InvalidValue(
                f"session {names[0]!r} used the model of a session to be deleted, or is its trial; "
                f"delete {names[0]!r} first."
            )


def _remove_sessions(db: Database, connection: sa.Connection, numbers: Sequence[int]) -> None:
    """Delete sessions with all they produced, and environments that no session uses any more."""
    for chunk in _chunks(numbers):
        for table in (*db.schema.session_tables(), db.schema.sessions):
            delete_of_sessions(db, connection, table, chunk)
    delete_unused(db, connection)


def _chunks(numbers: Sequence[int]) -> Iterator[list[int]]:
    ordered = sorted(numbers)
    for start in range(0, len(ordered), DELETE_CHUNK):
        yield ordered[start : start + DELETE_CHUNK]


def finish_deletions(db: Database) -> list[str]:
    """Finish interrupted deletions; return the ids of the sessions and models."""
    sessions = db.schema.sessions
    s = sessions.c
    alone = sa.select(s.session_id).where(being_deleted(sessions, DELETING_SESSION))
    models = sa.select(s.model_id).where(being_deleted(sessions, DELETING_MODEL)).distinct()
    steps: list[tuple[Any, str]] = [
        (delete_session, name) for (name,) in db.fetch_all(alone.order_by(s.session_no.desc()))
    ]
    steps += [(delete_model, name) for name in sorted(row[0] for row in db.fetch_all(models))]
    return [name for delete, name in steps if _finish(db, delete, name)]


def _finish(db: Database, delete: Any, name: str) -> bool:
    try:
        delete(db, name)
    except (InvalidValue, UnknownModel, UnknownSession) as exc:
        # Another process finished it, or a new session has to end first.
        log.warning("the deletion of %s was not finished: %s", name, exc)
        return False
    return True

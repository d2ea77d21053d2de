"""Deleting the scores of a session; its figures and the digests of its parts stay.

The session is not published any more. Its metadata says so in the group `retention`, which records
what happened to a session after its end.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidValue, UnknownSession
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.lookup import require_session
from mfprefect.store.retention.batches import LARGE, delete_in_batches, lock_session, score_rows
from mfprefect.store.states import RETENTION, SCORES_BEING_DELETED, SCORES_DELETED, Status
from mfprefect.util import values

__all__ = ["delete_scores", "finish_score_deletions", "without_scores"]

log = logging.getLogger(__name__)


def delete_scores(db: Database, session_id: str, **detail: Any) -> None:
    """Delete a session's scores; its figures stay, and its metadata records the deletion.

    Args:
        db: the database.
        session_id: the session.
        detail: further fields of the session's metadata and of the audit event.

    Raises:
        UnknownSession: there is no such session.
        InvalidValue: it has no scores, or did not succeed: then delete the session.
    """
    s = db.schema.sessions

    def begin(connection: sa.Connection, again: bool) -> SessionHandle | None:
        handle = require_session(db, connection, session_id)
        lock_session(db, connection, [s.c.session_no == handle.session_no])
        rows = score_rows(db, connection, handle.session_no)
        if not _is_noted(db, connection, handle, SCORES_BEING_DELETED):
            if again and _is_noted(db, connection, handle, SCORES_DELETED):
                return None  # the first try was committed, and only its answer was lost
            gone = not rows or _is_noted(db, connection, handle, SCORES_DELETED)
            if gone or handle.status != Status.SUCCEEDED:
                what = "has no scores" if gone else f"is {handle.status}"
                raise InvalidValue(
                    f"session {session_id!r} {what}; delete_scores takes sessions that succeeded "
                    "and have scores, store.delete_session all others."
                )
            _hide(db, connection, handle, {"rows": rows, **detail})
        if not db.backend.drop_scores(connection, handle.session_no) and rows > LARGE:
            return handle
        _end(db, connection, handle)
        return None

    handle = db.write_transaction(begin, also_retry=IntegrityError)
    if handle is not None:
        same = (s.c.session_no == handle.session_no, s.c.session_id == session_id)
        unpublished = (*same, s.c.published_at.is_(None))
        delete_in_batches(db, handle.session_no, unpublished)
        db.write_transaction(lambda connection, _: _end(db, connection, handle, unpublished))


def _hide(
    db: Database, connection: sa.Connection, handle: SessionHandle, detail: Mapping[str, Any]
) -> None:
    s, metadata = db.schema.sessions, db.schema.session_metadata
    this = s.c.session_no == handle.session_no
    published = connection.scalar(sa.select(s.c.published_at).where(this))
    note = {**detail, "published_at": published, "deleted_at": values.utc_now()}
    # `verify` compares the event with the metadata, so both hold the same fields.
    record(db, connection, "delete_scores", handle.session_id, model=handle.model_id, **note)
    connection.execute(s.update().where(this), {"published_at": None})
    row = {
        "session_no": handle.session_no,
        "meta_group": RETENTION,
        "meta_name": SCORES_BEING_DELETED,
        "value": values.json_text(note, "the note of the deletion"),
    }
    connection.execute(metadata.insert(), row)


def _noted(db: Database, handle: SessionHandle, name: str) -> tuple[Any, ...]:
    m = db.schema.session_metadata.c
    this = m.session_no == handle.session_no
    return this, m.meta_group == RETENTION, m.meta_name == name


def _is_noted(db: Database, connection: sa.Connection, handle: SessionHandle, name: str) -> bool:
    note = sa.select(db.schema.session_metadata.c.meta_name).where(*_noted(db, handle, name))
    return connection.scalar(note) is not None


def without_scores(db: Database) -> sa.Select[*tuple[Any, ...]]:
    """Return a select of the sessions whose scores were deleted."""
    m = db.schema.session_metadata.c
    return sa.select(m.session_no).where(
        m.meta_group == RETENTION, m.meta_name.in_([SCORES_BEING_DELETED, SCORES_DELETED])
    )


def _end(
    db: Database, connection: sa.Connection, handle: SessionHandle, conditions: Sequence[Any] = ()
) -> None:
    if conditions and not lock_session(db, connection, conditions):
        return  # another process finished it
    scores, metadata = db.schema.scores, db.schema.session_metadata
    connection.execute(scores.delete().where(scores.c.session_no == handle.session_no))
    note = metadata.update().where(*_noted(db, handle, SCORES_BEING_DELETED))
    connection.execute(note, {"meta_name": SCORES_DELETED})


def finish_score_deletions(db: Database) -> list[str]:
    """Finish interrupted deletions of scores; return the ids of the sessions."""
    s, m = db.schema.sessions.c, db.schema.session_metadata.c
    left = db.fetch_all(
        sa.select(s.session_id)
        .join_from(db.schema.sessions, db.schema.session_metadata, s.session_no == m.session_no)
        .where(m.meta_group == RETENTION, m.meta_name == SCORES_BEING_DELETED)
    )
    return [session_id for (session_id,) in left if _finish(db, session_id)]


def _finish(db: Database, session_id: str) -> bool:
    try:
        delete_scores(db, session_id)
    except (InvalidValue, UnknownSession) as exc:
        log.warning("another process finished the deletion of scores: %s", exc)
        return False
    return True

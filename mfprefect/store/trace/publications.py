"""Which scores of a model readers could see, and which of them were deleted since."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.schema import data_day
from mfprefect.store.database import Database
from mfprefect.store.states import RETENTION, SCORES_BEING_DELETED, SCORES_DELETED, Status
from mfprefect.store.trace.periods import Publication
from mfprefect.store.trace.result import DeletedScores

__all__ = ["chunks", "deleted_scores", "deleted_sessions", "published"]

KEYS = 500
"""Databases limit the parameters of a statement; the lowest limit is about 1,000."""
_DELETIONS = ("delete_session", "delete_scores")


def chunks(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield keys in pieces that fit into a statement."""
    for start in range(0, len(keys), KEYS):
        yield keys[start : start + KEYS]


def published(db: Database, connection: sa.Connection, model_id: str) -> list[Publication]:
    """Return the sessions of a model whose scores can be read."""
    s = db.schema.sessions.c
    select = sa.select(s.session_no, s.session_id, data_day(s), s.published_at)
    of_model = select.where(s.model_id == model_id, s.published_at.is_not(None))
    return [Publication(*row) for row in connection.execute(of_model)]


def deleted_scores(
    db: Database, connection: sa.Connection, model_id: str
) -> list[tuple[Publication, int | None]]:
    """Return the sessions of a model whose scores were deleted, and how many there were."""
    s, m = db.schema.sessions, db.schema.session_metadata
    select = (
        sa.select(s.c.session_no, s.c.session_id, data_day(s.c), m.c.value)
        .join_from(s, m, s.c.session_no == m.c.session_no)
        .where(
            s.c.model_id == model_id,
            s.c.status == Status.SUCCEEDED,
            s.c.published_at.is_(None),
            m.c.meta_group == RETENTION,
            m.c.meta_name.in_([SCORES_BEING_DELETED, SCORES_DELETED]),
        )
    )
    deleted = []
    for number, session_id, day, text in connection.execute(select):
        note = json.loads(text)
        published_at = _instant(note.get("published_at"))
        if published_at is not None:  # else nobody saw them
            gone = Publication(
                number, session_id, day, published_at, _instant(note.get("deleted_at"))
            )
            deleted.append((gone, note.get("rows")))
    return deleted


def _instant(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    instant = dt.datetime.fromisoformat(text)
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=dt.UTC)


def deleted_sessions(
    db: Database,
    connection: sa.Connection,
    model_id: str,
    scores: Sequence[tuple[Publication, int | None]],
) -> list[DeletedScores]:
    """Return all deleted scores of a model: those in `scores`, and of whole sessions."""
    sealed = _sealed_and_gone(db, connection, model_id)
    events = _deletions(db, connection, [*sealed, *(p.session_id for p, _ in scores)])
    deleted = []
    for publication, rows in scores:
        event = events.get(publication.session_id, {})
        at = publication.deleted_at or event.get("at")
        name, began = publication.session_id, publication.published_at
        deleted.append(DeletedScores(name, began, at, event.get("actor"), rows))
    for session_id, sealed_at in sealed.items():
        event = events.get(session_id, {})
        detail = event.get("detail", {})
        if detail.get("was", Status.SUCCEEDED) == Status.SUCCEEDED and detail.get("scores", 1):
            at, by, rows = event.get("at"), event.get("actor"), detail.get("scores")
            deleted.append(DeletedScores(session_id, sealed_at, at, by, rows))
    return sorted(deleted, key=lambda d: (d.published_at, d.session_id))


def _sealed_and_gone(
    db: Database, connection: sa.Connection, model_id: str
) -> dict[str, dt.datetime]:
    """Return the sealed sessions of a model that are not there any more, by id, with the time."""
    c, s = db.schema.seals.c, db.schema.sessions.c
    names = _names(db, connection, model_id)
    there = sa.exists().where(s.session_no == c.session_no, s.session_id == c.session_id)
    select = sa.select(c.session_id, c.sealed_at).where(c.model_id.in_(names), ~there)
    rows = connection.execute(select.order_by(c.sealed_at))
    return {session_id: sealed_at for session_id, sealed_at in rows}


def _names(db: Database, connection: sa.Connection, model_id: str) -> list[str]:
    """Return the model's id and those that it had before: seals keep the name of their time."""
    e, names = db.schema.audit_events.c, [model_id]
    for name in names:  # grows
        renamed = sa.select(e.detail).where(e.subject == name, e.action == "rename_model")
        for (text,) in connection.execute(renamed):
            if (old := json.loads(text).get("old")) and old not in names:
                names.append(old)
    return names


def _deletions(
    db: Database, connection: sa.Connection, session_ids: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Return the last deletion of each session: when, by whom, and the event's detail."""
    e, events = db.schema.audit_events.c, dict[str, Mapping[str, Any]]()
    select = sa.select(e.subject, e.at, e.actor, e.detail).where(e.action.in_(_DELETIONS))
    for some in chunks(session_ids):
        rows = connection.execute(select.where(e.subject.in_(some)).order_by(e.event_no))
        for subject, at, actor, text in rows:
            events[subject] = {"at": at, "actor": actor, "detail": json.loads(text)}
    return events

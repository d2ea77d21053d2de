"""Queries of monitoring: published scoring sessions, drift, and the freshness of scores."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.schema import data_day, newest_first
from mfprefect.store.database import Database
from mfprefect.store.order import day_of, newest_by_model
from mfprefect.store.results.frames import of_existing
from mfprefect.store.states import Purpose, Status
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PublishedScoring",
    "drift_frame",
    "freshness",
    "published",
    "published_scorings",
    "stale",
]

UNWATCHED = ("experimental", "retired")
"""Models in these stages never count as stale."""


@dataclass(frozen=True)
class PublishedScoring:
    """A published scoring session."""

    session_no: int
    session_id: str
    as_of: dt.date
    """The date of its data, or of its start if it has none."""
    training_session_id: str | None
    first_session_id: str
    """The first session that published scores of the same training, perhaps itself.

    The first to run, whatever day its data is of: a backfill does not change a fixed reference.
    """


def published_scorings(
    db: Database, model_id: str, limit: int, until: dt.date | None = None
) -> list[PublishedScoring]:
    """Return the newest published scoring sessions of a model, oldest first.

    Args:
        db: the database.
        model_id: the model.
        limit: at most this many.
        until: only sessions with data of this day or an earlier one.
    """
    select = _select_published(db, model_id).limit(limit)
    if until is not None:
        select = select.where(data_day(db.schema.sessions.c) <= until)
    return [
        PublishedScoring(
            row.session_no,
            row.session_id,
            day_of(row),
            row.training_session_id,
            row.first_session_id or row.session_id,
        )
        for row in reversed(db.fetch_all(select))
    ]


def _select_published(db: Database, model_id: str) -> sa.Select[*tuple[Any, ...]]:
    """Return the select of a model's published scoring sessions, newest first."""
    s, parent = db.schema.sessions, db.schema.sessions.alias("parent")
    other, first = db.schema.sessions.alias("other"), db.schema.sessions.alias("first_one")
    earliest = (
        sa.select(other.c.parent_session_no, sa.func.min(other.c.session_no).label("first_no"))
        .where(*published(other), other.c.model_id == model_id)
        .group_by(other.c.parent_session_no)
        .subquery("earliest")
    )
    return (
        sa.select(
            s.c.session_no,
            s.c.session_id,
            s.c.as_of,
            s.c.started_at,
            parent.c.session_id.label("training_session_id"),
            first.c.session_id.label("first_session_id"),
        )
        .join_from(s, parent, parent.c.session_no == s.c.parent_session_no, isouter=True)
        .join(earliest, earliest.c.parent_session_no == s.c.parent_session_no, isouter=True)
        .join(first, first.c.session_no == earliest.c.first_no, isouter=True)
        .where(*published(s), s.c.model_id == model_id)
        .order_by(*newest_first(s.c))
    )


def published(sessions: Any) -> tuple[Any, ...]:
    """Return the conditions that a session is a scoring session whose scores are published."""
    return (
        sessions.c.purpose == Purpose.SCORE,
        sessions.c.status == Status.SUCCEEDED,
        sessions.c.published_at.is_not(None),
    )


def drift_frame(db: Database, session_ids: Sequence[str]) -> pd.DataFrame:
    """Return drift: session_id, variable, measure, value, threshold, verdict, reference_session_id.

    Raises:
        InvalidValue: no session id.
        UnknownSession: one of the sessions does not exist.
    """
    s, drift, reference = db.schema.sessions, db.schema.drift, db.schema.sessions.alias("reference")
    columns = ("variable", "measure", "value", "threshold", "verdict")
    select = (
        sa.select(
            s.c.session_id,
            *(drift.c[name] for name in columns),
            reference.c.session_id.label("reference_session_id"),
        )
        .join_from(s, drift, s.c.session_no == drift.c.session_no)
        .join(reference, reference.c.session_no == drift.c.reference_session_no, isouter=True)
        .where(s.c.session_id.in_(session_ids))
        .order_by(drift.c.session_no, drift.c.variable, drift.c.measure)
    )
    return of_existing(db, session_ids, select)


@dataclass(frozen=True)
class _Age:
    model_id: str
    last_scored_at: dt.datetime | None
    max_age_seconds: int
    age_seconds: float
    stale: bool
    session_no: int | None
    session_id: str | None


def freshness(db: Database) -> pd.DataFrame:
    """Return the age of each model's last published scores; see `Store.freshness`."""
    import pandas as pd

    columns = [name for name in _Age.__dataclass_fields__ if name != "session_no"]
    rows = [[getattr(age, name) for name in columns] for age in _ages(db)]
    return pd.DataFrame(rows, columns=columns)


def stale(db: Database) -> list[tuple[str, int]]:
    """Return models with stale scores, each with the number of the session to report it for.

    That is the newest published scoring session, or else the model's last session.
    """
    return [
        (age.model_id, age.session_no)
        for age in _ages(db)
        if age.stale and age.session_no is not None
    ]


def _ages(db: Database) -> list[_Age]:
    now = values.utc_now()
    return [_age(row, now) for row in db.fetch_all(_select_ages(db))]


def _select_ages(db: Database) -> sa.Select[*tuple[Any, ...]]:
    models, s = db.schema.models, db.schema.sessions
    newest = (
        sa.select(s.c.model_id, sa.func.max(s.c.session_no).label("session_no"))
        .group_by(s.c.model_id)
        .subquery("newest")
    )
    scored = newest_by_model(s, *published(s))
    shown = s.alias("told")
    return (
        sa.select(
            models.c.model_id,
            models.c.created_at,
            models.c.max_age_seconds,
            shown.c.session_no,
            shown.c.session_id,
            scored.c.session_no.label("scored_no"),
            shown.c.published_at,
        )
        .join_from(models, newest, newest.c.model_id == models.c.model_id, isouter=True)
        .join(scored, scored.c.model_id == models.c.model_id, isouter=True)
        .join(
            shown,
            shown.c.session_no == sa.func.coalesce(scored.c.session_no, newest.c.session_no),
            isouter=True,
        )
        .where(models.c.max_age_seconds.is_not(None), ~_unwatched(db))
        .order_by(models.c.model_id)
    )


def _unwatched(db: Database) -> Any:
    """Return the condition that a model's newest stage is in UNWATCHED."""
    models, stage = db.schema.models, db.schema.model_stages
    later = stage.alias("later")
    is_newest = ~sa.exists().where(
        later.c.model_id == stage.c.model_id, later.c.set_at > stage.c.set_at
    )
    return sa.exists().where(
        stage.c.model_id == models.c.model_id, stage.c.stage.in_(UNWATCHED), is_newest
    )


def _age(row: sa.Row[*tuple[Any, ...]], now: dt.datetime) -> _Age:
    last = None if row.scored_no is None else row.published_at
    age = (now - (last or row.created_at)).total_seconds()
    return _Age(
        row.model_id,
        last,
        row.max_age_seconds,
        age,
        row.session_no is not None and age > row.max_age_seconds,
        row.session_no,
        row.session_id,
    )

"""Which session is newer than which: one order for scores, another one for everything else.

Scores are ordered by the day of their data, then by publication (`mfprefect.schema.newest_first`):
scoring an older day again makes no newer scores. All other sessions are ordered as they ran: a
training is new because it was made later, from other code, whatever day its data is of.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.schema import data_day, newest_first
from mfprefect.store.database import Database
from mfprefect.store.states import Purpose, Status

__all__ = ["Place", "day_of", "newest_by_model", "previous_success"]


def day_of(session: Any) -> dt.date:
    """Return the day of the data of a row of `sessions`, as `data_day` does in SQL."""
    day: dt.date = session.as_of or session.started_at.date()
    return day


@dataclass(frozen=True)
class Place:
    """The place of a session among those of its model and purpose."""

    purpose: str
    session_no: int
    """0 for a session that has no number yet: all others ran before it."""
    day: dt.date
    """The day of its data."""
    moment: dt.datetime | None = None
    """When it published its scores, or ended; None while it runs."""

    @classmethod
    def of(cls, session: Any) -> Place:
        """Return the place of a row of `sessions`."""
        moment = session.published_at or session.ended_at
        return cls(session.purpose, session.session_no, day_of(session), moment)

    def before(self, sessions: Any) -> sa.ColumnElement[bool]:
        """Return the condition that a session comes before this one.

        Args:
            sessions: the columns of `sessions`, or of an alias of it.
        """
        s, number = sessions, self.session_no
        if self.purpose != Purpose.SCORE:
            ran_before: sa.ColumnElement[bool] = s.session_no < number
            return ran_before if number else s.session_no > 0
        if self.moment is None:
            return sa.and_(data_day(s) <= self.day, s.session_no != number)
        then = _moment(s)
        same_moment = sa.and_(then == self.moment, s.session_no < number)
        same_day = sa.and_(data_day(s) == self.day, sa.or_(then < self.moment, same_moment))
        return sa.or_(data_day(s) < self.day, same_day)

    def newest_first(self, sessions: Any) -> tuple[sa.ColumnElement[Any], ...]:
        """Return the order of the sessions of this purpose, newest first."""
        s = sessions
        if self.purpose != Purpose.SCORE:
            return (s.session_no.desc(),)
        return data_day(s).desc(), _moment(s).desc(), s.session_no.desc()


def _moment(sessions: Any) -> sa.ColumnElement[dt.datetime]:
    s = sessions
    return sa.func.coalesce(s.published_at, s.ended_at, s.started_at, type_=s.started_at.type)


def previous_success(db: Database, session: Any) -> sa.Row[*tuple[Any, ...]] | None:
    """Return session_no and session_id of the last success before a session, None if it is first.

    Args:
        db: the database.
        session: the row of a session; of the same model and purpose is what came before it.
    """
    s, place = db.schema.sessions.c, Place.of(session)
    select = (
        sa.select(s.session_no, s.session_id)
        .where(
            s.model_id == session.model_id,
            s.purpose == session.purpose,
            s.status == Status.SUCCEEDED,
            place.before(s),
        )
        .order_by(*place.newest_first(s))
        .limit(1)
    )
    rows = db.fetch_all(select)
    return rows[0] if rows else None


def newest_by_model(sessions: sa.FromClause, *published: Any) -> sa.Subquery:
    """Return model_id, session_no and published_at of each model's newest published session.

    Args:
        sessions: the table `sessions`.
        published: conditions that sessions are published, and perhaps more.
    """
    s = sessions.c
    newest = sa.func.row_number().over(partition_by=s.model_id, order_by=newest_first(s))
    ranked = (
        sa.select(s.model_id, s.session_no, s.published_at, newest.label("recency"))
        .where(*published)
        .subquery("ranked")
    )
    columns = (ranked.c.model_id, ranked.c.session_no, ranked.c.published_at)
    return sa.select(*columns).where(ranked.c.recency == 1).subquery("scored")

"""Leafing through sessions: filters, an order, and the place to continue from."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from mfprefect.store.browse import keyed
from mfprefect.store.database import Database
from mfprefect.util import values

__all__ = ["Bound", "SessionFilter", "SessionPage", "figures_of", "list_sessions", "session_rows"]

SEARCHED = 20_000
"""Sessions that one page looks at, at most, if a filter may leave most of them out."""
RANKED = 5_000
"""Sessions that one page sorts by a metric, or looks up figures of."""
LISTED = (
    "session_no", "session_id", "model_id", "purpose", "status", "attempt", "started_at",
    "ended_at", "heartbeat_at", "run_by", "git_commit", "git_dirty", "as_of", "failure_kind",
    "published_at", "tags", "seal", "deployment",
)  # fmt: skip


@dataclass(frozen=True)
class Bound:
    """A condition on a figure, such as `auc > 0.8`."""

    name: str
    sign: Literal["<", "<=", ">", ">=", "="]
    value: float

    def of(self, column: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
        """Return the condition on a column."""
        compared: dict[str, Any] = {
            "<": column < self.value,
            "<=": column <= self.value,
            ">": column > self.value,
            ">=": column >= self.value,
            "=": column == self.value,
        }
        result: sa.ColumnElement[bool] = compared[self.sign]
        return result

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.value:.15g}"


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions to list; what is None or empty leaves none out."""

    model_id: str | None = None
    purpose: str | None = None
    status: str | None = None
    person: str | None = None
    commit: str | None = None
    """The first characters of a commit."""
    tag: str | None = None
    since: dt.date | None = None
    until: dt.date | None = None
    metrics: Sequence[Bound] = field(default=())

    @property
    def may_skip(self) -> bool:
        """Whether sessions between the newest and the oldest of a page may be left out."""
        chosen = (self.purpose, self.status, self.person, self.commit, self.tag)
        return any((*chosen, self.since, self.until, self.metrics))


@dataclass(frozen=True)
class SessionPage:
    """Some sessions, and where the next ones begin."""

    rows: list[dict[str, Any]]
    next_before: int | None = None
    """The next page has sessions with lower numbers than this; None on the last page."""
    next_after: tuple[float, int] | None = None
    """The same in the order of a metric: value and number of the last session."""
    searched: int | None = None
    """How many sessions this page looked at, if it stopped before the last."""


def list_sessions(
    db: Database,
    wanted: SessionFilter,
    limit: int,
    *,
    before: int | None = None,
    metric: str | None = None,
    descending: bool = True,
    after: tuple[float, int] | None = None,
) -> SessionPage:
    """Return sessions, the newest first, or sorted by a metric.

    Args:
        db: the database.
        wanted: which ones.
        limit: at most this many.
        before: only sessions numbered lower: where the previous page ended.
        metric: sort the newest RANKED sessions by this metric over all rows.
        descending: whether the largest value comes first.
        after: value and number of the last session of the previous page, by that order.
    """
    if metric is not None:
        return _ranked(db, wanted, limit, metric, descending, after)
    s = db.schema.sessions
    select = sa.select(*(s.c[name] for name in LISTED)).where(*_conditions(db, wanted))
    select = select.order_by(s.c.session_no.desc()).limit(limit + 1)
    if before is not None:
        select = select.where(s.c.session_no < before)
    low, older = 0, False
    size = RANKED if wanted.metrics else SEARCHED
    if wanted.may_skip:
        low, older = keyed.window(db, size, wanted.model_id, before)
        select = select.where(s.c.session_no >= low)
    rows = keyed.mappings(db.fetch_all(select), LISTED)
    if len(rows) > limit:
        return SessionPage(rows[:limit], rows[limit - 1]["session_no"])
    return SessionPage(rows, low if older else None, searched=size if older else None)


def _conditions(db: Database, wanted: SessionFilter) -> list[sa.ColumnElement[bool]]:
    s, m = db.schema.sessions.c, db.schema.metrics.c
    equal = {
        s.model_id: wanted.model_id,
        s.purpose: wanted.purpose,
        s.status: wanted.status,
        s.run_by: wanted.person,
    }
    conditions: list[sa.ColumnElement[bool]] = [
        column == value for column, value in equal.items() if value is not None
    ]
    if wanted.commit is not None:
        conditions.append(s.git_commit.startswith(wanted.commit, autoescape=True))
    if wanted.tag is not None:
        conditions.append(s.tags.contains(json.dumps(wanted.tag), autoescape=True))
    if wanted.since is not None:
        conditions.append(s.started_at >= _instant(wanted.since))
    if wanted.until is not None:
        conditions.append(s.started_at < _instant(wanted.until) + dt.timedelta(days=1))
    for bound in wanted.metrics:
        conditions.append(
            sa.exists().where(
                m.session_no == s.session_no,
                m.metric_name == bound.name,
                m.segment == "",
                bound.of(m.value),
            )
        )
    return conditions


def _instant(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _ranked(
    db: Database,
    wanted: SessionFilter,
    limit: int,
    metric: str,
    descending: bool,
    after: tuple[float, int] | None,
) -> SessionPage:
    s, m = db.schema.sessions, db.schema.metrics
    low, older = keyed.window(db, RANKED, wanted.model_id, None)
    order = (m.c.value.desc(), s.c.session_no.desc()) if descending else (m.c.value, s.c.session_no)
    select = (
        sa.select(*(s.c[name] for name in LISTED), m.c.value)
        .join_from(s, m, s.c.session_no == m.c.session_no)
        .where(
            s.c.session_no >= low,
            m.c.session_no >= low,
            m.c.metric_name == metric,
            m.c.segment == "",
            *_conditions(db, wanted),
        )
        .order_by(*order)
        .limit(limit + 1)
    )
    if after is not None:
        value, number = after
        same = m.c.value == value
        if descending:
            later = sa.or_(m.c.value < value, sa.and_(same, s.c.session_no < number))
        else:
            later = sa.or_(m.c.value > value, sa.and_(same, s.c.session_no > number))
        select = select.where(later)
    rows = keyed.mappings(db.fetch_all(select), (*LISTED, "value"))
    searched = RANKED if older else None
    if len(rows) <= limit:
        return SessionPage(rows, searched=searched)
    last = rows[limit - 1]
    return SessionPage(
        rows[:limit], next_after=(last["value"], last["session_no"]), searched=searched
    )


def figures_of(db: Database, numbers: Sequence[int]) -> dict[int, dict[str, float]]:
    """Return the metrics over all rows of some sessions, by number and name."""
    m = db.schema.metrics.c
    figures: dict[int, dict[str, float]] = {number: {} for number in numbers}
    if not numbers:
        return figures
    select = sa.select(m.session_no, m.metric_name, m.value).where(
        m.session_no.in_(list(numbers)), m.segment == ""
    )
    for number, name, value in db.fetch_all(select):
        figures[number][name] = float(value)
    return figures


def session_rows(db: Database, session_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the rows of sessions by id, with `parent_session_id`; unknown ids are left out."""
    s, parent = db.schema.sessions, db.schema.sessions.alias("parent")
    keys = [*s.c.keys(), "parent_session_id"]
    select = (
        sa.select(*s.c, parent.c.session_id.label("parent_session_id"))
        .join_from(s, parent, parent.c.session_no == s.c.parent_session_no, isouter=True)
        .where(s.c.session_id.in_([values.name(x, "the session", 96) for x in session_ids]))
    )
    rows = keyed.mappings(db.fetch_all(select), keys) if session_ids else []
    return {row["session_id"]: row for row in rows}

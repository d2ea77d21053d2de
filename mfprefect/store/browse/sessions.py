"""Leafing through sessions: filters, an order, and the place to continue from."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from mfprefect.store.browse import keyed
from mfprefect.store.database import Database
from mfprefect.util import values

__all__ = ["Bound", "SessionFilter", "SessionPage", "figures_of", "list_sessions", "session_rows"]

SEARCHED = 20_000
"""Sessions that one page looks at, at most, if a filter may leave most of them out."""
RANKED = 5_000
"""Sessions that one page sorts by a metric, or looks up figures of."""
TRIAL = "trial"
"""The purpose of a trial."""
LISTED = (
    "session_no", "session_id", "model_id", "purpose", "status", "attempt", "started_at",
    "ended_at", "heartbeat_at", "run_by", "git_commit", "git_dirty", "as_of", "failure_kind",
    "published_at", "tags", "seal", "deployment",
)  # fmt: skip


PARAMS = "params."
"""What the names of parameters begin with; all others are metrics."""


@dataclass(frozen=True)
class Bound:
    """A condition on a figure, such as `auc > 0.8`, or on a parameter: `params.kernel = rbf`."""

    name: str
    sign: Literal["<", "<=", ">", ">=", "="]
    value: float | str
    """A text only of a parameter, and only with `=`."""

    def of(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
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


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions to list; what is None or empty leaves none out."""

    model_id: str | None = None
    purpose: str | None = None
    purposes: Sequence[str] = ()
    """Any of these."""
    without_trials: bool = False
    """Leave out the trials of searches, hundreds of which belong to one training."""
    status: str | None = None
    person: str | None = None
    commit: str | None = None
    """The first characters of a commit."""
    tag: str | None = None
    since: dt.date | None = None
    until: dt.date | None = None
    bounds: Sequence[Bound] = field(default=())

    @property
    def may_skip(self) -> bool:
        """Whether sessions between the newest and the oldest of a page may be left out."""
        chosen = (self.purpose, self.status, self.person, self.commit, self.tag)
        several = (self.purposes, self.without_trials)
        return any((*chosen, *several, self.since, self.until, self.bounds))


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
        metric: sort the newest RANKED sessions by this metric over all rows, or by this parameter:
            `params.depth`.
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
    size = RANKED if wanted.bounds else SEARCHED
    if wanted.may_skip:
        low, older = keyed.window(db, size, wanted.model_id, before)
        select = select.where(s.c.session_no >= low)
    rows = keyed.mappings(db.fetch_all(select), LISTED)
    if len(rows) > limit:
        return SessionPage(rows[:limit], rows[limit - 1]["session_no"])
    return SessionPage(rows, low if older else None, searched=size if older else None)


def _conditions(db: Database, wanted: SessionFilter) -> list[sa.ColumnElement[bool]]:
    s = db.schema.sessions.c
    equal = {
        s.model_id: wanted.model_id,
        s.purpose: wanted.purpose,
        s.status: wanted.status,
        s.run_by: wanted.person,
    }
    conditions: list[sa.ColumnElement[bool]] = [
        column == value for column, value in equal.items() if value is not None
    ]
    if wanted.purposes:
        conditions.append(s.purpose.in_(list(wanted.purposes)))
    if wanted.without_trials:
        conditions.append(s.purpose != TRIAL)
    if wanted.commit is not None:
        conditions.append(s.git_commit.startswith(wanted.commit, autoescape=True))
    if wanted.tag is not None:
        conditions.append(s.tags.contains(json.dumps(wanted.tag), autoescape=True))
    if wanted.since is not None:
        conditions.append(s.started_at >= _instant(wanted.since))
    if wanted.until is not None:
        conditions.append(s.started_at < _instant(wanted.until) + dt.timedelta(days=1))
    for bound in wanted.bounds:
        values_of = _values_of(db, bound.name, isinstance(bound.value, str))
        conditions.append(
            sa.exists().where(
                values_of.session_no == s.session_no, *values_of.where, bound.of(values_of.value)
            )
        )
    return conditions


class _Values(NamedTuple):
    """Where the values of a metric or a parameter are."""

    table: sa.Table
    session_no: sa.Column[Any]
    value: sa.Column[Any]
    where: tuple[sa.ColumnElement[bool], ...]


def _values_of(db: Database, name: str, as_text: bool = False) -> _Values:
    """Return where the values of a metric are, or those of a parameter: `params.depth`."""
    if name.startswith(PARAMS):
        table = db.schema.session_params
        p = table.c
        value, named = (p.text if as_text else p.number), p.param_name == name[len(PARAMS) :]
        return _Values(table, p.session_no, value, (named, value.is_not(None)))
    table = db.schema.metrics
    m = table.c
    return _Values(table, m.session_no, m.value, (m.metric_name == name, m.segment == ""))


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
    s, by = db.schema.sessions, _values_of(db, metric)
    low, older = keyed.window(db, RANKED, wanted.model_id, None)
    order = (by.value.desc(), s.c.session_no.desc())
    select = (
        sa.select(*(s.c[name] for name in LISTED), by.value.label("value"))
        .join_from(s, by.table, s.c.session_no == by.session_no)
        .where(s.c.session_no >= low, by.session_no >= low, *by.where, *_conditions(db, wanted))
        .order_by(*(order if descending else (by.value, s.c.session_no)))
        .limit(limit + 1)
    )
    if after is not None:
        value, number = after
        same = by.value == value
        if descending:
            later = sa.or_(by.value < value, sa.and_(same, s.c.session_no < number))
        else:
            later = sa.or_(by.value > value, sa.and_(same, s.c.session_no > number))
        select = select.where(later)
    rows = keyed.mappings(db.fetch_all(select), (*LISTED, "value"))
    searched = RANKED if older else None
    if len(rows) <= limit:
        return SessionPage(rows, searched=searched)
    last = rows[limit - 1]
    return SessionPage(
        rows[:limit], next_after=(last["value"], last["session_no"]), searched=searched
    )


def figures_of(
    db: Database, numbers: Sequence[int], names: Sequence[str] | None = None
) -> dict[int, dict[str, float]]:
    """Return metrics over all rows of some sessions, by number and name: those named, or all."""
    m = db.schema.metrics.c
    figures: dict[int, dict[str, float]] = {number: {} for number in numbers}
    if not numbers:
        return figures
    select = sa.select(m.session_no, m.metric_name, m.value).where(
        m.session_no.in_(list(numbers)), m.segment == ""
    )
    if names is not None:
        select = select.where(m.metric_name.in_(list(names)))
    for number, name, value in db.fetch_all(select):
        figures[number][name] = float(value)
    return figures


def params_of(
    db: Database, numbers: Sequence[int], names: Sequence[str] | None = None
) -> dict[int, dict[str, Any]]:
    """Return parameters of some sessions, by number and name: those named, or all."""
    p = db.schema.session_params.c
    params: dict[int, dict[str, Any]] = {number: {} for number in numbers}
    if not numbers or (names is not None and not names):
        return params
    select = sa.select(p.session_no, p.param_name, p.type, p.number, p.text, p.json).where(
        p.session_no.in_(list(numbers))
    )
    if names is not None:
        select = select.where(p.param_name.in_(list(names)))
    for number, name, kind, figure, text, document in db.fetch_all(select):
        value: Any = {"number": figure, "text": text, "json": document}.get(kind)
        params[number][name] = bool(figure) if kind == "boolean" else value
    return params


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

"""What a user reads who may read the views alone: the role `reader`.

Each function returns the columns that its counterpart on the tables returns. What no view has is
NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from mfprefect.errors import InvalidValue, PermissionDenied, UnknownModel
from mfprefect.schema import data_day
from mfprefect.store.database import Database
from mfprefect.store.lookup import require_all

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Sessions",
    "gates_frame",
    "latest_scores",
    "metrics_frame",
    "models_frame",
    "newest_published",
    "production",
    "published_scores",
    "readable",
    "require_sessions",
    "sessions",
    "tables_are_closed",
]


def tables_are_closed(db: Database) -> bool:
    """Return whether this user may read the view of sessions, but not their table."""
    table, view = db.schema.sessions, _view(db, "session_overview")
    return not readable(db, table) and readable(db, view)


def readable(db: Database, table: sa.Table) -> bool:
    """Return whether this user may read a table or view of sessions."""
    try:
        db.fetch_all(sa.select(table.c.session_id).limit(1))
    except PermissionDenied:
        return False
    return True


def _view(db: Database, name: str) -> sa.Table:
    """Return a view as a table whose columns have the keys of the tables' columns."""
    schema = db.schema
    keys = {c.name: c.key for table in schema.tables.values() for c in table.c}
    columns = (
        sa.Column(c.name, c.type, key=keys.get(c.name, c.name))
        for c in schema.views()[name].selected_columns
    )
    return sa.Table(schema.name(name), sa.MetaData(), *columns, schema=schema.layout.schema)


def _columns(view: sa.Table, names: Iterable[str]) -> list[Any]:
    return [view.c[x] if x in view.c else sa.null().label(x) for x in names]


class Sessions(NamedTuple):
    """Where sessions are read from."""

    select: sa.Select[*tuple[Any, ...]]
    """Selects the columns of `Store.sessions`."""
    c: Any
    """The columns of sessions, for conditions."""
    newest: tuple[sa.ColumnElement[Any], ...]
    """The columns by which newer sessions are larger."""


def sessions(db: Database) -> Sessions:
    """Return the view of sessions."""
    view = _view(db, "session_overview")
    others = [c.key for c in db.schema.sessions.c if c.key not in _FIRST]
    names = ["session_id", "session_no", *others, "parent_session_id"]
    newest = (view.c.started_at, view.c.session_id)
    return Sessions(sa.select(*_columns(view, names)), view.c, newest)


_FIRST = ("session_id", "session_no", "parent_session_no")


def require_sessions(db: Database, session_ids: Sequence[str]) -> None:
    """Refuse unknown session ids.

    Raises:
        InvalidValue: no session id.
        UnknownSession: one of the sessions does not exist.
    """
    if not session_ids:
        raise InvalidValue("name at least one session id.")
    c = _view(db, "session_overview").c
    rows = db.fetch_all(sa.select(c.session_id).where(c.session_id.in_(session_ids)))
    require_all(session_ids, (row[0] for row in rows))


def _require_model(db: Database, model_id: str) -> None:
    c = _view(db, "session_overview").c
    model_ids = [row[0] for row in db.fetch_all(sa.select(c.model_id).distinct())]
    if model_id not in model_ids:
        raise UnknownModel(model_id, sorted(model_ids))


def models_frame(db: Database) -> pd.DataFrame:
    """Return the models that have sessions, one row each; descriptions of those in production."""
    s, p = _view(db, "session_overview"), _view(db, "production_models")
    newest = sa.func.max(s.c.started_at).label("last_started_at")
    counts = sa.select(s.c.model_id, sa.func.count().label("sessions"), newest)
    models = counts.group_by(s.c.model_id).subquery("models")
    names = [c.key for c in db.schema.models.c if c.key != "model_id"]
    shown = (p.c[name] if name == "description" else sa.null().label(name) for name in names)
    production = p.c.session_id.label("production")
    select = sa.select(
        models.c.model_id, *shown, models.c.sessions, models.c.last_started_at, production
    ).join_from(models, p, models.c.model_id == p.c.model_id, isouter=True)
    return db.frame(select.order_by(models.c.model_id))


def production(db: Database, model_id: str) -> str | None:
    """Return the session in production; None without one.

    Raises:
        UnknownModel: the model has no session.
    """
    c = _view(db, "production_models").c
    rows = db.fetch_all(sa.select(c.session_id).where(c.model_id == model_id))
    if not rows:
        _require_model(db, model_id)
    return rows[0][0] if rows else None


def metrics_frame(db: Database, session_ids: Sequence[str]) -> pd.DataFrame:
    """Return the metrics of sessions that succeeded."""
    require_sessions(db, session_ids)
    view = _view(db, "metric_history")
    names = (c.key for c in db.schema.metrics.c if c.key != "session_no")
    select = sa.select(view.c.session_id, *_columns(view, names)).where(
        view.c.session_id.in_(session_ids)
    )
    return db.frame(
        select.order_by(view.c.started_at, view.c.session_id, view.c.metric_name, view.c.segment)
    )


def gates_frame(db: Database, session_ids: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Return the verdicts of sessions: session_id and the columns `names`."""
    require_sessions(db, session_ids)
    view = _view(db, "gate_history")
    select = sa.select(view.c.session_id, *_columns(view, names))
    select = select.where(view.c.session_id.in_(session_ids))
    return db.frame(select.order_by(view.c.started_at, view.c.session_id, view.c.gate_no))


def published_scores(db: Database) -> sa.Table:
    """Return the view of all published scores, with the columns of scores and `session_id`."""
    return _view(db, "published_scores")


def newest_published(db: Database, model_id: str) -> sa.Row[*tuple[Any, ...]] | None:
    """Return session_id, as_of and published_at of a model's newest published scoring session.

    Raises:
        UnknownModel: the model has no session.
    """
    c = _view(db, "session_overview").c
    select = (
        sa.select(c.session_id, c.as_of, c.published_at)
        .where(c.model_id == model_id, c.published_at.is_not(None))
        # Of one day and instant, the view does not show which session has the higher number.
        .order_by(data_day(c).desc(), c.published_at.desc(), c.session_id.desc())
    )
    rows = db.fetch_all(select.limit(1))
    if not rows:
        _require_model(db, model_id)
    return rows[0] if rows else None


def latest_scores(
    db: Database, model_id: str, ids: Sequence[str], names: Sequence[str]
) -> pd.DataFrame:
    """Return the columns `names` of the view `latest_scores`, for some entities of a model."""
    _require_model(db, model_id)
    view = _view(db, "latest_scores")
    select = sa.select(*_columns(view, names)).where(
        view.c.model_id == model_id, view.c.entity_id.in_(ids)
    )
    return db.frame(select.order_by(view.c.entity_id))

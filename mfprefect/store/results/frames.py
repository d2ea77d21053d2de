"""Models, sessions and their results as DataFrames."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from mfprefect.errors import InvalidValue, UnknownSession
from mfprefect.quality.checks.result import ACCEPTED
from mfprefect.store import views
from mfprefect.store.artifacts.rows import is_model
from mfprefect.store.database import Database
from mfprefect.store.lookup import require_all
from mfprefect.store.states import LEGACY_PART_INPUTS, Purpose, Status
from mfprefect.util import values
from mfprefect.util.values import choice

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SORTS",
    "SessionSummary",
    "environment",
    "latest_training",
    "models_frame",
    "of_existing",
    "of_sessions",
    "one_curve",
    "outcome",
    "require_sessions",
    "seal_of",
    "selected_sessions",
    "sessions_frame",
    "sessions_source",
    "thresholds_frame",
]

STARTED, ENDED = SORTS = ("started", "ended")
"""Orders of sessions, the newest first; running sessions are the last to end."""


def models_frame(db: Database) -> pd.DataFrame:
    """Return the registered models, one row each.

    Columns: those of the table `models`; sessions, their number; last_started_at; production, the
    id of the training session in production.
    """
    if db.views_only:
        return views.models_frame(db)
    models, s = db.schema.models, db.schema.sessions
    count = sa.select(sa.func.count()).where(s.c.model_id == models.c.model_id).scalar_subquery()
    last = (
        sa.select(sa.func.max(s.c.started_at))
        .where(s.c.model_id == models.c.model_id)
        .scalar_subquery()
    )
    select = sa.select(
        *models.c,
        count.label("sessions"),
        last.label("last_started_at"),
        _production(db).label("production"),
    )
    return db.frame(select.order_by(models.c.model_id))


def _production(db: Database) -> sa.ScalarSelect[str]:
    """Return the subquery for the id of a model's session in production."""
    models, s = db.schema.models, db.schema.sessions
    stage, later = db.schema.model_stages, db.schema.model_stages.alias("later")
    newest = ~sa.exists().where(
        later.c.model_id == stage.c.model_id, later.c.set_at > stage.c.set_at
    )
    return (
        sa.select(s.c.session_id)
        .join_from(stage, s, s.c.session_no == stage.c.session_no)
        .where(
            stage.c.model_id == models.c.model_id, stage.c.stage == sa.literal("production"), newest
        )
        .scalar_subquery()
    )


def thresholds_frame(db: Database, model_id: str) -> pd.DataFrame:
    """Return a model's operating thresholds, newest first."""
    table = db.schema.model_thresholds
    select = sa.select(*table.c).where(table.c.model_id == model_id)
    return db.frame(select.order_by(table.c.set_at.desc()))


def sessions_frame(
    db: Database,
    model_id: str | None = None,
    status: str | None = None,
    limit: int | None = 100,
    session_ids: Sequence[str] = (),
    **choices: Any,
) -> pd.DataFrame:
    """Return sessions, newest first.

    Columns: those of the table `sessions`, and parent_session_id, the training session used.

    Args:
        db: the database.
        model_id: only sessions of this model.
        status: only sessions with this status.
        limit: at most this many; None for all.
        session_ids: only these, if any; unknown ids are ignored.
        choices: `purpose`, `since`, `sort` and `trials`, as in `Store.sessions`.

    Raises:
        InvalidValue: an unknown status, purpose or order, or a limit that is no integer from 0 on.
    """
    source = sessions_source(db)
    if session_ids:
        condition = source.c.session_id.in_(list(session_ids))
        source = source._replace(select=source.select.where(condition))
        choices["trials"] = True
    return db.frame(selected_sessions(source, model_id, status, limit, **choices))


def sessions_source(db: Database) -> views.Sessions:
    """Return where sessions are read from: their table, or the view for who may read no more."""
    if db.views_only:
        return views.sessions(db)
    s, parent = db.schema.sessions, db.schema.sessions.alias("parent")
    columns = [c for c in s.c if c.key not in ("session_no", "parent_session_no")]
    select = sa.select(
        s.c.session_id, s.c.session_no, *columns[1:], parent.c.session_id.label("parent_session_id")
    ).join_from(s, parent, parent.c.session_no == s.c.parent_session_no, isouter=True)
    return views.Sessions(select, s.c, (s.c.session_no,))


def selected_sessions(
    source: views.Sessions,
    model_id: str | None,
    status: str | None,
    limit: int | None,
    *,
    purpose: str | None = None,
    since: Any = None,
    sort: str = STARTED,
    trials: bool = False,
) -> sa.Select[*tuple[Any, ...]]:
    """Return a select of some sessions in an order; arguments and errors as in `Store.sessions`."""
    select, sessions = source.select, source.c
    if model_id is not None:
        select = select.where(sessions.model_id == model_id)
    if status is not None:
        select = select.where(sessions.status == choice(status, "the status", tuple(Status)))
    if purpose is not None:
        select = select.where(sessions.purpose == choice(purpose, "the purpose", tuple(Purpose)))
    elif not trials:
        select = select.where(sessions.purpose != Purpose.TRIAL)
    if (instant := values.since(since)) is not None:
        select = select.where(sessions.started_at >= instant)
    if choice(sort, "the order", SORTS) == ENDED:
        # Databases do not agree where NULL comes; running sessions come first here.
        running = sa.case((sessions.ended_at.is_(None), 0), else_=1)
        select = select.order_by(running, sessions.ended_at.desc())
    select = select.order_by(*(column.desc() for column in source.newest))
    if limit is None:
        return select
    if not isinstance(limit, int) or limit < 0:
        raise InvalidValue(
            f"limit is {limit!r}; pass an integer from 0 on, or None for all sessions."
        )
    return select.limit(limit)


def of_sessions(db: Database, table_name: str, session_ids: Sequence[str]) -> pd.DataFrame:
    """Return what sessions stored in a table: session_id and its columns, in key order.

    Raises:
        InvalidValue: no session id.
        UnknownSession: one of the sessions does not exist.
    """
    if db.views_only and table_name == "metrics":
        return views.metrics_frame(db, session_ids)
    s, table = db.schema.sessions, db.schema.tables[table_name]
    columns: list[Any] = [c for c in table.c if c.key != "session_no"]
    select = (
        sa.select(s.c.session_id, *columns)
        .join_from(s, table, s.c.session_no == table.c.session_no)
        .where(s.c.session_id.in_(session_ids))
        .order_by(*table.primary_key.columns)
    )
    if table is db.schema.session_metadata:
        select = select.where(table.c.meta_group != LEGACY_PART_INPUTS)
    return of_existing(db, session_ids, select)


def of_existing(
    db: Database, session_ids: Sequence[str], select: sa.Select[*tuple[Any, ...]]
) -> pd.DataFrame:
    """Return what a select finds of sessions; errors as in `require_sessions`."""
    if not session_ids:
        raise InvalidValue("name at least one session id.")
    frame = db.frame(select)
    # Afterwards: of a session that is deleted in between, there would be no rows and no error.
    require_sessions(db, session_ids)
    return frame


def require_sessions(db: Database, session_ids: Sequence[str]) -> None:
    """Refuse unknown session ids.

    Raises:
        InvalidValue: no session id.
        UnknownSession: one of the sessions does not exist.
    """
    if not session_ids:
        raise InvalidValue("name at least one session id.")
    s = db.schema.sessions
    existing = db.fetch_all(sa.select(s.c.session_id).where(s.c.session_id.in_(session_ids)))
    require_all(session_ids, (row[0] for row in existing))


class SessionSummary(NamedTuple):
    """A session's row, headline metrics and failed checks."""

    session: Mapping[str, Any]
    """Its row, with `parent_session_id`."""
    figures: dict[str, float]
    """Metrics over all rows, by name."""
    failed_checks: list[Mapping[str, Any]]
    """check, column, severity, failing_rows, message; without accepted ones."""


def outcome(db: Database, session_no: int) -> SessionSummary:
    """Return a session's summary, as of one moment."""
    s, m, k = db.schema.sessions, db.schema.metrics, db.schema.check_results
    parent = s.alias("parent")
    row = (
        sa.select(*s.c, parent.c.session_id.label("parent_session_id"))
        .join_from(s, parent, parent.c.session_no == s.c.parent_session_no, isouter=True)
        .where(s.c.session_no == session_no)
    )
    figures = (
        sa.select(m.c.metric_name, m.c.value)
        .where(m.c.session_no == session_no, m.c.segment == "")
        .order_by(m.c.metric_name)
    )
    columns = ("check", "column", "severity", "failing_rows", "message")
    failed = (
        sa.select(*(k.c[name].label(name) for name in columns))
        .where(
            k.c.session_no == session_no, k.c.passed == sa.literal(False), k.c.severity != ACCEPTED
        )
        .order_by(k.c.check_no)
    )

    def work(connection: sa.Connection) -> SessionSummary:
        return SessionSummary(
            dict(connection.execute(row).one()._mapping),
            {name: value for name, value in connection.execute(figures)},
            [dict(check._mapping) for check in connection.execute(failed)],
        )

    return db.read_snapshot(work)


def one_curve(db: Database, session_id: str) -> pd.DataFrame:
    """Return a session's test curve.

    Raises:
        InvalidValue: the session has no test results.
    """
    frame = of_sessions(db, "test_curve", [session_id])
    if frame.empty:
        raise InvalidValue(
            f"session {session_id!r} has no test results; store them in a training session with "
            "session.log_test_results(actual, score)."
        )
    return frame


def environment(db: Database, session_id: str) -> dict[str, Any]:
    """Return the environment that a session ran in: python, platform, packages.

    Raises:
        UnknownSession: the session does not exist.
    """
    s, e = db.schema.sessions, db.schema.environments
    select = (
        sa.select(e.c.python_version, e.c.platform_name, e.c.packages)
        .join_from(s, e, s.c.environment_digest == e.c.environment_digest)
        .where(s.c.session_id == session_id)
    )
    rows = db.fetch_all(select)
    if not rows:
        raise UnknownSession(session_id)
    row = rows[0]
    return {
        "python": row.python_version,
        "platform": row.platform_name,
        "packages": json.loads(row.packages),
    }


def seal_of(db: Database, session_id: str) -> str | None:
    """Return the seal of a session, None while it has none, or if this user may not read it.

    Raises:
        UnknownSession: the session does not exist.
    """
    if db.views_only:
        views.require_sessions(db, [session_id])
        return None
    c = db.schema.sessions.c
    rows = db.fetch_all(sa.select(c.seal).where(c.session_id == session_id))
    require_all([session_id], [session_id] if rows else [])
    return str(rows[0].seal) if rows[0].seal is not None else None


def latest_training(db: Database, model_id: str, before: int | None = None) -> str | None:
    """Return the id of the last successful training session with a saved model, or None.

    The last to run, whatever day its data is of: see `mfprefect.store.order`.

    Args:
        db: the database.
        model_id: the model.
        before: only sessions numbered lower.
    """
    s, artifacts = db.schema.sessions, db.schema.artifacts
    select = (
        sa.select(s.c.session_id)
        .where(
            s.c.model_id == model_id,
            s.c.purpose == Purpose.TRAIN,
            s.c.status == Status.SUCCEEDED,
            sa.exists().where(artifacts.c.session_no == s.c.session_no, is_model(db)),
        )
        .order_by(s.c.session_no.desc())
        .limit(1)
    )
    if before is not None:
        select = select.where(s.c.session_no < before)
    rows = db.fetch_all(select)
    return rows[0][0] if rows else None

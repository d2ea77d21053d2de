"""The context of shared checks: training session, row counts, registry. Reads what they need."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa

from mfprefect.quality.checks.base import ModelCheck
from mfprefect.quality.checks.columns import RegisteredColumns
from mfprefect.quality.checks.context import CheckContext
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.models import input_columns
from mfprefect.store.order import Place
from mfprefect.store.results import frames
from mfprefect.store.states import Status
from mfprefect.util import values

__all__ = ["check_context"]

ROWS_SCORED = "rows_scored"
"""The metric of a scoring that counts its scores."""
MAX_SESSIONS = 50
"""How many earlier sessions row counts are read from."""


def check_context(
    db: Database,
    handle: SessionHandle,
    checks: Any,
    keys: Collection[str] = (),
    part: int | None = None,
    parts: int | None = None,
) -> CheckContext:
    """Return what a session's shared checks compare its input with.

    The training session is the session's parent, or the model's last successful training if it
    has none.

    Args:
        db: the database.
        handle: the session.
        checks: one check or a list; only instances of ModelCheck count.
        keys: the names of key columns.
        part: the score part that the input belongs to, None for the whole input.
        parts: how many there are, for a session that is not in the database.
    """
    shared = list(_shared(checks))
    needs = frozenset[str]().union(*(check.needs for check in shared))
    training = summary = None
    if "training" in needs:
        training = handle.parent_session_id or frames.latest_training(db, handle.model_id)
        summary = frames.of_sessions(db, "input_summary", [training]) if training else None
    tables = [check.table for check in shared if isinstance(check, RegisteredColumns)]
    return CheckContext(
        as_of=handle.as_of,
        keys=frozenset(keys),
        training_session=training,
        training=summary,
        row_counts=_row_counts(db, handle, part, parts) if "row_counts" in needs else (),
        registry={table: input_columns.registered(db, *table) for table in tables},
    )


def _shared(checks: Any) -> Iterator[ModelCheck]:
    for check in checks if isinstance(checks, list | tuple) else [checks]:
        if isinstance(check, ModelCheck):
            yield check


def _row_counts(
    db: Database, handle: SessionHandle, part: int | None, parts: int | None
) -> list[int]:
    if part is None:
        return _all_row_counts(db, handle)
    return _part_row_counts(db, handle, part, parts)


def _place(handle: SessionHandle) -> Place:
    day = handle.as_of or values.utc_now().date()
    # A session opened in the spool has no number yet: NOT_IN_DATABASE, which is 0.
    return Place(handle.purpose, handle.session_no, day)


def _earlier_sessions(db: Database, handle: SessionHandle) -> tuple[Any, ...]:
    s = db.schema.sessions.c
    return (
        s.model_id == handle.model_id,
        s.purpose == handle.purpose,
        s.status == Status.SUCCEEDED,
        _place(handle).before(s),
    )


def _all_row_counts(db: Database, handle: SessionHandle) -> list[int]:
    """Return the row counts of earlier sessions, newest first.

    From their input summaries, and for scorings, which may summarise a sample, from their scores.
    """
    s, summary, metrics = db.schema.sessions, db.schema.input_summary.c, db.schema.metrics.c
    summarised = sa.select(summary.session_no, (summary.n + summary.n_na).label("row_total"))
    scored = sa.select(metrics.session_no, metrics.value.label("row_total")).where(
        metrics.metric_name == ROWS_SCORED, metrics.segment == ""
    )
    # The doubles first: Teradata takes the types of the first select.
    every = sa.union_all(scored, summarised).subquery("every_count")
    counts = (
        sa.select(every.c.session_no, sa.func.max(every.c.row_total).label("row_total"))
        .group_by(every.c.session_no)
        .subquery("counted")
    )
    select = (
        sa.select(counts.c.row_total)
        .join_from(s, counts, counts.c.session_no == s.c.session_no)
        .where(*_earlier_sessions(db, handle))
        .order_by(*_place(handle).newest_first(s.c))
        .limit(MAX_SESSIONS)
    )
    return [int(count) for (count,) in db.fetch_all(select)]


def _part_row_counts(
    db: Database, handle: SessionHandle, part: int, count: int | None
) -> list[int]:
    """Return the row counts of the same part in earlier sessions with the same number of parts."""
    s, parts = db.schema.sessions, db.schema.score_parts
    select = (
        sa.select(s.c.params, parts.c.rows)
        .join_from(s, parts, parts.c.session_no == s.c.session_no)
        .where(*_earlier_sessions(db, handle), parts.c.part_no == part)
        .order_by(*_place(handle).newest_first(s.c))
        .limit(MAX_SESSIONS)
    )
    parts_here = [count]
    if count is None:
        this_session = sa.select(s.c.params).where(s.c.session_no == handle.session_no)
        parts_here = [_part_count(row.params) for row in db.fetch_all(this_session)]
    return [
        int(count) for params, count in db.fetch_all(select) if [_part_count(params)] == parts_here
    ]


def _part_count(params: str) -> Any:
    return json.loads(params).get("parts")

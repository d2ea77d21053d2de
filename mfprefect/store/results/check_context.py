"""What shared checks compare with, read only as far as they ask for it."""

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
from mfprefect.store.results import frames
from mfprefect.store.states import NOT_IN_DATABASE, Status

__all__ = ["check_context"]

MOST_SESSIONS = 50


def check_context(
    db: Database,
    handle: SessionHandle,
    checks: Any,
    keys: Collection[str] = (),
    part: int | None = None,
) -> CheckContext:
    """Return what the checks of a session compare with.

    The training session is the one whose model is used; for a training, and where none is, the
    model's last that succeeded.
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
        row_counts=_row_counts(db, handle, part) if "row_counts" in needs else (),
        registry={table: input_columns.registered(db, *table) for table in tables},
    )


def _shared(checks: Any) -> Iterator[ModelCheck]:
    for check in checks if isinstance(checks, list | tuple) else [checks]:
        if isinstance(check, ModelCheck):
            yield check


def _row_counts(db: Database, handle: SessionHandle, part: int | None) -> list[int]:
    return _summarised(db, handle) if part is None else _of_part(db, handle, part)


def _earlier(db: Database, handle: SessionHandle) -> tuple[Any, ...]:
    s = db.schema.sessions.c
    same = (
        s.model_id == handle.model_id,
        s.purpose == handle.purpose,
        s.status == Status.SUCCEEDED,
    )
    # What began in the spool gets its number later: all others are earlier.
    before = [] if handle.session_no == NOT_IN_DATABASE else [s.session_no < handle.session_no]
    return (*same, *before)


def _summarised(db: Database, handle: SessionHandle) -> list[int]:
    """Return how many rows the input summaries of earlier sessions are of."""
    s, summary = db.schema.sessions, db.schema.input_summary
    rows = sa.func.max(summary.c.n + summary.c.n_na)
    select = (
        sa.select(s.c.session_no, rows)
        .join_from(s, summary, summary.c.session_no == s.c.session_no)
        .where(*_earlier(db, handle))
        .group_by(s.c.session_no)
        .order_by(s.c.session_no.desc())
        .limit(MOST_SESSIONS)
    )
    return [int(count) for _, count in db.fetch_all(select)]


def _of_part(db: Database, handle: SessionHandle, part: int) -> list[int]:
    """Return the rows of the same part of earlier sessions that had as many parts."""
    s, parts = db.schema.sessions, db.schema.score_parts
    params_rows = db.fetch_all(sa.select(s.c.params).where(s.c.session_no == handle.session_no))
    select = (
        sa.select(s.c.params, parts.c.rows)
        .join_from(s, parts, parts.c.session_no == s.c.session_no)
        .where(*_earlier(db, handle), parts.c.part_no == part)
        .order_by(s.c.session_no.desc())
        .limit(MOST_SESSIONS)
    )
    of = [_parts(row.params) for row in params_rows]
    return [int(count) for params, count in db.fetch_all(select) if [_parts(params)] == of]


def _parts(params: str) -> Any:
    return json.loads(params).get("parts")

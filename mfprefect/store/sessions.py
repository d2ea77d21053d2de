"""Writing to a session and ending it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mfprefect import values
from mfprefect.errors import IntegrityError
from mfprefect.store import part_evidence
from mfprefect.store.database import Database
from mfprefect.store.handle import SUCCEEDED, Handle, fence, hold, why_closed
from mfprefect.store.scores import attach, drop_stale_parts

__all__ = ["DETACHED", "STATUSES", "Ending", "close_session", "detach", "flush", "last_numbers"]

DETACHED = 0
"""The `process_id` of a session that no process holds: a script opened it and will close it."""

STATUSES = ("running", "succeeded", "failed", "crashed", "cancelled")


@dataclass(frozen=True)
class Ending:
    """How a session ends."""

    status: str
    failure_kind: str | None = None
    failure_text: str | None = None
    publish: bool = True
    ended_at: dt.datetime | None = None
    """When; by default now."""
    published_at: dt.datetime | None = None
    """When its scores become visible, where that is later."""
    row: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the session that are set besides: of a run that another process ends for it."""


def flush(
    db: Database,
    handle: Handle,
    pending: Mapping[str, Sequence[Mapping[str, Any]]],
    replace: bool,
    *,
    retry: bool = True,
) -> None:
    """Write buffered rows by table name, in one transaction with the heartbeat.

    With `replace`, rows of the same keys are deleted first: another process may have written them.
    """

    def work(connection: sa.Connection, again: bool) -> None:
        hold(db, connection, handle)
        write_rows(db, connection, handle, pending, replace or again)

    db.write(work, retry=retry)


def detach(db: Database, handle: Handle) -> None:
    """Note that no process holds the session from now on: no heart will beat."""

    def work(connection: sa.Connection, _: bool) -> None:
        if not fence(db, connection, handle, {"process_id": DETACHED}):
            raise why_closed(db, connection, handle)

    db.write(work)


def write_rows(
    db: Database,
    connection: sa.Connection,
    handle: Handle,
    pending: Mapping[str, Sequence[Mapping[str, Any]]],
    replace: bool,
) -> None:
    """Insert rows of one session into their tables, replacing those of the same keys if told."""
    for name, rows in pending.items():
        table = db.schema.tables[name]
        full = [{"session_no": handle.session_no, **row} for row in rows]
        if replace:
            keys = [c.key for c in table.primary_key]
            same = sa.and_(*(table.c[key] == sa.bindparam(f"key_{key}") for key in keys))
            connection.execute(
                table.delete().where(same), [{f"key_{k}": row[k] for k in keys} for row in full]
            )
        connection.execute(table.insert(), full)


def close_session(
    db: Database,
    handle: Handle,
    ending: Ending,
    pending: Mapping[str, Sequence[Mapping[str, Any]]],
    replace: bool,
    *,
    also: Callable[[sa.Connection], None] | None = None,
) -> None:
    """Write what is buffered, end the session and publish its scores, in one transaction.

    `also` is called in it, after all else.

    Raises:
        InvalidScores: two parts of a large session hold the same entity.
        SessionClosed: the session has ended already, or a later attempt took it over.
    """
    ended = ending.ended_at or values.utc_now()
    parts = db.schema.score_parts
    has_scores = sa.exists().where(parts.c.session_no == handle.session_no)
    changes: dict[str, Any] = {
        "status": ending.status,
        "ended_at": ended,
        "heartbeat_at": ended,
        "failure_kind": ending.failure_kind,
        "failure_text": ending.failure_text,
        **ending.row,
    }
    if ending.status == SUCCEEDED and ending.publish:
        published = sa.literal(ending.published_at or ended, _instant(db))
        changes["published_at"] = sa.case((has_scores, published), else_=None)

    def work(connection: sa.Connection, again: bool) -> None:
        # Ended last: the database refuses what is written to a session that has ended.
        scored = handle.purpose == "score" and ending.status == SUCCEEDED
        held = (pending or scored or handle.attempt > 1) and fence(db, connection, handle)
        if held and handle.attempt > 1:
            drop_stale_parts(db, connection, handle)
        if held and scored:
            part_evidence.drop(db, connection, handle)
        if held:
            write_rows(db, connection, handle, pending, replace or again)
        if not fence(db, connection, handle, changes):
            if again and _ended_at(db, connection, handle) == ended:
                return  # the commit that was cut off had happened
            raise why_closed(db, connection, handle)
        if also is not None:
            also(connection)

    if ending.status == SUCCEEDED:
        attach(db, handle)
    # Only what `also` writes can be in another's way.
    db.write(work, also_retry=None if also is None else IntegrityError)


def _instant(db: Database) -> Any:
    return db.schema.sessions.c.published_at.type


def _ended_at(db: Database, connection: sa.Connection, handle: Handle) -> dt.datetime | None:
    s = db.schema.sessions
    return connection.scalar(sa.select(s.c.ended_at).where(s.c.session_id == handle.session_id))


def last_numbers(db: Database, handle: Handle) -> dict[str, int]:
    """Return the highest check, input and part number that the session has."""
    columns = {
        "check": db.schema.check_results.c.check_no,
        "input": db.schema.inputs.c.input_no,
        "part": db.schema.score_parts.c.part_no,
    }

    def highest(column: sa.Column[int]) -> sa.ScalarSelect[Any]:
        mine = column.table.c.session_no == handle.session_no
        return sa.select(sa.func.max(column)).where(mine).scalar_subquery()

    row = db.read(sa.select(*(highest(c).label(name) for name, c in columns.items())))[0]
    return {name: row[place] or 0 for place, name in enumerate(columns)}

"""Writing to a session and ending it."""

from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mfprefect.errors import DatabaseConflict, IntegrityError
from mfprefect.store import session_params
from mfprefect.store.artifacts.rows import is_model
from mfprefect.store.audit import seals
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, begin_write, closed_reason, touch_if_running
from mfprefect.store.models import gate_verdicts
from mfprefect.store.scores.write import attach, drop_stale_parts
from mfprefect.store.sessions import attempts, part_inputs
from mfprefect.store.states import DETACHED, Purpose, Status
from mfprefect.util import values

__all__ = [
    "Outcome",
    "add_params",
    "close_session",
    "detach",
    "flush",
    "has_results",
    "last_numbers",
]

Replace = bool | Collection[str]
"""Whether rows replace those with the same keys: in all tables, in none, or in those named."""
STEPS = "metric_steps"
STEPS_A_DELETE = 500
SHORTEST_RACE = 60.0
"""Minimum seconds to retry a closing that lost races against other writers."""
LONGEST_RACE_PAUSE = 0.05
# Our own generator: a training's random numbers must not change.
_jitter = random.Random()  # noqa: S311 - no secret depends on it


@dataclass(frozen=True)
class Outcome:
    """How a session ends."""

    status: str
    failure_kind: str | None = None
    failure_text: str | None = None
    publish: bool = True
    ended_at: dt.datetime | None = None
    """By default now."""
    published_at: dt.datetime | None = None
    """When its scores become visible; by default `ended_at`."""
    row: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the session to set, when another process ends it."""
    sealed: bool = True
    """Whether to seal it. A restored session has its seal already."""


def flush(
    db: Database,
    handle: SessionHandle,
    pending: Mapping[str, Sequence[Mapping[str, Any]]],
    replace: Replace,
    *,
    retry: bool = True,
    params: Mapping[str, Any] | None = None,
    also: Callable[[sa.Connection], None] | None = None,
) -> None:
    """Write buffered rows by table name, in one transaction with the heartbeat.

    With `replace`, rows replace those with the same keys, which another process may have written.
    Adds `params` to the session's parameters, and calls `also` last in that transaction.
    """

    def work(connection: sa.Connection, again: bool) -> None:
        begin_write(db, connection, handle)
        if params:
            _merge_params(db, connection, handle, params)
        write_rows(db, connection, handle, pending, again or replace)
        if also is not None:
            also(connection)

    # Only rows written by `also` can conflict with those of others.
    db.write_transaction(work, retry=retry, also_retry=None if also is None else IntegrityError)


def detach(db: Database, handle: SessionHandle) -> None:
    """Record that no process holds the session, and so none sends heartbeats."""

    def work(connection: sa.Connection, _: bool) -> None:
        if not touch_if_running(db, connection, handle, {"process_id": DETACHED}):
            raise closed_reason(db, connection, handle)

    db.write_transaction(work)


def add_params(db: Database, handle: SessionHandle, given: Mapping[str, Any]) -> None:
    """Add parameters to those of the session, replacing any of the same names."""

    def work(connection: sa.Connection, _: bool) -> None:
        begin_write(db, connection, handle)  # locks the row
        _merge_params(db, connection, handle, given)

    db.write_transaction(work)


def _merge_params(
    db: Database, connection: sa.Connection, handle: SessionHandle, given: Mapping[str, Any]
) -> None:
    s = db.schema.sessions
    stored = connection.scalar(sa.select(s.c.params).where(s.c.session_no == handle.session_no))
    merged = values.json_text({**json.loads(stored or "{}"), **given}, "params")
    if not touch_if_running(db, connection, handle, {"params": merged}):
        raise closed_reason(db, connection, handle)
    if rows := session_params.param_rows(db, values.json_text(dict(given), "params")):
        write_rows(db, connection, handle, {session_params.TABLE: rows}, replace=True)


def write_rows(
    db: Database,
    connection: sa.Connection,
    handle: SessionHandle,
    pending: Mapping[str, Sequence[Mapping[str, Any]]],
    replace: Replace,
) -> None:
    """Insert rows of one session into their tables; with `replace`, over those with the same keys.

    Verdicts of gates always come as a complete list, which replaces all stored ones.
    """
    # In the schema's order, as all transactions that lock these tables.
    for name in sorted(pending, key=list(db.schema.tables).index):
        rows, table = pending[name], db.schema.tables[name]
        full = [{"session_no": handle.session_no, **row} for row in rows]
        if name == STEPS:
            if _replaces(replace, name):
                _delete_steps(connection, table, full)
            connection.execute(table.insert(), full)
        elif _replaces(replace, name):
            db.backend.upsert(connection, table, full)
            if name == gate_verdicts.TABLE:
                later = table.c.gate_no > _last_gate(rows)
                of_session = table.c.session_no == handle.session_no
                connection.execute(table.delete().where(of_session, later))
        else:
            connection.execute(table.insert(), full)


def _delete_steps(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Delete steps by curve: row by row, some thousand would take a round trip each."""
    curves: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("session_no", "metric_name", "segment"))
        curves.setdefault(key, []).append(row["step"])
    for (number, name, segment), steps in curves.items():
        of_curve = (
            table.c.session_no == number,
            table.c.metric_name == name,
            table.c.segment == segment,
        )
        for start in range(0, len(steps), STEPS_A_DELETE):
            some = steps[start : start + STEPS_A_DELETE]
            connection.execute(table.delete().where(*of_curve, table.c.step.in_(some)))


def _replaces(replace: Replace, table: str) -> bool:
    return replace if isinstance(replace, bool) else table in replace


def _last_gate(rows: Sequence[Mapping[str, Any]]) -> int:
    return max((row["gate_no"] for row in rows), default=0)


def close_session(
    db: Database,
    handle: SessionHandle,
    ending: Outcome,
    pending: Mapping[str, Sequence[Mapping[str, Any]]],
    replace: Replace,
    *,
    also: Callable[[sa.Connection], None] | None = None,
) -> None:
    """Write buffered rows, end the session, seal it and publish its scores, in one transaction.

    Calls `also` last in that transaction.

    Raises:
        InvalidScores: two parts of a large session hold the same entity.
        SessionClosed: the session has ended already, or a later attempt took it over.
        DatabaseConflict: it lost races against other writers for longer than `retry_seconds`.
    """
    closing = _CloseTransaction(db, handle, ending, pending, replace, also)
    deadline = None
    while True:
        try:
            # Only rows written by `also` can conflict with those of others.
            db.write_transaction(closing.work, also_retry=None if also is None else IntegrityError)
            return
        except _AttachFirst:
            attach(db, handle)
            closing.attached = True
        except _ConcurrentChange as exc:
            closing.raced = True
            # From the first lost race on: before, it may have waited for locks.
            patience = max(db.settings.retry_seconds, SHORTEST_RACE)
            deadline = deadline or time.monotonic() + patience
            if time.monotonic() > deadline:
                raise DatabaseConflict(
                    f"session {handle.session_id!r} could not be closed: {exc}. Close it again."
                ) from exc
            time.sleep(_jitter.uniform(0, LONGEST_RACE_PAUSE))


class _AttachFirst(Exception):
    """The scores are in a table of their own; attaching it needs a separate transaction."""


class _ConcurrentChange(Exception):
    """Another writer changed rows that this transaction had read."""


class _CloseTransaction:
    """One closing; its transaction is retried until no other writer interferes."""

    def __init__(
        self,
        db: Database,
        handle: SessionHandle,
        ending: Outcome,
        pending: Mapping[str, Sequence[Mapping[str, Any]]],
        replace: Replace,
        also: Callable[[sa.Connection], None] | None,
    ) -> None:
        self.db, self.handle, self.ending = db, handle, ending
        self.pending, self.replace, self.also = pending, replace, also
        self.model_id = handle.model_id
        self.now = values.utc_now()
        self.ended = ending.ended_at or self.now
        self.legacy_part_inputs = False
        """Whether documents of parts in the session's metadata are to be deleted."""
        self.scored = handle.purpose == Purpose.SCORE and ending.status == Status.SUCCEEDED
        self.attached = not db.backend.per_session_tables or ending.status != Status.SUCCEEDED
        self.raced = False
        """Whether it lost a race: others append to the chain at this moment."""
        self.again = False
        """Whether an earlier commit was cut off, and so may have succeeded."""

    def work(self, connection: sa.Connection, again: bool) -> None:
        """Read the session, then write if nothing has changed meanwhile."""
        db, handle = self.db, self.handle
        self.again = self.again or again
        # Where selects see uncommitted rows, lock first: then none of them is of this session.
        locked = db.backend.reads_uncommitted and touch_if_running(db, connection, handle)
        state = seals.read_state(db, connection, handle.session_no, self.model_id)
        if state is None or not seals.is_running(state, handle):
            if self.again and state is not None and state.row["ended_at"] == self.ended:
                return  # the interrupted commit had succeeded
            raise closed_reason(db, connection, handle)
        if state.row["model_id"] != self.model_id:
            self.model_id = state.row["model_id"]
            raise _ConcurrentChange("its model was renamed")
        if state.counts["score_parts"] and not self.attached:
            raise _AttachFirst
        without = {session_params.TABLE, *((part_inputs.TABLE,) if self.scored else ())}
        rows = self._rows(state)
        content = seals.read_content(db, connection, state, rows, self._is_dropped, without=without)
        # Sealed are the rows that follow from the session's own, whatever is in the table.
        param_rows = session_params.param_rows(db, state.row["params"])
        content |= seals.plain_content(db, session_params.TABLE, param_rows)
        complete = state.counts[session_params.TABLE] == len(param_rows)
        changes = self._changes("score_parts" in content)
        # Each write to the session changes its heartbeat.
        unchanged = {name: state.row[name] for name in ("heartbeat_at", "model_id")}
        if locked:
            unchanged = {}
        elif handle.attempt > 1 or not complete or _has_results(state):
            # Others may be writing: lock first, so that they wait and nothing deadlocks.
            self._fence(connection, {}, unchanged)
            unchanged = {}
        if handle.attempt > 1:
            drop_stale_parts(db, connection, handle)
        if self.scored and state.counts[part_inputs.TABLE]:
            part_inputs.drop(db, connection, handle)
        if self.legacy_part_inputs:
            part_inputs.drop_legacy(db, connection, handle)
        if not complete:  # a version without the table opened it
            session_params.replace(db, connection, handle.session_no, param_rows)
        write_rows(db, connection, handle, rows, self.again or self.replace)
        if self.ending.sealed:
            changes |= self._seal(connection, {**state.row, **changes}, state, content)
        # Last: triggers refuse writes to an ended session.
        self._fence(connection, changes, unchanged)
        if self.also is not None:
            self.also(connection)

    def _seal(
        self,
        connection: sa.Connection,
        row: Mapping[str, Any],
        state: seals.State,
        content: seals.Content,
    ) -> dict[str, Any]:
        """Add the session's seal to the chain; return the session's columns that hold it."""
        records = self.also is not None
        state = seals.hold_heads(
            self.db, connection, state, self.model_id, records=records, recheck=self.raced
        )
        row = {**row, "suspected_at": None}
        seal = seals.seal_row(self.db, state, row, content, self.now)
        self._link(connection, seal)
        return {"seal": seal["seal"], "previous_seal": state.seal}

    def _is_dropped(self, table: str, row: Mapping[str, Any]) -> bool:
        """Return whether this transaction deletes a stored row, which is then not sealed."""
        if table == "score_parts":  # written by an earlier attempt only
            return bool((row["kept_by"] or row["attempt"]) < self.handle.attempt)
        if table == gate_verdicts.TABLE and (rows := self.pending.get(table)):
            replaced = self.again or _replaces(self.replace, table)
            return bool(replaced and row["gate_no"] > _last_gate(rows))
        legacy = self.scored and part_inputs.is_legacy(table, row)
        self.legacy_part_inputs = self.legacy_part_inputs or legacy
        return legacy

    def _fence(
        self, connection: sa.Connection, changes: Mapping[str, Any], unchanged: Mapping[str, Any]
    ) -> None:
        if not touch_if_running(self.db, connection, self.handle, changes, unchanged):
            raise _ConcurrentChange("another process wrote to it")

    def _rows(self, state: seals.State) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return what this transaction inserts: the buffered rows, and that of a retry."""
        # A restored session has the rows that its seal covers.
        if self.handle.attempt == 1 or not self.ending.sealed:
            return self.pending
        attempt = attempts.of_session({**state.row, **self._outcome()})
        return {**self.pending, attempts.TABLE: [attempt]}

    def _outcome(self) -> dict[str, Any]:
        return {
            "status": self.ending.status,
            "ended_at": self.ended,
            "failure_kind": self.ending.failure_kind,
            "failure_text": self.ending.failure_text,
            **self.ending.row,
        }

    def _changes(self, has_scores: bool) -> dict[str, Any]:
        changes = {"heartbeat_at": self.ended, **self._outcome()}
        if self.ending.status == Status.SUCCEEDED and self.ending.publish:
            published = self.ending.published_at or self.ended
            changes["published_at"] = published if has_scores else None
        return changes

    def _link(self, connection: sa.Connection, seal: Mapping[str, Any]) -> None:
        try:
            connection.execute(self.db.schema.seals.insert(), dict(seal))
        except DBAPIError as exc:
            if issubclass(self.db.backend.classify(exc), IntegrityError):
                reason = f"other sessions of {seal['model_id']!r} were sealed meanwhile"
                raise _ConcurrentChange(reason) from exc
            raise


def _has_results(state: seals.State) -> bool:
    """Return whether a session has written more than its parameters, which its opening did."""
    return any(count for name, count in state.counts.items() if name != session_params.TABLE)


def last_numbers(db: Database, handle: SessionHandle) -> dict[str, int]:
    """Return the highest check, input and part number that the session has."""
    columns = {
        "check": db.schema.check_results.c.check_no,
        "input": db.schema.inputs.c.input_no,
        "part": db.schema.score_parts.c.part_no,
    }

    def highest(column: sa.Column[int]) -> sa.ScalarSelect[Any]:
        of_session = column.table.c.session_no == handle.session_no
        return sa.select(sa.func.max(column)).where(of_session).scalar_subquery()

    row = db.fetch_all(sa.select(*(highest(c).label(name) for name, c in columns.items())))[0]
    return {name: row[place] or 0 for place, name in enumerate(columns)}


def has_results(db: Database, handle: SessionHandle) -> bool:
    """Return whether the session has a metric or a model."""
    metrics, artifacts = db.schema.metrics.c.session_no, db.schema.artifacts.c.session_no
    selects = (
        sa.select(metrics).where(metrics == handle.session_no),
        sa.select(artifacts).where(artifacts == handle.session_no, is_model(db)),
    )
    return any(db.fetch_all(select.limit(1)) for select in selects)

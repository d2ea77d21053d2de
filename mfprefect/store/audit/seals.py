"""Sealing a session in the transaction that closes it.

The sealed content is what the database holds, read back, and the rows that this transaction
writes. The seal is the next link of the model's chain: an append-only row, whose number no other
session can take.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from mfprefect import audit
from mfprefect.schema import Schema
from mfprefect.store.audit import steps
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.held_rows import WITHOUT_LOCK, last_of_chain
from mfprefect.store.row_numbers import next_number
from mfprefect.store.states import Status

__all__ = [
    "State",
    "head",
    "hold_heads",
    "is_running",
    "plain_content",
    "read_content",
    "read_state",
    "seal_row",
    "sealed_tables",
    "summaries",
]

APART = ("artifact_chunks", "scores", "notifications")
"""Chunks and scores are sealed by their digests. The audit trail records notices."""
NOT_SEALED = ("seal", "previous_seal", "last_exported_at")
"""Columns of a session that depend on the chain, or change after the end."""

Pending = Mapping[str, Sequence[Mapping[str, Any]]]
Content = dict[str, Any]
"""The rows of each table: a list, or an iterator by key where they may not fit into memory."""


@dataclass(frozen=True)
class State:
    """A session and the ends of the chains, read by one statement."""

    row: dict[str, Any]
    """The session's row, by column key."""
    counts: dict[str, int]
    """The number of its rows in each table."""
    seal_no: int
    """The number of the model's last seal, 0 without one."""
    seal: str | None
    event_no: int
    """The number of the last audit event, 0 without one."""
    event: str | None
    """Its digest."""


def sealed_tables(schema: Schema) -> Iterator[tuple[str, sa.Table]]:
    """Yield name and table of each table whose rows are sealed one by one."""
    for name, table in schema.tables.items():
        if name not in APART and table in _session_tables(schema):
            yield name, table


@functools.lru_cache(maxsize=8)
def _session_tables(schema: Schema) -> frozenset[sa.Table]:
    return frozenset(schema.session_tables())


# Cached: building it takes longer than the database's answer.
@functools.lru_cache(maxsize=8)
def _select(schema: Schema) -> sa.Select[*tuple[Any, ...]]:
    s, last, event = schema.sessions, schema.seals.alias("last"), schema.audit_events.alias("event")
    number: Any = sa.bindparam("session_no")
    model_id: Any = sa.bindparam("model_id")
    counts = [
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.session_no == number)
        .scalar_subquery()
        .label(f"rows_of_{name}")
        for name, table in sealed_tables(schema)
    ]
    of_model = schema.seals.c.model_id == model_id
    seal_no = sa.select(sa.func.max(schema.seals.c.seal_no)).where(of_model).scalar_subquery()
    newest = (last.c.model_id == model_id, last.c.seal_no == seal_no)
    event_no = sa.select(sa.func.max(schema.audit_events.c.event_no)).scalar_subquery()
    heads = (
        seal_no,
        sa.select(last.c.seal).where(*newest).scalar_subquery(),
        event_no,
        sa.select(event.c.digest).where(event.c.event_no == event_no).scalar_subquery(),
    )
    ends = (column.label(f"head_{place}") for place, column in enumerate(heads))
    return sa.select(*s.c, *counts, *ends).where(s.c.session_no == number)


def read_state(
    db: Database, connection: sa.Connection, session_no: int, model_id: str = ""
) -> State | None:
    """Return the state of a session, None if it was deleted.

    `model_id` is the model whose chain's end is read.
    """
    schema = db.schema
    asked = {"session_no": session_no, "model_id": model_id}
    row = connection.execute(_select(schema), asked, execution_options=WITHOUT_LOCK).first()
    if row is None:
        return None
    columns = [column.key for column in schema.sessions.c]
    names = [name for name, _ in sealed_tables(schema)]
    session, counts = row[: len(columns)], row[len(columns) : -4]
    seal_no, seal, event_no, event = row[-4:]
    return State(
        dict(zip(columns, session, strict=True)),
        dict(zip(names, counts, strict=True)),
        seal_no or 0,
        seal,
        event_no or 0,
        event,
    )


def hold_heads(
    db: Database,
    connection: sa.Connection,
    state: State,
    model_id: str,
    *,
    records: bool,
    recheck: bool,
) -> State:
    """Return the state with ends of the chains that are committed.

    Does nothing where selects see committed rows only. Elsewhere, holds the end of the model's
    chain, to which the caller appends, and the end of the audit trail: for writing if the caller
    `records` an event, otherwise as others may, too. `recheck`: see `last_of_chain`.
    """
    if not db.backend.reads_uncommitted:
        return state
    c, e = db.schema.seals.c, db.schema.audit_events.c
    ends: list[Any] = [(0, None), None]
    if state.seal_no:
        of_model, seen = c.model_id == model_id, state.seal_no
        last = last_of_chain(
            db, connection, c.seal_no, c.seal, of_model, seen=seen, recheck=recheck
        )
        ends[0] = last or ends[0]
    if not records and state.event_no:
        this = sa.select(e.event_no, e.digest).where(e.event_no == state.event_no)
        ends[1] = connection.execute(this).first()
    if ends[1] is None:  # its transaction was rolled back
        ends[1] = last_of_chain(db, connection, e.event_no, e.digest) or (0, None)
    (seal_no, seal), (event_no, event) = ends
    return replace(state, seal_no=seal_no, seal=seal, event_no=event_no, event=event)


def read_content(
    db: Database,
    connection: sa.Connection,
    state: State,
    pending: Pending | None = None,
    goes: Callable[[str, Mapping[str, Any]], bool] | None = None,
    *,
    without: Collection[str] = (),
) -> Content:
    """Return the rows of a session by table: stored rows, overwritten by pending ones.

    Args:
        db: the database.
        connection: a transaction.
        state: the session. Tables without rows are not read.
        pending: rows that this transaction writes over those with the same keys.
        goes: whether this transaction deletes a stored row of a table.
        without: tables that this transaction empties.
    """
    content: Content = {}
    for name, table in sealed_tables(db.schema):
        if name in without:
            continue
        if (
            name == steps.TABLE
            and state.counts[name] > steps.PAGE
            and not (pending or {}).get(name)
        ):
            content[name] = steps.pages(connection, table, state.row["session_no"])
            continue
        rows = {}
        if state.counts[name]:
            of_session = sa.select(table).where(table.c.session_no == state.row["session_no"])
            for stored in connection.execute(of_session, execution_options=WITHOUT_LOCK):
                row = dict(zip(table.c.keys(), stored, strict=True))
                if goes is None or not goes(name, row):
                    rows[_key(table, row)] = _plain(table, row)
        for new in (pending or {}).get(name, ()):
            rows[_key(table, new)] = _plain(table, new)
        if rows:
            content[name] = list(rows.values())
    return content


def plain_content(db: Database, name: str, rows: Sequence[Mapping[str, Any]]) -> Content:
    """Return the content of rows of a table, none without rows."""
    table = db.schema.tables[name]
    return {name: [_plain(table, row) for row in rows]} if rows else {}


def _plain(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    plain = audit.plain_row(table, row)
    plain.pop("session_no", None)
    return plain


def _key(table: sa.Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.key] for column in table.primary_key if column.key != "session_no")


def summaries(
    db: Database, row: Mapping[str, Any], content: Content, *, index: bool = True
) -> dict[str, Any]:
    """Return the entries of a manifest by table, including the session's own row."""
    sealed = {name: value for name, value in row.items() if name not in NOT_SEALED}
    tables = {
        "sessions": audit.summary("sessions", (), [audit.plain_row(db.schema.sessions, sealed)])
    }
    for name, rows in content.items():
        key = [c.name for c in db.schema.tables[name].primary_key if c.name != "session_no"]
        few = isinstance(rows, list)
        tables[name] = audit.summary(name, key, rows, index=index, ordered=not few)
    return tables


def seal_row(
    db: Database, state: State, row: Mapping[str, Any], content: Content, now: dt.datetime
) -> dict[str, Any]:
    """Return the row of a session's seal: the next link of its model's chain.

    Args:
        db: the database.
        state: the session and the previous seal.
        row: the session's row as it will be.
        content: its tables' rows as they will be.
        now: the time of the seal.
    """
    same = {name: row[name] for name in ("model_id", "session_id", "session_no")}
    seal_no = next_number(state.seal_no, f"a seal of model {row['model_id']!r}")
    place = {"seal_no": seal_no, "sealed_at": now}
    manifest, seal = audit.seal_of(
        {
            "version": audit.SEAL_VERSION,
            **same,
            "attempt": row["attempt"],
            "seal_no": place["seal_no"],
            "sealed_at": now.isoformat(timespec="microseconds"),
            "previous_seal": state.seal,
            # Each seal covers the trail's end, so that cutting it off shows.
            "audit_event": state.event_no,
            "audit_digest": state.event,
            "tables": summaries(db, row, content),
        }
    )
    signed = db.keyring.sign("seal", seal)
    return {**same, **place, "manifest": manifest, "seal": seal, **signed._asdict()}


def head(db: Database, connection: sa.Connection, model_id: str) -> dict[str, Any]:
    """Return number and seal of the last link of a model's chain; empty without one."""
    c = db.schema.seals.c
    link = last_of_chain(db, connection, c.seal_no, c.seal, c.model_id == model_id)
    return {} if link is None else {"last_seal_no": link.seal_no, "last_seal": link.seal}


def is_running(state: State | None, handle: SessionHandle) -> bool:
    """Return whether a session runs in the attempt, and the process, of a handle."""
    if state is None:
        return False
    row = state.row
    attempt = (row["session_id"], row["attempt"], row["status"])
    held = handle.holder in (None, (row["host"], row["process_id"], row["process_key"]))
    return held and attempt == (handle.session_id, handle.attempt, Status.RUNNING)

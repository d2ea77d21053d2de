"""The life of a session in the database: opened, resumed, written to, closed, deleted."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mfprefect import values
from mfprefect.errors import IntegrityError, InvalidValue, SessionClosed, UnknownSession
from mfprefect.flow_context import FlowRun
from mfprefect.provenance import Environment, Provenance
from mfprefect.store.database import Database
from mfprefect.store.handle import (
    RUNNING,
    Handle,
    fence,
    find,
    handles,
    hold,
    require_session,
    why_closed,
)
from mfprefect.store.registry import record, require_model
from mfprefect.store.scores import drop_stale_parts

__all__ = [
    "PURPOSES",
    "STATUSES",
    "Ending",
    "Opening",
    "close_session",
    "delete_session",
    "flush",
    "last_numbers",
    "open_session",
]

PURPOSES = ("train", "score", "monitor", "adhoc")
STATUSES = ("running", "succeeded", "failed", "crashed", "cancelled")
SUCCEEDED = "succeeded"
DELETE_CHUNK = 500


@dataclass(frozen=True)
class Opening:
    """What is known of a run when its session opens."""

    model_id: str
    purpose: str
    params: str
    as_of: dt.date | None
    parent_session_id: str | None
    provenance: Provenance
    environment: Environment
    flow_run: FlowRun | None
    siblings: frozenset[str] = frozenset()
    """Sessions that this very try of the flow run opened: they are never resumed by it."""
    session_id: str = field(default="")


@dataclass(frozen=True)
class Ending:
    """How a session ends."""

    status: str
    failure_kind: str | None = None
    failure_text: str | None = None
    publish: bool = True


def new_session_id(model_id: str, now: dt.datetime) -> str:
    """Return `<model_id>-<UTC yyyymmdd-HHMMSS>-<6 random base32>`."""
    tail = base64.b32encode(secrets.token_bytes(5)).decode()[:6].lower()
    return f"{model_id}-{now:%Y%m%d-%H%M%S}-{tail}"


def open_session(db: Database, opening: Opening) -> Handle:
    """Write a new session's row, or resume the one that this flow run began.

    Raises:
        UnknownModel: the model is not registered.
        UnknownSession: there is no such parent.
    """
    fixed = new_session_id(opening.model_id, values.utc_now())

    def work(connection: sa.Connection, again: bool) -> Handle:
        if again and (found := find(db, connection, fixed)):
            return found  # the commit that was cut off had happened
        earlier = _resumable(db, connection, opening)
        if earlier is not None:
            return _resume(db, connection, earlier)
        return _insert(db, connection, opening, fixed)

    # Two that open at once read the same highest number; the loser takes the next one.
    return db.write(work, also_retry=IntegrityError)


def _insert(db: Database, connection: sa.Connection, opening: Opening, session_id: str) -> Handle:
    sessions, environments, models = (db.schema.sessions, db.schema.environments, db.schema.models)
    digest = opening.environment.digest
    parent = sessions.alias("parent")
    facts = connection.execute(
        sa.select(
            sa.select(sa.func.max(sessions.c.session_no)).scalar_subquery().label("last_no"),
            sa.select(models.c.model_id)
            .where(models.c.model_id == opening.model_id)
            .scalar_subquery()
            .label("model"),
            sa.select(environments.c.environment_digest)
            .where(environments.c.environment_digest == digest)
            .scalar_subquery()
            .label("environment"),
            sa.select(parent.c.session_no)
            .where(parent.c.session_id == opening.parent_session_id)
            .scalar_subquery()
            .label("parent_no"),
        )
    ).one()
    if facts.model is None:
        require_model(db, connection, opening.model_id)
    if opening.parent_session_id is not None and facts.parent_no is None:
        raise UnknownSession(opening.parent_session_id)
    if facts.environment is None:
        connection.execute(environments.insert(), _environment_row(opening.environment))
    row = _session_row(opening) | {
        "session_no": (facts.last_no or 0) + 1,
        "session_id": session_id,
        "parent_session_no": facts.parent_no,
        "flow_run_seq": _next_seq(db, connection, opening.flow_run),
    }
    connection.execute(sessions.insert(), row)
    return Handle(
        session_no=row["session_no"],
        session_id=session_id,
        model_id=opening.model_id,
        purpose=opening.purpose,
        attempt=1,
        as_of=opening.as_of,
        parent_session_id=opening.parent_session_id,
    )


def _environment_row(environment: Environment) -> dict[str, Any]:
    return {
        "environment_digest": environment.digest,
        "python_version": environment.python,
        "platform_name": environment.platform,
        "packages": environment.packages_json,
    }


def _session_row(opening: Opening) -> dict[str, Any]:
    seen, now, run = opening.provenance, values.utc_now(), opening.flow_run
    return {
        "model_id": opening.model_id,
        "purpose": opening.purpose,
        "status": RUNNING,
        "attempt": 1,
        "started_at": now,
        "heartbeat_at": now,
        "run_by": seen.run_by,
        "host": seen.host,
        "process_id": seen.process_id,
        "vcs": seen.vcs,
        "git_commit": seen.commit,
        "git_branch": seen.branch,
        "git_remote": seen.remote,
        "git_dirty": seen.dirty,
        "git_diff_digest": seen.diff_digest,
        "environment_digest": opening.environment.digest,
        "as_of": opening.as_of,
        "params": opening.params,
        "flow_run_id": run.flow_run_id if run else None,
        "deployment": run.deployment if run else None,
    }


def _next_seq(db: Database, connection: sa.Connection, run: FlowRun | None) -> int | None:
    if run is None:
        return None
    sessions = db.schema.sessions
    last = connection.scalar(
        sa.select(sa.func.max(sessions.c.flow_run_seq)).where(
            sessions.c.flow_run_id == run.flow_run_id
        )
    )
    return 0 if last is None else last + 1


def _resumable(db: Database, connection: sa.Connection, opening: Opening) -> Handle | None:
    """Return the session that an earlier try of the same flow run left unfinished."""
    if opening.flow_run is None:
        return None
    s = db.schema.sessions
    found = handles(
        db,
        connection,
        s.c.flow_run_id == opening.flow_run.flow_run_id,
        s.c.model_id == opening.model_id,
        s.c.purpose == opening.purpose,
        # A finished one is sealed: a further run of the same flow run is a session of its own.
        s.c.status != SUCCEEDED,
    )
    return next((h for h in found if h.session_id not in opening.siblings), None)


def _resume(db: Database, connection: sa.Connection, earlier: Handle) -> Handle:
    """Begin the next attempt: what the last one wrote goes, complete score parts stay."""
    sessions = db.schema.sessions
    now = values.utc_now()
    taken = connection.execute(
        sessions.update().where(
            sessions.c.session_no == earlier.session_no, sessions.c.attempt == earlier.attempt
        ),
        {
            "status": RUNNING,
            "attempt": earlier.attempt + 1,
            "heartbeat_at": now,
            "ended_at": None,
            "failure_kind": None,
            "failure_text": None,
        },
    )
    if taken.rowcount != 1:
        raise SessionClosed(earlier.session_id, "another attempt of its flow run took it over")
    keep = {db.schema.scores, db.schema.score_parts, db.schema.notifications}
    for table in db.schema.session_tables():
        if table not in keep:
            connection.execute(table.delete().where(table.c.session_no == earlier.session_no))
    return Handle(**(earlier.__dict__ | {"attempt": earlier.attempt + 1, "status": RUNNING}))


def flush(
    db: Database, handle: Handle, pending: Mapping[str, Sequence[Mapping[str, Any]]], replace: bool
) -> None:
    """Write buffered rows by table name, in one transaction with the heartbeat.

    With `replace`, rows of the same keys are deleted first: another process may have written them.
    """

    def work(connection: sa.Connection, again: bool) -> None:
        hold(db, connection, handle)
        write_rows(db, connection, handle, pending, replace or again)

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
) -> None:
    """Write what is buffered, end the session and publish its scores, in one transaction.

    Raises:
        SessionClosed: the session has ended already, or a later attempt took it over.
    """
    now = values.utc_now()
    parts = db.schema.score_parts
    has_scores = sa.exists().where(parts.c.session_no == handle.session_no)
    changes: dict[str, Any] = {
        "status": ending.status,
        "ended_at": now,
        "heartbeat_at": now,
        "failure_kind": ending.failure_kind,
        "failure_text": ending.failure_text,
    }
    if ending.status == SUCCEEDED and ending.publish:
        changes["published_at"] = sa.case((has_scores, sa.literal(now, _instant(db))), else_=None)

    def work(connection: sa.Connection, again: bool) -> None:
        if not fence(db, connection, handle, changes):
            if again and _ended_at(db, connection, handle) == now:
                return  # the commit that was cut off had happened
            raise why_closed(db, connection, handle)
        if handle.attempt > 1:
            drop_stale_parts(db, connection, handle)
        write_rows(db, connection, handle, pending, replace or again)

    db.write(work)


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


def refuse_running(db: Database, connection: sa.Connection, where: Any) -> None:
    """Refuse to delete what is still being written."""
    s = db.schema.sessions
    running = connection.scalars(sa.select(s.c.session_id).where(where, s.c.status == RUNNING))
    if names := list(running):
        raise InvalidValue(
            f"session {names[0]!r} is running; end it first, for example with "
            f"`mfprefect session close {names[0]} --status cancelled`."
        )


def delete_session(db: Database, session_id: str) -> None:
    """Delete a session and everything it produced.

    Raises:
        UnknownSession: there is no such session.
        InvalidValue: it is running, a scoring session used its model, or it was promoted.
    """
    schema = db.schema

    def work(connection: sa.Connection, _: bool) -> None:
        handle = require_session(db, connection, session_id)
        refuse_running(db, connection, schema.sessions.c.session_id == session_id)
        stages = schema.model_stages
        if connection.scalar(
            sa.select(sa.func.count()).where(stages.c.session_no == handle.session_no)
        ):
            raise InvalidValue(
                f"session {session_id!r} is on record as a stage of {handle.model_id!r}; "
                "it goes only with the model, by store.delete_model."
            )
        remove_sessions(db, connection, [handle.session_no])
        record(
            db, connection, "delete_session", session_id, model=handle.model_id, was=handle.status
        )

    db.write(work, also_retry=IntegrityError)


def remove_sessions(db: Database, connection: sa.Connection, numbers: Iterable[int]) -> None:
    """Delete sessions with all they produced, refusing where others build on them."""
    s = db.schema.sessions
    numbers = sorted(set(numbers))
    for start in range(0, len(numbers), DELETE_CHUNK):
        some = numbers[start : start + DELETE_CHUNK]
        users = connection.execute(
            sa.select(s.c.session_no, s.c.session_id).where(s.c.parent_session_no.in_(some))
        )
        names = [user.session_id for user in users if user.session_no not in numbers]
        if names:
            raise InvalidValue(
                f"session {names[0]!r} used the model of a session to be deleted, and would "
                "lose its origin; delete that one first."
            )
    for start in range(0, len(numbers), DELETE_CHUNK):
        some = numbers[start : start + DELETE_CHUNK]
        for table in (*db.schema.session_tables(), db.schema.sessions):
            connection.execute(table.delete().where(table.c.session_no.in_(some)))
    unused = ~sa.exists().where(
        s.c.environment_digest == db.schema.environments.c.environment_digest
    )
    connection.execute(db.schema.environments.delete().where(unused))

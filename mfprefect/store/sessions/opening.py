"""Opening a session, or resuming the one that an earlier attempt of the flow run began."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.backend import NO_LOCK_OPTION, Backend
from mfprefect.errors import IntegrityError, SessionClosed, UnknownSession
from mfprefect.provenance import Environment
from mfprefect.provenance.flow_run import FlowRun, completed_before
from mfprefect.store import session_params as params
from mfprefect.store.audit import orphans
from mfprefect.store.database import Database
from mfprefect.store.handle import (
    SessionHandle,
    find,
    heartbeat_bounds,
    null_flow_run_seq,
    outside_heartbeats,
    status_without_index,
)
from mfprefect.store.held_rows import delete_of_sessions, is_committed
from mfprefect.store.lookup import require_model
from mfprefect.store.row_numbers import next_number, next_session_no
from mfprefect.store.sessions import attempts, earlier
from mfprefect.store.sessions.earlier import Completed, Earlier
from mfprefect.store.sessions.environments import add_environment
from mfprefect.store.sessions.request import SessionRequest
from mfprefect.store.states import LEGACY_PART_INPUTS, Status, being_deleted
from mfprefect.util import values

__all__ = [
    "SessionRequest",
    "clear_attempt",
    "earlier_attempts",
    "new_session_id",
    "open_session",
    "to_document",
]

OVERTAKEN = "another worker that executes the same flow run took it over, or finished it"


def new_session_id(model_id: str, now: dt.datetime) -> str:
    """Return `<model_id>-<UTC yyyymmdd-HHMMSS>-<6 random base32>`."""
    tail = base64.b32encode(secrets.token_bytes(5)).decode()[:6].lower()
    return f"{model_id}-{now:%Y%m%d-%H%M%S}-{tail}"


def earlier_attempts(db: Database, opening: SessionRequest) -> list[Earlier]:
    """Return the sessions of earlier attempts of the same flow run, oldest first."""
    if opening.flow_run is None:
        return []
    return db.read_transaction(lambda connection: earlier.read(db, connection, opening))


def open_session(
    db: Database,
    opening: SessionRequest,
    looked: Sequence[Earlier] | None = None,
    *,
    on_silence: Callable[[], None] | None = None,
    completed: Completed = completed_before,
    also: Callable[[sa.Connection], None] | None = None,
) -> SessionHandle:
    """Insert a new session, or resume the one that this flow run began.

    Args:
        db: the database.
        opening: the run and its session.
        looked: its `earlier_attempts`; by default they are read.
        on_silence: called when other sessions missed heartbeats, or may have. Finding out costs
            no extra statement.
        completed: tells what Prefect has as completed.
        also: called last in the transaction that inserts a new session.

    Raises:
        UnknownModel: the model is not registered.
        UnknownSession: the parent does not exist.
        SessionClosed: the session succeeded in an earlier attempt of the flow run (`done`), or
            another worker runs the same flow run, and was faster.
    """
    fixed = opening.session_id or new_session_id(opening.model_id, values.utc_now())
    # Before the transaction: what finishes while it waits for another worker's commit is done.
    looked = earlier_attempts(db, opening) if looked is None else looked
    passed_over = earlier.repeatable(opening, looked, completed)

    def work(connection: sa.Connection, again: bool) -> tuple[SessionHandle, bool]:
        if again and (handle := find(db, connection, fixed)):
            return handle, True  # the interrupted commit had succeeded
        # First of all: if two attempts see no session, one of them then finds its number taken.
        seq = _next_seq(db, connection, opening.flow_run)
        session = earlier.choose(earlier.read(db, connection, opening), passed_over)
        if session is not None:
            return _resume(db, connection, session, opening), True
        inserted = _insert(db, connection, opening, fixed, seq)
        if also is not None:
            also(connection)
        return inserted

    # Concurrent openings read the same highest number; all but one retry with the next.
    handle, silence = db.write_transaction(work, also_retry=IntegrityError)
    if silence and on_silence is not None:
        on_silence()
    return handle


def _insert(
    db: Database,
    connection: sa.Connection,
    opening: SessionRequest,
    session_id: str,
    seq: int | None,
) -> tuple[SessionHandle, bool]:
    """Insert a new session; return its handle, and whether others missed heartbeats."""
    sessions, environments = db.schema.sessions, db.schema.environments
    digest = opening.environment.digest
    earliest, latest = heartbeat_bounds(db)
    facts = connection.execute(
        _facts(db.backend),
        {
            "model": opening.model_id,
            "environment": digest,
            "parent": opening.parent_session_id,
            "earliest": earliest,
            "latest": latest,
        },
        # No lock on all sessions: the insert fails if the number was taken meanwhile. Nor on an
        # environment that others, too, may find missing.
        execution_options={
            NO_LOCK_OPTION: (sessions, environments, *orphans.unguarded(db.backend).values())
        },
    ).one()
    if facts.model is None:
        require_model(db, connection, opening.model_id)
    # Before the environment, as who deletes a session locks them.
    if opening.parent_session_id is not None and (
        facts.parent_no is None
        or not is_committed(db, connection, sessions.c.session_id, opening.parent_session_id)
    ):
        raise UnknownSession(opening.parent_session_id)
    stored = environments.c.environment_digest
    if facts.environment is None or not is_committed(db, connection, stored, digest):
        connection.execute(environments.insert(), _environment_row(opening.environment))
    number = next_session_no(db, connection, facts.last_no)
    row = _session_row(opening) | {
        "session_no": number,
        "session_id": session_id,
        "parent_session_no": facts.parent_no,
        "flow_run_seq": seq if opening.flow_run else null_flow_run_seq(db, number),
    }
    connection.execute(sessions.insert(), row)
    handle = SessionHandle(
        session_no=row["session_no"],
        session_id=session_id,
        model_id=opening.model_id,
        purpose=opening.purpose,
        attempt=1,
        as_of=opening.as_of,
        parent_session_id=opening.parent_session_id,
    )
    # A number below the highest is one that the statement above did not look at.
    if facts.ahead is not None or number <= (facts.last_no or 0):
        orphans.remove_orphans(db, connection, handle)
    params.insert(db, connection, number, opening.params)
    return handle, bool(facts.silent)


# Cached, because SQLAlchemy takes longer to build it than a database to answer it.
@functools.lru_cache(maxsize=8)
def _facts(backend: Backend) -> sa.Select[*tuple[Any, ...]]:
    """Return the select of what an opening needs to know, with parameters for the request."""
    sessions, environments = backend.schema.sessions, backend.schema.environments
    models, parent = backend.schema.models, sessions.alias("parent")
    newest = orphans.newest_session(backend)
    return sa.select(
        newest.c.last_no,
        sa.select(models.c.model_id)
        .where(models.c.model_id == sa.bindparam("model"))
        .scalar_subquery()
        .label("model"),
        sa.select(environments.c.environment_digest)
        .where(environments.c.environment_digest == sa.bindparam("environment"))
        .scalar_subquery()
        .label("environment"),
        sa.select(parent.c.session_no)
        .where(parent.c.session_id == sa.bindparam("parent"), ~being_deleted(parent))
        .scalar_subquery()
        .label("parent_no"),
        sa.select(sa.func.count())
        .select_from(sessions)
        .where(*outside_heartbeats(sessions, sa.bindparam("earliest"), sa.bindparam("latest")))
        .scalar_subquery()
        .label("silent"),
        orphans.orphans_ahead(backend).label("ahead"),
    )


def to_document(opening: SessionRequest, session_id: str, attempt: int) -> dict[str, Any]:
    """Return what the spool stores of a request: enough for another process to insert it."""
    row = _session_row(opening) | {"session_id": session_id, "attempt": attempt}
    return {"session": row, "environment": _environment_row(opening.environment)}


def _environment_row(environment: Environment) -> dict[str, Any]:
    return {
        "environment_digest": environment.digest,
        "python_version": environment.python,
        "platform_name": environment.platform,
        "packages": environment.packages_json,
    }


def _session_row(opening: SessionRequest) -> dict[str, Any]:
    seen, now, run = opening.provenance, values.utc_now(), opening.flow_run
    return {
        "model_id": opening.model_id,
        "purpose": opening.purpose,
        "status": Status.RUNNING,
        "attempt": 1,
        "started_at": now,
        "attempt_started_at": now,
        "heartbeat_at": now,
        "run_by": seen.run_by,
        "host": seen.host,
        "process_id": seen.process_id,
        "process_key": seen.process_key,
        "vcs": seen.vcs,
        "git_commit": seen.commit,
        "git_branch": seen.branch,
        "git_remote": seen.remote,
        "git_dirty": seen.dirty,
        "git_diff_digest": seen.diff_digest,
        "git_author": seen.author,
        "environment_digest": opening.environment.digest,
        "as_of": opening.as_of,
        "params": opening.params,
        "tags": opening.tags,
        "flow_run_id": run.flow_run_id if run else None,
        "deployment": run.deployment if run else None,
    }


def _next_seq(db: Database, connection: sa.Connection, run: FlowRun | None) -> int | None:
    if run is None:
        return None
    sessions = db.schema.sessions
    last: int | None = connection.scalar(
        sa.select(sa.func.max(sessions.c.flow_run_seq)).where(
            sessions.c.flow_run_id == run.flow_run_id
        ),
        execution_options={NO_LOCK_OPTION: True},  # a unique index decides
    )
    return 0 if last is None else next_number(last, f"a session of flow run {run.flow_run_id!r}")


def clear_attempt(db: Database, connection: sa.Connection, session_no: int) -> None:
    """Delete what the last attempt wrote, except complete score parts and what they read."""
    schema = db.schema
    keep = {schema.scores, schema.score_parts, schema.part_inputs, schema.notifications}
    keep.add(schema.session_attempts)
    for table in schema.session_tables():
        if table is schema.session_metadata:
            others = table.c.meta_group != LEGACY_PART_INPUTS
            connection.execute(table.delete().where(table.c.session_no == session_no, others))
        elif table not in keep:
            delete_of_sessions(db, connection, table, [session_no])


def _params(
    connection: sa.Connection, sessions: sa.Table, earlier: SessionHandle, opening: SessionRequest
) -> dict[str, str]:
    """Return the parameters to set for a new attempt, without those that the last one logged."""
    same = sessions.c.session_no == earlier.session_no
    stored = connection.scalar(
        sa.select(sessions.c.params).where(same), execution_options={NO_LOCK_OPTION: True}
    )
    return {} if stored == opening.params else {"params": opening.params}


def _resume(
    db: Database, connection: sa.Connection, handle: SessionHandle, opening: SessionRequest
) -> SessionHandle:
    """Begin the next attempt: delete the rows of the last one, keep complete score parts."""
    sessions, run = db.schema.sessions, _session_row(opening)
    number = handle.session_no
    attempt = next_number(handle.attempt, f"an attempt of session {handle.session_id!r}")
    same = (
        sessions.c.session_no == number,
        sessions.c.attempt == handle.attempt,
        # It may have succeeded meanwhile: its worker seemed dead, and was alive.
        status_without_index(sessions) != Status.SUCCEEDED,
    )
    # Lock it: what its last attempt was must not change any more.
    lock = sessions.update().where(*same).values(heartbeat_at=sessions.c.heartbeat_at)
    if connection.execute(lock).rowcount != 1:
        raise SessionClosed(handle.session_id, OVERTAKEN)
    last = attempts.before_next(db, connection, number, run["started_at"])
    add_environment(db, connection, _environment_row(opening.environment))
    changes = {
        "status": Status.RUNNING,
        "attempt": attempt,
        **attempts.begun(run),
        "heartbeat_at": run["heartbeat_at"],
        "suspected_at": None,
        "ended_at": None,
        "failure_kind": None,
        "failure_text": None,
        # The chain keeps the seal of the failed attempt.
        "seal": None,
        "previous_seal": None,
        **_params(connection, sessions, handle, opening),
    }
    connection.execute(sessions.update().where(*same), changes)
    if last:
        connection.execute(db.schema.session_attempts.insert(), last)
    clear_attempt(db, connection, number)
    params.insert(db, connection, number, opening.params)
    return SessionHandle(**(handle.__dict__ | {"attempt": attempt, "status": Status.RUNNING}))

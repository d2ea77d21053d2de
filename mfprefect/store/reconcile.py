"""Ending sessions whose process is gone, and no others.

A killed process cannot end its session. The next process that looks ends it, on evidence:

* its process no longer runs, as a process of the same machine and container sees;
* if a Prefect server knows its flow run: the run has ended;
* else: no heartbeat for `heartbeat_timeout`. For the second half of that time the session must have
  been watched, that is *suspected* while the database was up, and sent no heartbeat. If the last
  heartbeat is in the future, because a clock was set back, it is watched for the whole time.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mfprefect.errors import DatabaseConflict
from mfprefect.provenance import flow_run
from mfprefect.provenance.flow_run import TERMINAL, States
from mfprefect.store.database import Database
from mfprefect.store.handle import heartbeat_bounds, outside_heartbeats, status_without_index
from mfprefect.store.notifications import send
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.states import DETACHED, Status
from mfprefect.util import processes, values
from mfprefect.vocabulary import CRASHED, FLOW_RUN_CANCELLED

__all__ = ["ReconcileResult", "end_flow_run", "find_crashed", "reconcile"]

log = logging.getLogger(__name__)


PATIENCE = 2.0
"""Seconds to wait for a transaction that writes to a session: one that was killed is rolled back in
that time; a machine that stopped keeps its locks, and must not keep other sessions from opening."""
LOCK_PAUSE = 0.05


class _BeingWritten(Exception):
    """A transaction that writes to the session has not committed yet."""


@dataclass(frozen=True)
class ReconcileResult:
    """A session that missed heartbeats, and the verdict on it."""

    session_no: int
    session_id: str
    model_id: str
    verdict: str
    """`crashed`, `cancelled`, or `watched`: it may be alive."""
    evidence: str


@dataclass(frozen=True)
class _Suspect:
    """A running session that missed a heartbeat."""

    session_no: int
    session_id: str
    model_id: str
    attempt: int
    heartbeat_at: dt.datetime
    suspected_at: dt.datetime | None
    host: str
    process_id: int
    process_key: str | None
    flow_run_id: str | None

    @property
    def last_sign(self) -> str:
        return f"its last sign of life was at {self.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC"


def reconcile(
    db: Database, *, wait: bool = False, states: States = flow_run.flow_run_states
) -> list[ReconcileResult]:
    """End sessions whose process is gone, as `crashed` or `cancelled`; return the verdicts.

    Args:
        db: the database.
        wait: watch the doubtful sessions until they are known to be dead or alive, for at most
            `heartbeat_timeout`; without it, the next caller continues to watch them.
        states: returns the states of flow runs by id.
    """
    ended: list[ReconcileResult] = []
    deadline = time.monotonic() + db.settings.dead_after
    while True:
        results = find_crashed(db, states=states)
        ended += [result for result in results if result.verdict != "watched"]
        watched = [result for result in results if result.verdict == "watched"]
        if not (wait and watched) or time.monotonic() > deadline:
            return ended + watched
        time.sleep(min(db.settings.heartbeat_seconds / 2, db.settings.dead_after / 20))


def find_crashed(
    db: Database, *, flow_run_id: str | None = None, states: States = flow_run.flow_run_states
) -> list[ReconcileResult]:
    """Look once, at all sessions, or at those of one flow run that has ended."""
    suspects = _suspects(db, flow_run_id)
    if not suspects:
        return []
    run_states = _run_states(suspects, states)
    results = []
    for session in suspects:
        outcome = _judge(db, session, run_states)
        if outcome is None:
            continue
        if _write(db, session, outcome):
            results.append(_result(session, outcome))
            send.session_ended(db, session.session_no)
    return results


def end_flow_run(db: Database, flow_run_id: str, state: str) -> None:
    """End the sessions that a flow run left open; `state` is the run's final state in Prefect."""
    find_crashed(db, flow_run_id=flow_run_id, states=lambda _: {flow_run_id: state})
    # A failed attempt sends no notification while a retry is expected; now there is no retry.
    s = db.schema.sessions.c
    failed = sa.select(s.session_no).where(s.flow_run_id == flow_run_id, s.status == Status.FAILED)
    for (number,) in db.fetch_all(failed) if db.settings.notify else ():
        send.session_ended(db, number)


def _result(session: _Suspect, outcome: Outcome) -> ReconcileResult:
    if outcome.status == Status.RUNNING:
        verdict, evidence = "watched", session.last_sign
    else:
        verdict, evidence = outcome.status, outcome.failure_text or ""
        log.warning("session %s: %s, %s", session.session_id, verdict, evidence)
    return ReconcileResult(
        session.session_no, session.session_id, session.model_id, verdict, evidence
    )


def _suspects(db: Database, flow_run_id: str | None) -> list[_Suspect]:
    s = db.schema.sessions.c
    columns = [s[name] for name in _Suspect.__dataclass_fields__]
    select = sa.select(*columns).order_by(s.session_no)
    if flow_run_id is not None:
        select = select.where(s.status == Status.RUNNING, s.flow_run_id == flow_run_id)
    else:
        select = select.where(*outside_heartbeats(db.schema.sessions, *heartbeat_bounds(db)))
    return [_Suspect(**row._mapping) for row in db.fetch_all(select)]


def _run_states(suspects: list[_Suspect], states: States) -> Mapping[str, str] | None:
    """Ask Prefect for the flow runs, except of sessions that are alive on this machine."""
    ids = {x.flow_run_id for x in suspects if x.flow_run_id and _find_process(x) != "same"}
    return states(ids) if ids else {}


def _find_process(session: _Suspect) -> processes.Found | None:
    """Return whether the session's process still runs, None if this one cannot see it."""
    if session.process_id == DETACHED:
        return None
    process = processes.Process(session.host, session.process_id, session.process_key)
    return processes.find(process, session.heartbeat_at)


def _judge(db: Database, session: _Suspect, states: Mapping[str, str] | None) -> Outcome | None:
    """Return how a session ended, `running` if it must be watched, None if it is alive."""
    settings = db.settings
    if session.process_id == DETACHED:
        return _by_silence(session, settings.detached_timeout)
    process = _find_process(session)
    if process == "same":
        return None
    state = (states or {}).get(session.flow_run_id or "")
    # The state comes first: it distinguishes a cancelled run from a crashed one.
    if outcome := _by_state(session, state):
        return outcome
    if process == "gone":
        where = f"{session.process_id} on {session.host}"
        return _crashed(f"its process {where} is gone; {session.last_sign}")
    # A run that Prefect calls running may be dead, but also just slow; and while Prefect cannot be
    # reached, nobody knows. Both get more time.
    patient = session.flow_run_id is not None and (state is not None or states is None)
    return _by_silence(
        session, settings.detached_timeout if patient else settings.dead_after, watch=True
    )


def _by_state(session: _Suspect, state: str | None) -> Outcome | None:
    if state not in TERMINAL:
        return None
    text = f"Prefect ended its flow run as {state}; {session.last_sign}"
    if state == "CANCELLED":
        return Outcome(Status.CANCELLED, FLOW_RUN_CANCELLED, text)
    return _crashed(text)


def _crashed(text: str) -> Outcome:
    return Outcome(Status.CRASHED, CRASHED, text)


def _by_silence(session: _Suspect, seconds: float, *, watch: bool = False) -> Outcome | None:
    """Judge by missing heartbeats alone.

    With `watch`, only after watching for half the time: after an outage of the database, a living
    session must get the chance to send a heartbeat.
    """
    now, limit = values.utc_now(), dt.timedelta(seconds=seconds)
    silent_for = now - session.heartbeat_at
    if session.heartbeat_at > now:  # clock skew: its age is unknown, so watch for the whole time
        return _by_suspicion(session.suspected_at, now, limit)
    if watch and session.suspected_at is None:
        return Outcome(Status.RUNNING) if silent_for >= limit / 2 else None
    watched = not watch or (session.suspected_at and now - session.suspected_at >= limit / 2)
    if silent_for >= limit and watched:
        return _crashed(f"no sign of life for {silent_for.total_seconds():.0f} s")
    return Outcome(Status.RUNNING) if watch else None


def _by_suspicion(
    suspected_at: dt.datetime | None, now: dt.datetime, limit: dt.timedelta
) -> Outcome:
    if suspected_at is None or suspected_at > now or now - suspected_at < limit:
        return Outcome(Status.RUNNING)
    return _crashed(f"no sign of life for {(now - suspected_at).total_seconds():.0f} s")


def _write(db: Database, session: _Suspect, outcome: Outcome) -> bool:
    """Write a verdict; return False if somebody wrote to the session meanwhile, or is about to."""
    s, now = db.schema.sessions, values.utc_now()
    unchanged = (
        s.c.session_no == session.session_no,
        s.c.session_id == session.session_id,
        s.c.attempt == session.attempt,
        status_without_index(s) == Status.RUNNING,
        s.c.heartbeat_at == session.heartbeat_at,
    )
    if outcome.status != Status.RUNNING:
        changes = {
            "status": outcome.status,
            "ended_at": now,
            "failure_kind": outcome.failure_kind,
            "failure_text": outcome.failure_text,
        }
    elif session.suspected_at is None or session.suspected_at > now:
        changes = {"suspected_at": now}
    else:
        return True

    def work(connection: sa.Connection, _: bool) -> bool:
        try:
            if db.backend.locks_without_waiting:
                select = sa.select(s.c.session_no).where(*unchanged)
                connection.execute(select.with_for_update(nowait=True, key_share=True))
            return connection.execute(s.update().where(*unchanged), changes).rowcount == 1
        except DBAPIError as exc:
            if issubclass(db.backend.classify(exc), DatabaseConflict):
                raise _BeingWritten from exc
            raise

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return db.write_transaction(work)
        except _BeingWritten:
            if time.monotonic() > deadline:
                return False
        time.sleep(LOCK_PAUSE)

"""Ending the sessions whose process is gone, and no other ones.

A process that was killed cannot end its session. Whoever looks next does, on evidence:

* on the session's own machine, whether its process is still there;
* the state of its flow run, where a Prefect server knows it;
* else, that no sign of life came for `heartbeat_timeout`, during the second half of which the
  session was watched: it was *suspected* while the database was up, and did not answer. Where the
  last sign lies in the future, because a clock was set back, it is watched for all of that time.
"""

from __future__ import annotations

import datetime as dt
import logging
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from mfprefect.provenance import flow_run
from mfprefect.provenance.flow_run import TERMINAL, States
from mfprefect.store.database import Database
from mfprefect.store.handle import missed_heartbeat, status_without_index
from mfprefect.store.notifications import send
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.states import DETACHED, Status
from mfprefect.util import processes, values

__all__ = ["ReconcileResult", "end_flow_run", "find_crashed", "reconcile"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReconcileResult:
    """A session without signs of life, and what was made of it."""

    session_no: int
    session_id: str
    model_id: str
    verdict: str
    """`crashed`, `cancelled`, or `watched`: it may be alive."""
    evidence: str


@dataclass(frozen=True)
class _Silent:
    """A running session that missed a heartbeat."""

    session_no: int
    session_id: str
    model_id: str
    attempt: int
    heartbeat_at: dt.datetime
    suspected_at: dt.datetime | None
    host: str
    process_id: int
    flow_run_id: str | None

    @property
    def last_sign(self) -> str:
        return f"its last sign of life was at {self.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC"


def reconcile(
    db: Database, *, wait: bool = False, states: States = flow_run.flow_run_states
) -> list[ReconcileResult]:
    """End sessions whose process is gone, as `crashed` or `cancelled`; return what was found.

    Args:
        db: the database.
        wait: whether to watch those that may be dead until that is certain, at most
            `heartbeat_timeout`; else the next caller goes on watching.
        states: what to ask for the states of flow runs.
    """
    ended: list[ReconcileResult] = []
    until = time.monotonic() + db.settings.dead_after
    while True:
        found = find_crashed(db, states=states)
        ended += [finding for finding in found if finding.verdict != "watched"]
        watched = [finding for finding in found if finding.verdict == "watched"]
        if not (wait and watched) or time.monotonic() > until:
            return ended + watched
        time.sleep(min(db.settings.heartbeat_seconds / 2, db.settings.dead_after / 20))


def find_crashed(
    db: Database, *, flow_run_id: str | None = None, states: States = flow_run.flow_run_states
) -> list[ReconcileResult]:
    """Look once, at all sessions or those of one flow run that is known to have ended."""
    silent = _silent(db, flow_run_id)
    if not silent:
        return []
    known = _asked(silent, states)
    found = []
    for session in silent:
        ending = _judge(db, session, known)
        if ending is None:
            continue
        if _write(db, session, ending):
            found.append(_finding(session, ending))
            send.session_ended(db, session.session_no)
    return found


def end_flow_run(db: Database, flow_run_id: str, state: str) -> None:
    """End the sessions that a flow run left open, told how Prefect ended it."""
    find_crashed(db, flow_run_id=flow_run_id, states=lambda _: {flow_run_id: state})
    # A try that failed was not told while a retry was to come; now none comes.
    s = db.schema.sessions.c
    failed = sa.select(s.session_no).where(s.flow_run_id == flow_run_id, s.status == Status.FAILED)
    for (number,) in db.fetch_all(failed) if db.settings.notify else ():
        send.session_ended(db, number)


def _finding(session: _Silent, ending: Outcome) -> ReconcileResult:
    if ending.status == Status.RUNNING:
        verdict, evidence = "watched", session.last_sign
    else:
        verdict, evidence = ending.status, ending.failure_text or ""
        log.warning("session %s: %s, %s", session.session_id, verdict, evidence)
    return ReconcileResult(
        session.session_no, session.session_id, session.model_id, verdict, evidence
    )


def _silent(db: Database, flow_run_id: str | None) -> list[_Silent]:
    s = db.schema.sessions.c
    columns = [s[name] for name in _Silent.__dataclass_fields__]
    select = sa.select(*columns).order_by(s.session_no)
    if flow_run_id is not None:
        select = select.where(s.status == Status.RUNNING, s.flow_run_id == flow_run_id)
    else:
        select = select.where(*missed_heartbeat(db))
    return [_Silent(**row._mapping) for row in db.fetch_all(select)]


def _asked(silent: list[_Silent], states: States) -> Mapping[str, str] | None:
    """Ask Prefect, but not for what is seen to be alive on this machine."""
    ids = {x.flow_run_id for x in silent if x.flow_run_id and _look(x) != "same"}
    return states(ids) if ids else {}


def _look(session: _Silent) -> processes.Found | None:
    """Return what this machine knows of the session's process, None on any other machine."""
    if session.process_id == DETACHED or session.host != platform.node():
        return None
    return processes.find_process(session.process_id, session.heartbeat_at)


def _judge(db: Database, session: _Silent, states: Mapping[str, str] | None) -> Outcome | None:
    """Return how a session ended, `running` if it is to be watched, None if it is alive."""
    settings = db.settings
    if session.process_id == DETACHED:
        return _silence(session, settings.detached_timeout)
    seen = _look(session)
    if seen == "same":
        return None
    state = (states or {}).get(session.flow_run_id or "")
    # How its flow run ended tells a cancelled one from a crashed one.
    if told := _by_state(session, state):
        return told
    if seen == "gone":
        where = f"{session.process_id} on {session.host}"
        return _crashed(f"its process {where} is gone; {session.last_sign}")
    # Prefect's word that it runs is no proof, but a run that is merely slow must not be ended;
    # nor one of which Prefect cannot be asked right now.
    patient = session.flow_run_id is not None and (state is not None or states is None)
    return _silence(
        session, settings.detached_timeout if patient else settings.dead_after, watch=True
    )


def _by_state(session: _Silent, state: str | None) -> Outcome | None:
    if state not in TERMINAL:
        return None
    text = f"Prefect ended its flow run as {state}; {session.last_sign}"
    return Outcome(Status.CANCELLED, "Cancelled", text) if state == "CANCELLED" else _crashed(text)


def _crashed(text: str) -> Outcome:
    return Outcome(Status.CRASHED, "Crashed", text)


def _silence(session: _Silent, seconds: float, *, watch: bool = False) -> Outcome | None:
    """Judge by silence alone; whom the database kept from beating must have had time to."""
    now, limit = values.utc_now(), dt.timedelta(seconds=seconds)
    silent_for = now - session.heartbeat_at
    if session.heartbeat_at > now:  # which tells nothing of its age: only watching does
        return _silence_since(session.suspected_at, now, limit)
    if watch and session.suspected_at is None:
        return Outcome(Status.RUNNING) if silent_for >= limit / 2 else None
    watched = not watch or (session.suspected_at and now - session.suspected_at >= limit / 2)
    if silent_for >= limit and watched:
        return _crashed(f"no sign of life for {silent_for.total_seconds():.0f} s")
    return Outcome(Status.RUNNING) if watch else None


def _silence_since(
    suspected_at: dt.datetime | None, now: dt.datetime, limit: dt.timedelta
) -> Outcome:
    if suspected_at is None or suspected_at > now or now - suspected_at < limit:
        return Outcome(Status.RUNNING)
    return _crashed(f"no sign of life for {(now - suspected_at).total_seconds():.0f} s")


def _write(db: Database, session: _Silent, ending: Outcome) -> bool:
    """Write a verdict, unless the session gave a sign of life meanwhile."""
    s, now = db.schema.sessions, values.utc_now()
    same = (
        s.c.session_no == session.session_no,
        s.c.session_id == session.session_id,
        s.c.attempt == session.attempt,
        status_without_index(s) == Status.RUNNING,
        s.c.heartbeat_at == session.heartbeat_at,
    )
    if ending.status != Status.RUNNING:
        changes = {
            "status": ending.status,
            "ended_at": now,
            "failure_kind": ending.failure_kind,
            "failure_text": ending.failure_text,
        }
    elif session.suspected_at is None or session.suspected_at > now:
        changes = {"suspected_at": now}
    else:
        return True

    def work(connection: sa.Connection, _: bool) -> bool:
        return connection.execute(s.update().where(*same), changes).rowcount == 1

    return db.write_transaction(work)

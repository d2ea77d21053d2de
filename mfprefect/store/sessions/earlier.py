"""What earlier attempts of a flow run left of the session that one of its attempts opens.

A flow run is one session: an attempt resumes what failed, and does not repeat what succeeded. It
may open further sessions: those that Prefect has as completed, and those of the same attempt, are
no obstacle. Several of one model and purpose are told apart by parameters and date, then by order.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mfprefect.backend import NO_LOCK_OPTION
from mfprefect.errors import SessionClosed
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, handles
from mfprefect.store.sessions.request import SessionRequest
from mfprefect.store.states import SPOOLED, Status, is_shadow

__all__ = ["Completed", "Earlier", "alike", "choose", "read", "repeatable"]

Completed = Callable[[FlowRun], dt.datetime | None]
"""Returns an instant after which the execution of a flow run began that Prefect has not completed;
None if it never had the flow run as completed."""

DONE = (
    "it succeeded in an earlier attempt of this flow run, and the block would run again. Catch "
    "SessionClosed to continue with its session_id, or start a new flow run to repeat the work"
)


@dataclass(frozen=True)
class Earlier:
    """A session of the same flow run, model and purpose, which this attempt did not open."""

    handle: SessionHandle
    began_at: dt.datetime
    """When its last attempt began."""
    alike: bool
    """Whether it has the parameters and the date of the request."""

    @property
    def succeeded(self) -> bool:
        """Whether its work is done, even if it still waits in the spool."""
        return self.handle.status in (Status.SUCCEEDED, SPOOLED)


def read(db: Database, connection: sa.Connection, request: SessionRequest) -> list[Earlier]:
    """Return the sessions of earlier attempts, oldest first."""
    if request.flow_run is None:
        return []
    s = db.schema.sessions
    sessions = handles(
        db,
        connection,
        s.c.flow_run_id == request.flow_run.flow_run_id,
        s.c.model_id == request.model_id,
        s.c.purpose == request.purpose,
        no_lock=True,  # an UPDATE decides which attempt takes it over
    )
    sessions = [handle for handle in sessions if handle.session_id not in request.siblings]
    if not sessions:
        return []
    select = sa.select(s.c.session_no, s.c.params, s.c.started_at, s.c.attempt_started_at)
    rows = connection.execute(
        select.where(s.c.session_no.in_([handle.session_no for handle in sessions])),
        execution_options={NO_LOCK_OPTION: True},
    )
    by_number = {row.session_no: row for row in rows}
    # Keep champion and challenger apart, or the challenger's scores would be published.
    shadow = is_shadow(request.params)
    return [
        Earlier(
            handle,
            row.attempt_started_at or row.started_at,
            alike(request, row.params, handle.as_of),
        )
        for handle in sessions
        if is_shadow((row := by_number[handle.session_no]).params) == shadow
    ]


def alike(request: SessionRequest, params: str | None, as_of: dt.date | None) -> bool:
    """Return whether a session has the parameters of a request, besides others, and its date."""
    present, wanted = json.loads(params or "{}"), json.loads(request.params)
    same = all(name in present and present[name] == wanted[name] for name in wanted)
    return same and as_of == request.as_of


def repeatable(
    request: SessionRequest, earlier: Sequence[Earlier], completed: Completed
) -> frozenset[str]:
    """Return those that succeeded and that the run may follow with another session.

    Args:
        request: the run and its session.
        earlier: what earlier attempts left.
        completed: asked only if a session succeeded.
    """
    run = request.flow_run
    succeeded = [session for session in earlier if session.succeeded]
    if run is None or not succeeded:
        return frozenset()
    before = completed(run)
    return frozenset(
        session.handle.session_id
        for session in succeeded
        if (before is not None and session.began_at < before) or _of_another_task(run, session)
    )


def _of_another_task(run: FlowRun, session: Earlier) -> bool:
    """Return whether another task of this attempt opened it, maybe in another process."""
    if not (run.task and run.first_try):
        return False
    return run.flow_attempt == "1" or (run.began is not None and session.began_at >= run.began)


def choose(earlier: Sequence[Earlier], passed_over: Collection[str]) -> SessionHandle | None:
    """Return the session to resume, None to begin a new one.

    Raises:
        SessionClosed: it succeeded.
    """
    candidates = [x for x in earlier if x.handle.session_id not in passed_over]
    session = next((x for x in candidates if x.alike), candidates[0] if candidates else None)
    if session is None:
        return None
    if session.succeeded:
        raise SessionClosed(session.handle.session_id, DONE, done=str(session.handle.status))
    return session.handle

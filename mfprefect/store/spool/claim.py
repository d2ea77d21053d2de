"""Which session of the database an entry is delivered to."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import DatabaseConflict, SpoolRefused, UnknownSession
from mfprefect.spool.entry import Entry
from mfprefect.store.audit.events import record, row_digest
from mfprefect.store.audit.orphans import remove_orphans
from mfprefect.store.database import Database
from mfprefect.store.database.row_validation import typed
from mfprefect.store.handle import (
    SessionHandle,
    find,
    null_flow_run_seq,
    session_closed_error,
    status_without_index,
)
from mfprefect.store.held_rows import WITHOUT_LOCK, is_committed
from mfprefect.store.lookup import model_ids, require_model
from mfprefect.store.row_numbers import next_number, next_session_no
from mfprefect.store.sessions import attempts
from mfprefect.store.sessions.environments import add_environment
from mfprefect.store.sessions.opening import clear_attempt
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.spool.document import EntryDocument
from mfprefect.store.states import Status, being_deleted
from mfprefect.util import values
from mfprefect.util.processes import this_process
from mfprefect.vocabulary import CRASHED, FLOW_RUN_CANCELLED, OWN_CANCELLATION

__all__ = ["ACTION", "Claim", "StillRunning", "Superseded"]

ACTION = "deliver_spool"
"""The action in the audit trail."""


class Superseded(Exception):
    """A later attempt has replaced the entry."""


class StillRunning(Exception):
    """The session is running in another process, which delivers the entry itself."""


class Claim:
    """Makes the session of an entry a running session of this process."""

    def __init__(
        self, db: Database, entry: Entry, document: EntryDocument, outcome: Outcome
    ) -> None:
        self._db, self._entry, self._document = db, entry, document
        self._head, self._outcome = document.head, outcome
        self._process = this_process()

    def session(self, connection: sa.Connection) -> SessionHandle | None:
        """Return the session, None if the entry was delivered before.

        Raises:
            SpoolRefused: the session was deleted.
            Superseded: a later attempt took it over.
            StillRunning: its own process will deliver the entry.
            SessionClosed: it has ended without what is in the spool.
        """
        if self._was_delivered(connection):
            return None
        session = find(self._db, connection, self._head.session_id)
        if session is None:
            return self._insert(connection)
        if session.attempt > self._head.attempt:
            raise Superseded(
                f"attempt {session.attempt} of session {session.session_id!r} replaced attempt "
                f"{self._head.attempt}, which {self._entry.folder} holds. Remove that folder if "
                "nobody needs it."
            )
        if session.attempt < self._head.attempt:
            return self._begin_attempt(connection, session)
        return self._take_over(connection, session)

    def _was_delivered(self, connection: sa.Connection) -> bool:
        events = self._db.schema.audit_events.c
        select = sa.select(events.event_no, events.action, events.detail).where(
            events.subject == self._head.session_id, events.action.in_((ACTION, "delete_session"))
        )
        for event in connection.execute(select, execution_options=WITHOUT_LOCK):
            if not is_committed(self._db, connection, events.event_no, event.event_no):
                continue  # its transaction was rolled back
            if event.action != ACTION:
                raise SpoolRefused(
                    f"session {self._head.session_id!r} was deleted from {self._db.place}; remove "
                    f"{self._entry.folder} as well if nobody needs it."
                )
            if json.loads(event.detail)["entry"] == self._document.digest:
                return True
        return False

    def _insert(self, connection: sa.Connection) -> SessionHandle:
        head, s = self._head, self._db.schema.sessions
        if head.session is None or head.environment is None:
            raise SpoolRefused(
                f"session {head.session_id!r} was deleted from {self._db.place}, or is in another "
                f"database; remove {self._entry.folder} if nobody needs it."
            )
        self._add_model(connection)
        add_environment(self._db, connection, head.environment)
        last = connection.scalar(
            sa.select(sa.func.max(s.c.session_no)), execution_options=WITHOUT_LOCK
        )
        number = next_session_no(self._db, connection, last)
        row = typed(s, head.session)
        row |= self._running_here() | {
            "session_no": number,
            "attempt_started_at": row["started_at"],
            "deletion": None,
            "parent_session_no": self._parent(connection),
            "flow_run_seq": self._flow_run_seq(connection, row["flow_run_id"], number),
        }
        connection.execute(s.insert(), row)
        handle = self._handle(number)
        remove_orphans(self._db, connection, handle)
        return handle

    def _add_model(self, connection: sa.Connection) -> None:
        model, models = self._head.model, self._db.schema.models
        if model is not None and model["model_id"] not in model_ids(self._db, connection):
            row = {**model, "created_at": values.utc_now()}
            connection.execute(models.insert(), row)
            detail = {**model, **row_digest(self._db.schema, "models", row)}
            record(self._db, connection, "add_model", model["model_id"], **detail)
        require_model(self._db, connection, self._head.model_id)

    def _parent(self, connection: sa.Connection) -> int | None:
        name, s = self._head.parent_session_id, self._db.schema.sessions.c
        if name is None:
            return None
        remains = ~being_deleted(self._db.schema.sessions)
        number: int | None = connection.scalar(
            sa.select(s.session_no).where(s.session_id == name, remains)
        )
        if number is None:
            raise UnknownSession(name)
        return number

    def _flow_run_seq(self, connection: sa.Connection, flow_run_id: Any, number: int) -> Any:
        if flow_run_id is None:
            return null_flow_run_seq(self._db, number)
        s = self._db.schema.sessions.c
        last = connection.scalar(
            sa.select(sa.func.max(s.flow_run_seq)).where(s.flow_run_id == flow_run_id),
            execution_options=WITHOUT_LOCK,
        )
        what = f"a session of flow run {flow_run_id!r}"
        return 0 if last is None else next_number(last, what)

    def _begin_attempt(self, connection: sa.Connection, earlier: SessionHandle) -> SessionHandle:
        """Drop what the earlier attempt wrote, but for complete parts of scores."""
        if earlier.status == Status.SUCCEEDED:
            raise session_closed_error(earlier)
        number, head = earlier.session_no, self._head
        began = dt.datetime.fromisoformat(head.began_at)
        last = attempts.before_next(self._db, connection, number, began)
        origin: dict[str, Any] = {"attempt_started_at": None}  # not recorded
        if head.session is not None and head.environment is not None:
            add_environment(self._db, connection, head.environment)
            origin = attempts.begun(typed(self._db.schema.sessions, head.session))
        self._update(connection, earlier, origin)
        if last:
            connection.execute(self._db.schema.session_attempts.insert(), last)
        clear_attempt(self._db, connection, number)
        return self._handle(number)

    def _take_over(self, connection: sa.Connection, session: SessionHandle) -> SessionHandle | None:
        """Continue this very attempt, which is running in the database or was given up there."""
        s = self._db.schema.sessions.c
        columns = (s.status, s.failure_kind, s.ended_at, s.seal, s.flow_run_id)
        where = s.session_no == session.session_no
        row = connection.execute(sa.select(*columns).where(where)).one()
        if (row.status, row.ended_at) == (self._outcome.status, self._outcome.ended_at):
            return None  # the run's own commit succeeded, and only its answer was lost
        if row.status == Status.RUNNING and not (self._entry.owned or self._document.ending):
            raise StillRunning
        if row.status != Status.RUNNING and not _was_given_up(row):
            raise session_closed_error(session)
        self._update(connection, session, {})
        return self._handle(session.session_no)

    def _update(
        self, connection: sa.Connection, session: SessionHandle, changes: Mapping[str, Any]
    ) -> None:
        s = self._db.schema.sessions
        unchanged = (
            s.c.session_no == session.session_no,
            s.c.session_id == session.session_id,
            s.c.attempt == session.attempt,
            status_without_index(s) == session.status,
        )
        update = s.update().where(*unchanged)
        if connection.execute(update, {**changes, **self._running_here()}).rowcount != 1:
            raise DatabaseConflict(f"session {session.session_id!r} changed meanwhile; push again.")

    def _running_here(self) -> dict[str, Any]:
        return {
            "status": Status.RUNNING,
            "attempt": self._head.attempt,
            "heartbeat_at": values.utc_now(),
            **dict.fromkeys(("suspected_at", "ended_at", "failure_kind", "failure_text")),
            **dict.fromkeys(("seal", "previous_seal")),
            **self._process.columns(),
        }

    def _handle(self, session_no: int) -> SessionHandle:
        head = self._head
        # If two machines that see no locks of each other deliver it, the second takes it over.
        names = (head.session_id, head.model_id, head.purpose, head.attempt)
        return SessionHandle(session_no, *names, holder=self._process)


def _was_given_up(session: Any) -> bool:
    """Return whether `reconcile` ended a session, not its run: the run would have sealed it."""
    kinds = {CRASHED, FLOW_RUN_CANCELLED}
    if session.flow_run_id is not None:  # as earlier versions called it
        kinds.add(OWN_CANCELLATION)
    return session.seal is None and session.failure_kind in kinds

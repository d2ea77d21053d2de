"""An entry of the spool on its way into the database: taken, filled, closed in one transaction."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import DatabaseConflict, InvalidScores, SpoolRefused, UnknownSession
from mfprefect.spool.entry import Entry
from mfprefect.store.audit.events import record, row_digest
from mfprefect.store.database import Database
from mfprefect.store.database.row_validation import typed
from mfprefect.store.handle import (
    SessionHandle,
    find,
    null_flow_run_seq,
    session_closed_error,
    status_without_index,
)
from mfprefect.store.lookup import model_ids, require_model
from mfprefect.store.sessions.opening import clear_attempt
from mfprefect.store.sessions.writing import Outcome, close_session
from mfprefect.store.spool.apply import apply
from mfprefect.store.states import Status, being_deleted
from mfprefect.util import values

__all__ = ["EntryImport", "StillRunning", "Superseded"]

ACTION = "deliver_spool"
"""What the audit trail calls it."""
# How `reconcile` ends a session whose process gives no sign of life.
_GIVEN_UP = {(Status.CRASHED, "Crashed"), (Status.CANCELLED, "Cancelled")}


class Superseded(Exception):
    """A later attempt has replaced it."""


class StillRunning(Exception):
    """The session is running in another process, which delivers this itself."""


class EntryImport:
    """An entry and its session in the database."""

    def __init__(self, db: Database, entry: Entry, head: Mapping[str, Any]) -> None:
        self.db, self.entry, self.head = db, entry, head
        self.ending = _ending(entry, head)
        self.session_id: str = head["session_id"]
        self.attempt: int = head["attempt"]
        told = entry.ending()
        self.final = told is None or bool(told["final"])

    def claim(self, connection: sa.Connection, _: bool) -> SessionHandle | None:
        """Make the session one of this process, running; None where all is done.

        Raises:
            SpoolRefused: it was deleted, or a later attempt took it over.
            SessionClosed: it has ended without what is in the spool.
        """
        if self._told(connection):
            return None
        found = find(self.db, connection, self.session_id)
        if found is None:
            return self._insert(connection)
        if found.attempt > self.attempt:
            raise Superseded(
                f"attempt {found.attempt} of session {self.session_id!r} took over from the "
                f"attempt {self.attempt} that {self.entry.folder} is of, and replaced it. Remove "
                "that folder if nobody needs it."
            )
        if found.attempt < self.attempt:
            return self._go_on(connection, found)
        return self._take_over(connection, found)

    def write(self, handle: SessionHandle) -> None:
        """Write what the run wrote; one whose scores are no scores has failed, as it would have."""
        for write in self.entry.writes():
            try:
                apply(self.db, handle, write)
            except InvalidScores as exc:
                self._fail(exc)

    def close(self, handle: SessionHandle) -> None:
        """End the session as the run did, and when it did."""
        try:
            self._close(handle)
        except InvalidScores as exc:
            self._fail(exc)
            self._close(handle)

    def _close(self, handle: SessionHandle) -> None:
        own = {name: self.head[name] for name in ("host", "process_id")}
        ending = replace(self.ending, row=own, published_at=values.utc_now())
        close_session(self.db, handle, ending, {}, replace=True, also=self._mark)

    def _fail(self, exc: InvalidScores) -> None:
        if self.ending.status == Status.SUCCEEDED:
            ended_at = self.ending.ended_at
            self.ending = Outcome(Status.FAILED, "InvalidScores", str(exc), ended_at=ended_at)

    def _mark(self, connection: sa.Connection) -> None:
        """Record the delivery, in the transaction that ends the session."""
        record(
            self.db,
            connection,
            ACTION,
            self.session_id,
            model=self.head["model_id"],
            attempt=self.attempt,
            status=self.ending.status,
            spooled_at=self.head["began_at"],
            spooled_on=self.head["host"],
            entry=self._digest,
        )

    @property
    def _digest(self) -> str:
        if (found := self.entry.digest) is not None:
            return found
        names = [write.name + json.dumps(write.content) for write in self.entry.writes()]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    def _told(self, connection: sa.Connection) -> bool:
        """Return whether the audit trail tells of this very delivery."""
        events = self.db.schema.audit_events.c
        mine = (events.subject == self.session_id, events.action.in_((ACTION, "delete_session")))
        for event in connection.execute(sa.select(events.action, events.detail).where(*mine)):
            if event.action == ACTION and json.loads(event.detail)["entry"] == self._digest:
                return True
            if event.action != ACTION:
                raise SpoolRefused(
                    f"session {self.session_id!r} was deleted from {self.db.place}; remove "
                    f"{self.entry.folder} as well if nobody needs it."
                )
        return False

    def _mine(self) -> dict[str, Any]:
        return {
            "status": Status.RUNNING,
            "attempt": self.attempt,
            "heartbeat_at": values.utc_now(),
            "suspected_at": None,
            "ended_at": None,
            "failure_kind": None,
            "failure_text": None,
            "seal": None,
            "previous_seal": None,
            "host": platform.node(),
            "process_id": os.getpid(),
        }

    def _insert(self, connection: sa.Connection) -> SessionHandle:
        if "session" not in self.head:
            raise SpoolRefused(
                f"session {self.session_id!r} was deleted from {self.db.place}, or is in another "
                f"database; remove {self.entry.folder} if nobody needs it."
            )
        s = self.db.schema.sessions
        self._register(connection)
        row = typed(s, self.head["session"])
        self._know_environment(connection)
        numbers = sa.select(sa.func.max(s.c.session_no))
        number = (connection.scalar(numbers) or 0) + 1
        row |= self._mine() | {
            "session_no": number,
            "deletion": None,
            "parent_session_no": self._parent(connection),
            "flow_run_seq": null_flow_run_seq(self.db, number),
        }
        if (run := row["flow_run_id"]) is not None:
            last = connection.scalar(
                sa.select(sa.func.max(s.c.flow_run_seq)).where(s.c.flow_run_id == run)
            )
            row["flow_run_seq"] = 0 if last is None else last + 1
        connection.execute(s.insert(), row)
        return self._handle(row["session_no"])

    def _register(self, connection: sa.Connection) -> None:
        model, models = self.head.get("model"), self.db.schema.models
        if model is not None and model["model_id"] not in model_ids(self.db, connection):
            new = model | {"created_at": values.utc_now()}
            connection.execute(models.insert(), new)
            told = model | row_digest(self.db.schema, "models", new)
            record(self.db, connection, "add_model", model["model_id"], **told)
        require_model(self.db, connection, self.head["model_id"])

    def _know_environment(self, connection: sa.Connection) -> None:
        e, row = self.db.schema.environments, self.head["environment"]
        same = e.c.environment_digest == row["environment_digest"]
        if connection.scalar(sa.select(e.c.environment_digest).where(same)) is None:
            connection.execute(e.insert(), row)

    def _parent(self, connection: sa.Connection) -> int | None:
        name, s = self.head["parent_session_id"], self.db.schema.sessions.c
        if name is None:
            return None
        remains = ~being_deleted(self.db.schema.sessions)
        number: int | None = connection.scalar(
            sa.select(s.session_no).where(s.session_id == name, remains)
        )
        if number is None:
            raise UnknownSession(name)
        return number

    def _go_on(self, connection: sa.Connection, earlier: SessionHandle) -> SessionHandle:
        """Begin this attempt: what the last one wrote goes, complete score parts stay."""
        if earlier.status == Status.SUCCEEDED:
            raise session_closed_error(earlier)
        self._change(connection, earlier)
        clear_attempt(self.db, connection, earlier.session_no)
        return self._handle(earlier.session_no)

    def _take_over(self, connection: sa.Connection, found: SessionHandle) -> SessionHandle | None:
        """Go on with the attempt itself: it still runs there, or was given up meanwhile."""
        s = self.db.schema.sessions.c
        columns = (s.status, s.failure_kind, s.ended_at)
        row = connection.execute(sa.select(*columns).where(s.session_no == found.session_no)).one()
        if (row.status, row.ended_at) == (self.ending.status, self.ending.ended_at):
            return None  # the commit whose answer was lost had happened
        given_up = (row.status, row.failure_kind) in _GIVEN_UP
        if row.status == Status.RUNNING and not (self.entry.owned or self.entry.complete):
            raise StillRunning
        if row.status != Status.RUNNING and not given_up:
            raise session_closed_error(found)
        self._change(connection, found)
        return self._handle(found.session_no)

    def _change(self, connection: sa.Connection, found: SessionHandle) -> None:
        s = self.db.schema.sessions
        same = (
            s.c.session_no == found.session_no,
            s.c.session_id == found.session_id,
            s.c.attempt == found.attempt,
            status_without_index(s) == found.status,
        )
        if connection.execute(s.update().where(*same), self._mine()).rowcount != 1:
            raise DatabaseConflict(f"session {self.session_id!r} changed meanwhile; push again.")

    def _handle(self, session_no: int) -> SessionHandle:
        kept = ("session_id", "model_id", "purpose", "attempt")
        # Where two deliver it, because their disk knows no locks, the second takes it over.
        holder = (platform.node(), os.getpid())
        told = {name: self.head[name] for name in kept}
        return SessionHandle(session_no=session_no, holder=holder, **told)


def _ending(entry: Entry, head: Mapping[str, Any]) -> Outcome:
    told = entry.ending()
    if told is None:
        where = f"{head['process_id']} on {head['host']}"
        last = dt.datetime.fromtimestamp(entry.touched, dt.UTC)
        text = f"its process {where} is gone; it wrote to the spool at {last:%Y-%m-%d %H:%M:%S} UTC"
        return Outcome(Status.CRASHED, "Crashed", text, ended_at=last)
    kept = ("status", "failure_kind", "failure_text", "publish")
    ended_at = dt.datetime.fromisoformat(told["ended_at"])
    return Outcome(**{name: told[name] for name in kept}, ended_at=ended_at)

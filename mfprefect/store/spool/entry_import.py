"""An entry of the spool on its way into the database: claimed, written, closed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import sqlalchemy as sa

from mfprefect.errors import InvalidScores
from mfprefect.spool.entry import Entry
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.sessions.writing import Outcome, close_session
from mfprefect.store.spool.apply import apply
from mfprefect.store.spool.claim import ACTION, Claim
from mfprefect.store.spool.document import EntryDocument
from mfprefect.store.states import Status
from mfprefect.util import values
from mfprefect.util.processes import Process
from mfprefect.vocabulary import CRASHED

__all__ = ["EntryImport"]


class EntryImport:
    """Brings one entry into the database."""

    def __init__(self, db: Database, entry: Entry, document: EntryDocument) -> None:
        self.db, self.entry, self.document = db, entry, document
        self.outcome = _outcome(entry, document)

    @property
    def final(self) -> bool:
        """Whether no retry of the flow run follows."""
        return self.document.ending is None or self.document.ending.final

    def claim(self, connection: sa.Connection, _: bool) -> SessionHandle | None:
        """Make the session a running one of this process; None if the entry was delivered before.

        Raises:
            SpoolRefused: the session was deleted.
            Superseded: a later attempt took it over.
            StillRunning: its own process will deliver the entry.
            SessionClosed: it has ended without what is in the spool.
        """
        return Claim(self.db, self.entry, self.document, self.outcome).session(connection)

    def write(self, handle: SessionHandle) -> None:
        """Write what the run wrote; parts that overlap make it a failed run, as in the database."""
        for write in self.document.writes():
            try:
                apply(self.db, handle, self.document, write)
            except InvalidScores as exc:
                self._fail(exc)

    def close(self, handle: SessionHandle) -> None:
        """End the session with the run's own status and time."""
        try:
            self._close(handle)
        except InvalidScores as exc:
            self._fail(exc)
            self._close(handle)

    def _close(self, handle: SessionHandle) -> None:
        head = self.document.head
        run = Process(head.host, head.process_id, head.process_key).columns()
        outcome = replace(self.outcome, row=run, published_at=values.utc_now())
        close_session(self.db, handle, outcome, {}, replace=True, also=self._record_delivery)

    def _fail(self, exc: InvalidScores) -> None:
        if self.outcome.status == Status.SUCCEEDED:
            ended_at = self.outcome.ended_at
            self.outcome = Outcome(Status.FAILED, "InvalidScores", str(exc), ended_at=ended_at)

    def _record_delivery(self, connection: sa.Connection) -> None:
        """Record the delivery in the transaction that ends the session."""
        head = self.document.head
        record(
            self.db,
            connection,
            ACTION,
            head.session_id,
            model=head.model_id,
            attempt=head.attempt,
            status=self.outcome.status,
            spooled_at=head.began_at,
            spooled_on=head.host,
            entry=self.document.digest,
        )


def _outcome(entry: Entry, document: EntryDocument) -> Outcome:
    head, ending = document.head, document.ending
    if ending is None:
        last = dt.datetime.fromtimestamp(entry.touched, dt.UTC)
        text = (
            f"its process {head.process_id} on {head.host} is gone; "
            f"it wrote to the spool at {last:%Y-%m-%d %H:%M:%S} UTC"
        )
        return Outcome(Status.CRASHED, CRASHED, text, ended_at=last)
    return Outcome(
        ending.status,
        ending.failure_kind,
        ending.failure_text,
        ending.publish,
        dt.datetime.fromisoformat(ending.ended_at),
    )

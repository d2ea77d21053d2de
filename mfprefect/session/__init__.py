"""A session: one run of a model, from opening to end."""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any

from mfprefect.errors import (
    DatabaseError,
    InvalidScores,
    MfprefectError,
    SessionClosed,
    SpoolRefused,
)
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.session import exit_handlers
from mfprefect.session.buffer import FLUSH_ROWS
from mfprefect.session.destination import Destination
from mfprefect.session.recorder import Recorder
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.notifications import send
from mfprefect.store.sessions.opening import SessionRequest
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.states import SPOOLED, Status
from mfprefect.util import values
from mfprefect.vocabulary import OWN_CANCELLATION

__all__ = ["Session", "opened_by", "remember"]

log = logging.getLogger(__name__)

_opened: dict[str, dict[str, tuple[str, str]]] = {}
"""Of each flow run: by session, the task run that opened it here, and its `run_count`."""


def opened_by(run: FlowRun | None) -> frozenset[str]:
    """Return the sessions that this process opened in the same attempt of the flow run.

    A task that is tried again did not open those of its earlier tries.
    """
    if run is None:
        return frozenset()
    return frozenset(
        session_id
        for session_id, (task, count) in _opened.get(run.flow_run_id, {}).items()
        if count == run.run_count
        or (task != run.task and count.partition(".")[0] == run.flow_attempt)
    )


def remember(run: FlowRun | None, session_id: str) -> None:
    """Note that this attempt of a flow run has opened a session, or found it done."""
    if run is not None:
        _opened.setdefault(run.flow_run_id, {})[session_id] = run.task, run.run_count


class Session(Recorder):
    """One run of a model. `Store.session` opens it; leaving its `with` block ends it."""

    def __init__(
        self,
        database: Database,
        handle: SessionHandle,
        *,
        flow_run: FlowRun | None = None,
        attached: bool = False,
        opening: SessionRequest | None = None,
        model: Mapping[str, Any] | None = None,
    ) -> None:
        names = {"session": handle.session_id, "model": handle.model_id}
        if flow_run is not None:
            names["run"] = flow_run.flow_run_id
        database = database.for_session(**names)
        destination = Destination(database, handle, attached=attached, opening=opening, model=model)
        super().__init__(database, handle, attached=attached, destination=destination)
        self._stop, self._wake = threading.Event(), threading.Event()
        self._process_id = os.getpid()
        self._final = flow_run is None or flow_run.final
        self.promoting = False
        """Whether the run promotes its model after this session: then nobody needs to be asked."""
        remember(flow_run, handle.session_id)
        if not attached:
            exit_handlers.register(self)
            threading.Thread(target=self._beat, name="mfprefect-heartbeat", daemon=True).start()

    # What it is

    @property
    def as_of(self) -> dt.date | None:
        """The date of the run's data; a resumed session keeps its first one."""
        return self.handle.as_of

    @property
    def parent_session_id(self) -> str | None:
        """The training session whose model this one uses; a resumed session keeps its first."""
        return self.handle.parent_session_id

    def __repr__(self) -> str:
        return f"<Session {self.session_id} {self.status}, attempt {self.attempt}>"

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if os.getpid() != self._process_id:
            return  # a forked child left the block; the session belongs to its parent
        if self.status != Status.RUNNING:
            return  # ended inside the block
        if self._attached:
            self.flush()
        elif error is None:
            self.close()
        else:
            try:
                self.end(exit_handlers.ending_for(error))
            except MfprefectError:
                # Raise the error that ended the run, not this one.
                log.exception("session %s could not be closed", self.session_id)

    # Ending it

    def close(self, *, publish: bool = True) -> None:
        """End as `succeeded`, and publish the scores in the same transaction.

        If the database stays away, the status becomes `spooled`: everything is on this machine's
        disk, until the next session, the `maintain` flow or `mfprefect spool push` delivers it.

        Args:
            publish: whether scores become visible.

        Raises:
            SessionClosed: it has already ended.
            InvalidScores: two parts of a large session contain the same entity.
        """
        try:
            self.end(Outcome(Status.SUCCEEDED, publish=publish))
        except (DatabaseError, InvalidScores, SpoolRefused) as exc:
            if not getattr(exc, "transient", False):  # no retry could store this
                self.end(exit_handlers.ending_for(exc), drop_pending=True)
            raise

    def fail(self, error: BaseException) -> None:
        """End as `failed`, or as `cancelled` for an interrupt, with the error's kind and text."""
        self.end(exit_handlers.ending_for(error))

    def cancel(self, reason: str) -> None:
        """End as `cancelled`."""
        self.end(Outcome(Status.CANCELLED, OWN_CANCELLATION, values.text(reason, "the reason")))

    def end(self, ending: Outcome, *, drop_pending: bool = False) -> None:
        """Write the buffered rows and end the session.

        Args:
            ending: how it ends.
            drop_pending: discard the buffered rows instead, because they cannot be stored.

        Raises:
            SessionClosed: it has already ended, was deleted, or a later attempt took it over.
        """
        if ending.failure_text:
            text = self._db.without_secrets(ending.failure_text)
            ending = replace(ending, failure_text=text)
        with self._lock:
            self._require_running()
            if drop_pending:
                self._buffer.clear()
            try:
                self._buffer.flush_steps(FLUSH_ROWS)
                status = self._destination.end(
                    ending, self._buffer.pending(), self._buffer.overwrites, final=self._final
                )
            except SessionClosed:
                self.detach_process()
                raise
            self._buffer.clear()
            self.status, self.session_no = str(status), self.handle.session_no
        self.detach_process()
        if not self._db.settings.notify:
            return
        if status == SPOOLED:
            send.notify_spooled(self._db, *self._destination.spooled_notice(ending))
        else:
            send.session_ended(
                self._db, self.session_no, final=self._final, promoting=self.promoting
            )

    def leave_open(self) -> None:
        """Write the buffered rows and leave the session running after this process.

        Another process continues it with `Store.attach`, and ends it; until then, nobody sends a
        heartbeat.
        """
        self.flush()
        self._destination.detach()
        self.detach_process()

    def detach_process(self) -> None:
        """Stop the heartbeat and the exit handler, without writing anything."""
        self._stop.set()
        self._wake.set()
        exit_handlers.unregister(self)

    def _write_soon(self) -> None:
        self._wake.set()

    def _beat(self) -> None:
        while True:
            self._wake.wait(self._db.settings.heartbeat_seconds)
            if self._stop.is_set():
                return
            self._wake.clear()
            if self.spooled:
                # Without the lock: a server that does not answer must not block the run.
                self._destination.beat()
            try:
                with self._lock:
                    if self.status == Status.RUNNING:
                        # No retries: threads that log meanwhile wait for the lock.
                        self.flush(retry=False)
            except SessionClosed as exc:
                log.warning("%s", exc)
                self.detach_process()
                return
            except MfprefectError as exc:
                log.warning("heartbeat of session %s: %s", self.session_id, exc)

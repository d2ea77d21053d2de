"""A session: one run of a model, from open to closed."""

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
from mfprefect.session.destination import Destination
from mfprefect.session.results import ResultsMixin
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.notifications import send
from mfprefect.store.sessions.opening import SessionRequest
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.states import SPOOLED, Status
from mfprefect.util import values

__all__ = ["Session", "opened_by"]

log = logging.getLogger(__name__)

_opened: dict[tuple[str, str], set[str]] = {}


def opened_by(run: FlowRun | None) -> frozenset[str]:
    """Return the sessions that this process opened in this very try of a flow run."""
    return frozenset(_opened.get((run.flow_run_id, run.run_count), ())) if run else frozenset()


class Session(ResultsMixin):
    """One run of a model. Made by `Store.session`; leave its `with` block to end it."""

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
        serves = {"run": flow_run.flow_run_id} if flow_run else {}
        database = database.for_session(session=handle.session_id, model=handle.model_id, **serves)
        destination = Destination(database, handle, attached=attached, opening=opening, model=model)
        super().__init__(database, handle, attached=attached, destination=destination)
        self._stop = threading.Event()
        self._process = os.getpid()
        self._final = flow_run is None or flow_run.final
        if flow_run is not None:
            tried = (flow_run.flow_run_id, flow_run.run_count)
            _opened.setdefault(tried, set()).add(handle.session_id)
        if not attached:
            exit_handlers.register(self)
            threading.Thread(target=self._beat, name="mfprefect-heartbeat", daemon=True).start()

    @property
    def as_of(self) -> dt.date | None:
        """The date that the run's data is of; a resumed session keeps its first one."""
        return self.handle.as_of

    @property
    def parent_session_id(self) -> str | None:
        """The training session whose model is used; a resumed session keeps its first one."""
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
        if os.getpid() != self._process:
            return  # a forked child left the block; the session is its parent's
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
                # The error that ended the run must come through, not this one.
                log.exception("session %s could not be closed", self.session_id)

    def close(self, *, publish: bool = True) -> None:
        """End as `succeeded`; scores become visible in the same transaction.

        Where the database stays away, the status is then `spooled`: everything is on this machine's
        disk, and is delivered by the next session, the `maintain` flow or `mfprefect spool push`.

        Raises:
            SessionClosed: it has ended already.
            InvalidScores: two parts of a large session hold the same entity.
        """
        try:
            self.end(Outcome(Status.SUCCEEDED, publish=publish))
        except (DatabaseError, InvalidScores, SpoolRefused) as exc:
            if not getattr(exc, "transient", False):  # this cannot be stored, ever
                self.end(exit_handlers.ending_for(exc), drop_pending=True)
            raise

    def fail(self, error: BaseException) -> None:
        """End as `failed`, or `cancelled` for an interrupt, with the error's kind and text."""
        self.end(exit_handlers.ending_for(error))

    def cancel(self, reason: str) -> None:
        """End as `cancelled`."""
        self.end(Outcome(Status.CANCELLED, "Cancelled", values.text(reason, "the reason")))

    def end(self, ending: Outcome, *, drop_pending: bool = False) -> None:
        """Write what is buffered and end as told."""
        if ending.failure_text:
            text = self._db.without_secrets(ending.failure_text)
            ending = replace(ending, failure_text=text)
        with self._lock:
            self._require_running()
            if drop_pending:
                self._pending = {}
            try:
                status = self._destination.end(
                    ending, self._rows(), self._replace, final=self._final
                )
            except SessionClosed:
                self.detach_process()
                raise
            self._pending = {}
            self.status, self.session_no = str(status), self.handle.session_no
        self.detach_process()
        if not self._db.settings.notify:
            return
        if status == SPOOLED:
            send.notify_spooled(self._db, *self._destination.spooled_notice(ending))
        else:
            send.session_ended(self._db, self.session_no, final=self._final)

    def leave_open(self) -> None:
        """Write what is buffered and let go: the session outlives this process.

        Another process goes on with it by `Store.attach` and ends it; no heartbeat is sent
        meanwhile.
        """
        self.flush()
        self._destination.detach()
        self.detach_process()

    def detach_process(self) -> None:
        """Let go without writing anything: for a session that another attempt took over."""
        self._stop.set()
        exit_handlers.unregister(self)

    def _beat(self) -> None:
        while not self._stop.wait(self._db.settings.heartbeat_seconds):
            if self.spooled:
                # Without the lock: a server that does not answer must not keep the run waiting.
                self._destination.beat()
            try:
                with self._lock:
                    if self.status == Status.RUNNING:
                        # Tried once: whoever wants to log meanwhile must not wait for it.
                        self.flush(retry=False)
            except SessionClosed as exc:
                log.warning("%s", exc)
                self.detach_process()
                return
            except MfprefectError as exc:
                log.warning("heartbeat of session %s: %s", self.session_id, exc)

"""What the parts of a recorder share: the session's identity, its rows and their destination."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.errors import SessionClosed
from mfprefect.session.buffer import FLUSH_ROWS, RowBuffer
from mfprefect.session.destination import Destination
from mfprefect.session.steps import MANY, MOST_WAITING
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.states import Status

if TYPE_CHECKING:
    from mfprefect.settings import Settings

__all__ = ["RecorderBase"]


class RecorderBase:
    """Holds what an attempt of a session writes, until it is flushed."""

    def __init__(
        self,
        database: Database,
        handle: SessionHandle,
        *,
        attached: bool,
        last_numbers: Mapping[str, int] | None = None,
        destination: Destination | None = None,
    ) -> None:
        """Start recording.

        Args:
            database: the session's database.
            handle: which attempt of which session this is.
            attached: whether another process opened the session, and may write to it, too.
            last_numbers: the last check, input and part numbers in use, for an attached recorder;
                by default those that the session has stored.
            destination: where rows go; by default the database, or the spool while it is away.
        """
        self.session_id: str = handle.session_id
        """Its id, for people: model, start in UTC, six random characters."""
        self.session_no: int = handle.session_no
        """Its number, the key of its rows; a spooled session gets it on delivery."""
        self.model_id: str = handle.model_id
        """The model that it is a run of."""
        self.purpose: str = handle.purpose
        """`train`, `score`, `monitor`, `adhoc` or `trial`."""
        self.attempt: int = handle.attempt
        """1, and one more with each retry of the flow run."""
        self.status: str = Status.RUNNING.value
        """`running` until it ends here; `spooled` once it waits in the spool for delivery."""
        self._db = database
        self._attached = attached
        self._destination = destination or Destination(database, handle, attached=attached)
        numbers = (last_numbers or self._destination.last_numbers()) if attached else {}
        self._buffer = RowBuffer(
            database, self._destination, attached=attached, last_numbers=numbers
        )
        self._lock = self._buffer.lock
        self._written_at = time.monotonic()
        self._check_rows: list[dict[str, Any]] = []
        """The results of all checks so far, which the error of a failed one counts."""

    @property
    def handle(self) -> SessionHandle:
        """Which attempt of which session this is; another process can write with it."""
        return self._destination.handle

    @property
    def settings(self) -> Settings:
        """The settings that it was opened with."""
        return self._db.settings

    @property
    def spooled(self) -> bool:
        """Whether writes go to the spool, because the database is away."""
        return self._destination.spooled

    # Writing

    def flush(self, *, retry: bool = True) -> None:
        """Write the buffered rows, and mark the session alive.

        Args:
            retry: whether to retry transient errors, for `retry_seconds`.

        Raises:
            SessionClosed: the session has ended, was deleted, or a later attempt took it over.
        """
        with self._lock:
            self._require_running()
            self._buffer.flush(retry=retry)

    def _require_running(self) -> None:
        if self.status != Status.RUNNING:
            raise SessionClosed(self.session_id, f"it is {self.status}; open a new session instead")

    def _add_step(self, metrics: Mapping[str, Any], segment: str, step: Any) -> None:
        """Add the values of a step; without the lock, which a heartbeat holds while it writes."""
        self._require_running()
        steps = self._buffer.steps
        waiting = steps.add(metrics, segment, step)
        if waiting + steps.unwritten >= MOST_WAITING:
            self._buffer.flush_steps()
        elif self._attached:
            self._flush_if_due(waiting)
        elif waiting >= MANY:
            self._write_soon()

    def _flush_if_due(self, waiting: int) -> None:
        """Write steps that wait for a heartbeat's time: an attached recorder sends none."""
        now = time.monotonic()
        if waiting >= FLUSH_ROWS or now > self._written_at + self.settings.heartbeat_seconds:
            self._written_at = now
            self._buffer.flush_steps()

    def _write_soon(self) -> None:
        """Let another thread write the steps that wait, if there is one."""

    def _add(self, table: str, rows: Iterable[Mapping[str, Any]], keys: tuple[str, ...]) -> None:
        with self._lock:
            self._require_running()
            self._buffer.add(table, rows, keys)

"""Rows that wait to be written, and the few transactions that write them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from mfprefect.errors import InvalidValue, SessionClosed
from mfprefect.session.destination import Destination
from mfprefect.store.database import Database
from mfprefect.store.database.row_validation import check_lengths
from mfprefect.store.handle import SessionHandle
from mfprefect.store.states import Status

__all__ = ["RowBuffer"]

FLUSH_ROWS = 1_000
GATE_TABLES = ("metrics", "check_results", "drift")
"""What gates are held against, which may have to be done without the database."""


class RowBuffer:
    """What one attempt of a session writes, by table and key; the last row of a key counts."""

    def __init__(
        self,
        database: Database,
        handle: SessionHandle,
        *,
        attached: bool,
        taken: Mapping[str, int] | None = None,
        destination: Destination | None = None,
    ) -> None:
        self.session_id: str = handle.session_id
        self.session_no: int = handle.session_no
        self.model_id: str = handle.model_id
        self.purpose: str = handle.purpose
        self.attempt: int = handle.attempt
        """1, and one more with each retry of the flow run."""
        self.status: str = Status.RUNNING.value
        """`running`, until it is ended here; `spooled` where it waits to be delivered then."""
        self._db = database
        self._destination = destination or Destination(database, handle, attached=attached)
        self._attached = attached
        self._pending: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self._flushed: set[tuple[Any, ...]] = set()
        # Another process may have written the same keys, and taken the first numbers.
        self._replace = attached
        self._taken: Counter[str] = Counter()
        if attached:
            self._taken.update(taken or self._destination.last_numbers())
        self._gate_rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {
            n: {} for n in GATE_TABLES
        }
        self._lock = threading.RLock()

    @property
    def handle(self) -> SessionHandle:
        """Which attempt of which session this is, for whoever writes to it elsewhere."""
        return self._destination.handle

    @property
    def spooled(self) -> bool:
        """Whether what is written goes to the spool, because the database is away."""
        return self._destination.spooled

    def _require_running(self) -> None:
        if self.status != Status.RUNNING:
            raise SessionClosed(self.session_id, f"it is {self.status}; open a new session instead")

    def _add(self, table: str, rows: Iterable[Mapping[str, Any]], keys: tuple[str, ...]) -> None:
        with self._lock:
            self._require_running()
            waiting = self._pending.setdefault(table, {})
            columns = self._db.schema.tables[table].c
            for row in rows:
                # Refused now: at the end it would keep all the rest from being stored.
                check_lengths(self._db.schema.tables[table], row)
                self._require_fit(columns, row)
                key = tuple(row[name] for name in keys)
                self._replace = self._replace or (table, *key) in self._flushed
                waiting[key] = dict(row)
                if table in self._gate_rows:
                    self._gate_rows[table][key] = waiting[key]
            if sum(map(len, self._pending.values())) >= FLUSH_ROWS:
                self.flush()

    def _require_fit(self, columns: Any, row: Mapping[str, Any]) -> None:
        """Refuse here what the database could not keep: what is flushed later holds other rows."""
        for name, value in row.items():
            if name not in columns or not isinstance(value, str):
                continue  # in the spool a session is named by its id
            if why := self._db.backend.why_not_storable(columns[name], value):
                raise InvalidValue(f"{name} {value[:80]!r} {why}.")

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        return {table: list(rows.values()) for table, rows in self._pending.items() if rows}

    def flush(self, *, retry: bool = True) -> None:
        """Write what is buffered, and mark the session alive.

        Args:
            retry: whether transient errors are tried again, as the settings say.

        Raises:
            SessionClosed: the session has ended, was deleted, or a later attempt took it over.
        """
        with self._lock:
            self._require_running()
            pending = self._rows()
            self._destination.flush(pending, self._replace, retry=retry)
            for table, rows in self._pending.items():
                self._flushed.update((table, *key) for key in rows)
            self._pending = {}
            self._replace = self._attached

    def _next_number(self, what: str) -> int:
        with self._lock:
            self._taken[what] += 1
            return self._taken[what]

    def _reserve_number(self, what: str, number: int) -> None:
        with self._lock:
            self._taken[what] = max(self._taken[what], number)

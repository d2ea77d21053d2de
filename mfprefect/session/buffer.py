"""Rows waiting to be written, and the numbers that a session has given out."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.session.destination import Destination
from mfprefect.session.steps import Steps
from mfprefect.store.database import Database
from mfprefect.store.database.row_validation import check_lengths

__all__ = ["RowBuffer"]

FLUSH_ROWS = 1_000
STEP_ROWS = 10_000
"""Steps that one transaction writes."""
STEPS = "metric_steps"
GATE_TABLES = ("metrics", "check_results", "drift")
"""What gates judge. Written rows stay in memory, too: the database may be away by then."""


class RowBuffer:
    """Rows of one attempt of a session, by table and key; a later row of a key replaces it.

    Safe to use from several threads.
    """

    def __init__(
        self,
        database: Database,
        destination: Destination,
        *,
        attached: bool,
        last_numbers: Mapping[str, int],
    ) -> None:
        self.lock = threading.RLock()
        """Hold it to change rows together with the session's status."""
        self.part_lock = threading.RLock()
        """Hold it while parts are written whose number is not known yet."""
        self.steps = Steps(self._version)
        """Steps of metrics that were logged since they were last looked at."""
        self._db = database
        self._destination = destination
        self._attached = attached
        self._in_transaction = False
        self._pending: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self._overwritten: set[str] = set()
        self._written_keys: set[tuple[Any, ...]] = set()
        # By metric and segment: steps above this one are new in the database.
        self._written_steps: dict[tuple[str, str], int] = {}
        self._last_steps: dict[tuple[str, str], int] = {}
        self._last_numbers: Counter[str] = Counter(last_numbers)
        self._gate_rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {
            table: {} for table in GATE_TABLES
        }

    @property
    def overwrites(self) -> bool | set[str]:
        """Whether the database may hold rows of the same keys, where an insert would fail.

        In any table if another process writes to the session, else in the tables named.
        """
        return self._attached or set(self._overwritten)

    def add(self, table: str, rows: Iterable[Mapping[str, Any]], keys: tuple[str, ...]) -> None:
        """Add rows, and flush when many are waiting.

        Raises:
            InvalidValue: the database cannot store a value.
        """
        with self.lock:
            self._fold_steps()  # so that the last value of a metric is the one logged last
            self._add(table, rows, keys)
            if sum(map(len, self._pending.values())) >= FLUSH_ROWS:
                self.flush()

    def _add(self, table: str, rows: Iterable[Mapping[str, Any]], keys: tuple[str, ...]) -> None:
        pending = self._pending.setdefault(table, {})
        for row in rows:
            self._require_storable(self._db.schema.tables[table], row)
            key = tuple(row[name] for name in keys)
            if (table, *key) in self._written_keys:
                self._overwritten.add(table)
            pending[key] = dict(row)
            if table in self._gate_rows:
                self._gate_rows[table][key] = pending[key]

    def _version(self, name: str, segment: str) -> int | None:
        from mfprefect.quality.metrics.registry import definition_version, load_metrics

        row = {"metric_name": name, "segment": segment}
        self._require_storable(self._db.schema.metric_steps, row)
        load_metrics(self._db.settings.metrics)
        return definition_version(name)

    def _fold_steps(self) -> None:
        """Make rows of the steps that were logged, and of the last value of each metric."""
        last = {}
        for step in self.steps.take():
            curve = step.metric_name, step.segment
            if step.step <= self._written_steps.get(curve, -1):
                self._overwritten.add(STEPS)
            self._pending.setdefault(STEPS, {})[*curve, step.step] = step._asdict()
            if step.step >= self._last_steps.get(curve, -1):
                self._last_steps[curve] = step.step
                last[curve] = step.value
        rows = (
            {"metric_name": name, "segment": segment, "value": value, "definition_version": version}
            for (name, segment), value in last.items()
            for version in [self.steps.versions[name, segment]]
        )
        self.steps.unwritten = len(self._pending.get(STEPS, ()))
        if last:
            self._add("metrics", rows, ("metric_name", "segment"))

    def _require_storable(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        # Refused now: in a flush, one bad row would keep all others from being stored.
        check_lengths(table, row)
        for name, value in row.items():
            if name not in table.c or not isinstance(value, str):
                continue  # the spool names a session by its id, which has no column
            if why := self._db.backend.why_not_storable(table.c[name], value):
                raise InvalidValue(f"{name} {value[:80]!r} {why}.")

    def pending(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows that are not written yet, by table."""
        self._fold_steps()
        return {table: list(rows.values()) for table, rows in self._pending.items() if rows}

    def gate_rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return all rows that gates judge, written or not, by table."""
        self._fold_steps()
        return {table: list(rows.values()) for table, rows in self._gate_rows.items()}

    def flush(self, *, retry: bool = True) -> None:
        """Write the pending rows, and mark the session alive; errors as in `Session.flush`."""
        with self.lock:
            if self._in_transaction:
                return  # which writes them
            self.flush_steps(STEP_ROWS, retry=retry)
            self._destination.flush(self.pending(), self.overwrites, retry=retry)
            self._mark_written()

    def _mark_written(self) -> None:
        self._note_steps(self._pending.pop(STEPS, {}))
        for table, rows in self._pending.items():
            self._written_keys.update((table, *key) for key in rows)
        self._pending, self._overwritten = {}, set()

    @contextmanager
    def written_by(self) -> Iterator[Callable[[], dict[str, list[dict[str, Any]]]]]:
        """Let a transaction of the caller write the rows; `flush` does nothing meanwhile.

        Yields what returns the pending rows: the block writes them in that transaction, over any
        that have their keys, or raises.
        """
        with self.lock:
            self._in_transaction = True
            try:
                yield self.pending
                self._mark_written()
            finally:
                self._in_transaction = False

    def flush_steps(self, remaining: int = 0, *, retry: bool = True) -> None:
        """Write steps of metrics, some thousand in a transaction, until no more than these wait."""
        with self.lock:
            if self._in_transaction:
                return
            self._fold_steps()
            steps = self._pending.get(STEPS, {})
            while len(steps) > remaining:
                keys = list(itertools.islice(steps, STEP_ROWS))
                rows = [steps[key] for key in keys]
                self._destination.flush({STEPS: rows}, self.overwrites, retry=retry)
                self._note_steps(keys)
                for key in keys:
                    del steps[key]
                self.steps.unwritten = len(steps)

    def _note_steps(self, keys: Iterable[tuple[Any, ...]]) -> None:
        for name, segment, step in keys:
            last = self._written_steps.get((name, segment), -1)
            self._written_steps[name, segment] = max(last, step)
        self.steps.unwritten = 0

    def clear(self, table: str | None = None) -> None:
        """Forget the pending rows, of one table or of all."""
        if table is not None:
            self._pending.pop(table, None)
            return
        self.steps.take()
        self.steps.unwritten = 0
        self._pending, self._overwritten = {}, set()

    def next_number(self, what: str) -> int:
        """Return a number that the session has not used for `what`: check, input or part."""
        with self.lock:
            self._last_numbers[what] += 1
            return self._last_numbers[what]

    def last_numbers(self) -> dict[str, int]:
        """Return the last number in use of each kind."""
        with self.lock:
            return dict(self._last_numbers)

    def reuse_numbers(self, last_numbers: Mapping[str, int]) -> None:
        """Give out again what follows these numbers; later rows replace those that have them."""
        with self.lock:
            self._last_numbers = Counter(last_numbers)

    def next_part(self) -> int:
        """Return the next part number, once whoever holds the lock has reserved theirs."""
        with self.part_lock:
            return self.next_number("part")

    def last_part(self) -> int:
        """Return the highest part number that was given out, 0 if there is none."""
        with self.lock:
            return self._last_numbers["part"]

    def reserve_number(self, what: str, number: int) -> None:
        """Keep `next_number` from returning this number, or a lower one."""
        with self.lock:
            self._last_numbers[what] = max(self._last_numbers[what], number)

"""Transactions of the emulated server: their locks, their ends, and injected errors."""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from mfprefect_dev.teradata.catalog import Catalog, Table
from mfprefect_dev.teradata.engine import faults
from mfprefect_dev.teradata.engine.journal import clear_journal, undo_changes
from mfprefect_dev.teradata.engine.locks import LockTable
from mfprefect_dev.teradata.engine.system import System, read_catalog, write_entries
from mfprefect_dev.teradata.errors import ENDS_TRANSACTION, Refused

__all__ = ["WATCHERS", "Result", "Seen", "Transactions"]

_NUMBERS = itertools.count(1000)


@dataclass(frozen=True)
class Seen:
    """A request, commit or rollback that reached the emulator."""

    session: int
    kind: str
    text: str = ""
    rows: int = 0


WATCHERS: list[Callable[[Seen], None]] = []
"""Callbacks for everything that this process sends."""


@dataclass
class Result:
    """The result of a request: its rows, or the count of changed rows."""

    fields: tuple[tuple[str, str], ...] = ()
    rows: Iterator[list[Any]] = field(default_factory=lambda: iter(()))
    count: int = 0

    def materialise(self) -> None:
        """Fetch the remaining rows, before the connection executes something else."""
        self.rows = iter(list(self.rows))


class Transactions:
    """The connections of a session, and its current transaction."""

    def __init__(self, system: System, user: str) -> None:
        self.system = system
        self.user = user
        self.number = os.getpid() % 100_000 * 100_000 + next(_NUMBERS)
        self.autocommit = True
        self.refused: Refused | None = None
        self.dead = False
        self._catalogs = system.catalog_connection()
        self.sqlite = system.data_connection()
        self.locks = LockTable(system.folder, self.number, self._undo_of)
        self._undo_of(self.number)  # what a dead process with this number left
        self._live: Result | None = None
        self.reset()

    def reset(self) -> None:
        """Reset the state after the end of a transaction."""
        self.texts: list[str] = []
        self.changed = False
        self.row_locks = 0
        self.ddl_done = False
        self.entries: dict[str, Table | None] = {}

    def notify_watchers(self, kind: str, text: str = "", rows: int = 0) -> None:
        """Call the watchers."""
        for watcher in WATCHERS:
            watcher(Seen(self.number, kind, text, rows))

    def catalog(self) -> Catalog:
        """Return the current catalog."""
        return read_catalog(self._catalogs, self.system)

    def run(self, step: str, values: Sequence[Any]) -> sqlite3.Cursor:
        """Run a SQLite statement; raise Teradata's error if it fails."""
        try:
            return self.sqlite.execute(step, values)
        except sqlite3.Error as exc:
            raise self.translated(exc) from exc

    def translated(self, exc: sqlite3.Error) -> Refused:
        """Return Teradata's error for one of SQLite's."""
        refused, self.refused = self.refused, None
        if refused is not None:
            return refused
        text = str(exc)
        if "locked" in text:
            return Refused(3111)
        if match := re.match(r"NOT NULL constraint failed: (.*)", text):
            return Refused(3604, match[1])
        if match := re.match(r"CHECK constraint failed: (\d+):(.*)", text):
            return Refused(int(match[1]), match[2])
        if "FOREIGN KEY constraint failed" in text:
            return Refused(2700)
        if match := re.match(r"UNIQUE constraint failed: (.*)", text):
            return self._duplicate(match[1])
        if "integer overflow" in text:
            return Refused(2617, "an integer")
        return Refused(3706, f"the emulator cannot execute it: {text}")

    def _duplicate(self, what: str) -> Refused:
        if match := re.match(r"index '(\d+):([^:']*)", what):
            return Refused(int(match[1]), match[2])
        table = what.split(".", 1)[0]
        columns = [part.strip().removeprefix(f"{table}.").upper() for part in what.split(", ")]
        definition = self.catalog().tables.get(table)
        primary = (
            definition is not None and [c.upper() for c in definition.primary.columns] == columns
        )
        return Refused(2801 if primary else 2803, f"{self.system.database}.{table}")

    def commit(self) -> None:
        """Commit the transaction."""
        self.require_link()
        self._fetch_live()
        self.notify_watchers("commit")
        if self.texts:
            self.raise_injected("commit", self.texts)
        texts = self.texts
        if self.changed:
            clear_journal(self.sqlite, self.number)
        for connection in (self.sqlite, self._catalogs):  # in one after DDL
            if connection.in_transaction:
                connection.execute("COMMIT")
        self.locks.release()
        self.reset()
        if texts:
            self.raise_injected("committed", texts)

    def rollback(self) -> None:
        """Roll the transaction back."""
        self.require_link()
        self._fetch_live()
        self.notify_watchers("rollback")
        self.undo()

    def undo(self) -> None:
        """Undo the transaction and release its locks."""
        for connection in (self.sqlite, self._catalogs):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if self.changed:
            self._undo_of(self.number)
        self.locks.release()
        self.reset()

    def _undo_of(self, session: int) -> None:
        undo_changes(self.sqlite, session)

    def _fetch_live(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.materialise()

    def raise_injected(self, moment: str, texts: list[str]) -> None:
        """Raise an injected error if one is due."""
        code = faults.take(self.system.folder, moment, texts)
        if code is None:
            return
        if code == faults.LINK:
            self._lose_link()
        elif code in ENDS_TRANSACTION:
            self.undo()
        raise Refused(code)

    def _lose_link(self) -> None:
        with suppress(sqlite3.Error):
            self.undo()
        self.dead = True

    def require_link(self) -> None:
        """Raise if the session's link was lost."""
        if self.dead:
            raise Refused(faults.LINK)

    def mark_loading(self, key: str, loading: bool) -> None:
        """Record in the catalog, immediately, that a FastLoad of a table has begun or ended."""
        self._catalogs.execute("BEGIN IMMEDIATE")
        table = Catalog.inside(self._catalogs, self.system.database).tables.get(key)
        if table is not None:
            write_entries(self._catalogs, {key: replace(table, loading=loading)})
        self._catalogs.execute("COMMIT")

    def close(self) -> None:
        """Log off; undo an open transaction."""
        if not self.dead:
            self._fetch_live()
            self.undo()
        self.dead = True
        self.locks.close()
        self.sqlite.close()
        self._catalogs.close()

"""FastLoad as the driver implements it: it silently drops rows.

A row that does not fit goes to `<table>_ERR_1`; a duplicate row is dropped. Only callers that ask
for the warnings and errors learn of it.
"""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mfprefect_dev.teradata.catalog import Column, Index, Name, Table, changes, quoted
from mfprefect_dev.teradata.engine import faults
from mfprefect_dev.teradata.engine.journal import writing
from mfprefect_dev.teradata.engine.locks import LIMITS, TABLE, Lock
from mfprefect_dev.teradata.errors import VERSION, Refused, message
from mfprefect_dev.teradata.sql.requests import WRITE, Request
from mfprefect_dev.teradata.sql.statements import read_request
from mfprefect_dev.teradata.types import Type, bound

if TYPE_CHECKING:
    from mfprefect_dev.teradata.engine.session import Session

__all__ = ["FastLoad"]

SUFFIXES = ("_ERR_1", "_ERR_2")
_ERROR_COLUMNS = (
    Column("ErrorCode", Type("INTEGER")),
    Column("ErrorFieldName", Type("VARCHAR", 128, 0, "UNICODE")),
    Column("DataParcel", Type("VARBYTE", 64_000)),
)


class FastLoad:
    """One load of one table, from its first batch to the end of the transaction.

    Raises:
        Refused: FastLoad does not take the table or the request.
    """

    def __init__(self, session: Session, text: str) -> None:
        self.session = session
        self.text = text
        self.warnings = self.errors = ""
        self.request = read_request(text, session.catalog())
        self.table = self._fit(self.request)
        self.sent = 0
        self.running = True
        # It logs on sessions of its own, which SET SESSION and SET TIME ZONE do not reach.
        self.zone = dt.timedelta(minutes=LIMITS.zone_minutes)
        self.bad: list[tuple[int, str, bytes]] = []
        self._begin()

    def _fit(self, request: Request) -> Table:
        if request.kind != "insert" or not request.wants[-1].new or request.parameters == 0:
            raise Refused(3706, "FastLoad takes INSERT INTO table (..) VALUES (?, ..)")
        if self.session.autocommit:
            raise Refused(3706, "FastLoad needs autocommit off")
        if self.session.locks.held or self.session.texts:
            raise Refused(3706, "FastLoad needs a new transaction")
        catalog = self.session.catalog()
        table = catalog.tables[request.wants[-1].table]
        if table.lob:
            raise Refused(3706, "FastLoad does not take CLOB and BLOB")
        if any(index.unique and index.kind not in "PQ" for index in table.indexes):
            raise Refused(3706, "FastLoad does not take a table with a unique secondary index")
        if any(key.checked for key in table.foreign_keys):
            raise Refused(3706, "FastLoad does not take a table with checked references")
        for suffix in SUFFIXES:
            if catalog.find(Name(None, table.name + suffix)) is not None:
                raise Refused(2634, table.name)
        return table

    def _begin(self) -> None:
        session, place = self.session, self.table.in_sqlite()
        session.locks.take([Lock(self.table.key, TABLE, WRITE)])
        if session.sqlite.execute(f"SELECT 1 FROM {place} LIMIT 1").fetchone():
            session.undo()
            raise Refused(2636, self.table.name)
        session.mark_loading(self.table.key, True)

    def batch(self, rows: Sequence[Sequence[Any]]) -> int:
        """Take a batch; set rows that do not fit aside, without an error."""
        self.warnings = self.errors = ""
        self.session.require_link()
        self.session.notify_watchers("fastload", self.text, len(rows))
        self.session.raise_injected("request", [self.text])
        before = len(self.bad)
        values = [self._bound(number, row) for number, row in enumerate(rows)]
        self.sent += len(values)
        code = faults.take(self.session.system.folder, "row", [self.text])
        if code is not None:
            values[0] = None
            self.bad.append((code, "?", repr(tuple(rows[0])).encode()[:64_000]))
        sqlite, step = self.session.sqlite, self.request.steps[0]
        good = [row for row in values if row is not None]
        try:
            with writing(sqlite, None):
                sqlite.executemany(step, good)
        except sqlite3.Error:  # find the bad rows one by one
            with writing(sqlite, None):
                for row in good:
                    self._one(step, row)
        if errors := self.bad[before:]:
            self.errors = "; ".join(
                message(code, self.session.number, f"{self.table.name}.{name}")
                for code, name, _ in errors[:10]
            )
        return len(rows)

    def _bound(self, number: int, row: Sequence[Any]) -> tuple[Any, ...] | None:
        if len(row) != self.request.parameters:
            raise Refused(3939, f"{len(row)} values for {self.request.parameters} parameters")
        try:
            return tuple(
                bound(value, f"seqOfParams[{number}][{place}]", False, self.zone)
                for place, value in enumerate(row)
            )
        except Refused as refused:
            self.bad.append((refused.code, "?", repr(tuple(row)).encode()[:64_000]))
            return None

    def _one(self, step: str, row: tuple[Any, ...]) -> None:
        try:
            self.session.sqlite.execute(step, row)
        except sqlite3.Error as exc:
            refused = self.session.translated(exc)
            name = re.sub(r".*\.", "", refused.about[0]) if refused.about else "?"
            self.bad.append((refused.code, name, repr(row).encode()[:64_000]))

    def finish(self, *, commit: bool) -> None:
        """End the load with its transaction; errors injected for a commit apply here too."""
        self.running = False
        if not commit:
            self._drop()
            return
        self.session.notify_watchers("commit", self.text)
        self.session.raise_injected("commit", [self.text])
        self._end()
        self.session.raise_injected("committed", [self.text])

    def _end(self) -> None:
        """Finish the load: drop duplicates, leave error tables if rows were bad."""
        session, place = self.session, self.table.in_sqlite()
        self.warnings = self.errors = ""
        columns = ", ".join(quoted(column.name) for column in self.table.columns)
        arrived = session.sqlite.execute(f"SELECT count(*) FROM {place}").fetchone()[0]
        distinct = session.sqlite.execute(
            f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM {place})"
        ).fetchone()[0]
        if arrived != distinct:
            with writing(session.sqlite, None):
                session.sqlite.execute(
                    f"DELETE FROM {place} WHERE rowid NOT IN "
                    f"(SELECT min(rowid) FROM {place} GROUP BY {columns})"
                )
            self.warnings = (
                f"[Version {VERSION}] [Session {session.number}] [Teradata SQL Driver] "
                f"[Warning 518] Found {arrived - distinct} duplicate or faulty row(s) while ending "
                f"FastLoad of database table {self.table.name}: expected a row count of "
                f"{self.sent}, got a row count of {distinct}"
            )
        session.mark_loading(self.table.key, False)
        session.locks.release()
        session.reset()
        if self.bad:
            self._leave_errors()
            about = f"{len(self.bad)} rows, see {self.table.name}_ERR_1"
            self.errors = message(2621, session.number, about)

    def _leave_errors(self) -> None:
        session = self.session
        name = self.table.name + SUFFIXES[0]
        key = self.table.key + SUFFIXES[0].lower()
        index = Index(None, ("ErrorCode",), False, "P")
        table = Table(name, key=key, columns=_ERROR_COLUMNS, indexes=(index,))
        session.execute_ddl(Request("ddl", change=changes.AddTable(key, table)))
        made = session.entries[key]
        if made is not None:
            names = ", ".join(quoted(column.name) for column in made.columns)
            into = f"INSERT INTO {made.in_sqlite()} ({names}) VALUES (?, ?, ?)"
            with writing(session.sqlite, None):
                session.sqlite.executemany(into, self.bad)
        session.commit()

    def _drop(self) -> None:
        """End without applying: the rows are gone, and the table is free again."""
        self.warnings = self.errors = ""
        with writing(self.session.sqlite, None):
            self.session.sqlite.execute(f"DELETE FROM {self.table.in_sqlite()}")
        self.session.mark_loading(self.table.key, False)
        self.session.undo()

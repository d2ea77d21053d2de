"""A session of the emulated server: its settings, and how it executes requests."""

from __future__ import annotations

import decimal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import Any

from mfprefect_dev.teradata.catalog import Catalog, dictionary
from mfprefect_dev.teradata.catalog.changes import SIDES, AddTable
from mfprefect_dev.teradata.engine.functions import add_functions
from mfprefect_dev.teradata.engine.system import LIMITS, System, write_entries
from mfprefect_dev.teradata.engine.transactions import Result, Transactions
from mfprefect_dev.teradata.errors import ENDS_TRANSACTION, Refused
from mfprefect_dev.teradata.sql.requests import Request
from mfprefect_dev.teradata.sql.statements import read_request
from mfprefect_dev.teradata.types import bound, returned

__all__ = ["Session"]

_PLAIN = ("INTEGER", "BYTEINT", "SMALLINT", "BIGINT", "FLOAT", "VARCHAR", "CLOB", "BLOB", "VARBYTE")


class Session(Transactions):
    """One session; `execute` takes a request in Teradata's SQL and its bound rows."""

    def __init__(self, system: System, user: str) -> None:
        super().__init__(system, user)
        self.band: dict[str, str] = {}
        self.pass_through = False
        self.collation = "ASCII"
        add_functions(self.sqlite, self)

    def execute(self, text: str, rows: Sequence[Sequence[Any]] | None) -> Result:
        """Execute a request; undo it if it fails, and continue the transaction."""
        self.require_link()
        self._fetch_live()
        self.notify_watchers("request", text, len(rows or [()]))
        self.raise_injected("request", [text])
        if self.ddl_done:
            raise Refused(3722)
        request = read_request(text, self.catalog())
        try:
            result = self._execute(request, text, rows)
        except Refused as refused:
            if refused.code in ENDS_TRANSACTION or self.autocommit:
                self.undo()
            raise
        self.texts.append(text)
        if self.autocommit:
            result.materialise()
            self.commit()
        elif request.kind == "select":
            self._live = result
        return result

    def _execute(self, request: Request, text: str, rows: Sequence[Sequence[Any]] | None) -> Result:
        if request.setting is not None:
            if request.kind == "band" and self.sqlite.in_transaction:
                raise Refused(3722)
            request.setting(self)
            return Result()
        if request.change is not None:
            return self.execute_ddl(request)
        values = self._values(request, rows)
        for key in request.locks:
            self.table_locks.take(key, exclusive=True, nowait=request.nowait)
        self._begin(request)
        for name in request.looked_up:
            dictionary.fill(self.sqlite, self.catalog(), name)
        if request.kind == "select":
            return self._select(request, values[0])
        return self._write(request, values)

    def _values(
        self, request: Request, rows: Sequence[Sequence[Any]] | None
    ) -> list[tuple[Any, ...]]:
        given = rows if rows is not None else [()]
        if len(given) > LIMITS.batch_rows:
            raise Refused(
                3706, f"{len(given)} rows in a batch, at most {LIMITS.batch_rows} are allowed"
            )
        values = []
        for number, row in enumerate(given):
            if len(row) != request.parameters:
                raise Refused(3939, f"{len(row)} values for {request.parameters} parameters")
            values.append(
                tuple(
                    [
                        bound(value, f"seqOfParams[{number}][{place}]", self.pass_through)
                        for place, value in enumerate(row)
                    ]
                )
            )
        for number, kind in request.types.items():
            if kind.affinity() == "BLOB" and all(row[number - 1] is None for row in values):
                raise Refused(3532)  # an untyped NULL counts as VARCHAR
        return values

    def _begin(self, request: Request) -> None:
        """Begin a SQLite transaction; first end one whose snapshot no Teradata lock would hold."""
        if request.kind == "select" and (request.access or self.autocommit):
            return  # FOR ACCESS: each request sees the newest rows
        if not self.written and not self.read_locked and self.sqlite.in_transaction:
            self.sqlite.execute("COMMIT")
        if not self.sqlite.in_transaction:
            self.sqlite.execute("BEGIN")
        if request.kind == "select" or not request.access:
            self.read_locked = True

    def _select(self, request: Request, values: tuple[Any, ...]) -> Result:
        cursor = self.run(request.steps[0], values)
        return Result(request.fields, self._fetched(cursor, request.fields), -1)

    def _fetched(
        self, cursor: sqlite3.Cursor, fields: tuple[tuple[str, str], ...]
    ) -> Iterator[list[Any]]:
        counts = [place for place, (_, kind) in enumerate(fields) if kind == "COUNT"]
        plain = not counts and all(kind in _PLAIN for _, kind in fields)
        while True:
            try:
                rows = cursor.fetchmany(1000)
            except sqlite3.Error as exc:
                raise self.translated(exc) from exc
            if not rows:
                return
            for row in rows:
                listed = list(row) if plain else [returned(value) for value in row]
                for place in counts:
                    if listed[place] is not None:
                        listed[place] = decimal.Decimal(listed[place])
                yield listed

    def _write(self, request: Request, values: list[tuple[Any, ...]]) -> Result:
        for key in request.targets:
            self.table_locks.take(key, exclusive=False)
        locked = any(self.table_locks.held.get(key) for key in request.targets)
        if request.by_row and not locked:
            if self.row_locks + len(values) > LIMITS.row_locks:
                raise Refused(9128)
            self.row_locks += len(values)
        self.sqlite.execute("SAVEPOINT request")
        self.written.update(request.writes)
        count = 0
        try:
            if len(request.steps) == 1 and len(values) > 1:
                count = self._run_many(request.steps[0], values)
            else:
                for row in values:
                    for step in request.steps:
                        count += max(self.run(step, row).rowcount, 0)
        except BaseException:
            if self.sqlite.in_transaction:
                self.sqlite.execute("ROLLBACK TO request")
                self.sqlite.execute("RELEASE request")
            raise
        self.sqlite.execute("RELEASE request")
        return Result(count=count)

    def _run_many(self, step: str, values: Sequence[Sequence[Any]]) -> int:
        begin = time.monotonic()
        try:
            return self.sqlite.executemany(step, values).rowcount
        except sqlite3.Error as exc:
            raise self.translated(exc, time.monotonic() - begin) from exc

    def execute_ddl(self, request: Request) -> Result:
        """Execute DDL: lock the table's file, then the catalog, until the commit."""
        change = request.change
        if change is None:
            raise Refused(3706, "no DDL")
        if not self.written and not self.read_locked and self.sqlite.in_transaction:
            self.sqlite.execute("COMMIT")
        if not self.sqlite.in_transaction:
            self.sqlite.execute("BEGIN")
        file = self._file_of(change)
        if file is not None:
            self.run(f"DELETE FROM {file}.lock_me", ())
            self.written.add(file)
        try:
            self._catalogs.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            raise Refused(3111) from exc
        self.sqlite.execute("SAVEPOINT request")
        try:
            fresh = Catalog.inside(self._catalogs, self.system.database)
            self.entries = change.apply(fresh, self.sqlite)
        except (Refused, sqlite3.Error) as exc:
            self.sqlite.execute("ROLLBACK TO request")
            self.sqlite.execute("RELEASE request")
            self._catalogs.execute("ROLLBACK")
            raise (exc if isinstance(exc, Refused) else self.translated(exc)) from exc
        self.sqlite.execute("RELEASE request")
        write_entries(self._catalogs, self.entries)
        self.ddl_done = True
        return Result()

    def _file_of(self, change: Any) -> str | None:
        catalog = self.catalog()
        if not isinstance(change, AddTable):
            return change.file(catalog, [])  # type: ignore[no-any-return]
        file = change.file(catalog, [side for side in SIDES if self._free(side)])
        change.set_file(file or "main")
        return file

    def _free(self, file: str) -> bool:
        """Return whether no session writes to a file; locks it if so, which does no harm."""
        if file in self.written:
            return False
        used = {table.file for table in self.catalog().real()}
        if file in used:
            return False
        self.sqlite.execute("PRAGMA busy_timeout = 0")
        try:
            self.sqlite.execute(f"DELETE FROM {file}.lock_me")
        except sqlite3.OperationalError:
            return False
        finally:
            self.sqlite.execute(f"PRAGMA busy_timeout = {int(LIMITS.lock_seconds * 1000)}")
        return True

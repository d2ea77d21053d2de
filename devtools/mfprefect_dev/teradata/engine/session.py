"""A session of the emulated server: its settings, and how it executes requests."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from mfprefect_dev.teradata.catalog import Catalog, dictionary
from mfprefect_dev.teradata.engine.functions import add_functions
from mfprefect_dev.teradata.engine.journal import writing
from mfprefect_dev.teradata.engine.locks import LIMITS, TABLE, Lock
from mfprefect_dev.teradata.engine.row_locks import row_locks, table_locks
from mfprefect_dev.teradata.engine.system import System, write_entries
from mfprefect_dev.teradata.engine.transactions import Result, Transactions
from mfprefect_dev.teradata.errors import ENDS_TRANSACTION, Refused
from mfprefect_dev.teradata.sql.requests import EXCLUSIVE, Request
from mfprefect_dev.teradata.sql.statements import read_request
from mfprefect_dev.teradata.types import bound, returned

__all__ = ["Session"]

_DECIMALS = ("COUNT", "DECIMAL", "NUMBER")
"""Kinds of columns whose values the driver returns as Decimals."""
_PLAIN = ("INTEGER", "BYTEINT", "SMALLINT", "BIGINT", "FLOAT", "VARCHAR", "CLOB", "BLOB", "VARBYTE")


class Session(Transactions):
    """One session; `execute` takes a request in Teradata's SQL and its bound rows."""

    def __init__(self, system: System, user: str) -> None:
        super().__init__(system, user)
        self.band: dict[str, str] = {}
        self.pass_through = False
        self.collation = "ASCII"
        self.zone = dt.timedelta(minutes=LIMITS.zone_minutes)
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
            self.notify_watchers("refused", str(refused.code))
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
            if request.kind == "band" and self.locks.held:
                raise Refused(3722)
            request.setting(self)
            return Result()
        if request.change is not None:
            return self.execute_ddl(request)
        values = self._values(request, rows)
        self._take_locks(request, values)
        self._end_dead_sessions()
        for name in request.looked_up:
            dictionary.fill(self.sqlite, self.catalog(), name)
        if request.kind == "select":
            return self._select(request, values[0])
        return self._write(request, values)

    def _take_locks(self, request: Request, values: list[tuple[Any, ...]]) -> None:
        """Take the locks of a request, which may have waited, and count those on rows."""
        tables = self.catalog().tables
        for want in request.wants:
            locks = table_locks(want) or row_locks(self.sqlite, tables[want.table], want, values)
            if want.counted and not self.locks.covers(want.table, want.mode):
                if self.row_locks + len(values) > LIMITS.row_locks:
                    raise Refused(9128)
                self.row_locks += len(values)
            self.locks.take(locks, nowait=request.nowait)
            # It may have waited for a session that deleted the row, or inserted it.
            if want.rows and not want.new:
                self.locks.take(row_locks(self.sqlite, tables[want.table], want, values))

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
                        bound(
                            value, f"seqOfParams[{number}][{place}]", self.pass_through, self.zone
                        )
                        for place, value in enumerate(row)
                    ]
                )
            )
        if len(values) > 1 and any(kind.lob for kind in request.types.values()):
            self._refuse_deferred(values)
        for number, kind in request.types.items():
            if kind.affinity() == "BLOB" and all(row[number - 1] is None for row in values):
                raise Refused(3532)  # an untyped NULL counts as VARCHAR
        return values

    @staticmethod
    def _refuse_deferred(rows: Sequence[Sequence[Any]]) -> None:
        """Refuse a batch with a LOB that the driver sends after the request."""
        for value in (value for row in rows for value in row if isinstance(value, str | bytes)):
            size = len(value.encode()) if isinstance(value, str) else len(value)
            if size > LIMITS.inline_bytes:
                raise Refused(3706, f"a batch with a LOB of {size} bytes, which is sent deferred")

    def _end_dead_sessions(self) -> None:
        """Undo what killed processes left, before somebody reads it FOR ACCESS."""
        session, after = -1, 'SELECT min(session) FROM "td journal" WHERE session > ?'
        while (session := self.sqlite.execute(after, (session,)).fetchone()[0]) is not None:
            if session != self.number:
                self.locks.bury(session)

    def _select(self, request: Request, values: tuple[Any, ...]) -> Result:
        cursor = self.run(request.steps[0], values)
        return Result(request.fields, self._fetched(cursor, request.fields), -1)

    def _fetched(
        self, cursor: sqlite3.Cursor, fields: tuple[tuple[str, str], ...]
    ) -> Iterator[list[Any]]:
        decimals = [place for place, (_, kind) in enumerate(fields) if kind in _DECIMALS]
        plain = not decimals and all(kind in _PLAIN for _, kind in fields)
        while True:
            try:
                rows = cursor.fetchmany(1000)
            except sqlite3.Error as exc:
                raise self.translated(exc) from exc
            if not rows:
                return
            for row in rows:
                listed = list(row) if plain else [returned(value, self.zone) for value in row]
                for place in decimals:
                    if listed[place] is not None:
                        listed[place] = decimal.Decimal(str(listed[place]))
                yield listed

    def _write(self, request: Request, values: list[tuple[Any, ...]]) -> Result:
        count = 0
        self.changed = True
        try:
            with writing(self.sqlite, self.number):
                if len(request.steps) == 1 and len(values) > 1:
                    count = self.sqlite.executemany(request.steps[0], values).rowcount
                else:
                    for row in values:
                        for step in request.steps:
                            count += max(self.run(step, row).rowcount, 0)
        except sqlite3.Error as exc:
            raise self.translated(exc) from exc
        return Result(count=count)

    def execute_ddl(self, request: Request) -> Result:
        """Execute DDL: lock the table, the catalog and the file, until the commit."""
        change = request.change
        if change is None:
            raise Refused(3706, "no DDL")
        if change.locked:
            self.locks.take([Lock(change.locked, TABLE, EXCLUSIVE)])
        try:
            self._catalogs.execute("BEGIN IMMEDIATE")
            self.sqlite.execute("BEGIN IMMEDIATE")
            fresh = Catalog.inside(self._catalogs, self.system.database)
            self.entries = change.apply(fresh, self.sqlite)
        except (Refused, sqlite3.Error) as exc:
            for connection in (self.sqlite, self._catalogs):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise (exc if isinstance(exc, Refused) else self.translated(exc)) from exc
        write_entries(self._catalogs, self.entries)
        self.ddl_done = True
        return Result()

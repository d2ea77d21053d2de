"""The driver's cursor: bound values, escape functions, FastLoad, FastExport, rows."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from mfprefect_dev.teradata import lint
from mfprefect_dev.teradata.driver.link import SCOPE, Link
from mfprefect_dev.teradata.engine.fastexport import exported, incompatibility
from mfprefect_dev.teradata.engine.fastload import FastLoad
from mfprefect_dev.teradata.engine.session import Session
from mfprefect_dev.teradata.engine.transactions import Result
from mfprefect_dev.teradata.errors import ProgrammingError, Refused, raised
from mfprefect_dev.teradata.tokens import escapes

__all__ = ["TeradataCursor"]

_CODES: dict[str, Any] = {
    "INTEGER": int,
    "BYTEINT": int,
    "SMALLINT": int,
    "BIGINT": int,
    "COUNT": float,
    "FLOAT": float,
    "DECIMAL": decimal.Decimal,
    "NUMBER": decimal.Decimal,
    "BLOB": bytes,
    "VARBYTE": bytes,
    "DATE": datetime.date,
    "TIMESTAMP": datetime.datetime,
}


class TeradataCursor:
    """A cursor (PEP 249)."""

    def __init__(self, connection: Link) -> None:
        self.connection = connection
        self.description: list[list[Any]] | None = None
        self.rowcount = -1
        self.arraysize = 1
        self.closed = False
        self._result = Result()

    def close(self) -> None:
        """Close the cursor."""
        self.closed = True

    def execute(self, sOperation: str, params: Any = None, ignoreErrors: Any = None) -> Self:
        """Execute a request with at most one row of values."""
        if params is None:
            return self._go(sOperation, None, ignoreErrors)
        if type(params) not in (list, tuple):
            raise TypeError(f"params unexpected type {type(params)}")
        if not params:
            return self._go(sOperation, None, ignoreErrors)
        if type(params[0]) in (list, tuple):
            return self._go(sOperation, params, ignoreErrors)
        return self._go(sOperation, [params], ignoreErrors)

    def executemany(self, sOperation: str, seqOfParams: Any, ignoreErrors: Any = None) -> None:
        """Execute a request for each row of values, as one batch."""
        self._go(sOperation, seqOfParams, ignoreErrors)

    def _go(self, operation: str, rows: Any, ignore: Any) -> Self:
        if self.closed:
            raise ProgrammingError("Cursor is closed")
        self._check_rows(rows)
        connection = self.connection
        with connection.lock:
            connection.require_open()
            try:
                self._result = self._execute(operation, rows)
            except Refused as refused:
                error = raised(refused, connection.session.number)
                codes = {ignore} if isinstance(ignore, int) else set(ignore or ())
                if refused.code in codes:
                    return self
                raise error from None
        fields = self._result.fields
        self.description = [
            [name, _CODES.get(kind, str), None, 0, None, None, True] for name, kind in fields
        ] or None
        self.rowcount = self._result.count
        return self

    @staticmethod
    def _check_rows(rows: Any) -> None:
        if rows is None:
            return
        if type(rows) not in (list, tuple):
            raise TypeError(f"seqOfParams unexpected type {type(rows)}")
        for number, row in enumerate(rows):
            if type(row) not in (list, tuple):
                raise TypeError(f"seqOfParams[{number}] unexpected type {type(row)}")
            if len(row) == 0:
                raise ValueError(f"seqOfParams[{number}] is zero length")

    def _execute(self, operation: str, rows: Sequence[Sequence[Any]] | None) -> Result:
        connection = self.connection
        functions, text = escapes(operation)
        names = [name for name, _ in functions]
        if names[:1] == ["teradata_nativesql"]:
            results = connection.native(functions[1:], text)
            return Result((("nativesql", "VARCHAR"),), iter([[results]]), 1)
        for name in names:
            if name not in SCOPE:
                raise Refused(3706, f"{{fn {name}}} is not emulated here")
        if re.search(r"\{\s*fn\b", text):
            raise Refused(3706, "an escape function is only allowed at the start of a request")
        lint.require_clean(text)
        load = connection.load if connection.load and connection.load.running else None
        if "teradata_require_fastload" in names or "teradata_try_fastload" in names:
            if load is None or load.text != text:
                load = connection.load = FastLoad(connection.session, text)
            return Result(count=load.batch(rows or []))
        if load is not None:
            raise Refused(3706, "a FastLoad is running: commit or roll back first")
        required = "teradata_require_fastexport" in names
        if (required or "teradata_try_fastexport" in names) and self._exports(text, required):
            other = Session(connection.session.system, connection.session.user)
            result = exported(connection.session, other, text, rows)
            connection.exports.append(text)
            return result
        return connection.session.execute(text, rows)

    def _exports(self, text: str, required: bool) -> bool:
        """Return whether FastExport takes a request; refuse one that requires it in vain."""
        why_not = incompatibility(self.connection.session, text)
        if why_not is not None and required:
            raise Refused(3706, why_not)
        return why_not is None

    def __iter__(self) -> Iterator[list[Any]]:
        return self

    def __next__(self) -> list[Any]:
        with self.connection.lock:
            try:
                return next(self._result.rows)
            except Refused as refused:
                raise raised(refused, self.connection.session.number) from None

    def fetchone(self) -> list[Any] | None:
        """Return the next row."""
        return next(self, None)

    def fetchmany(self, nDesiredRowCount: int | None = None) -> list[list[Any]]:
        """Return the next rows."""
        wanted = self.arraysize if nDesiredRowCount is None else nDesiredRowCount
        rows = []
        for row in self:
            rows.append(row)
            if len(rows) == wanted:
                break
        return rows

    def fetchall(self) -> list[list[Any]]:
        """Return the remaining rows."""
        return list(self)

    def nextset(self) -> bool | None:
        """Return None: a request has one result."""
        self._result = Result()
        self.description = None
        return None

    def setinputsizes(self, sizes: Any) -> None:
        """Do nothing."""

    def setoutputsize(self, size: Any, column: Any = None) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

"""The driver's interface (PEP 249) in front of an emulated server, as teradatasql has it.

Every error is an OperationalError. Values are bound as the driver binds them: numpy's numbers are a
TypeError. Nothing here is evidence of how a real server behaves; see `mfprefect.testing.teradata`.
"""

from __future__ import annotations

import datetime
import json
import re
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from mfprefect.testing.teradata import lint
from mfprefect.testing.teradata.errors import (
    VERSION,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Refused,
    Warning,
)
from mfprefect.testing.teradata.fastload import FastLoad
from mfprefect.testing.teradata.session import Result, Session
from mfprefect.testing.teradata.system import System
from mfprefect.testing.teradata.tokens import escapes

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "STRING",
    "Binary",
    "DataError",
    "DatabaseError",
    "Date",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "TeradataConnection",
    "TeradataCursor",
    "Time",
    "Timestamp",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]

__version__ = VERSION
apilevel = "2.0"
threadsafety = 2
paramstyle = "qmark"
Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
Binary = bytes
BINARY, DATETIME, NUMBER, STRING = bytes, datetime.datetime, float, str

PARAMETERS = frozenset(
    [
        "host",
        "user",
        "password",
        "database",
        "dbs_port",
        "tmode",
        "logmech",
        "logdata",
        "encryptdata",
        "sslmode",
        "sslca",
        "sslcapath",
        "sslprotocol",
        "sslcipher",
        "connect_timeout",
        "request_timeout",
        "account",
        "cop",
        "coplast",
        "column_name",
        "lob_support",
        "log",
        "partition",
        "teradata_values",
        "max_message_body",
        "manage_error_tables",
        "sessions",
        "fake_result_sets",
        "flatten",
        "govern",
        "reconnect_count",
        "reconnect_interval",
        "https_port",
        "oidc_clientid",
        "oidc_scope",
        "oidc_token",
        "jws_algorithm",
        "jws_cert",
        "jws_private_key",
        "code_append_file",
        "browser",
        "http_proxy",
        "https_proxy",
        "proxy_bypass_hosts",
        "sip_support",
    ]
)
_SCOPE = frozenset(
    [
        "teradata_require_fastload",
        "teradata_try_fastload",
        "teradata_parameter",
        "teradata_sessions",
        "teradata_error_table_1_suffix",
        "teradata_error_table_2_suffix",
        "teradata_failfast",
        "teradata_rpo",
        "teradata_untrusted",
        "teradata_lobselect",
    ]
)


def _raised(refused: Refused, session: int = 0) -> OperationalError:
    return OperationalError(refused.text(session))


class TeradataConnection:
    """A connection; its autocommit is on until it is turned off."""

    def __init__(self, sConnectParams: str | None = None, **kwargs: Any) -> None:
        given = json.loads(sConnectParams or "{}") | {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in kwargs.items()
        }
        for key in given:
            if key not in PARAMETERS:
                raise OperationalError(
                    f"[Version {VERSION}] [Session 0] [Teradata SQL Driver] [Error 169] "
                    f"{key!r} is not a connection parameter"
                )
        if given.get("tmode", "DEFAULT").upper() != "ANSI":
            raise _raised(Refused(3706, "the emulator knows tmode=ANSI alone"))
        user = given.get("user", "")
        if not user:
            raise _raised(Refused(8017))
        try:
            system = System(given.get("host", ""), given.get("database") or user)
            if not system.admits(user, given.get("password", "")):
                raise Refused(8017)
        except Refused as refused:
            raise _raised(refused) from None
        self.session = Session(system, user)
        self.lock = threading.RLock()
        self.load: FastLoad | None = None
        self.closed = False

    def close(self) -> None:
        """Log off."""
        with self.lock:
            if not self.closed:
                self.closed = True
                self.session.close()

    def commit(self) -> None:
        """Commit."""
        self._end(commit=True)

    def rollback(self) -> None:
        """Roll back."""
        self._end(commit=False)

    def _end(self, *, commit: bool) -> None:
        with self.lock:
            self._open()
            load = self.load if self.load is not None and self.load.running else None
            try:
                if load is not None:
                    load.finish(commit=commit)
                elif commit:
                    self.session.commit()
                else:
                    self.session.rollback()
            except Refused as refused:
                raise _raised(refused, self.session.number) from None

    def _open(self) -> None:
        if self.closed:
            raise OperationalError(
                f"[Version {VERSION}] [Session {self.session.number}] [Teradata SQL Driver] "
                "[Error 804] the connection is closed"
            )

    def cursor(self) -> TeradataCursor:
        """Return a new cursor."""
        return TeradataCursor(self)

    def nativeSQL(self, sSQL: str) -> Any:
        """Return what an escape function says."""
        with self.cursor() as cursor:
            cursor.execute("{fn teradata_nativesql}" + sSQL)
            row = cursor.fetchone()
            return row[0] if row else None

    @property
    def autocommit(self) -> bool:
        """Whether each request is committed by itself."""
        return bool(self.nativeSQL("{fn teradata_autocommit}") == "true")

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if type(value) is not bool:
            raise TypeError(f"value unexpected type {type(value)}")
        self.nativeSQL("{fn teradata_autocommit_" + ("on" if value else "off") + "}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def native(self, functions: list[tuple[str, str]], text: str) -> str:
        """Carry out what follows `{fn teradata_nativesql}`; return the text that is left."""
        said = ""
        for name, _ in functions:
            if name == "teradata_autocommit":
                said += "true" if self.session.autocommit else "false"
            elif name == "teradata_autocommit_on":
                if not self.session.autocommit:
                    self.session.commit()
                self.session.autocommit = True
            elif name == "teradata_autocommit_off":
                self.session.autocommit = False
            elif name == "teradata_get_warnings":
                return self.load.warnings if self.load and self.load.text == text else ""
            elif name == "teradata_get_errors":
                return self.load.errors if self.load and self.load.text == text else ""
            elif name == "teradata_session_number":
                said += str(self.session.number)
            elif name == "teradata_driver_version":
                said += VERSION
            elif name == "teradata_amp_count":
                said += "1"
            elif name not in _SCOPE:
                raise Refused(3706, f"{{fn {name}}} is not emulated")
        return said + text


class TeradataCursor:
    """A cursor."""

    def __init__(self, connection: TeradataConnection) -> None:
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
        """Execute a request, with one row of values or none."""
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
            connection._open()
            try:
                self._result = self._carried_out(operation, rows)
            except Refused as refused:
                error = _raised(refused, connection.session.number)
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

    def _carried_out(self, operation: str, rows: Sequence[Sequence[Any]] | None) -> Result:
        connection = self.connection
        functions, text = escapes(operation)
        names = [name for name, _ in functions]
        if names[:1] == ["teradata_nativesql"]:
            said = connection.native(functions[1:], text)
            return Result((("nativesql", "VARCHAR"),), iter([[said]]), 1)
        for name in names:
            if name not in _SCOPE:
                raise Refused(3706, f"{{fn {name}}} is not emulated here")
        if re.search(r"\{\s*fn\b", text):
            raise Refused(3706, "an escape function stands inside the request")
        lint.require_clean(text)
        load = connection.load if connection.load and connection.load.running else None
        if "teradata_require_fastload" in names or "teradata_try_fastload" in names:
            if load is None or load.text != text:
                load = connection.load = FastLoad(connection.session, text)
            return Result(count=load.batch(rows or []))
        if load is not None:
            raise Refused(3706, "a FastLoad is under way: commit or roll back first")
        return connection.session.execute(text, rows)

    def __iter__(self) -> Iterator[list[Any]]:
        return self

    def __next__(self) -> list[Any]:
        with self.connection.lock:
            try:
                return next(self._result.rows)
            except Refused as refused:
                raise _raised(refused, self.connection.session.number) from None

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
        """Return all rows that are left."""
        return list(self)

    def nextset(self) -> bool | None:
        """Return None: there is one result a request."""
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


_CODES: dict[str, Any] = {
    "INTEGER": int,
    "BYTEINT": int,
    "SMALLINT": int,
    "BIGINT": int,
    "COUNT": float,
    "FLOAT": float,
    "BLOB": bytes,
    "VARBYTE": bytes,
    "DATE": datetime.date,
    "TIMESTAMP": datetime.datetime,
}
connect = TeradataConnection

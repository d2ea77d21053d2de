"""The interface of teradatasql (PEP 249) to an emulated server.

Every error is an OperationalError. Binding follows the driver: numpy's numbers raise a TypeError.
Nothing here is evidence of how a real server behaves; see `mfprefect_dev.teradata`.
"""

from __future__ import annotations

import datetime
import json
from types import TracebackType
from typing import Any, Self

from mfprefect_dev.teradata.driver.cursor import TeradataCursor
from mfprefect_dev.teradata.driver.link import Link
from mfprefect_dev.teradata.engine.session import Session
from mfprefect_dev.teradata.engine.system import System
from mfprefect_dev.teradata.errors import (
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
    raised,
)

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


class TeradataConnection(Link):
    """A connection; autocommit is on by default."""

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
            raise raised(Refused(3706, "the emulator supports only tmode=ANSI"))
        user = given.get("user", "")
        if not user:
            raise raised(Refused(8017))
        try:
            system = System(given.get("host", ""), given.get("database") or user)
            if not system.admits(user, given.get("password", "")):
                raise Refused(8017)
        except Refused as refused:
            raise raised(refused) from None
        super().__init__(Session(system, user))

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
            self.require_open()
            load = self.load if self.load is not None and self.load.running else None
            try:
                if load is not None:
                    load.finish(commit=commit)
                elif commit:
                    self.session.commit()
                else:
                    self.session.rollback()
            except Refused as refused:
                raise raised(refused, self.session.number) from None

    def cursor(self) -> TeradataCursor:
        """Return a new cursor."""
        return TeradataCursor(self)

    def nativeSQL(self, sSQL: str) -> Any:
        """Return the result of an escape function."""
        with self.cursor() as cursor:
            cursor.execute("{fn teradata_nativesql}" + sSQL)
            row = cursor.fetchone()
            return row[0] if row else None

    @property
    def autocommit(self) -> bool:
        """Whether each request is its own transaction."""
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


connect = TeradataConnection

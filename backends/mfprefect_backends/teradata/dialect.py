"""The stock dialect with repairs: transactions, pool, statement cache and lookups."""

from __future__ import annotations

import itertools
import re
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import pool
from sqlalchemy.dialects import registry
from teradatasqlalchemy.base import TeradataExecutionContext
from teradatasqlalchemy.dialect import TeradataDialect

from mfprefect_backends.teradata.codes import is_lost
from mfprefect_backends.teradata.compiler import Compiler, TypeCompiler
from mfprefect_backends.teradata.ddl import DDLCompiler
from mfprefect_backends.teradata.lookups import Lookups
from mfprefect_backends.teradata.types import COLSPECS, has_long_text

__all__ = ["DRIVERNAME", "Dialect", "execute_committed"]

DRIVERNAME = "teradatasql+mfprefect"
_DDL = re.compile(r"\s*(CREATE|REPLACE|ALTER|DROP|RENAME|COLLECT|GRANT|REVOKE|COMMENT)\b", re.I)

ON_CONNECT = (
    # Otherwise characters beyond the basic plane raise error 6706.
    "SET SESSION CHARACTER SET UNICODE PASS THROUGH ON",
    # Sort by bytes, as all supported databases sort ids.
    "SET SESSION COLLATION CHARSET_COLL",
    # A TIMESTAMP is stored and returned in the session's time zone.
    "SET TIME ZONE INTERVAL '00:00' HOUR TO MINUTE",
)


def execute_committed(driver: Any, statement: str) -> None:
    """Execute a statement in its own transaction, and leave none open."""
    autocommit = driver.autocommit
    driver.autocommit = True
    try:
        with driver.cursor() as cursor:
            cursor.execute(statement)
    finally:
        driver.autocommit = autocommit


class ExecutionContext(TeradataExecutionContext):  # type: ignore[misc]
    """Commits after DDL, which must be the last statement of its transaction (3722)."""

    def post_exec(self) -> None:
        """Commit after DDL; with autocommit, the driver already did."""
        super().post_exec()
        if self.statement is not None and _DDL.match(self.statement):
            driver: Any = self.root_connection.connection.dbapi_connection
            driver.commit()


class Dialect(Lookups, TeradataDialect):  # type: ignore[misc]
    """Teradata through teradatasql, in an ANSI session."""

    driver = "teradatasql"
    poolclass = pool.QueuePool
    supports_statement_cache = True
    statement_compiler = Compiler
    ddl_compiler = DDLCompiler
    type_compiler = TypeCompiler  # the stock dialect sets it, and it wins over type_compiler_cls
    execution_ctx_cls = ExecutionContext
    colspecs: ClassVar[Any] = {**TeradataDialect.colspecs, **COLSPECS}
    supports_default_values = False
    supports_comments = True
    supports_empty_insert = False
    supports_multivalues_insert = False
    supports_sane_multi_rowcount = False
    max_identifier_length = 128

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the driver; SQLAlchemy requires this method on the class itself."""
        return TeradataDialect.import_dbapi()

    @classmethod
    def get_pool_class(cls, url: sa.URL) -> type[pool.Pool]:
        """Return a pool that threads can share."""
        return pool.QueuePool

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        """Return the release as numbers, like other dialects."""
        release = str(super()._get_server_version_info(connection))
        return tuple(int(number) for number in re.findall(r"\d+", release.split(" ")[0]))

    def on_connect(self) -> Any:
        """Return the set-up of a new connection: session settings, then autocommit off."""

        def prepare(connection: Any) -> None:
            with connection.cursor() as cursor:
                for statement in ON_CONNECT:
                    cursor.execute(statement)
            connection.autocommit = False

        return prepare

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Select one row, in its own transaction."""
        execute_committed(dbapi_connection, "SELECT 1")
        return True

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: Any = None
    ) -> None:
        """Execute rows as batches, and those with a long text one by one.

        The driver sends a long text after its request, which may not work in a batch.
        """
        for long, rows in itertools.groupby(parameters, has_long_text):
            if long:
                for row in rows:
                    cursor.execute(statement, row)
            else:
                cursor.executemany(statement, list(rows))

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Return whether the connection is lost, by the driver's number and text."""
        return is_lost(e)

    def get_isolation_level_values(self, dbapi_connection: Any) -> list[str]:
        """Return the two levels of this dialect."""
        return ["SERIALIZABLE", "AUTOCOMMIT"]

    def get_isolation_level(self, dbapi_connection: Any) -> str:
        """Return the level from the driver's setting, without a request."""
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "SERIALIZABLE"

    def get_default_isolation_level(self, dbapi_conn: Any) -> str:
        """Return the level after on_connect."""
        return "SERIALIZABLE"

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        """Turn the driver's autocommit on or off."""
        dbapi_connection.autocommit = level == "AUTOCOMMIT"

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """Return whether the driver commits each statement."""
        return bool(dbapi_conn.autocommit)


registry.register("teradatasql.mfprefect", __name__, "Dialect")

"""MySQL and MariaDB, through pymysql."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from mfprefect.backend import Backend
from mfprefect.errors import (
    ConfigurationError,
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    IntegrityError,
)
from mfprefect.schema import Blob, Double, Id, LongText, Timestamp
from mfprefect.settings import Settings

__all__ = ["MysqlBackend"]

# https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
_CODES: dict[int, type[DatabaseError]] = {
    **dict.fromkeys((1205, 1213, 1020, 3572), DatabaseConflict),  # lock wait, deadlock, NOWAIT
    **dict.fromkeys((1040, 1053, 1077, 1079, 1080, 1152, 1158, 1160, 1203), DatabaseUnavailable),
    **dict.fromkeys((1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031), DatabaseUnavailable),
    **dict.fromkeys((1022, 1048, 1062, 1216, 1217, 1451, 1452, 3819, 4025), IntegrityError),
}


@compiles(Id, "mysql", "mariadb")
def _id(element: Id, compiler: Any, **options: Any) -> str:
    # utf8mb4_bin ignores trailing blanks: `a` and `a ` would be one id.
    nopad = "utf8mb4_nopad_bin" if compiler.dialect.is_mariadb else "utf8mb4_0900_bin"
    return f"VARCHAR({element.length}) CHARACTER SET utf8mb4 COLLATE {nopad}"


@compiles(LongText, "mysql", "mariadb")
def _long_text(element: LongText, compiler: Any, **options: Any) -> str:
    return "LONGTEXT"


@compiles(Blob, "mysql", "mariadb")
def _blob(element: Blob, compiler: Any, **options: Any) -> str:
    return "LONGBLOB"


@compiles(Double, "mysql", "mariadb")
def _double(element: Double, compiler: Any, **options: Any) -> str:
    return "DOUBLE"


@compiles(Timestamp, "mysql", "mariadb")
def _timestamp(element: Timestamp, compiler: Any, **options: Any) -> str:
    return compiler.process(mysql.DATETIME(fsp=6), **options)  # type: ignore[no-any-return]


class MysqlBackend(Backend):
    """MySQL 8 or MariaDB 10.6 and later; the tables live in the URL's database."""

    name: ClassVar[str] = "mysql"
    drivername: ClassVar[str] = "mysql+pymysql"
    driver: ClassVar[str] = "pymysql"
    transactional_ddl: ClassVar[bool] = False
    keeps_negative_zero: ClassVar[bool] = False

    def __init__(self, url: sa.URL, settings: Settings) -> None:
        if not url.database:
            raise ConfigurationError(
                "a MySQL URL names the database that holds the tables: "
                "mysql://user:password@host/model_factory."
            )
        super().__init__(url.update_query_dict({"charset": "utf8mb4"}), settings)

    def engine_options(self) -> Mapping[str, Any]:
        """Read what is committed, keep UTC, and let no bad value be bent into shape."""
        arguments = {
            "connect_timeout": max(1, round(self.settings.connect_timeout)),
            "init_command": "SET time_zone = '+00:00', sql_mode = "
            "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
        }
        return {
            "pool_pre_ping": True,
            "pool_recycle": 3600,
            "isolation_level": "READ COMMITTED",
            "connect_args": arguments,
        }

    def table_options(self, table: str) -> Mapping[str, Any]:
        """Choose InnoDB, and a collation under which `a` and `A` are two ids."""
        return {
            "mysql_engine": "InnoDB",
            "mysql_charset": "utf8mb4",
            "mysql_collate": "utf8mb4_bin",
        }

    @contextmanager
    def lock(self, connection: sa.Connection) -> Iterator[None]:
        """Hold a named lock: DDL commits by itself, so a transaction's lock would be gone."""
        name = f"mfprefect.{self.url.database}"[:64]
        connection.execute(sa.text("SELECT GET_LOCK(:name, 600)"), {"name": name}).scalar_one()
        try:
            yield
        finally:
            if not connection.invalidated:  # a lost connection has lost its lock
                connection.execute(sa.text("DO RELEASE_LOCK(:name)"), {"name": name})

    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Go by the server's error number."""
        arguments = getattr(error.orig, "args", ())
        code = arguments[0] if arguments and isinstance(arguments[0], int) else 0
        if code == 0 and error.connection_invalidated:
            return DatabaseUnavailable
        return _CODES.get(code, DatabaseError)

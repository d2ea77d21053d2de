"""MySQL and MariaDB, through pymysql."""

from __future__ import annotations

import logging
import math
from collections.abc import Container, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from mfprefect.backend import ArrowRows, Backend, ServerProblem, TableBytes
from mfprefect.errors import (
    ConfigurationError,
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    IntegrityError,
    PermissionDenied,
)
from mfprefect.schema import Blob, Double, Id, JsonRows, LongText, OrderedJoin, Timestamp
from mfprefect.settings import Settings
from mfprefect_backends import (
    _mysql_comments,
    _mysql_grants,
    _mysql_limits,
    _mysql_load,
    _statements,
)
from mfprefect_backends._keepalive import keep_alive

__all__ = ["MysqlBackend"]

log = logging.getLogger(__name__)
NO_CONNECTION = 2003
_SIZES = """
SELECT table_name, data_length, index_length FROM information_schema.tables
WHERE table_schema = :schema AND table_type = 'BASE TABLE'
"""
_OPTION_ERRORS = (TypeError, ValueError, LookupError, AttributeError, NotImplementedError)

# https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
_CODES: dict[int, type[DatabaseError]] = {
    **dict.fromkeys((1205, 1213, 1020, 3572), DatabaseConflict),  # lock wait, deadlock, NOWAIT
    1412: DatabaseConflict,  # a table was altered after the snapshot
    **dict.fromkeys((1040, 1053, 1077, 1079, 1080, 1152, 1158, 1160, 1203), DatabaseUnavailable),
    # Out of disk or memory; read-only, as during a failover.
    **dict.fromkeys((1021, 1037, 1038, 1041, 1792, 1836), DatabaseUnavailable),
    **dict.fromkeys((1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031), DatabaseUnavailable),
    **dict.fromkeys((1022, 1048, 1062, 1216, 1217, 1451, 1452, 3819, 4025), IntegrityError),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), PermissionDenied),
}


_FIELD_TYPES: dict[int, sa.types.TypeEngine[Any]] = {
    **dict.fromkeys((0, 246), sa.Numeric()),
    **dict.fromkeys((1, 2, 3, 8, 9), sa.BigInteger()),
    **dict.fromkeys((4, 5), sa.Double()),
    **dict.fromkeys((15, 253, 254), sa.String()),
}
"""Types of columns by the numbers of the protocol."""


@compiles(Id, "mysql", "mariadb")
def _id(element: Id, compiler: Any, **options: Any) -> str:
    return f"VARCHAR({element.length}) CHARACTER SET utf8mb4 COLLATE {_nopad(compiler.dialect)}"


def _nopad(dialect: Any) -> str:
    # utf8mb4_bin ignores trailing blanks: `a` and `a ` would be one id.
    return "utf8mb4_nopad_bin" if dialect.is_mariadb else "utf8mb4_0900_bin"


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


@compiles(JsonRows, "mysql", "mariadb")
def _json_rows(element: JsonRows, compiler: Any, **options: Any) -> str:
    kinds = compiler.dialect.type_compiler_instance
    columns = ["place FOR ORDINALITY"]
    columns += (
        f"{column.name} {kinds.process(column.type)} PATH '$.{key}'"
        for key, column in element.fields.items()
    )
    shown = ", ".join(f"listed.{column.name}" for column in element.fields.values())
    # MySQL 9.7 refuses a bare column of a subquery as the document (1210).
    document = "COALESCE(documents.document, '[]')"
    return (
        f"SELECT documents.session_no, listed.place, {shown} "  # noqa: S608
        f"FROM ({compiler.process(element.documents, **options)}) AS documents "
        f"JOIN JSON_TABLE({document}, '$[*]' COLUMNS ({', '.join(columns)})) AS listed"
    )


def _prepare(connection: Any, _: Any) -> None:
    _mysql_load.allow_local_infile(connection, False)
    keep_alive(connection._sock)


def _connect(dialect: Any, _: Any, arguments: Any, options: dict[str, Any]) -> Any:
    try:
        return dialect.connect(*arguments, **options)
    except (*_OPTION_ERRORS, OSError) as exc:  # before the server is reached
        other = {"host", "user", "password", "port", "database", "client_flag", "init_command"}
        raise ConfigurationError(
            f"an option after the ? of the database URL is wrong: {exc}. It is one of "
            f"{', '.join(sorted(options.keys() - other))}; files must be readable."
        ) from exc


@compiles(OrderedJoin, "mysql", "mariadb")
def _ordered_join(element: OrderedJoin, compiler: Any, **options: Any) -> str:
    # The index is forced, too: a scan into a join buffer would meet the rows of all sessions.
    sides = (compiler.process(side, **options) for side in (element.left, element.right))
    condition = compiler.process(element.onclause, **{**options, "asfrom": False})
    return f"{' STRAIGHT_JOIN '.join(sides)} FORCE INDEX (PRIMARY) ON {condition}"


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [column.cast(kind) for column, kind in zip(batch, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class MysqlBackend(Backend):
    """MySQL 8 or MariaDB 10.6 and later; the tables live in the URL's database."""

    name: ClassVar[str] = "mysql"
    drivername: ClassVar[str] = "mysql+pymysql"
    driver: ClassVar[str] = "pymysql"
    comments_on_views: ClassVar[bool] = False
    transactional_ddl: ClassVar[bool] = False
    locks_without_waiting: ClassVar[bool] = True
    # Without a temporary table, a reader's function may meet rows before the view judges them.
    create_hiding_view: ClassVar[str] = "CREATE ALGORITHM = TEMPTABLE VIEW {name} AS "
    scores_in_sql: ClassVar[bool] = True
    writers: int = 2  # one server thread builds the key more slowly than we encode rows

    def __init__(self, url: sa.URL, settings: Settings) -> None:
        if not url.database:
            raise ConfigurationError(
                "a MySQL URL must name the database of the tables: "
                "mysql://user:password@host/model_factory."
            )
        self._said_no_local_infile = False
        self._named_mariadb = url.get_backend_name() == "mariadb"
        super().__init__(url.update_query_dict({"charset": "utf8mb4"}), settings)

    def engine_options(self) -> Mapping[str, Any]:
        """Set READ COMMITTED, UTC, and a strict mode that refuses bad values."""
        arguments = {
            # Enabled in the driver; `configure` blocks it except while `append` loads.
            "local_infile": True,
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

    def dialect(self) -> sa.Dialect:
        """Return MariaDB's dialect if the URL names it; without a server, only the URL can tell."""
        name = "mariadb+pymysql" if self._named_mariadb else self.drivername
        return self.url.set(drivername=name).get_dialect()()

    def keeps_negative_zero(self, connection: sa.Connection) -> bool:
        """Return True on MySQL, False on MariaDB."""
        dialect: Any = connection.dialect
        return not dialect.is_mariadb

    def setup_statements(self) -> list[str]:
        """Return the statement that selects the database, before the base's statements."""
        quote = self.dialect().identifier_preparer.quote_identifier
        return [f"USE {quote(str(self.url.database))}", *super().setup_statements()]

    def configure(self, engine: sa.Engine) -> None:
        """Keep servers from reading local files; notice when they are lost; name wrong options."""
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "handle_error", _mysql_limits.explain_lost_packet)
        event.listen(engine, "connect", _prepare)

    def hint(self, error: DBAPIError) -> str | None:
        """Say which variable or privilege is in the way."""
        return _mysql_limits.hint(error)

    def server_problems(self, connection: sa.Connection) -> list[ServerProblem]:
        """Return variables with which the server refuses what sessions write."""
        return _mysql_limits.problems(connection)

    def table_options(self, table: str) -> Mapping[str, Any]:
        """Choose InnoDB, and a collation that distinguishes `a` and `A`."""
        return {
            "mysql_engine": "InnoDB",
            "mysql_charset": "utf8mb4",
            "mysql_collate": "utf8mb4_bin",
        }

    def append(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Load by LOAD DATA LOCAL from a pipe; where the server forbids that, by INSERTs."""
        if rows.num_rows == 0:
            return
        loading = _mysql_load.loading_of(connection)  # each time: a DBA may change it meanwhile
        if loading.local_infile:
            _mysql_load.load_data(connection, table, rows)
            return
        if not self._said_no_local_infile:
            self._said_no_local_infile = True
            log.warning(
                "%s forbids LOAD DATA LOCAL: scores are inserted, which is slower. "
                "A DBA allows it: %s.",
                self.url.set(query={}).render_as_string(hide_password=True),
                _mysql_limits.CURES[_mysql_limits.LOCAL_INFILE],
            )
        with self.driver_errors(connection, f"INSERT INTO {table.name}"):
            _mysql_load.insert(connection, table, rows, loading.max_allowed_packet)

    def stream(
        self, connection: sa.Connection, select: sa.Select[*tuple[Any, ...]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Read as a prepared statement; where the server prepares none, as text."""
        compiled = select.compile(connection, compile_kwargs={"literal_binds": True})
        text = str(compiled).replace("%%", "%")
        if not connection.in_transaction():  # as a statement of SQLAlchemy would
            connection.begin()
        rows = self._read_binary(connection, text.encode(), text, reusable=True)
        if isinstance(rows, str):
            yield from self._stream_text(connection, select, schema)
            return
        with closing(rows.batches) as batches:
            for batch in batches:
                yield _typed(batch, schema)

    def _stream_text(
        self, connection: sa.Connection, select: sa.Select[*tuple[Any, ...]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Read texts and numbers as the bytes that the server sends: Arrow parses them faster."""
        driver: Any = connection.connection.dbapi_connection
        texts = pa.schema([field.with_type(pa.large_string()) for field in schema])
        before = driver.use_unicode, driver.decoders
        driver.use_unicode, driver.decoders = False, {}
        try:
            for batch in super().stream(connection, select, texts):
                yield _typed(batch, schema)
        finally:
            driver.use_unicode, driver.decoders = before

    def _read_binary(
        self, connection: sa.Connection, text: bytes, statement: str, *, reusable: bool = False
    ) -> ArrowRows | str:
        from mfprefect_backends import _mysql_binary  # imports the driver, which may be missing

        errors = partial(self.driver_errors, connection, statement)
        driver: Any = connection.connection.dbapi_connection
        with errors():
            query = _mysql_binary.query_of(driver, text)
        if isinstance(query, str):
            return query
        return _mysql_binary.rows_of(connection, query, errors, reusable=reusable)

    def source_options(self) -> Mapping[str, Any]:
        """Give up connecting to a source as soon as to the store, unless its URL says otherwise."""
        if "connect_timeout" in self.url.query:
            return {}
        return {"connect_timeout": max(1, round(self.settings.connect_timeout))}

    def read_arrow(
        self, connection: sa.Connection, statement: sa.TextClause, params: Mapping[str, Any]
    ) -> ArrowRows | str:
        """Read a query as a prepared statement: the server need not print numbers."""
        with self.driver_errors(connection, statement.text):
            text = _statements.sent(connection, statement, params)
        if text is None:
            return _statements.NO_QUERY
        return self._read_binary(connection, text, statement.text)

    def table_bytes(self, connection: sa.Connection) -> dict[str, TableBytes]:
        """Return what the server's statistics say; ANALYZE TABLE brings them up to date."""
        if not connection.dialect.is_mariadb:  # type: ignore[attr-defined]  # of this dialect
            connection.exec_driver_sql("SET SESSION information_schema_stats_expiry = 0")
        schema = self.schema.layout.schema or self.url.database
        rows = connection.execute(sa.text(_SIZES), {"schema": schema})
        return {name: TableBytes(int(a or 0) + int(b or 0), int(b or 0)) for name, a, b in rows}

    def as_entity_id(
        self, connection: sa.Connection, expression: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[str]:
        """Compare in our collation, so that the primary key's index can be used."""
        text = super().as_entity_id(connection, expression)
        return sa.collate(text, _nopad(connection.dialect))

    def insert_select(
        self,
        connection: sa.Connection,
        table: sa.Table,
        select: sa.Select[*tuple[Any, ...]],
        part: tuple[int, int],
    ) -> None:
        """Insert in the order of the key, with the mode and the zone that a source's query has."""
        with _mysql_load.as_read(connection):
            super().insert_select(connection, table, select.order_by("entity_id"), part)

    @contextmanager
    def time_limit(self, connection: sa.Connection, seconds: float) -> Iterator[None]:
        """Set the timeout of each statement of the connection."""
        limit = f"max_execution_time = {math.ceil(1000 * seconds)}"
        if connection.dialect.is_mariadb:  # type: ignore[attr-defined]  # of this dialect
            limit = f"max_statement_time = {seconds:.3f}"
        connection.exec_driver_sql(f"SET SESSION {limit}")
        yield

    def source_type(self, code: Any) -> sa.types.TypeEngine[Any]:
        """Return the type of a field type of the protocol."""
        return _FIELD_TYPES.get(code, sa.types.NullType())

    def exact(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Compare bytes, whatever collation the column has."""
        return sa.cast(column, sa.LargeBinary())

    def sampled(
        self, connection: sa.Connection, column: sa.ColumnElement[Any], share: int
    ) -> sa.ColumnElement[bool]:
        """Take the rows by CRC32."""
        text = self.scored_id(connection, column)
        return sa.func.mod(sa.func.crc32(text), share) == 0

    def replace_view(self, connection: sa.Connection, name: str, create: str) -> None:
        """Replace the view in one step: DDL commits by itself, and readers would miss it."""
        connection.exec_driver_sql(create.replace("CREATE", "CREATE OR REPLACE", 1))

    def set_comments(
        self, connection: sa.Connection, table: sa.Table, kind: str, names: Container[str | None]
    ) -> None:
        """Set comments by ALTER TABLE, which changes nothing else."""
        _mysql_comments.set_comments(connection, table, names)

    def begin_snapshot(self, connection: sa.Connection) -> None:
        """Begin at REPEATABLE READ with a snapshot of now."""
        connection.begin()
        # For the next transaction only; at READ COMMITTED the snapshot would be ignored.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def grants(self, role: str, user: str) -> str:
        """Grant rights; for the admin, add triggers that protect ended sessions from others."""
        return _mysql_grants.script(self.url, self.schema, role, user)

    @contextmanager
    def lock(self, connection: sa.Connection) -> Iterator[None]:
        """Hold a named lock: DDL commits the transaction, and would release its locks."""
        name = f"mfprefect.{self.url.database}"[:64]
        connection.execute(sa.text("SELECT GET_LOCK(:name, 600)"), {"name": name}).scalar_one()
        try:
            yield
        finally:
            if not connection.invalidated:  # a lost connection has lost its lock
                connection.execute(sa.text("DO RELEASE_LOCK(:name)"), {"name": name})

    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Decide by the server's error number."""
        arguments = getattr(error.orig, "args", ())
        code = arguments[0] if arguments and isinstance(arguments[0], int) else 0
        if code == 0 and error.connection_invalidated:
            return DatabaseUnavailable
        if code == NO_CONNECTION and "CERTIFICATE" in str(error.orig):
            return DatabaseError  # the server's certificate is not trusted
        if code == _mysql_limits.PREVENTED and _mysql_limits.READ_ONLY in str(error.orig):
            return DatabaseUnavailable
        return _CODES.get(code, DatabaseError)

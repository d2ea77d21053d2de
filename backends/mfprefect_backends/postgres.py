"""PostgreSQL, through psycopg2."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import event
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
from mfprefect.schema import Double, Id, JsonRows, comment_statements
from mfprefect_backends import _postgres_copy, _postgres_grants, _postgres_settings, _statements
from mfprefect_backends import _postgres_transactions as _transactions
from mfprefect_backends._csv import Encoded, Unloading, decoded
from mfprefect_backends._keepalive import KEEPALIVE

__all__ = ["PostgresBackend"]

log = logging.getLogger(__name__)

# https://www.postgresql.org/docs/current/errcodes-appendix.html, by class or whole code
_CLASSES: dict[str, type[DatabaseError]] = {
    "08": DatabaseUnavailable,  # connection exception
    "23": IntegrityError,
    "40": DatabaseConflict,  # serialization failure, deadlock
    "53": DatabaseUnavailable,  # out of connections, memory, disk
    "57P": DatabaseUnavailable,  # shutting down, starting up, crash
    "55P03": DatabaseConflict,  # lock not available
    "42501": PermissionDenied,
    "25006": DatabaseUnavailable,  # read-only, as during a failover
    # Idle in a transaction, or too long in one: the server hung up.
    **dict.fromkeys(("25P03", "25P04"), DatabaseUnavailable),
}
_DENIED = (
    *("authentication failed", "no password supplied", "pg_hba.conf", "does not exist"),
    *("certificate", "does not support SSL"),
)
# libpq's own messages about what it is given, before it reaches a server.
_WRONG_OPTION = re.compile(
    r"invalid (?:[\w\" ]+ value:|connection option|dsn|port number|integer value|sslmode)"
    r"|value \"[^\"]*\" (?:is )?(?:invalid|not supported) when|may not be used with sslrootcert"
    r"|invalid (?:URI|percent-encoded)|could not match \d+ (?:port|host)|definition of service"
    r"|service file|unrecognized configuration parameter|invalid command-line argument"
    r"|unsupported startup parameter"
)
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('mfprefect'), hashtext(:name))"

_OIDS: dict[int, sa.types.TypeEngine[Any]] = {
    16: sa.Boolean(),
    **dict.fromkeys((20, 21, 23), sa.BigInteger()),
    **dict.fromkeys((25, 1042, 1043), sa.String()),
    **dict.fromkeys((700, 701), sa.Double()),
    1700: sa.Numeric(),
}
"""Types of columns by the OIDs of pg_type."""
READ_BYTES = 256 * 1024
_GIVE_UP_SOON = "SET LOCAL lock_timeout = '500ms'"
_SAME_VIEW = """
SELECT pg_get_viewdef(a.oid) = pg_get_viewdef(b.oid)
  AND a.reloptions IS NOT DISTINCT FROM b.reloptions
FROM pg_class a, pg_class b WHERE a.oid = to_regclass(:view) AND b.oid = to_regclass(:twin)
"""
OWN_TABLES = 200
"""How many sessions can have their own table: a query of all scores opens all of them."""
_ROOM = """
SELECT pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE'),
       (SELECT count(*) FROM pg_inherits i WHERE i.inhparent = c.oid)
FROM pg_class c WHERE c.oid = to_regclass(:scores)
"""
_SIZES = """
SELECT CASE WHEN c.relname ~ :single THEN :scores ELSE c.relname END AS name,
       CAST(sum(pg_total_relation_size(c.oid)) AS BIGINT),
       CAST(sum(pg_indexes_size(c.oid)) AS BIGINT)
FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = CAST(:namespace AS regnamespace)
GROUP BY 1
"""
_ATTACHED = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(:name))"


@compiles(Id, "postgresql")
def _id(element: Id, compiler: Any, **options: Any) -> str:
    # Byte order, whatever the database's locale; an ICU collation makes loading 13 % slower.
    return f'VARCHAR({element.length}) COLLATE "C"'


@compiles(JsonRows, "postgresql")
def _json_rows(element: JsonRows, compiler: Any, **options: Any) -> str:
    kinds = compiler.dialect.type_compiler_instance
    # It takes a field by its key, which may be a reserved word or not the column's name.
    fields = ", ".join(f'"{key}" {kinds.process(c.type)}' for key, c in element.fields.items())
    shown = ", ".join(f'listed."{key}" AS {c.name}' for key, c in element.fields.items())
    keys = ", ".join(f'"{key}"' for key in element.fields)
    return (
        f"SELECT documents.session_no, CAST(listed.place AS INTEGER) AS place, {shown} "  # noqa: S608
        f"FROM ({compiler.process(element.documents, **options)}) AS documents CROSS JOIN LATERAL "
        f"ROWS FROM (jsonb_to_recordset(CAST(documents.document AS jsonb)) AS ({fields})) "
        f"WITH ORDINALITY AS listed ({keys}, place)"
    )


class _Double(Double):
    """Sends -0.0 as text: PostgreSQL reads a number as decimal, which has no negative zero."""

    def bind_processor(self, dialect: Any) -> Any:
        return lambda value: "-0.0" if value == 0 and math.copysign(1, value) < 0 else value


class PostgresBackend(Backend):
    """PostgreSQL 12 or later; the tables are in their own schema."""

    name: ClassVar[str] = "postgres"
    drivername: ClassVar[str] = "postgresql+psycopg2"
    driver: ClassVar[str] = "psycopg2"
    default_schema: ClassVar[str | None] = "model_factory"
    enforces_sessions: ClassVar[bool] = True
    per_session_tables: ClassVar[bool] = True
    locks_without_waiting: ClassVar[bool] = True
    create_hiding_view: ClassVar[str] = "CREATE VIEW {name} WITH (security_barrier) AS "
    scores_in_sql: ClassVar[bool] = True
    writers: int = 2

    def engine_options(self) -> Mapping[str, Any]:
        """Test pooled connections before use; name the application for the DBA."""
        arguments = {
            "connect_timeout": max(1, round(self.settings.connect_timeout)),
            "application_name": "mfprefect",
            "client_encoding": "utf8",
            **{f"keepalives_{name}": value for name, value in KEEPALIVE.items()},
        }
        defaults = {key: value for key, value in arguments.items() if key not in self.url.query}
        return {"pool_pre_ping": True, "connect_args": defaults}

    def configure(self, engine: sa.Engine) -> None:
        """Store doubles bit for bit, let writes take their time, name wrong options of the URL."""
        event.listen(engine, "begin", _transactions.choose)
        dialect: Any = engine.dialect
        dialect.colspecs = {**dialect.colspecs, Double: _Double}

        def connect(dialect: Any, _: Any, arguments: Any, options: dict[str, Any]) -> Any:
            try:
                return dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.Error as exc:
                if _WRONG_OPTION.search(text := str(exc)) is None:
                    raise
                for secret in self.secrets():
                    text = text.replace(secret, "***")
            # Outside the except block: the cause could show the password in the traceback.
            raise ConfigurationError(
                f"an option of the database URL is wrong: {text.strip()}. Correct MFPREFECT_URL or "
                "mfprefect.toml; the options after the ? are libpq's, such as sslmode=verify-full."
            )

        event.listen(engine, "do_connect", connect)

    def read_exactly(self, engine: sa.Engine) -> None:
        """Begin each transaction with the settings that exactness needs.

        Not at the start of the connection: a pooler in transaction mode refuses start-up options,
        and forgets what a session sets.
        """
        _transactions.exact(engine)

    def source_options(self) -> Mapping[str, Any]:
        """Give up connecting to a source as soon as to the store, unless its URL says otherwise."""
        if "connect_timeout" in self.url.query:
            return {}
        return {"connect_timeout": max(1, round(self.settings.connect_timeout))}

    def read_arrow(
        self, connection: sa.Connection, statement: sa.TextClause, params: Mapping[str, Any]
    ) -> ArrowRows | str:
        """Read a query by COPY in its binary format, in the connection's transaction."""
        errors = partial(self.driver_errors, connection, statement.text)
        with errors():
            query = _statements.sent(connection, statement, params)
            if query is None:
                return _statements.NO_QUERY
            if not connection.in_transaction():  # the driver alone would begin none
                connection.begin()
            columns = _postgres_copy.columns_of(connection, query)
        if isinstance(columns, str):
            return columns
        return _postgres_copy.rows_of(connection, query, columns, errors)

    def hint(self, error: DBAPIError) -> str | None:
        """Say which setting of the server is in the way."""
        return _postgres_settings.HINTS.get(getattr(error.orig, "pgcode", None) or "")

    def server_problems(self, connection: sa.Connection) -> list[ServerProblem]:
        """Return settings that refuse or cut off what sessions write and people read."""
        return _postgres_settings.problems(connection)

    def append(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Load by COPY, in the connection's transaction."""
        preparer = connection.dialect.identifier_preparer
        columns = ", ".join(preparer.quote(name) for name in rows.column_names)
        copy = f"COPY {preparer.format_table(table)} ({columns}) FROM STDIN (FORMAT csv)"
        driver: Any = connection.connection.dbapi_connection
        with self.driver_errors(connection, copy), driver.cursor() as cursor:
            cursor.copy_expert(copy, Encoded(rows, null=""), READ_BYTES)
            if cursor.rowcount != rows.num_rows:
                raise DatabaseError(f"COPY took {cursor.rowcount} of {rows.num_rows} rows.")

    def stream(
        self, connection: sa.Connection, select: sa.Select[*tuple[Any, ...]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Unload by COPY, through a pipe into Arrow's CSV reader."""
        text = select.compile(connection, compile_kwargs={"literal_binds": True})
        # Quoted, to distinguish an empty text from NULL.
        copy = f"COPY ({text}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)".replace("%%", "%")
        if not connection.in_transaction():  # the driver alone would begin none
            connection.begin()
        driver: Any = connection.connection.dbapi_connection

        def unload(file: Any) -> None:
            with driver.cursor() as cursor:
                cursor.copy_expert(copy, file)

        with self.driver_errors(connection, copy), Unloading(unload) as file:
            yield from decoded(file, schema)

    def _session_table(self, session_no: int) -> sa.Table:
        name = f"{self.schema.scores.name}_{session_no}"
        return self.schema.scores.to_metadata(sa.MetaData(), name=name)

    def create_session_table(self, connection: sa.Connection, session_no: int) -> None:
        """Create a table without a key: a single sort at the end builds it faster.

        Only the owner of `scores` can do so. Other users, and sessions above the limit, load into
        `scores`, with its key.
        """
        scores, table = str(self.schema.scores), str(self._session_table(session_no))
        # Without the lock, two workers could both see no table; the second CREATE would fail.
        connection.execute(sa.text(_LOCK), {"name": table})
        allowed, used = connection.execute(sa.text(_ROOM), {"scores": scores}).one()
        if allowed and used < OWN_TABLES:
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {table} "
                f"(LIKE {scores} INCLUDING DEFAULTS INCLUDING COMMENTS, "
                f"CHECK (session_no = {session_no}))"
            )
        elif used >= OWN_TABLES:
            log.warning(
                "%d sessions already have their own table, so this one loads more slowly; "
                "`mfprefect prune` removes old ones.",
                used,
            )

    def scores_of(self, connection: sa.Connection, session_no: int) -> sa.Table:
        """Return the session's own table if it has one, else `scores`."""
        table = self._session_table(session_no)
        oid = connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": str(table)})
        return self.schema.scores if oid is None else table

    def attach_scores(self, connection: sa.Connection, session_no: int) -> None:
        """Build the key and make the table a child of `scores`, whose queries then include it.

        It inherits, because a partition would have to scan the rows of all small sessions.
        """
        scores, table = str(self.schema.scores), str(self._session_table(session_no))
        if connection.scalar(sa.text(_ATTACHED), {"name": table}):
            return
        small_parts = f"FROM ONLY {scores} WHERE session_no = {session_no}"
        columns = ", ".join(self.schema.scores.c.keys())
        for statement in (
            f"INSERT INTO {table} ({columns}) SELECT {columns} {small_parts}",
            f"DELETE {small_parts}",
            # session_no is the same in all rows; the planner knows it from the CHECK.
            f"ALTER TABLE {table} ADD PRIMARY KEY (entity_id)",
            f"ALTER TABLE {table} INHERIT {scores}",
            f"COMMENT ON TABLE {table} IS 'Scores of session {session_no}, a part of scores.'",
        ):
            connection.exec_driver_sql(statement)

    def drop_scores(self, connection: sa.Connection, session_no: int) -> bool:
        """Drop the session's own table; give up soon if a reader keeps it locked."""
        scores, table = str(self.schema.scores), str(self._session_table(session_no))
        if self.scores_of(connection, session_no) is self.schema.scores:
            return False
        # Queries that queue behind the DROP would wait for that reader, too.
        connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
        connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql(
            f"DELETE FROM ONLY {scores} WHERE session_no = {session_no}"  # noqa: S608 - a number
        )
        return True

    def table_bytes(self, connection: sa.Connection) -> dict[str, TableBytes]:
        """Return what the server says, with TOAST and free space."""
        namespace = connection.dialect.identifier_preparer.quote(str(self.schema.layout.schema))
        scores = self.schema.scores.name
        names = {"single": f"^{scores}_[0-9]+$", "scores": scores, "namespace": namespace}
        rows = connection.execute(sa.text(_SIZES), names)
        return {name: TableBytes(total, indexes) for name, total, indexes in rows}

    def as_entity_id(
        self, connection: sa.Connection, expression: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[str]:
        """Compare in our collation, whatever collation the other column has."""
        return sa.collate(super().as_entity_id(connection, expression), "C")

    def prepare_scoring(self, connection: sa.Connection) -> None:
        """Switch JIT off: it would compile each expression of a forest for minutes."""
        connection.exec_driver_sql("SET LOCAL jit = off")

    @contextmanager
    def time_limit(self, connection: sa.Connection, seconds: float) -> Iterator[None]:
        """Set the timeout of each statement of the transaction."""
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {math.ceil(1000 * seconds)}")
        yield

    def source_type(self, code: Any) -> sa.types.TypeEngine[Any]:
        """Return the type of an OID."""
        return _OIDS.get(code, sa.types.NullType())

    def without_nan(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return NULL for NaN, as pandas reads it."""
        nan: sa.Cast[Any] = sa.cast(sa.literal_column("'NaN'"), sa.Double())
        return sa.func.nullif(column, nan, type_=sa.Double())

    def sampled(
        self, connection: sa.Connection, column: sa.ColumnElement[Any], share: int
    ) -> sa.ColumnElement[bool]:
        """Take the rows by hashtext, as hash partitions do."""
        text = self.scored_id(connection, column)
        number = sa.func.abs(sa.cast(sa.func.hashtext(text), sa.BigInteger()))
        return sa.func.mod(number, share) == 0

    def replace_view(self, connection: sa.Connection, name: str, create: str) -> None:
        """Replace the view in place: it keeps its rights, and views that others built on it.

        Leaves a view alone whose text, as the server writes it, would stay the same. Gives up
        before the server looks for deadlocks, so that no reader of two views is their victim and
        none queues behind a slow reader for long: the upgrade starts over.
        """
        connection.exec_driver_sql(_GIVE_UP_SOON)
        table = sa.table(name, schema=self.schema.layout.schema)
        twin = sa.table(f"{name}_twin", schema=self.schema.layout.schema)
        format_table = connection.dialect.identifier_preparer.format_table
        connection.exec_driver_sql(create.replace(format_table(table), format_table(twin), 1))
        names = {"view": format_table(table), "twin": format_table(twin)}
        same = connection.scalar(sa.text(_SAME_VIEW), names)
        connection.exec_driver_sql(f"DROP VIEW {format_table(twin)}")
        if not same:
            connection.exec_driver_sql(create.replace("CREATE", "CREATE OR REPLACE", 1))

    def set_comments(
        self, connection: sa.Connection, table: sa.Table, kind: str, names: Container[str | None]
    ) -> None:
        """Send all statements for a table at once; they block neither readers nor writers."""
        statements = comment_statements(table, connection.dialect, kind, names)
        connection.exec_driver_sql("; ".join([_GIVE_UP_SOON, *statements]))

    def begin_snapshot(self, connection: sa.Connection) -> None:
        """Begin at REPEATABLE READ: the first statement's snapshot serves all others."""
        connection.begin()
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def grants(self, role: str, user: str) -> str:
        """Grant rights; for the admin, also ownership, and protection of ended sessions."""
        return _postgres_grants.script(self.url, self.schema, role, user)

    @contextmanager
    def lock(self, connection: sa.Connection) -> Iterator[None]:
        """Hold an advisory lock until the transaction ends."""
        connection.execute(sa.text(_LOCK), {"name": self.schema.layout.schema})
        yield

    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Decide by SQLSTATE; an error without one means a broken or refused connection."""
        state = getattr(error.orig, "pgcode", None)
        if state is None:
            # libpq gives no code for a refused connection, only the server's message.
            denied = any(word in str(error.orig) for word in _DENIED)
            lost = error.connection_invalidated or isinstance(error, sa.exc.OperationalError)
            return DatabaseUnavailable if lost and not denied else DatabaseError
        matches = (kind for key, kind in _CLASSES.items() if state.startswith(key))
        return next(matches, DatabaseError)

"""The interface of a database backend."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import ArgumentError, DBAPIError

from mfprefect import grants
from mfprefect.backend.arrow import FETCH_ROWS, STREAM_ROWS, ArrowRows, batches
from mfprefect.errors import ConfigurationError, DatabaseError
from mfprefect.schema import Layout, Schema, comment_statements

if TYPE_CHECKING:
    import pyarrow as pa

    from mfprefect.settings import Settings

__all__ = [
    "HOLD_OPTION",
    "NO_LOCK_OPTION",
    "SESSION_OPTION",
    "WRITE_OPTION",
    "Backend",
    "ServerProblem",
    "TableBytes",
]

WRITE_OPTION = "mfprefect_write"
"""Execution option of a connection that will write."""
NO_LOCK_OPTION = "mfprefect_no_lock"
"""Execution option of a select that needs no lock on what it reads, because nothing final depends
on it: True, or the names of the tables that need no lock."""
HOLD_OPTION = "mfprefect_hold"
"""Execution option of a select by a unique key that locks its row for writing. Only used with a
backend that `reads_uncommitted`."""
SESSION_OPTION = "mfprefect_session"
"""Execution option of a connection that serves one session: its `session`, `model` and `run`."""


class ServerProblem(NamedTuple):
    """A setting of the server that hurts, for `doctor`."""

    text: str
    cure: str
    """The statement that changes it."""
    blocks: bool = True
    """Whether writes fail."""


class TableBytes(NamedTuple):
    """The size of a table in the database."""

    total: int
    """All of it, with its indexes."""
    indexes: int | None
    """Of which indexes; None if the database does not tell them apart."""


class Backend(ABC):
    """One database. The base works with SQLAlchemy Core; override what differs."""

    name: ClassVar[str]
    """Its name for people, and the name of its extra: `pip install 'mfprefect[<name>]'`."""
    drivername: ClassVar[str]
    """SQLAlchemy's name of the dialect and driver to use, whatever driver the URL names."""
    driver: ClassVar[str]
    """The driver's module, which must be installed."""
    default_schema: ClassVar[str | None] = None
    """The schema of the tables if no setting names one; None: the connection's default."""
    transactional_ddl: ClassVar[bool] = True
    """Whether a rollback undoes CREATE TABLE."""
    unique_allows_nulls: ClassVar[bool] = True
    """Whether a unique index allows several rows whose columns are all NULL."""
    reads_uncommitted: ClassVar[bool] = False
    """Whether a select may see what another transaction has not committed. Then transactions lock
    the rows that they decide by: see `HOLD_OPTION`."""
    enforces_sessions: ClassVar[bool] = False
    """Whether nobody but the server's administrator can add a row to a table that refers to
    `sessions` unless the session exists. `scores` does not refer to it."""
    locks_without_waiting: ClassVar[bool] = False
    """Whether SELECT .. FOR UPDATE NOWAIT fails at once on a locked row, with DatabaseConflict."""
    create_hiding_view: ClassVar[str] = "CREATE VIEW {name} AS "
    """The start of a view that leaves rows out. Override where the database would otherwise let
    functions of a reader, in the conditions of its query, see the rows left out."""
    view_prefix: ClassVar[str] = ""
    """SQL to put before the SELECT of a view."""
    comments_on_views: ClassVar[bool] = True
    """Whether views and their columns take comments, if tables do."""
    writers: int = 1
    """How many parts of a frame to load at once; 0 if all threads share one connection."""
    appends_pieces: ClassVar[bool] = True
    """Whether a part may be appended in pieces. False if each append has a start-up of its own that
    pays for whole parts only: then a part larger than memory is mapped from a file."""
    unloads_from: int = 0
    """From how many rows on `unload` is worth its start; 0: it never is."""
    per_session_tables: ClassVar[bool] = False
    """Whether large sessions have score tables of their own; see `create_session_table`."""
    scores_in_sql: ClassVar[bool] = False
    """Whether the database may score: its dialect renders what `mfprefect.sql_scoring` compiles,
    and it has the methods for that, from `prepare_scoring` on."""
    range_indexes: ClassVar[bool] = True
    """Whether an index finds ranges of values. Where it does not, tables get none for that."""
    longest_scoring: ClassVar[int | None] = None
    """The characters of a SELECT of scores above which `scoring = "auto"` leaves them to Python,
    None if the database prepares any as fast."""
    longest_plan: ClassVar[int] = 300_000
    """The characters of a SELECT of two models' scores up to which a plan uses it; Python is faster
    than longer ones."""
    most_bound_values: ClassVar[int] = 30_000
    """How many bound values a statement may have."""

    def __init__(self, url: URL, settings: Settings) -> None:
        self.url = url.set(drivername=self.drivername)
        self.settings = settings

    @abstractmethod
    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Return the mfprefect error of a driver's error; only transient ones are retried."""

    @abstractmethod
    def lock(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Hold the installation's migration lock; a second process waits for it.

        Called inside a write transaction. The lock must disappear when the process dies.
        """

    def engine_options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `create_engine`: pool, isolation level, `connect_args`."""
        return {}

    def configure(self, engine: sa.Engine) -> None:  # noqa: B027 - optional
        """Attach listeners to a new engine. Override to prepare each connection.

        A connection that will write has the execution option `WRITE_OPTION`.
        """

    def read_exactly(self, engine: sa.Engine) -> None:  # noqa: B027 - optional
        """Make an engine exchange values bit for bit, whatever the server's defaults.

        Also called for the sources of this database that models read from.
        """

    def source_options(self) -> Mapping[str, Any]:
        """Return the driver's arguments for a source: the timeout of connecting, and no more.

        Unlike `engine_options`, they must not change what the queries of models return.
        """
        return {}

    def read_arrow(
        self, connection: sa.Connection, statement: sa.TextClause, params: Mapping[str, Any]
    ) -> ArrowRows | str:
        """Begin to read a query of a user's own, or return why not, as the end of a sentence.

        Override where columns arrive faster than through the driver's rows. The batches must have
        the rows, in their order, and hold in each cell what the driver would give: integers are
        int64 or uint64, numbers float64, and `mfprefect.inputs.frames` has the types of the rest.
        Whether they can must be decided before a row is read: from the types of the columns, which
        nothing else may run for. A statement that is no query, or an error of it, is left to the
        caller, who then executes it.

        Args:
            connection: to a source, on which nothing has been executed yet.
            statement: the SQL with its bind parameters.
            params: the values of the parameters.
        """
        return "this database has no faster way than its driver's rows"

    def table_options(self, table: str) -> Mapping[str, Any]:
        """Return the dialect options of a table. Override for engines, charsets, partitions."""
        return {}

    def secrets(self) -> list[str]:
        """Return the secrets of the URL. Override if it can contain more than a password."""
        return [str(self.url.password)] if self.url.password else []

    def error_text(self, error: DBAPIError) -> str:
        """Return the driver's message. Override to shorten what the driver adds to it."""
        return str(error.orig).strip()

    def is_deadlock(self, error: DBAPIError) -> bool:
        """Return whether the transaction was a deadlock's victim, which may have waited for long.

        Override if the database looks for deadlocks so rarely that `retry_seconds` would be over.
        """
        return False

    def hint(self, error: DBAPIError) -> str | None:
        """Return what to change, as a sentence, if the error tells more than its class does."""
        return None

    def keeps_negative_zero(self, connection: sa.Connection) -> bool:
        """Return whether -0.0 comes back as -0.0, and not as 0.0."""
        return True

    def server_problems(self, connection: sa.Connection) -> list[ServerProblem]:
        """Return the server's settings that hurt, each with its cure, for `doctor`."""
        return []

    def trials(self, engine: sa.Engine) -> Iterator[tuple[str, str, str, str]]:
        """Try on the server what could not be tried when the backend was written.

        For `doctor --deep`: yields name, status (`ok`, `warning`, `failed`), detail and cure of
        each trial. Override to create, use and drop tables of the trials' own.
        """
        return iter(())

    def why_not_storable(self, column: sa.Column[Any], text: str) -> str | None:
        """Return why a column cannot store a text exactly, as the end of a sentence, or None.

        Override if some texts come back changed, or compare equal to others.
        """
        return None

    def unstorable_texts(self, column: sa.Column[Any], texts: pa.ChunkedArray) -> list[str]:
        """Return the texts that a column cannot store. Override with `why_not_storable`."""
        return []

    def misfit(self, column: sa.Column[Any]) -> str | None:
        """Return SQL that is NULL if a cell is of its column's type, else the type that it has.

        Override if the database stores values of any type in any column. None: it refuses them.
        """
        return None

    def exists(self) -> bool:
        """Return whether the database exists. Override if connecting would create it."""
        return True

    def dialect(self) -> Dialect:
        """Return the dialect without its driver, to print statements."""
        return self.url.get_dialect()()

    def setup_statements(self) -> list[str]:
        """Return the statements before CREATE TABLE in a script, which create the schema."""
        name = self.schema.layout.schema
        if name is None:
            return []
        create = sa.schema.CreateSchema(name, if_not_exists=True)
        return [str(create.compile(dialect=self.dialect()))]

    def post_create_statements(self) -> list[str]:
        """Return the statements to run after tables and views exist, such as statistics."""
        return []

    def append(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Insert the rows of an Arrow table; its columns have the names of the database's.

        Override with the database's bulk loader. Must insert every row exactly, or raise.
        """
        for batch in rows.to_batches(max_chunksize=STREAM_ROWS):
            if batch.num_rows:
                connection.execute(table.insert(), batch.to_pylist())

    def table_bytes(self, connection: sa.Connection) -> dict[str, TableBytes]:
        """Return the sizes of our tables, by their names in the database, from its catalog.

        Tables of single sessions count as `scores`. Override it; the base knows no catalog.
        """
        return {}

    def drop_stale_staging(self, connection: sa.Connection) -> list[str]:
        """Remove what the loads of killed processes left behind; return the names of it.

        The `maintain` flow calls it. Override if `append` creates objects that can outlive it.
        """
        return []

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Insert rows, by column key, and replace rows with the same primary key.

        Override with a statement that does both.
        """
        keys = [column.key for column in table.primary_key]
        same_key = sa.and_(*(table.c[key] == sa.bindparam(f"key_{key}") for key in keys))
        connection.execute(
            table.delete().where(same_key), [{f"key_{k}": row[k] for k in keys} for row in rows]
        )
        connection.execute(table.insert(), list(rows))

    def stream(
        self, connection: sa.Connection, select: sa.Select[*tuple[Any, ...]], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a select of texts and numbers as Arrow batches, in bounded memory.

        Override with the database's bulk unloader.
        """
        options = {"stream_results": True, "max_row_buffer": FETCH_ROWS}
        # Values straight from the driver: SQLAlchemy's rows and conversions double the time.
        plain = (sa.type_coerce(column, sa.types.NullType()) for column in select.selected_columns)
        with connection.execute(
            select.with_only_columns(*plain), execution_options=options
        ) as rows:
            first = rows.fetchone()  # SQLAlchemy may have already read it from the driver's cursor
            cursor: Any = rows.cursor
            if first is not None:
                with self.driver_errors(connection, str(select)):
                    yield from batches(tuple(first), cursor.fetchmany, schema)

    def unload(
        self,
        connection: sa.Connection,
        select: sa.Select[*tuple[Any, ...]],
        schema: pa.Schema,
        rows: int,
    ) -> Iterator[pa.RecordBatch]:
        """Yield what `stream` does, by a way whose start is worth it for `unloads_from` rows.

        Override it where the database has one that takes what small reads should not take, such as
        a slot for loads. It is not called for reads in a snapshot.

        Args:
            connection: as for `stream`.
            select: of texts and numbers, in the order of its first column.
            schema: of the batches.
            rows: how many rows it has, unless somebody deletes some now.
        """
        return self.stream(connection, select, schema)

    @contextmanager
    def driver_errors(self, connection: sa.Connection, statement: str) -> Iterator[None]:
        """Turn errors of direct calls of the driver into SQLAlchemy's."""
        error: type[Exception] = connection.dialect.loaded_dbapi.Error
        try:
            yield
        except error as exc:
            driver = connection.connection.dbapi_connection
            lost = connection.dialect.is_disconnect(exc, driver, None)  # type: ignore[arg-type]
            if lost:
                connection.invalidate(exc)
            raise DBAPIError.instance(
                statement, None, exc, error, connection_invalidated=lost
            ) from exc

    def replace_view(self, connection: sa.Connection, name: str, create: str) -> None:
        """Give a view of an earlier version its present SELECT, which has the same columns.

        Override if the database replaces a view in one step, so that its readers never miss it and
        keep their rights. If DDL commits by itself, the base leaves a moment without the view.

        Args:
            connection: in the transaction of the upgrade.
            name: the view, without its schema.
            create: its CREATE VIEW statement.
        """
        view = sa.table(name, schema=self.schema.layout.schema)
        quoted = connection.dialect.identifier_preparer.format_table(view)
        connection.exec_driver_sql(f"DROP VIEW {quoted}")
        connection.exec_driver_sql(create)

    def set_comments(
        self, connection: sa.Connection, table: sa.Table, kind: str, names: Container[str | None]
    ) -> None:
        """Set comments of the schema, which must neither rewrite a table nor keep readers waiting.

        Override if the database does it by another statement than COMMENT ON.

        Args:
            connection: in the transaction of the upgrade.
            table: a table, or a view written as one.
            kind: `TABLE` or `VIEW`.
            names: columns to comment; None among them is the table itself.
        """
        for statement in comment_statements(table, connection.dialect, kind, names):
            connection.exec_driver_sql(statement)

    def begin_snapshot(self, connection: sa.Connection) -> None:
        """Begin a transaction that only reads, and whose statements all see the same moment.

        Override if the default isolation of the database shows each statement what was committed
        before it. Nothing has been sent on the connection yet.
        """
        connection.begin()

    # A backend with `per_session_tables` overrides the next four; each runs inside a transaction.

    def create_session_table(self, connection: sa.Connection, session_no: int) -> None:  # noqa: B027
        """Prepare a table for a session's scores; called before each large part."""

    def scores_of(self, connection: sa.Connection, session_no: int) -> sa.Table:
        """Return the table for the scores of a session that is not published yet."""
        return self.schema.scores

    def attach_scores(self, connection: sa.Connection, session_no: int) -> None:  # noqa: B027
        """Add the primary key to a session's scores and make them part of `scores`.

        Called before the session succeeds.
        """

    def drop_scores(self, connection: sa.Connection, session_no: int) -> bool:
        """Drop all scores of a session at once; return False if the caller must delete rows."""
        return False

    def as_entity_id(
        self, connection: sa.Connection, expression: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[str]:
        """Return a column of a foreign table as text that compares with our entity ids.

        Override if a comparison of two columns must name a collation.
        """
        return sa.cast(expression, sa.String())

    # A backend that `scores_in_sql` overrides what its database does in another way.

    def prepare_scoring(self, connection: sa.Connection) -> None:  # noqa: B027 - optional
        """Prepare a transaction for statements with thousands of expressions."""

    @contextmanager
    def time_limit(self, connection: sa.Connection, seconds: float) -> Iterator[None]:
        """Stop statements of the block that take longer; they raise an error.

        Override if the database can; by default nothing is stopped.

        Args:
            connection: of a source, which nobody uses after the block.
            seconds: of each statement, or of all statements; more than 0.
        """
        yield

    def insert_select(
        self,
        connection: sa.Connection,
        table: sa.Table,
        select: sa.Select[*tuple[Any, ...]],
        part: tuple[int, int],
    ) -> None:
        """Insert the rows of a select, whose columns have the names of the table's.

        The select must give what it gives on a connection of its source.

        Args:
            connection: in the transaction of the part.
            table: where the scores of the session go.
            select: the scores of a part.
            part: the number of the session and of the part.

        Raises:
            IntegrityError: another part of the session has one of the entities.
        """
        self.prepare_scoring(connection)
        names = list(select.selected_columns.keys())
        # No cache: computing the key of a forest takes as long as rendering it.
        options = {"compiled_cache": None}
        connection.execute(table.insert().from_select(names, select), execution_options=options)

    def shares_database(self, other: Backend) -> bool:
        """Return whether a statement finds the same tables under the same names in another one.

        By default, if their URLs differ at most by the password.
        """
        return self.url.set(password=None) == other.url.set(password=None)

    def source_type(self, code: Any) -> sa.types.TypeEngine[Any]:
        """Return the type of a column by its type code in the driver's cursor.

        Decimals, doubles, booleans and texts are enough; the base knows none.
        """
        return sa.types.NullType()

    def without_nan(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return a column of doubles with NULL for NaN. Override if the database can store NaN."""
        return column

    def exact(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Return a column to group by, such that different texts are different groups.

        Override if collations of the database ignore case or trailing blanks.
        """
        return column

    def scored_id(
        self, connection: sa.Connection, column: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[str]:
        """Return a column of ids, texts or integers, as the text that scores are stored under."""
        return self.as_entity_id(connection, column)

    def sampled(
        self, connection: sa.Connection, column: sa.ColumnElement[Any], share: int
    ) -> sa.ColumnElement[bool]:
        """Return the condition that a hash of an id takes: about one row in `share`.

        It depends on nothing but the id.
        """
        raise NotImplementedError(f"{self.name} does not score in SQL")

    def grants(self, role: str, user: str) -> str:
        """Return a script that gives a user the rights of a role: see `mfprefect.grants`.

        Override for what the database needs besides GRANT: access to a schema, owners, and
        triggers that protect ended sessions from writers.
        """
        preparer = self.url.get_dialect()().identifier_preparer
        to, schema = preparer.quote(user), self.schema.layout.schema
        notes = ["Nothing protects ended sessions from writers here, except their limited rights."]
        statements = [
            grants.grant(preparer, preparer.format_table(sa.table(x.table, schema=schema)), x, to)
            for x in grants.rights(self.schema, role)
        ]
        return "\n".join([grants.heading(role, to, notes), *(f"{line};" for line in statements)])

    @functools.cached_property
    def schema(self) -> Schema:
        """The tables, with the options of this backend and these settings."""
        name = self.settings.schema_name or self.default_schema
        layout = Layout(name, self.settings.prefix, self.table_options, self.range_indexes)
        return Schema(layout)

    def create_engine(self) -> sa.Engine:
        """Return a new engine, which connects on first use."""
        try:
            # Parameters are people's data, which must not appear in error messages.
            engine = sa.create_engine(self.url, hide_parameters=True, **self.engine_options())
        except (ArgumentError, ValueError, TypeError) as exc:  # the dialect refuses the URL
            raise ConfigurationError(f"the database URL is wrong: {exc}") from exc
        self.read_exactly(engine)
        self.configure(engine)
        return engine

    def __repr__(self) -> str:
        url = self.url.set(query={}).render_as_string(hide_password=True)
        return f"<{type(self).__name__} {url}>"

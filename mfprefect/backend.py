"""What one database does in its own way, and how its backend is found.

A third party adds a database with one module that subclasses `Backend`, and one entry point in the
group `mfprefect.backends`, named as the URLs begin: `oracle = "my_pkg:OracleBackend"` serves
`oracle://..` and `oracle+driver://..`. `mfprefect.testing.contract` is its test suite.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from mfprefect import grants as rights
from mfprefect.errors import BackendNotFound, ConfigurationError, DatabaseError
from mfprefect.schema import Layout, Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from mfprefect.settings import Settings

__all__ = [
    "ENTRY_POINT_GROUP",
    "NO_LOCK_OPTION",
    "SESSION_OPTION",
    "WRITE_OPTION",
    "Backend",
    "backend_for",
    "installed_backends",
]

ENTRY_POINT_GROUP = "mfprefect.backends"
STREAM_ROWS = 50_000
FETCH_ROWS = 500
"""Fewer rows than Python allocates before it looks for garbage, in vain, among all that lives."""
WRITE_OPTION = "mfprefect_write"
"""Execution option of a connection that is going to write."""
NO_LOCK_OPTION = "mfprefect_glance"
"""Execution option of a select that decides nothing for good, so that it need not lock what it
reads: True, or the tables of which that holds."""
SESSION_OPTION = "mfprefect_serves"
"""Execution option of a connection that works for one session: its `session`, `model` and `run`."""


class Backend(ABC):
    """One database. The base does the work in SQLAlchemy Core; override what differs."""

    name: ClassVar[str]
    """What people call it; also the name of its extra: `pip install 'mfprefect[<name>]'`."""
    drivername: ClassVar[str]
    """SQLAlchemy's name of the dialect and driver that is used, whatever the URL says."""
    driver: ClassVar[str]
    """The module that has to be installed."""
    default_schema: ClassVar[str | None] = None
    """The schema of the tables where no setting names one; None: the connection's own."""
    transactional_ddl: ClassVar[bool] = True
    """Whether CREATE TABLE is undone by a rollback."""
    keeps_negative_zero: ClassVar[bool] = True
    """Whether -0.0 comes back as -0.0 and not as 0.0, which is equal to it."""
    unique_allows_nulls: ClassVar[bool] = True
    """Whether a unique index takes several rows whose columns are all NULL."""
    view_prefix: ClassVar[str] = ""
    """What stands before the SELECT of a view."""
    writers: int = 1
    """How many parts of a frame are loaded at once; 0 where there is one connection for all."""
    per_session_tables: ClassVar[bool] = False
    """Whether large sessions have score tables of their own; see `create_session_table`."""

    def __init__(self, url: URL, settings: Settings) -> None:
        self.url = url.set(drivername=self.drivername)
        self.settings = settings

    @abstractmethod
    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Return which of our errors a driver's error is: only transient ones are retried."""

    @abstractmethod
    def lock(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Hold the installation's migration lock; whoever comes second waits.

        Called inside a write transaction. The lock must go when the process dies.
        """

    def engine_options(self) -> Mapping[str, Any]:
        """Return keyword arguments of `create_engine`: pool, isolation level, `connect_args`."""
        return {}

    def configure(self, engine: sa.Engine) -> None:  # noqa: B027 - optional
        """Attach listeners to a new engine. Override to set what each connection needs.

        A connection that is going to write carries the execution option `WRITE_OPTION`.
        """

    def table_options(self, table: str) -> Mapping[str, Any]:
        """Return the dialect options of a table. Override for engines, charsets, partitions."""
        return {}

    def secrets(self) -> list[str]:
        """Return what no text may show. Override where a URL holds more than a password."""
        return [str(self.url.password)] if self.url.password else []

    def error_text(self, error: DBAPIError) -> str:
        """Return what the driver says. Override where it says more than people want to know."""
        return str(error.orig).strip()

    def why_not_storable(self, column: sa.Column[Any], text: str) -> str | None:
        """Return why a column cannot keep a text exactly, as the end of a sentence, or None.

        Override where some texts would come back as others, or be taken for others.
        """
        return None

    def unstorable_texts(self, column: sa.Column[Any], texts: pa.ChunkedArray) -> list[str]:
        """Return the texts that cannot be stored. Override together with `why_not_storable`."""
        return []

    def exists(self) -> bool:
        """Return whether there is a database to read. Override where connecting makes one."""
        return True

    def dialect(self) -> Dialect:
        """Return the dialect without its driver, for statements that are only printed."""
        return self.url.get_dialect()()

    def setup_statements(self) -> list[str]:
        """Return what a script that makes the tables begins with: where they go."""
        name = self.schema.layout.schema
        if name is None:
            return []
        create = sa.schema.CreateSchema(name, if_not_exists=True)
        return [str(create.compile(dialect=self.dialect()))]

    def post_create_statements(self) -> list[str]:
        """Return what follows when tables and views are there, such as statistics."""
        return []

    def append(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Insert the rows of an Arrow table whose columns are named as the database's are.

        Override with the database's own loader. Must insert every row exactly, or raise.
        """
        for batch in rows.to_batches(max_chunksize=STREAM_ROWS):
            if batch.num_rows:
                connection.execute(table.insert(), batch.to_pylist())

    def drop_stale_staging(self, connection: sa.Connection) -> list[str]:
        """Remove what loads of processes that were killed have left; return the names of it.

        Called by the `maintain` flow. Override where `append` makes something that outlives it.
        """
        return []

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Insert rows, named by the columns' keys, in place of those with the same primary key.

        Override with a statement that does both.
        """
        keys = [column.key for column in table.primary_key]
        same = sa.and_(*(table.c[key] == sa.bindparam(f"key_{key}") for key in keys))
        connection.execute(
            table.delete().where(same), [{f"key_{k}": row[k] for k in keys} for row in rows]
        )
        connection.execute(table.insert(), list(rows))

    def stream(
        self, connection: sa.Connection, select: sa.Select[Any], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a select of texts and numbers as Arrow batches, never holding them all.

        Override with the database's own way of unloading.
        """
        options = {"stream_results": True, "max_row_buffer": FETCH_ROWS}
        # As the driver gives them: SQLAlchemy's rows and conversions would take twice the time.
        plain = (sa.type_coerce(column, sa.types.NullType()) for column in select.selected_columns)
        with connection.execute(
            select.with_only_columns(*plain), execution_options=options
        ) as rows:
            first = rows.fetchone()  # SQLAlchemy may have taken it off the driver's cursor already
            cursor: Any = rows.cursor
            if first is not None:
                with self.driver_errors(connection, str(select)):
                    yield from _batches(tuple(first), cursor.fetchmany, schema)

    @contextmanager
    def driver_errors(self, connection: sa.Connection, statement: str) -> Iterator[None]:
        """Raise as SQLAlchemy's what is raised while the driver is used directly."""
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

    # A backend with `per_session_tables` overrides the next four, called inside a transaction.

    def create_session_table(self, connection: sa.Connection, session_no: int) -> None:  # noqa: B027
        """Prepare for many scores of a session; called before each large part of it."""

    def scores_of(self, connection: sa.Connection, session_no: int) -> sa.Table:
        """Return the table that takes the scores of a session which is not published yet."""
        return self.schema.scores

    def attach_scores(self, connection: sa.Connection, session_no: int) -> None:  # noqa: B027
        """Bring a session's scores under the key and into `scores`; called before it succeeds."""

    def drop_scores(self, connection: sa.Connection, session_no: int) -> bool:
        """Remove all scores of a session at once; return False where rows have to be deleted."""
        return False

    def as_entity_id(
        self, connection: sa.Connection, expression: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[str]:
        """Return a column of somebody else's table as text that our entity ids compare with.

        Override where a comparison of two columns has to be told their collation.
        """
        return sa.cast(expression, sa.String())

    def grants(self, role: str, user: str) -> str:
        """Return a script that gives a user the rights of a role: see `mfprefect.grants`.

        Override for what the database wants beside GRANT: the way to a schema, owners, and
        triggers that close to writers what has ended.
        """
        preparer = self.url.get_dialect()().identifier_preparer
        to, schema = preparer.quote(user), self.schema.layout.schema
        notes = ["What has ended is not closed to writers here; their rights alone limit them."]
        found = [
            rights.grant(preparer, preparer.format_table(sa.table(x.table, schema=schema)), x, to)
            for x in rights.rights(self.schema, role)
        ]
        return "\n".join([rights.heading(role, to, notes), *(f"{line};" for line in found)])

    @functools.cached_property
    def schema(self) -> Schema:
        """The tables as this backend and these settings want them."""
        name = self.settings.schema_name or self.default_schema
        return Schema(Layout(name, self.settings.prefix, self.table_options))

    def create_engine(self) -> sa.Engine:
        """Return a new engine; nothing is connected yet."""
        try:
            # Parameters are people's data: they have no place in an error text.
            engine = sa.create_engine(self.url, hide_parameters=True, **self.engine_options())
        except ArgumentError as exc:  # what the dialect itself finds wrong with the URL
            raise ConfigurationError(f"the database URL is wrong: {exc}") from exc
        self.configure(engine)
        return engine

    def __repr__(self) -> str:
        shown = self.url.set(query={}).render_as_string(hide_password=True)
        return f"<{type(self).__name__} {shown}>"


def _batches(
    first: tuple[Any, ...], fetch: Callable[[int], Sequence[Any]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    columns = [[value] for value in first]
    while rows := fetch(FETCH_ROWS):
        for column, some in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(some)
        if len(columns[0]) >= STREAM_ROWS:
            yield _batch(columns, schema)
            columns = [[] for _ in first]
    if columns[0]:
        yield _batch(columns, schema)


def _batch(columns: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


# Reads the metadata of all that is installed, which is known until the path changes.
@functools.lru_cache(maxsize=1)
def _entry_points(_: tuple[str, ...]) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def installed_backends() -> list[str]:
    """Return the names that URLs may begin with."""
    return sorted(_entry_points(tuple(sys.path)))


def parse_url(text: str) -> URL:
    """Return the parsed URL; a malformed one is refused without showing it, for its password."""
    try:
        url = make_url(text)
        text.encode()
    except (ArgumentError, ValueError):
        url = None
    if url is None or "\0" in text or "@" in (url.host or ""):  # an unencoded @ in the password
        # Outside the handler: the cause would show part of a password in the traceback.
        raise ConfigurationError(
            "the database URL is malformed (not shown: it may hold a password); it has the form "
            "postgresql://user:password@host:5432/database, with special characters of the "
            "password percent-encoded, or sqlite:///file.db. It comes from the argument, "
            "MFPREFECT_URL or mfprefect.toml."
        )
    return url


def backend_for(settings: Settings) -> Backend:
    """Return the backend that serves the settings' URL, loading its module and no other.

    Raises:
        ConfigurationError: the URL is malformed.
        BackendNotFound: no backend is installed for it, or the backend's driver is missing.
    """
    url = parse_url(settings.url.get_secret_value())
    scheme = url.get_backend_name()
    point = _entry_points(tuple(sys.path)).get(scheme)
    if point is None:
        raise BackendNotFound(
            f"no backend for {scheme!r} URLs; installed: {', '.join(installed_backends())}. "
            f"A package that serves {scheme!r} registers an entry point of that name in the group "
            f"{ENTRY_POINT_GROUP!r}; `pip install 'mfprefect[all]'` adds the drivers of ours, "
            "but Teradata's."
        )
    try:
        kind: type[Backend] = point.load()
    except ModuleNotFoundError as exc:
        name = str(exc.name).partition(".")[0]
        raise BackendNotFound(
            f"the backend for {scheme!r} URLs needs the package {name!r}, which is not "
            "installed; docs/databases.md names the extra that adds it."
        ) from exc
    if importlib.util.find_spec(kind.driver) is None:
        raise BackendNotFound(
            f"the {kind.name} backend needs the driver {kind.driver!r}, which is not installed; "
            f"pip install 'mfprefect[{kind.name}]'."
        )
    return kind(url, settings)

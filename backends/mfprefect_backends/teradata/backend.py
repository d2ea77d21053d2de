"""The Teradata backend: DDL, locks, loads, rights and errors."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from mfprefect import grants
from mfprefect.backend import ArrowRows, Backend, TableBytes
from mfprefect.errors import ConfigurationError, DatabaseError, IntegrityError
from mfprefect.schema import Blob, Id, LongText
from mfprefect.settings import Settings
from mfprefect_backends import _statements
from mfprefect_backends.teradata import alembic_impl, codes, export, load
from mfprefect_backends.teradata.access import ACCESS, add_access_locks
from mfprefect_backends.teradata.band import set_query_band
from mfprefect_backends.teradata.compiler import MAX_VARCHAR
from mfprefect_backends.teradata.ddl import BY_SESSION
from mfprefect_backends.teradata.dialect import DRIVERNAME
from mfprefect_backends.teradata.merge import merge
from mfprefect_backends.teradata.staging import Staging, drop_stale
from mfprefect_backends.teradata.types import NONCHARACTER, why_not_storable

__all__ = ["TeradataBackend"]

log = logging.getLogger(__name__)

_SECRETS = ("logdata", "password", "http_proxy_password", "https_proxy_password")
_SCORES_OPTIONS = (
    "PRIMARY INDEX (entity_id)\n"
    "PARTITION BY RANGE_N(session_no BETWEEN 1 AND 65533 EACH 1, NO RANGE, UNKNOWN)"
)
# Not `artifact_chunks`: a large model would have to fit into one AMP's share of the space.
_BY_SESSION = {
    "session_attempts",
    "inputs",
    "input_summary",
    "check_results",
    "session_params",
    "session_metadata",
    "metrics",
    "metric_steps",
    "variable_importance",
    "test_curve",
    "backtests",
    "gate_results",
    "drift",
    "score_parts",
    "part_inputs",
    "artifacts",
    "notifications",
}
_DUPLICATE_ENTITY = """
LOCKING ROW FOR ACCESS
SELECT TOP 1 mine.entity_id FROM {scores} AS mine
INNER JOIN {scores} AS theirs
ON theirs.entity_id = mine.entity_id AND theirs.session_no = mine.session_no
WHERE mine.session_no = ? AND mine.part_no = ? AND theirs.part_no <> ?
"""

_SIZES = """
SELECT TableName, CurrentPerm FROM DBC.TableSizeV
WHERE DatabaseName (NOT CASESPECIFIC) = ? (NOT CASESPECIFIC)
"""
_PYTHON_TYPES: dict[Any, sa.types.TypeEngine[Any]] = {
    str: sa.String(),
    int: sa.BigInteger(),
    float: sa.Double(),
    Decimal: sa.Numeric(),
}
_LOCK_EXCLUSIVE = "LOCKING TABLE {name} FOR EXCLUSIVE SELECT COUNT(*) FROM {name}"


class TeradataBackend(Backend):
    """Teradata 16.20 or later; the tables are in the database that the URL names."""

    name: ClassVar[str] = "teradata"
    drivername: ClassVar[str] = DRIVERNAME
    appends_pieces: ClassVar[bool] = False
    driver: ClassVar[str] = "teradatasql"
    transactional_ddl: ClassVar[bool] = False
    unique_allows_nulls: ClassVar[bool] = False
    reads_uncommitted: ClassVar[bool] = True
    view_prefix: ClassVar[str] = ACCESS
    scores_in_sql: ClassVar[bool] = True
    # Secondary indexes are hashed: a condition must name all their columns, and no range.
    range_indexes: ClassVar[bool] = False
    most_bound_values: ClassVar[int] = 2_000
    writers: int = 2

    def __init__(self, url: sa.URL, settings: Settings) -> None:
        mode = str(url.query.get("tmode", "ANSI")).upper()
        if mode != "ANSI":
            raise ConfigurationError(
                f"tmode={mode} truncates text silently and drops equal rows; remove tmode from the "
                "URL: mfprefect works in ANSI mode."
            )
        url = url.update_query_dict({"tmode": "ANSI"})
        if "connect_timeout" not in url.query:
            milliseconds = max(1000, round(settings.connect_timeout * 1000))
            url = url.update_query_dict({"connect_timeout": str(milliseconds)})
        self._staging = Staging()
        self._exports = url.query.get("fastexport")
        if self._exports not in (None, "true", "false"):
            raise ConfigurationError(
                f"fastexport={self._exports} in the URL: use true or false, or remove it."
            )
        self.unloads_from = 0 if self._exports == "false" else export.EXPORT_ROWS
        super().__init__(url.difference_update_query(["fastexport"]), settings)

    def secrets(self) -> list[str]:
        """Return what to redact: the password, and query parameters that replace one."""
        options = [self.url.query.get(name) for name in _SECRETS]
        return [*super().secrets(), *(text for text in options if isinstance(text, str) and text)]

    def engine_options(self) -> Mapping[str, Any]:
        """Test pooled connections before use; leave room for staging, which takes a second one."""
        return {"pool_pre_ping": True, "pool_size": 5, "max_overflow": 25, "pool_recycle": 3600}

    def configure(self, engine: sa.Engine) -> None:
        """Set the query band, read without locks, and drop staging tables at check-in."""
        event.listen(engine, "engine_connect", set_query_band)
        event.listen(engine, "before_cursor_execute", add_access_locks, retval=True)
        event.listen(engine, "checkin", self._staging.drop_staged)
        event.listen(engine, "invalidate", self._staging.keep_orphans)

    def table_options(self, table: str) -> Mapping[str, Any]:
        """Distribute scores by entity, and partition them by session; other results by session."""
        if table == "scores":
            return {"teradatasql_post_create": _SCORES_OPTIONS}
        return {"teradatasql_post_create": BY_SESSION} if table in _BY_SESSION else {}

    def why_not_storable(self, column: sa.Column[Any], text: str) -> str | None:
        """Return why a text cannot be stored: a trailing blank, a noncharacter or its length."""
        kind = column.type
        length = kind.length if isinstance(kind, Id) else None
        return why_not_storable(text, length, compared=isinstance(kind, Id))

    def unstorable_texts(self, column: sa.Column[Any], texts: pa.ChunkedArray) -> list[str]:
        """Return the texts that cannot be stored; Arrow filters the few candidates."""
        longer = pc.greater(pc.binary_length(texts), getattr(column.type, "length", None))
        odd = pc.or_(
            pc.ends_with(texts, " "), pc.match_substring_regex(texts, NONCHARACTER.pattern)
        )
        candidates = texts.filter(pc.or_(odd, longer)).to_pylist()
        return [text for text in candidates if self.why_not_storable(column, text)]

    def keeps_negative_zero(self, connection: sa.Connection) -> bool:
        """Return False: it becomes 0.0."""
        return False

    def append(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Insert rows in one batch, or through a staging table if there are many.

        Raises:
            IntegrityError: another part of the session has a score of one of the entities.
        """
        load.append(connection, table, rows, self._staging)
        if table is self.schema.scores and rows.num_rows:
            number, part = (rows[name][0].as_py() for name in ("session_no", "part_no"))
            self._refuse_duplicates(connection, number, part)

    def unload(
        self,
        connection: sa.Connection,
        select: sa.Select[*tuple[Any, ...]],
        schema: pa.Schema,
        rows: int,
    ) -> Iterator[pa.RecordBatch]:
        """Export the rows by FastExport; where that does not work, stream them."""

        def stream(chosen: sa.Select[*tuple[Any, ...]]) -> Generator[pa.RecordBatch]:
            yield from self.stream(connection, chosen, schema)

        return export.unload(select, schema, rows, stream)

    def read_arrow(
        self, connection: sa.Connection, statement: sa.TextClause, params: Mapping[str, Any]
    ) -> ArrowRows | str:
        """Read a query by FastExport, if the URL of its source asks for that."""
        if self._exports != "true":
            return "its URL does not ask for FastExport (fastexport=true)"
        if not _statements.is_query(statement.text):
            return _statements.NO_QUERY
        return export.read(connection, statement, dict(params))

    def drop_stale_staging(self, connection: sa.Connection) -> list[str]:
        """Drop staging tables that are older than a day; return their names."""
        return drop_stale(connection, self.schema.scores)

    def table_bytes(self, connection: sa.Connection) -> dict[str, TableBytes]:
        """Return the permanent space on all AMPs, which includes secondary indexes."""
        sizes: dict[str, int] = {}
        for name, size in connection.exec_driver_sql(_SIZES, (self._database(),)):
            table = str(name).strip().lower()
            sizes[table] = sizes.get(table, 0) + int(size)
        names = {table.name.lower(): table.name for table in self.schema.tables.values()}
        return {names[name]: TableBytes(sizes[name], None) for name in names if name in sizes}

    def trials(self, engine: sa.Engine) -> Iterator[tuple[str, str, str, str]]:
        """Try what the manuals leave open."""
        from mfprefect_backends.teradata.trials import try_all

        layout = self.schema.layout
        return try_all(engine, {"prefix": layout.prefix, "schema": layout.schema})

    def replace_view(self, connection: sa.Connection, name: str, create: str) -> None:
        """Replace the view in one step, which keeps the rights on it."""
        connection.exec_driver_sql(create.replace("CREATE", "REPLACE", 1))

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Upsert rows by MERGE, except into tables with LOBs, which it may not support."""
        if any(isinstance(column.type, (LongText, Blob)) for column in table.columns):
            super().upsert(connection, table, rows)
        else:
            connection.execute(merge(table, list(rows[0])), list(rows))

    def insert_select(
        self,
        connection: sa.Connection,
        table: sa.Table,
        select: sa.Select[*tuple[Any, ...]],
        part: tuple[int, int],
    ) -> None:
        """Insert in one request, which locks no rows one by one.

        Raises:
            IntegrityError: another part of the session has a score of one of the entities.
        """
        super().insert_select(connection, table, select, part)
        self._refuse_duplicates(connection, *part)

    def source_type(self, code: Any) -> sa.types.TypeEngine[Any]:
        """Return the type of a Python type, which is the driver's type code."""
        return _PYTHON_TYPES.get(code, sa.types.NullType())

    def sampled(
        self, connection: sa.Connection, column: sa.ColumnElement[Any], share: int
    ) -> sa.ColumnElement[bool]:
        """Take the rows by the bucket of their row hash; without a hash, the highest bucket."""
        text = self.scored_id(connection, column)
        bucket = sa.func.hashbucket(sa.func.hashrow(text))
        return bucket <= sa.literal_column(f"HASHBUCKET() / {int(share)}")

    def _refuse_duplicates(self, connection: sa.Connection, number: int, part: int) -> None:
        """Raise if another part has an entity of this part: no unique index prevents it.

        Looks after the insert and without locks, so that of two parts written concurrently the
        later one sees the rows of the other.
        """
        name = connection.dialect.identifier_preparer.format_table(self.schema.scores)
        duplicate = connection.exec_driver_sql(
            _DUPLICATE_ENTITY.strip().format(scores=name), (number, part, part)
        ).scalar()
        if duplicate is not None:
            raise IntegrityError(f"entity {duplicate!r} already has a score in another part.")

    def as_entity_id(
        self, connection: sa.Connection, expression: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[str]:
        """Return an id as text; numbers without the leading blanks of their format."""
        source = expression.type
        target = Id(MAX_VARCHAR)  # so that a text longer than our ids is not truncated
        if isinstance(source, sa.String) and not isinstance(source, sa.Text):
            return sa.type_coerce(expression, target)
        text = sa.cast(expression, target)
        return text if isinstance(source, sa.Text) else sa.func.trim(text, type_=target)

    def grants(self, role: str, user: str) -> str:
        """Return the GRANT statements of a role; a run owns the staging tables that it creates."""
        quote = self.dialect().identifier_preparer.quote
        database, to = self._database(), quote(user)
        prefix = f"{quote(database)}." if database else ""
        statements = [
            grants.grant(self.dialect().identifier_preparer, prefix + quote(x.table), x, to)
            for x in grants.rights(self.schema, role)
        ]
        if role == "admin":
            lock = quote(self._lock_table().name)
            statements.append(f"GRANT ALL ON {prefix}{lock} TO {to}")
        privileges = {
            "admin": "CREATE TABLE, DROP TABLE, CREATE VIEW, DROP VIEW",
            "writer": "CREATE TABLE",
        }.get(role)
        if privileges and database:
            statements.append(f"GRANT {privileges} ON {quote(database)} TO {to}")
        if role == "writer":
            scores = prefix + quote(self.schema.scores.name)
            statements.append(f"GRANT STATISTICS ON {scores} TO {to}")
        notes = [
            f"Create the user first: CREATE USER {to} FROM .. AS PERM = 0, PASSWORD = ..",
            "What has ended is not closed to writers here: their rights alone limit them.",
        ]
        return "\n".join(
            [grants.heading(role, to, notes), *(f"{statement};" for statement in statements)]
        )

    def _database(self) -> str:
        name = self.schema.layout.schema or self.url.query.get("database") or self.url.database
        return str(name or "")

    def setup_statements(self) -> list[str]:
        """Return DATABASE, for the tables to come, and the table that migrations lock."""
        dialect = self.dialect()
        name = self._database()
        use = [f"DATABASE {dialect.identifier_preparer.quote(name)}"] if name else []
        lock = str(sa.schema.CreateTable(self._lock_table()).compile(dialect=dialect))
        return [*use, lock.replace("\t", "    ").strip()]

    def post_create_statements(self) -> list[str]:
        """Return the statistics to collect; on empty tables they cost nothing."""
        format_table = self.dialect().identifier_preparer.format_table
        return [
            "COLLECT STATISTICS USING THRESHOLD 10 PERCENT "
            f"{', '.join(f'COLUMN ({name})' for name in columns)} ON {format_table(table)}"
            for table, columns in (
                (self.schema.scores, ("entity_id", "session_no", "PARTITION")),
                (self.schema.sessions, ("session_no", "model_id", "status")),
            )
        ]

    def _lock_table(self) -> sa.Table:
        number = sa.Column("lock_no", sa.Integer, primary_key=True, autoincrement=False)
        metadata = sa.MetaData(schema=self.schema.layout.schema)
        return sa.Table(self.schema.name("mfprefect_lock"), metadata, number)

    @contextmanager
    def lock(self, connection: sa.Connection) -> Iterator[None]:
        """Lock a dedicated table on a second connection, because DDL commits on the first."""
        table = self._lock_table()
        name = connection.dialect.identifier_preparer.format_table(table)
        with connection.engine.connect() as other:
            if not sa.inspect(other).has_table(table.name, table.schema):
                try:
                    table.create(other, checkfirst=False)
                except DBAPIError as exc:
                    other.rollback()
                    if codes.code(exc) != codes.PRESENT:
                        raise
            other.commit()
            other.exec_driver_sql(_LOCK_EXCLUSIVE.format(name=name))
            try:
                yield
            finally:
                if not other.invalidated:
                    other.rollback()

    def error_text(self, error: DBAPIError) -> str:
        """Return the driver's text without its stack trace."""
        lines = super().error_text(error).splitlines()
        return " ".join(line.strip() for line in lines if not line.startswith(" at "))

    def is_deadlock(self, error: DBAPIError) -> bool:
        """Return whether it is 2631, which comes after `DeadLockTimeout`: 240 s by default."""
        return error.orig is not None and codes.code(error.orig) == codes.DEADLOCK

    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Return the error class, by the number in the driver's text."""
        return codes.kind(error.orig) if error.orig is not None else DatabaseError


_ = alembic_impl.TeradataImpl  # registered by its import

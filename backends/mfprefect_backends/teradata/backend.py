"""What Teradata does in its own way."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from mfprefect import grants as rights
from mfprefect.backend import NO_LOCK_OPTION, WRITE_OPTION, Backend
from mfprefect.errors import ConfigurationError, DatabaseError, IntegrityError
from mfprefect.schema import Blob, Id, LongText
from mfprefect.settings import Settings
from mfprefect_backends.teradata import alembic_impl, codes, load
from mfprefect_backends.teradata.band import wear
from mfprefect_backends.teradata.compiler import LONGEST
from mfprefect_backends.teradata.dialect import DRIVERNAME
from mfprefect_backends.teradata.merge import merge
from mfprefect_backends.teradata.staging import Staging, drop_old
from mfprefect_backends.teradata.types import NONCHARACTER, why_not_storable

__all__ = ["TeradataBackend", "unlocked"]

log = logging.getLogger(__name__)

ACCESS = "LOCKING ROW FOR ACCESS "
_SECRETS = ("logdata", "password", "http_proxy_password", "https_proxy_password")
_SCORES = (
    "PRIMARY INDEX (entity_id)\n"
    "PARTITION BY RANGE_N(session_no BETWEEN 1 AND 65533 EACH 1, NO RANGE, UNKNOWN)"
)
_TWICE = """
LOCKING ROW FOR ACCESS
SELECT TOP 1 mine.entity_id FROM {scores} AS mine
INNER JOIN {scores} AS theirs
ON theirs.entity_id = mine.entity_id AND theirs.session_no = mine.session_no
WHERE mine.session_no = ? AND mine.part_no = ? AND theirs.part_no <> ?
"""

_EXCLUSIVE = "LOCKING TABLE {name} FOR EXCLUSIVE SELECT COUNT(*) FROM {name}"


class TeradataBackend(Backend):
    """Teradata 16.20 or later; the tables live in the database that the URL names."""

    name: ClassVar[str] = "teradata"
    drivername: ClassVar[str] = DRIVERNAME
    driver: ClassVar[str] = "teradatasql"
    transactional_ddl: ClassVar[bool] = False
    keeps_negative_zero: ClassVar[bool] = False
    unique_allows_nulls: ClassVar[bool] = False
    view_prefix: ClassVar[str] = ACCESS
    writers: int = 2

    def __init__(self, url: sa.URL, settings: Settings) -> None:
        mode = str(url.query.get("tmode", "ANSI")).upper()
        if mode != "ANSI":
            raise ConfigurationError(
                f"tmode={mode} truncates text silently and drops equal rows; leave tmode out of "
                "the URL, for mfprefect works in ANSI mode."
            )
        url = url.update_query_dict({"tmode": "ANSI"})
        if "connect_timeout" not in url.query:
            milliseconds = max(1000, round(settings.connect_timeout * 1000))
            url = url.update_query_dict({"connect_timeout": str(milliseconds)})
        self._staging = Staging()
        super().__init__(url, settings)

    def secrets(self) -> list[str]:
        """Return what no text may show: the password, and what stands in for one."""
        found = [self.url.query.get(name) for name in _SECRETS]
        return [*super().secrets(), *(text for text in found if isinstance(text, str) and text)]

    def engine_options(self) -> Mapping[str, Any]:
        """Test pooled connections before use; staging takes a second one beside the first."""
        return {"pool_pre_ping": True, "pool_size": 5, "max_overflow": 25, "pool_recycle": 3600}

    def configure(self, engine: sa.Engine) -> None:
        """Name the session in the query band, read without locks, drop what was staged."""
        event.listen(engine, "engine_connect", wear)
        event.listen(engine, "before_cursor_execute", _unlocked, retval=True)
        event.listen(engine, "checkin", self._staging.sweep)
        event.listen(engine, "invalidate", self._staging.lost)

    def table_options(self, table: str) -> Mapping[str, Any]:
        """Spread scores by entity, and keep each session in a partition of its own."""
        return {"teradatasql_post_create": _SCORES} if table == "scores" else {}

    def why_not_storable(self, column: sa.Column[Any], text: str) -> str | None:
        """Return why a text cannot be kept: trailing blanks of names, noncharacters, its length."""
        kind = column.type
        name = isinstance(kind, Id)
        return why_not_storable(text, kind.length if isinstance(kind, Id) else None, compared=name)

    def unstorable_texts(self, column: sa.Column[Any], texts: pa.ChunkedArray) -> list[str]:
        """Return those of many texts that cannot be kept; few of them have to be looked at."""
        longer = pc.greater(pc.binary_length(texts), getattr(column.type, "length", None))
        odd = pc.or_(
            pc.ends_with(texts, " "), pc.match_substring_regex(texts, NONCHARACTER.pattern)
        )
        some = texts.filter(pc.or_(odd, longer)).to_pylist()
        return [text for text in some if self.why_not_storable(column, text)]

    def append(self, connection: sa.Connection, table: sa.Table, rows: pa.Table) -> None:
        """Insert by one batch, or by way of a staging table; scores of an entity only once."""
        load.append(connection, table, rows, self._staging)
        if table is self.schema.scores and rows.num_rows:
            self._require_once(connection, rows)

    def drop_stale_staging(self, connection: sa.Connection) -> list[str]:
        """Drop the staging tables that are older than a day."""
        return drop_old(connection, self.schema.scores)

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Merge, row by row; not where there are LOBs, of which MERGE may know nothing."""
        if any(isinstance(column.type, (LongText, Blob)) for column in table.columns):
            super().upsert(connection, table, rows)
        else:
            connection.execute(merge(table, list(rows[0])), list(rows))

    def _require_once(self, connection: sa.Connection, rows: pa.Table) -> None:
        """Raise if another part has an entity of this one: no index forbids it.

        Looked for after the insert, and without locks, so that of two parts that are written side
        by side the later one sees the other's rows.
        """
        number, part = rows["session_no"][0].as_py(), rows["part_no"][0].as_py()
        name = connection.dialect.identifier_preparer.format_table(self.schema.scores)
        twice = connection.exec_driver_sql(
            _TWICE.strip().format(scores=name), (number, part, part)
        ).scalar()
        if twice is not None:
            raise IntegrityError(f"entity {twice!r} has a score in another part already.")

    def as_entity_id(
        self, connection: sa.Connection, expression: sa.ColumnElement[Any]
    ) -> sa.ColumnElement[str]:
        """Return text; of a number, without the blanks that its format has in front."""
        found, kind = expression.type, Id(LONGEST)  # what is longer than our ids must not be cut
        if isinstance(found, sa.String) and not isinstance(found, sa.Text):
            return sa.type_coerce(expression, kind)
        text = sa.cast(expression, kind)
        return text if isinstance(found, sa.Text) else sa.func.trim(text, type_=kind)

    def grants(self, role: str, user: str) -> str:
        """Give rights; what a run stages it makes itself, and so owns."""
        quote = self.dialect().identifier_preparer.quote
        place, to = self._place(), quote(user)
        prefix = f"{quote(place)}." if place else ""
        found = [
            rights.grant(self.dialect().identifier_preparer, prefix + quote(x.table), x, to)
            for x in rights.rights(self.schema, role)
        ]
        if role == "admin":
            lock = quote(self._lock_table().name)
            found.append(f"GRANT ALL ON {prefix}{lock} TO {to}")
        more = {
            "admin": "CREATE TABLE, DROP TABLE, CREATE VIEW, DROP VIEW",
            "writer": "CREATE TABLE",
        }.get(role)
        if more and place:
            found.append(f"GRANT {more} ON {quote(place)} TO {to}")
        if role == "writer":
            scores = prefix + quote(self.schema.scores.name)
            found.append(f"GRANT STATISTICS ON {scores} TO {to}")
        notes = [
            f"Create the user first: CREATE USER {to} FROM .. AS PERM = 0, PASSWORD = ..;",
            "What has ended is not closed to writers here; their rights alone limit them.",
        ]
        return "\n".join([rights.heading(role, to, notes), *(f"{line};" for line in found)])

    def _place(self) -> str:
        found = self.schema.layout.schema or self.url.query.get("database") or self.url.database
        return str(found or "")

    def setup_statements(self) -> list[str]:
        """Return which database the tables go into, and the table that migrations lock."""
        dialect = self.dialect()
        place = self._place()
        use = [f"DATABASE {dialect.identifier_preparer.quote(place)}"] if place else []
        lock = str(sa.schema.CreateTable(self._lock_table()).compile(dialect=dialect))
        return [*use, lock.replace("\t", "    ").strip()]

    def post_create_statements(self) -> list[str]:
        """Return which statistics there are to be; empty as the tables are, they cost nothing."""
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
        """Lock a table of one purpose, on a connection of its own: DDL commits on the other."""
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
            other.exec_driver_sql(_EXCLUSIVE.format(name=name))
            try:
                yield
            finally:
                if not other.invalidated:
                    other.rollback()

    def error_text(self, error: DBAPIError) -> str:
        """Return what the driver says, without the places in its code."""
        lines = super().error_text(error).splitlines()
        return " ".join(line.strip() for line in lines if not line.startswith(" at "))

    def classify(self, error: DBAPIError) -> type[DatabaseError]:
        """Go by the number in the driver's text."""
        return codes.kind(error.orig) if error.orig is not None else DatabaseError


def _unlocked(
    connection: sa.Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> tuple[str, Any]:
    options = context.execution_options if context is not None else {}
    return unlocked(statement, options), parameters


def unlocked(statement: str, options: Mapping[str, Any]) -> str:
    """Return a statement that waits for no writer and keeps none waiting, where it only reads.

    In a writing transaction a select takes locks, unless it only glances at what is there.
    """
    if not statement.startswith("SELECT"):
        return statement
    glance = options.get(NO_LOCK_OPTION)
    if glance is True or not options.get(WRITE_OPTION):
        return ACCESS + statement
    tables = (f"LOCKING TABLE {table} FOR ACCESS " for table in glance or ())
    return "".join(tables) + statement


_ = alembic_impl.TeradataImpl  # importing it is what registers it

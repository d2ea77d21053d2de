"""Load many rows through a staging table.

A transaction can hold only so many row locks (9128), and FastLoad needs an empty table. So more
rows than a batch go into a staging table on a second connection, which are counted; one
INSERT .. SELECT copies them in the caller's transaction. The staging table is dropped when the
caller's connection returns to the pool.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mfprefect.errors import DatabaseError
from mfprefect_backends.teradata import codes
from mfprefect_backends.teradata.staging import Staging, error_table, quoted_name, staging_table
from mfprefect_backends.teradata.types import pass_through_pattern

__all__ = ["BATCH_ROWS", "FASTLOAD_ROWS", "append", "fastload"]

log = logging.getLogger(__name__)

BATCH_ROWS = 20_000
"""Below the 25,900 row locks that a transaction may hold on an AMP, even with one AMP only."""
FASTLOAD_ROWS = 100_000
"""From how many rows on FastLoad is worth its start."""
FASTLOAD_BATCH = 50_000
MAX_EXAMPLES = 3


def append(connection: sa.Connection, table: sa.Table, rows: pa.Table, staging: Staging) -> None:
    """Insert rows in the connection's transaction, all of them exactly.

    Raises:
        DatabaseError: rows did not arrive; none is stored.
    """
    if not rows.num_rows:
        return
    if rows.num_rows <= BATCH_ROWS:
        connection.exec_driver_sql(_insert(connection, table, rows), list(_tuples(rows)))
        return
    staged = staging_table(connection, table, rows)
    staging.register(connection, staged, table)  # first, so that it is dropped in any case
    with connection.engine.connect() as other:
        staged.create(other, checkfirst=False)
        if rows.num_rows >= FASTLOAD_ROWS and _fit_for_fastload(rows):
            fastload(other, staged, rows)
        else:
            _insert_batches(other, staged, rows)
        _require_all(other, staged, rows)
    names = [column.name for column in staged.columns]
    result = connection.execute(table.insert().from_select(names, sa.select(*staged.columns)))
    if result.rowcount != rows.num_rows:
        raise DatabaseError(
            f"INSERT .. SELECT copied {result.rowcount} of {rows.num_rows} rows of {table.name}."
        )


def _fit_for_fastload(rows: pa.Table) -> bool:
    """Return whether FastLoad stores the rows exactly.

    Its sessions are its own: they have neither Unicode pass-through nor our time zone.
    """
    for column in rows.columns:
        if pa.types.is_timestamp(column.type):
            return False
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            continue
        other = column.filter(pc.invert(pc.string_is_ascii(column)))
        if len(other) and pc.any(pc.match_substring_regex(other, pass_through_pattern())).as_py():
            return False
    return True


def _insert(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> str:
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(map(quote, rows.column_names))
    marks = ", ".join("?" * rows.num_columns)
    return f"INSERT INTO {quoted_name(connection, table)} ({names}) VALUES ({marks})"  # noqa: S608


def _tuples(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    columns = []
    for column in rows.columns:
        values = column.to_pylist()
        if pa.types.is_floating(column.type):  # -0.0 as 0.0, as in all other statements
            values = [value if value is None else value + 0.0 for value in values]
        columns.append(values)
    return zip(*columns, strict=True)


def _insert_batches(connection: sa.Connection, staged: sa.Table, rows: pa.Table) -> None:
    """Insert batch by batch, each in its own transaction: nobody reads a staging table."""
    for start in range(0, rows.num_rows, BATCH_ROWS):
        batch = rows.slice(start, BATCH_ROWS)
        connection.exec_driver_sql(_insert(connection, staged, batch), list(_tuples(batch)))
        connection.commit()


def fastload(connection: sa.Connection, staged: sa.Table, rows: pa.Table) -> None:
    """Load by FastLoad, which drops bad rows silently: ask it for warnings and errors."""
    insert = "{fn teradata_require_fastload}" + _insert(connection, staged, rows)
    driver: Any = connection.connection.dbapi_connection
    messages: list[str] = []
    with codes.driver_errors(connection, insert), driver.cursor() as cursor:
        try:
            for start in range(0, rows.num_rows, FASTLOAD_BATCH):
                batch = rows.slice(start, FASTLOAD_BATCH)
                cursor.executemany(insert, list(_tuples(batch)))
                messages += _loader_messages(cursor, insert)
            driver.commit()
            messages += _loader_messages(cursor, insert)
        except BaseException as exc:
            if not codes.is_lost(exc):  # else rollback raises and replaces the error
                driver.rollback()
            raise
    if messages:
        raise DatabaseError(_load_error(connection, staged, rows, messages))


def _loader_messages(cursor: Any, insert: str) -> list[str]:
    """Return the warnings and errors since the last batch."""
    texts = []
    for function in ("teradata_get_warnings", "teradata_get_errors"):
        cursor.execute("{fn teradata_nativesql}{fn " + function + "}" + insert)
        texts += [str(row[0]).strip() for row in cursor.fetchall() if row and row[0]]
    return [text for text in texts if text]


def _require_all(connection: sa.Connection, staged: sa.Table, rows: pa.Table) -> None:
    count = connection.execute(sa.select(sa.func.count()).select_from(staged)).scalar_one()
    if count != rows.num_rows:
        raise DatabaseError(_load_error(connection, staged, rows, []))


def _load_error(
    connection: sa.Connection, staged: sa.Table, rows: pa.Table, messages: list[str]
) -> str:
    """Return a message: how many rows arrived, the first missing ones, and the loader's texts."""
    key = staged.columns[rows.column_names[_key_position(rows)]]
    arrived = Counter(connection.execute(sa.select(key)).scalars())
    text = f"{arrived.total()} of {rows.num_rows} rows arrived in the staging table"
    missing = [*(Counter(rows.column(key.name).to_pylist()) - arrived)]
    if missing:
        text += f"; the first missing: {', '.join(map(repr, missing[:MAX_EXAMPLES]))}"
    for suffix in ("_ERR_1", "_ERR_2"):
        name = error_table(quoted_name(connection, staged), suffix)
        if error_rows := _error_rows(connection, name):
            text += f"; {suffix[1:]}: {error_rows}"
    if messages:
        text += f"; FastLoad reports: {' | '.join(messages)[:600]}"
    return text + ". Nothing of the part was stored."


def _key_position(rows: pa.Table) -> int:
    """Return the position of the column that identifies rows: entity_id, or the first."""
    names = rows.column_names
    return names.index("entity_id") if "entity_id" in names else 0


def _error_rows(connection: sa.Connection, name: str) -> str:
    select = f"SELECT TOP {MAX_EXAMPLES} * FROM {name}"  # noqa: S608
    try:
        rows = connection.exec_driver_sql(select).mappings().all()
    except DBAPIError as exc:
        if codes.code(exc) != codes.MISSING:
            log.debug("the error table %s cannot be read", name, exc_info=True)
        return ""
    return "; ".join(
        ", ".join(f"{key}={str(value)[:60]}" for key, value in row.items()) for row in rows
    )

"""Many rows: into a table of their own first, and from there in one statement.

One transaction holds only so many row locks (9128), and FastLoad wants an empty table. So rows
beyond a batch go into a staging table on a connection of their own; what arrived is counted, and
one INSERT .. SELECT brings it over in the transaction of whoever stores them. The staging table
goes when that transaction's connection returns to the pool.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mfprefect.errors import DatabaseError
from mfprefect_backends.teradata import codes
from mfprefect_backends.teradata.staging import Staging, like, named, suffixed

__all__ = ["BATCH_ROWS", "FASTLOAD_ROWS", "append"]

log = logging.getLogger(__name__)

BATCH_ROWS = 20_000
"""Under the 25,900 row locks that one transaction may hold on an AMP, if it had one AMP only."""
FASTLOAD_ROWS = 100_000
FASTLOAD_BATCH = 50_000
SHOWN = 3


def append(connection: sa.Connection, table: sa.Table, rows: pa.Table, staging: Staging) -> None:
    """Insert rows in the transaction of the connection, each of them exactly, or raise."""
    if not rows.num_rows:
        return
    if rows.num_rows <= BATCH_ROWS:
        connection.exec_driver_sql(_insert(connection, table, rows), list(_lists(rows)))
        return
    staged = like(connection, table, rows)
    staging.note(connection, staged, table)  # whatever happens from here on, it goes
    with connection.engine.connect() as other:
        staged.create(other, checkfirst=False)
        if rows.num_rows >= FASTLOAD_ROWS:
            _fastload(other, staged, rows)
        else:
            _batches(other, staged, rows)
        _require_all(other, staged, rows)
    names = [column.name for column in staged.columns]
    result = connection.execute(table.insert().from_select(names, sa.select(*staged.columns)))
    if result.rowcount != rows.num_rows:
        raise DatabaseError(
            f"INSERT .. SELECT took {result.rowcount} of {rows.num_rows} rows of {table.name}."
        )


def _insert(connection: sa.Connection, table: sa.Table, rows: pa.Table) -> str:
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(map(quote, rows.column_names))
    marks = ", ".join("?" * rows.num_columns)
    return f"INSERT INTO {named(connection, table)} ({names}) VALUES ({marks})"  # noqa: S608


def _lists(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    columns = []
    for column in rows.columns:
        values = column.to_pylist()
        if pa.types.is_floating(column.type):  # -0.0 as 0.0, as in all other statements
            values = [value if value is None else value + 0.0 for value in values]
        columns.append(values)
    return zip(*columns, strict=True)


def _batches(connection: sa.Connection, staged: sa.Table, rows: pa.Table) -> None:
    """Insert batch by batch, each in a transaction: nobody sees a staging table."""
    for start in range(0, rows.num_rows, BATCH_ROWS):
        some = rows.slice(start, BATCH_ROWS)
        connection.exec_driver_sql(_insert(connection, staged, some), list(_lists(some)))
        connection.commit()


def _fastload(connection: sa.Connection, staged: sa.Table, rows: pa.Table) -> None:
    """Load by FastLoad, which drops rows and says so only when it is asked."""
    insert = "{fn teradata_require_fastload}" + _insert(connection, staged, rows)
    driver: Any = connection.connection.dbapi_connection
    told: list[str] = []
    with codes.told(connection, insert), driver.cursor() as cursor:
        try:
            for start in range(0, rows.num_rows, FASTLOAD_BATCH):
                some = rows.slice(start, FASTLOAD_BATCH)
                cursor.executemany(insert, list(_lists(some)))
                told += _told(cursor, insert)
            driver.commit()
            told += _told(cursor, insert)
        except BaseException as exc:
            if not codes.is_lost(exc):  # else what this raises would stand in its place
                driver.rollback()
            raise
    if told:
        raise DatabaseError(_failed(connection, staged, rows, told))


def _told(cursor: Any, insert: str) -> list[str]:
    """Return the warnings and errors since the last batch."""
    found = []
    for what in ("teradata_get_warnings", "teradata_get_errors"):
        cursor.execute("{fn teradata_nativesql}{fn " + what + "}" + insert)
        found += [str(row[0]).strip() for row in cursor.fetchall() if row and row[0]]
    return [text for text in found if text]


def _require_all(connection: sa.Connection, staged: sa.Table, rows: pa.Table) -> None:
    count = connection.execute(sa.select(sa.func.count()).select_from(staged)).scalar_one()
    if count != rows.num_rows:
        raise DatabaseError(_failed(connection, staged, rows, []))


def _failed(connection: sa.Connection, staged: sa.Table, rows: pa.Table, told: list[str]) -> str:
    """Return what did not arrive: how many rows, the first of them, and what the loader says."""
    key = staged.columns[rows.column_names[_place(rows)]]
    arrived = Counter(connection.execute(sa.select(key)).scalars())
    text = f"{arrived.total()} of {rows.num_rows} rows arrived in the staging table"
    missing = [*(Counter(rows.column(key.name).to_pylist()) - arrived)]
    if missing:
        text += f"; the first that did not: {', '.join(map(repr, missing[:SHOWN]))}"
    for suffix in ("_ERR_1", "_ERR_2"):
        if found := _error_rows(connection, suffixed(named(connection, staged), suffix)):
            text += f"; {suffix[1:]}: {found}"
    if told:
        text += f"; the loader says: {' | '.join(told)[:600]}"
    return text + ". Nothing of the part was stored."


def _place(rows: pa.Table) -> int:
    """Return the column that tells rows apart: the ids of entities."""
    names = rows.column_names
    return names.index("entity_id") if "entity_id" in names else 0


def _error_rows(connection: sa.Connection, name: str) -> str:
    try:
        rows = connection.exec_driver_sql(f"SELECT TOP {SHOWN} * FROM {name}").mappings().all()  # noqa: S608
    except DBAPIError as exc:
        if codes.code(exc) != codes.MISSING:
            log.debug("the error table %s cannot be read", name, exc_info=True)
        return ""
    return "; ".join(
        ", ".join(f"{key}={str(value)[:60]}" for key, value in row.items()) for row in rows
    )

"""The locks of a request, once its values are known."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from mfprefect_dev.teradata.catalog import Index, Table, quoted
from mfprefect_dev.teradata.engine.locks import TABLE, Lock, row_hash
from mfprefect_dev.teradata.sql.requests import WRITE, RowKey, Want

__all__ = ["row_locks", "table_locks"]


def table_locks(want: Want) -> list[Lock]:
    """Return the lock on a whole table; nothing if the request names its rows."""
    return [] if want.rows else [Lock(want.table, TABLE, want.mode)]


def row_locks(
    sqlite: sqlite3.Connection, table: Table, want: Want, rows: Sequence[Sequence[Any]]
) -> list[Lock]:
    """Return the locks on the rows that a request names, one set for each row of its values.

    A row that exists is locked by its primary index too, and one that is deleted or changed by all
    unique indexes: others may name it by any of them.
    """
    hashes: set[int] = set()
    for row in rows:
        for key in want.rows:
            values = key.of(row)
            hashes.add(row_hash(key.columns, values))
            if not want.new:
                hashes.update(_stored(sqlite, table, want, key, values))
    return [Lock(want.table, one, want.mode) for one in hashes]


def _stored(
    sqlite: sqlite3.Connection, table: Table, want: Want, key: RowKey, values: tuple[Any, ...]
) -> Iterator[int]:
    """Yield the hashes of the stored row with a key; of all rows with that primary index."""
    indexes = [index for index in table.indexes if _is_locked(index, want)]
    indexes = [index for index in indexes if index.columns != key.columns]
    if not indexes:
        return
    columns = [name for index in indexes for name in index.columns]
    select = ", ".join(map(quoted, columns))
    where = " AND ".join(f"{quoted(name)} = ?" for name in key.columns)
    query = f"SELECT {select} FROM {table.in_sqlite()} WHERE {where}"
    for row in sqlite.execute(query, values):
        at = 0
        for index in indexes:
            yield row_hash(index.columns, row[at : at + len(index.columns)])
            at += len(index.columns)


def _is_locked(index: Index, want: Want) -> bool:
    return index.kind in "PQ" or (index.unique and want.mode == WRITE)

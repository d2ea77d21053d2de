"""The registry of input columns: which columns of which tables models may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidValue
from mfprefect.quality.checks.context import Registered
from mfprefect.store.audit.events import record, row_digest
from mfprefect.store.database import Database
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["input_columns", "registered", "row_of", "set_input_columns"]


def input_columns(db: Database, table: str | None, schema: str | None) -> pd.DataFrame:
    """Return the registered columns, by schema, table and name."""
    c = db.schema.input_columns.c
    select = sa.select(*c).order_by(c.schema_name, c.table_name, c.column_name)
    if table is not None:
        select = select.where(c.table_name == table)
    if schema is not None:
        select = select.where(c.schema_name == schema)
    return db.frame(select)


def registered(db: Database, schema: str, table: str) -> dict[str, Registered]:
    """Return the registered columns of a table, by name."""
    c = db.schema.input_columns.c
    select = sa.select(c.column_name, c.valid, c.test).where(
        c.schema_name == schema, c.table_name == table
    )
    return {name: Registered(bool(valid), bool(test)) for name, valid, test in db.fetch_all(select)}


def row_of(
    table: str,
    column: str,
    valid: bool = True,
    schema: str = "",
    test: bool = False,
    note: str | None = None,
) -> dict[str, Any]:
    """Return a row for the registry.

    Raises:
        InvalidValue: a name is empty or too long, or a flag is no boolean.
    """
    for flag, value in (("valid", valid), ("test", test)):
        if not isinstance(value, bool):
            raise InvalidValue(f"{flag} of column {column!r} is {value!r}; it is True or False.")
    return {
        # Empty: the connection's own schema.
        "schema_name": values.name(schema, "the schema") if schema else "",
        "table_name": values.name(table, "the table"),
        "column_name": values.name(column, "the column"),
        "valid": valid,
        "test": test,
        "note": None if note is None else values.text(note, "the note"),
    }


def set_input_columns(db: Database, rows: Iterable[Mapping[str, Any]]) -> int:
    """Register columns or update them, in one transaction.

    Returns:
        The number of new and changed ones.
    """
    table = db.schema.input_columns
    keys = ("schema_name", "table_name", "column_name")
    wanted = {tuple(row[name] for name in keys): dict(row) for row in rows}

    def work(connection: sa.Connection, _: bool) -> int:
        changed = 0
        for key, row in wanted.items():
            same_key = [table.c[name] == value for name, value in zip(keys, key, strict=True)]
            stored = connection.execute(sa.select(*table.c).where(*same_key)).first()
            if stored is not None and dict(zip(table.c.keys(), stored, strict=True)) == row:
                continue
            changed += 1
            if stored is None:
                connection.execute(table.insert(), row)
            else:
                connection.execute(table.update().where(*same_key), row)
            detail = {name: row[name] for name in ("valid", "test", "note")}
            detail |= row_digest(db.schema, "input_columns", row)
            record(db, connection, "set_input_column", ".".join(filter(None, key)), **detail)
        return changed

    return db.write_transaction(work, also_retry=IntegrityError)

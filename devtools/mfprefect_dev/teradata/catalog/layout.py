"""The layout of Teradata's tables in SQLite: columns, checks and indexes."""

from __future__ import annotations

import sqlite3

from mfprefect_dev.teradata.catalog import Column, ForeignKey, Index, Table, column_names, quoted

__all__ = [
    "column_text",
    "create_index",
    "create_table",
    "create_triggers",
    "drop_index",
    "drop_triggers",
]


def create_table(sqlite: sqlite3.Connection, table: Table) -> None:
    """Create a table with its indexes; replace one that a dead process left."""
    sqlite.execute(f"DROP TABLE IF EXISTS {table.in_sqlite()}")
    # A number that is never used again, for the journal: an undone row comes back with its own.
    parts = ['"td row" INTEGER PRIMARY KEY AUTOINCREMENT']
    parts += [column_text(column) for column in table.columns]
    parts += [f'CONSTRAINT "5317:{n or "?"}" CHECK ({sql})' for n, sql in table.checks]
    parts += [_reference(key) for key in table.foreign_keys if key.checked]
    sqlite.execute(f"CREATE TABLE {table.in_sqlite()} ({', '.join(parts)})")
    for index in table.indexes:
        create_index(sqlite, table, index)
    if not table.multiset and not table.primary.unique:
        whole = ", ".join(f"ifnull({quoted(c.name)}, x'00') COLLATE RTRIM" for c in table.columns)
        name = quoted(f"2802:{table.key}")
        sqlite.execute(f"CREATE UNIQUE INDEX {name} ON {quoted(table.key)} ({whole})")
    create_triggers(sqlite, table)


def create_triggers(sqlite: sqlite3.Connection, table: Table) -> None:
    """Create the triggers that write into the journal what undoes a change."""
    place = table.in_sqlite()
    names = [quoted(column.name) for column in table.columns]
    sets = " || ', ' || ".join(f"'{name} = ' || quote(OLD.{name})" for name in names)
    values = " || ', ' || ".join(f"quote(OLD.{name})" for name in names)
    listed = ", ".join(names)
    undo = {
        "INSERT": "NULL",
        "UPDATE": f"'UPDATE {place} SET ' || {sets} || ' WHERE rowid = ' || OLD.\"td row\"",
        "DELETE": f'\'INSERT INTO {place} ("td row", {listed}) VALUES (\' || OLD."td row" || '
        f"', ' || {values} || ')'",
    }
    for event, text in undo.items():
        row = "NEW" if event == "INSERT" else "OLD"
        sqlite.execute(
            f"CREATE TRIGGER {_trigger(table, event)} AFTER {event} ON {place} "
            'WHEN (SELECT session FROM "td writer") IS NOT NULL BEGIN '
            'INSERT INTO "td journal" (session, place, number, undo) '
            f"""SELECT session, '{place}', {row}."td row", {text} FROM "td writer"; END"""
        )


def drop_triggers(sqlite: sqlite3.Connection, table: Table) -> None:
    """Drop a table's triggers, before its columns change."""
    for event in ("INSERT", "UPDATE", "DELETE"):
        sqlite.execute(f"DROP TRIGGER IF EXISTS {_trigger(table, event)}")


def _trigger(table: Table, event: str) -> str:
    return quoted(f"td {event} {table.key}")


def column_text(column: Column) -> str:
    """Return a column with its checks; the name of a constraint holds its error code."""
    name = quoted(column.name)
    text = f"{name} {column.type.affinity()} COLLATE RTRIM"
    if column.default is not None:
        text += f" DEFAULT {column.default}"
    if not column.nullable:
        text += " NOT NULL"
    check = column.type.check(name)
    if check is not None:
        code, sql = check
        text += f' CONSTRAINT "{code}:{column.name}" CHECK ({name} IS NULL OR ({sql}))'
    return text


def _reference(key: ForeignKey) -> str:
    return (
        f"FOREIGN KEY ({column_names(key.columns)}) REFERENCES {quoted(key.parent)} "
        f"({column_names(key.parent_columns)})"
    )


def _index_name(table: Table, index: Index) -> str:
    """Return an index's name in SQLite, which begins with its error code."""
    code = 0
    if index.unique:
        code = 2801 if index.kind in "PQ" else 2803
    return f"{code}:{table.key}:{'+'.join(index.columns).lower()}"


def create_index(sqlite: sqlite3.Connection, table: Table, index: Index) -> None:
    """Create an index; a unique one on nullable columns needs a second one for look-ups."""
    columns = {column.name: column for column in table.columns}
    nullable = [name for name in index.columns if columns[name].nullable]
    on = f"ON {quoted(table.key)}"
    plain = ", ".join(quoted(name) for name in index.columns)
    name = _index_name(table, index)
    if index.unique and nullable:
        # NULLs are equal in a unique index of Teradata.
        listed = ", ".join(
            f"ifnull({quoted(c)}, x'00') COLLATE RTRIM" if c in nullable else quoted(c)
            for c in index.columns
        )
        sqlite.execute(f"CREATE UNIQUE INDEX {quoted(name)} {on} ({listed})")
        sqlite.execute(f"CREATE INDEX {quoted('plain:' + name)} {on} ({plain})")
        return
    unique = "UNIQUE " if index.unique else ""
    sqlite.execute(f"CREATE {unique}INDEX {quoted(name)} {on} ({plain})")


def drop_index(sqlite: sqlite3.Connection, table: Table, index: Index) -> None:
    """Drop an index."""
    name = _index_name(table, index)
    for index_name in (name, f"plain:{name}"):
        sqlite.execute(f"DROP INDEX IF EXISTS {quoted(index_name)}")

"""Comments on existing tables of MySQL and MariaDB: ALTER TABLE that changes nothing else."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

import sqlalchemy as sa

__all__ = ["set_comments"]

WAIT_SECONDS = 1
_COLUMN = re.compile(r"  (`(?:[^`]|``)+`) (.*?)(?: COMMENT '(?:[^'\\]|''|\\.)*')?,?")
"""A line of SHOW CREATE TABLE: a column, its definition and its comment, which comes last."""


def set_comments(connection: sa.Connection, table: sa.Table, names: Container[str | None]) -> None:
    """Set comments of a table, giving up after `WAIT_SECONDS` behind a reader.

    Each column is defined as the server itself defines it: another definition would be a change.
    The server refuses the algorithms if rows had to change, or if writers had to wait meanwhile.
    """
    name = connection.dialect.identifier_preparer.format_table(table)
    created = str(connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1])
    # Readers that come later queue behind an ALTER that waits for an earlier one.
    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {WAIT_SECONDS}")
    try:
        for change in _changes(connection, table, names, created):
            connection.exec_driver_sql(f"ALTER TABLE {name} {change}".replace("%", "%%"))
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("SET SESSION lock_wait_timeout = DEFAULT")


def _changes(
    connection: sa.Connection, table: sa.Table, names: Container[str | None], created: str
) -> Iterator[str]:
    if None in names:  # for MySQL not instant, but it rebuilds nothing
        yield f"COMMENT = {_literal(connection, table.comment)}, ALGORITHM = INPLACE, LOCK = NONE"
    definitions, changes = _definitions(created), []
    for column in table.c:
        if column.name in names:
            quoted = connection.dialect.identifier_preparer.quote_identifier(column.name)
            comment = _literal(connection, column.comment)
            changes.append(f"MODIFY COLUMN {quoted} {definitions[quoted]} COMMENT {comment}")
    if changes:
        yield f"{', '.join(changes)}, ALGORITHM = INSTANT"


def _definitions(created: str) -> dict[str, str]:
    """Return the definition of each column, by its quoted name, from SHOW CREATE TABLE."""
    *lines, options = created.splitlines()
    matches = filter(None, map(_COLUMN.fullmatch, lines))
    definitions = {match[1]: match[2] for match in matches}
    # MySQL shows the table's collation, and would keep it as one that the column names itself.
    if collation := re.search(r" COLLATE=(\w+)", options):
        for name, definition in definitions.items():
            if " CHARACTER SET " not in definition:
                definitions[name] = definition.replace(f" COLLATE {collation[1]}", "", 1)
    return definitions


def _literal(connection: sa.Connection, text: str | None) -> str:
    literal = sa.literal(text or "").compile(connection, compile_kwargs={"literal_binds": True})
    return str(literal).replace("%%", "%")

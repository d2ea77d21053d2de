"""Comments on existing tables of MySQL and MariaDB: ALTER TABLE that changes nothing else."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

import sqlalchemy as sa

from mfprefect.schema import comments_of

__all__ = ["set_comments"]

WAIT_SECONDS = 1
_COLUMN = re.compile(r"  (`(?:[^`]|``)+`) (.*?)(?: COMMENT '(?:[^'\\]|''|\\.)*')?,?")
"""A line of SHOW CREATE TABLE: a column, its definition and its comment, which comes last."""


def set_comments(connection: sa.Connection, table: sa.Table, names: Container[str | None]) -> None:
    """Set comments in one statement, which gives up after `WAIT_SECONDS` behind a reader.

    Each column is defined as the server itself defines it: another definition would be a change.
    INSTANT is refused by the server if anything but the dictionary would have to change.
    """
    name = connection.dialect.identifier_preparer.format_table(table)
    created = str(connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1])
    changes = ", ".join(_changes(connection, table, names, created))
    # Readers that come later queue behind an ALTER that waits for an earlier one.
    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {WAIT_SECONDS}")
    try:
        connection.exec_driver_sql(
            f"ALTER TABLE {name} {changes}, ALGORITHM = INSTANT".replace("%", "%%")
        )
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("SET SESSION lock_wait_timeout = DEFAULT")


def _changes(
    connection: sa.Connection, table: sa.Table, names: Container[str | None], created: str
) -> Iterator[str]:
    preparer = connection.dialect.identifier_preparer
    matches = filter(None, map(_COLUMN.fullmatch, created.splitlines()))
    columns = {match[1]: match[2] for match in matches}
    for name, comment in comments_of(table).items():
        if name not in names:
            continue
        literal = _literal(connection, str(comment))
        if name is None:
            yield f"COMMENT = {literal}"
        else:
            quoted = preparer.quote_identifier(name)
            yield f"MODIFY COLUMN {quoted} {columns[quoted]} COMMENT {literal}"


def _literal(connection: sa.Connection, text: str) -> str:
    literal = sa.literal(text).compile(connection, compile_kwargs={"literal_binds": True})
    return str(literal).replace("%%", "%")

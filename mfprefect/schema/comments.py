"""The comments of tables, views and columns, as a database takes them."""

from __future__ import annotations

from collections.abc import Container

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import SetColumnComment, SetTableComment

__all__ = ["comment_statements", "comments_of"]


def comments_of(table: sa.Table) -> dict[str | None, str | None]:
    """Return the comments of a table's columns by name, and its own under None."""
    return {None: table.comment, **{column.name: column.comment for column in table.c}}


def comment_statements(
    table: sa.Table, dialect: Dialect, kind: str, names: Container[str | None]
) -> list[str]:
    """Return COMMENT ON statements.

    Args:
        table: a table, or a view written as one.
        dialect: how to quote.
        kind: `TABLE` or `VIEW`.
        names: columns to comment; None among them is the table itself.
    """
    elements: list[sa.schema.ExecutableDDLElement] = []
    if None in names:
        elements.append(SetTableComment(table))
    elements += (SetColumnComment(column) for column in table.c if column.name in names)
    texts = (str(element.compile(dialect=dialect)) for element in elements)
    return [text.replace("COMMENT ON TABLE", f"COMMENT ON {kind}", 1) for text in texts]

"""Comments on tables, views and columns: what people see of the schema in the database."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind

from mfprefect.backend import Backend
from mfprefect.migrations import VERSION_TABLE
from mfprefect.schema import comment_statements, comments_of

__all__ = ["comment_script", "set_comments"]

KINDS = {"TABLE": ObjectKind.TABLE, "VIEW": ObjectKind.VIEW}


def set_comments(backend: Backend, connection: sa.Connection, *, new: bool = False) -> None:
    """Give tables, views and columns the comments of the schema, where theirs differ.

    No table is rewritten, and readers go on. Does nothing where the database has no comments.

    Args:
        backend: the backend.
        connection: in the transaction of the upgrade.
        new: whether the tables were created a moment ago, so that only CREATE TABLE can have
            commented them.
    """
    if not connection.dialect.supports_comments:
        return
    for kind, tables in _relations(backend).items():
        present = {} if new else _present(connection, tables, kind)
        for table in tables:
            comments, before = comments_of(table), present.get(table.name, {})
            if names := {name for name in comments if comments[name] != before.get(name)}:
                backend.set_comments(connection, table, kind, names)


def _relations(backend: Backend) -> dict[str, list[sa.Table]]:
    views = backend.schema.view_tables() if backend.comments_on_views else []
    return {"TABLE": [*backend.schema.tables.values(), _version(backend)], "VIEW": views}


def _version(backend: Backend) -> sa.Table:
    layout = backend.schema.layout
    comment = "Revision of the schema, which mfprefect compares with its own."
    column = sa.Column("version_num", sa.String(32), nullable=False, comment="The revision.")
    metadata = sa.MetaData(schema=layout.schema)
    return sa.Table(layout.prefix + VERSION_TABLE, metadata, column, comment=comment)


def _present(
    connection: sa.Connection, tables: list[sa.Table], kind: str
) -> dict[str, dict[str | None, str | None]]:
    """Return the comments that the database has, by table, then by column; None is the table."""
    names = [table.name for table in tables]
    if not names:
        return {}
    where = {"schema": tables[0].schema, "filter_names": names, "kind": KINDS[kind]}
    inspector = sa.inspect(connection)
    of_tables = inspector.get_multi_table_comment(**where)  # type: ignore[arg-type]
    columns = inspector.get_multi_columns(**where)  # type: ignore[arg-type]
    return {
        name: {
            None: of_tables[place, name]["text"],
            **{c["name"]: c.get("comment") for c in listed},
        }
        for (place, name), listed in columns.items()
    }


def comment_script(backend: Backend) -> Iterator[str]:
    """Yield the statements for a new installation, beside what its CREATE TABLE says already."""
    dialect = backend.dialect()
    if not dialect.supports_comments or dialect.inline_comments:
        return
    for kind, tables in _relations(backend).items():
        for table in tables:
            yield from comment_statements(table, dialect, kind, comments_of(table))

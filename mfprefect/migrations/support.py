"""What migrations share: steps that can be repeated after an interruption."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from mfprefect.errors import ConfigurationError
from mfprefect.migrations import VERSION_TABLE
from mfprefect.schema import VIEWS, Layout, Schema, comments_of

__all__ = ["add_columns", "add_index", "configure_options", "create_tables", "drop_views", "layout"]

ADDED_LATER = {"session_attempts": {"git_author"}}
"""Columns that later migrations add to tables which earlier ones create, by table: an upgrade that
is repeated meets them."""


def configure_options(layout: Layout, transactional_ddl: bool) -> dict[str, Any]:
    """Return where and how Alembic stores the revision of an installation."""
    return {
        "version_table": layout.prefix + VERSION_TABLE,
        "version_table_schema": layout.schema,
        "transactional_ddl": transactional_ddl,
    }


def layout() -> Layout:
    """Return the layout of the installation that is being migrated."""
    current: Layout = op.get_context().opts["layout"]
    return current


def _inspector() -> sa.Inspector | None:
    """Return an inspector; None when writing a script for an empty database."""
    return None if op.get_context().as_sql else sa.inspect(op.get_bind())


def create_tables(metadata: sa.MetaData) -> None:
    """Create the tables and indexes that do not exist yet.

    Raises:
        ConfigurationError: a table of that name exists, and it is not mfprefect's.
    """
    connection = op.get_bind()
    inspector = _inspector()
    present = set(inspector.get_table_names(schema=metadata.schema)) if inspector else set()
    for table in metadata.sorted_tables:
        if inspector and table.name in present:
            _refuse_foreign(table, inspector)
    for table in metadata.sorted_tables:
        indexes = set()
        if inspector and table.name in present:
            existing = inspector.get_indexes(table.name, schema=metadata.schema)
            indexes = {index["name"] for index in existing}
        else:
            _add_comments(table.name, table, *table.c)
            connection.execute(sa.schema.CreateTable(table))
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            if index.name not in indexes:
                connection.execute(sa.schema.CreateIndex(index))


def _refuse_foreign(table: sa.Table, inspector: sa.Inspector) -> None:
    columns = {c["name"] for c in inspector.get_columns(table.name, schema=table.schema)}
    expected = {c.name for c in table.columns}
    allowed = expected | ADDED_LATER.get(table.name.removeprefix(layout().prefix), set())
    if not expected <= columns <= allowed:
        raise ConfigurationError(
            f"the database holds a table {table.name!r} that is not mfprefect's "
            f"(it has {', '.join(sorted(columns - allowed)) or 'fewer columns'}); "
            "give mfprefect a database or schema of its own, or set MFPREFECT_PREFIX=mf_."
        )


def _add_comments(table: str, *items: sa.Table | sa.Column[Any]) -> None:
    """Give a table and columns today's comments, where only CREATE and ALTER TABLE take them."""
    if not op.get_context().dialect.inline_comments:
        return  # they are statements of their own, after all migrations
    here = layout()
    today = _schema(here).tables.get(table.removeprefix(here.prefix))
    comments = {} if today is None else comments_of(today)
    for item in items:
        item.comment = comments.get(item.name if isinstance(item, sa.Column) else None)


@functools.lru_cache(maxsize=1)
def _schema(here: Layout) -> Schema:
    return Schema(here)


def add_columns(table: str, *columns: sa.Column[Any]) -> None:
    """Add the columns that a table does not have yet."""
    here = layout()
    name = here.prefix + table
    inspector = _inspector()
    existing = inspector.get_columns(name, schema=here.schema) if inspector else ()
    present = {c["name"] for c in existing}
    _add_comments(name, *columns)
    for column in columns:
        if column.name not in present:
            op.add_column(name, column, schema=here.schema)


def add_index(table: str, name: str, columns: Sequence[str], *, unique: bool) -> None:
    """Create an index if it does not exist yet."""
    here = layout()
    table_name = here.prefix + table
    inspector = _inspector()
    existing = inspector.get_indexes(table_name, schema=here.schema) if inspector else ()
    if name not in {index["name"] for index in existing}:
        op.create_index(name, table_name, list(columns), unique=unique, schema=here.schema)


def drop_views(*names: str) -> None:
    """Drop views, by default all; they are created again after all migrations have run.

    Their readers miss them until then, and on some databases lose their rights: only for a view
    whose columns change. All others are replaced in place.
    """
    here = layout()
    preparer = op.get_bind().dialect.identifier_preparer
    inspector = _inspector()
    present = set(inspector.get_view_names(schema=here.schema)) if inspector else set()
    for view in reversed(VIEWS):
        if here.prefix + view in present and view in (names or VIEWS):
            name = preparer.format_table(sa.table(here.prefix + view, schema=here.schema))
            op.execute(f"DROP VIEW {name}")

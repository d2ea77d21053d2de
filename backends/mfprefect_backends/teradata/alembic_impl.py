"""Alembic's ALTER TABLE for Teradata."""

from __future__ import annotations

from typing import Any

from alembic.ddl.base import AddColumn, DropColumn, add_column, alter_table, format_column_name
from alembic.ddl.impl import DefaultImpl
from sqlalchemy.ext.compiler import compiles

__all__ = ["TeradataImpl"]


class TeradataImpl(DefaultImpl):
    """The default implementation, with DDL that commits."""

    __dialect__ = "teradatasql"
    transactional_ddl = False


@compiles(AddColumn, "teradatasql")
def _add(element: AddColumn, compiler: Any, **options: Any) -> str:
    text = add_column(compiler, element.column, **options)
    table = alter_table(compiler, element.table_name, element.schema)
    return f"{table} {text.replace('ADD COLUMN', 'ADD', 1)}"


@compiles(DropColumn, "teradatasql")
def _drop(element: DropColumn, compiler: Any, **options: Any) -> str:
    table = alter_table(compiler, element.table_name, element.schema)
    return f"{table} DROP {format_column_name(compiler, element.column.name)}"

"""MERGE of single rows. ON must name the whole primary index, or Teradata raises 5758."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement, Executable

__all__ = ["merge"]


class _Merge(Executable, ClauseElement):
    inherit_cache = False

    def __init__(self, table: sa.Table, keys: Sequence[str]) -> None:
        self.table = table
        self.columns = [table.columns[key] for key in keys]


def merge(table: sa.Table, keys: Sequence[str]) -> Executable:
    """Return a MERGE that inserts a row, or updates the row with the same primary key.

    Args:
        table: the target; its primary index is its key.
        keys: the keys of the row's columns, which name the parameters.
    """
    return _Merge(table, keys)


@compiles(_Merge, "teradatasql")
def _compile(element: _Merge, compiler: SQLCompiler, **options: object) -> str:
    quote = compiler.preparer.quote
    table, columns = element.table, element.columns
    names = [quote(column.name) for column in columns]
    marks = [compiler.process(sa.bindparam(c.key, type_=c.type)) for c in columns]
    key_names = [quote(c.name) for c in table.primary_key.columns]
    updated = [name for name in names if name not in key_names]
    lines = [
        f"MERGE INTO {compiler.preparer.format_table(table)} AS mine",
        f"USING VALUES ({', '.join(marks)}) AS given ({', '.join(names)})",
        f"ON {' AND '.join(f'mine.{name} = given.{name}' for name in key_names)}",
    ]
    if updated:
        changes = ", ".join(f"{name} = given.{name}" for name in updated)
        lines.append(f"WHEN MATCHED THEN UPDATE SET {changes}")
    values = ", ".join(f"given.{name}" for name in names)
    insert = f"({', '.join(names)}) VALUES ({values})"
    lines.append(f"WHEN NOT MATCHED THEN INSERT {insert}")
    return "\n".join(lines)

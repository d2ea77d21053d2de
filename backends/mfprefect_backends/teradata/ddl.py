"""DDL as a Teradata DBA would write it: MULTISET tables with an explicit primary index."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from teradatasqlalchemy.dialect import TeradataDDLCompiler

from mfprefect.errors import ConfigurationError
from mfprefect_backends.teradata.compiler import refuse

__all__ = ["BY_SESSION", "DDLCompiler"]

BY_SESSION = "PRIMARY INDEX (session_no)"
"""The primary index of tables with few rows a session, which are read, locked and deleted together,
on one AMP. Their key gets a unique secondary index."""


class DDLCompiler(TeradataDDLCompiler):  # type: ignore[misc]
    """The stock compiler, plus defaults, indexes and references."""

    def visit_create_table(self, create: Any, **options: Any) -> str:
        """Return CREATE MULTISET TABLE; the key becomes a unique primary index."""
        if create.if_not_exists:
            refuse("IF NOT EXISTS", "ask DBC.TablesV first")
        text: str = super().visit_create_table(create, **options)
        return text.replace("CREATE TABLE", "CREATE MULTISET TABLE", 1).strip()

    def post_create_table(self, table: sa.Table) -> str:
        """Return the primary index, the partitions and the unique indexes."""
        post_create = table.dialect_kwargs.get("teradatasql_post_create")
        key = [self.preparer.format_column(c) for c in table.primary_key.columns]
        if post_create:
            lines = [str(post_create)]
            if post_create == BY_SESSION:
                lines.append(f"UNIQUE INDEX ({', '.join(key)})")
        elif key:
            lines = [f"UNIQUE PRIMARY INDEX ({', '.join(key)})"]
        else:  # as Teradata would choose
            first = next((c for c in table.columns if not _is_lob(c.type)), None)
            if first is None:
                refuse("primary index on LOBs", "give the table a key")
            lines = [f"PRIMARY INDEX ({self.preparer.format_column(first)})"]
        for constraint in sorted(_unique(table), key=lambda c: [x.name for x in c.columns]):
            columns = ", ".join(self.preparer.format_column(c) for c in constraint.columns)
            name = constraint.name
            name = f" {self.preparer.quote(str(name))}" if name else ""
            lines.append(f"UNIQUE INDEX{name} ({columns})")
        return "\n" + "\n".join(lines)

    def visit_primary_key_constraint(self, constraint: Any, **options: Any) -> None:
        """Return nothing: Teradata refuses a key beside a primary index on the same columns."""

    def visit_unique_constraint(self, constraint: Any, **options: Any) -> None:
        """Return nothing: a unique index replaces it, as a constraint refuses nullable columns."""

    def visit_foreign_key_constraint(self, constraint: Any, **options: Any) -> str:
        """Return a reference that the optimizer may use, and that no row is checked against."""
        if constraint.ondelete or constraint.onupdate:
            refuse("ON DELETE and ON UPDATE", "delete the rows yourself")
        text: str = super().visit_foreign_key_constraint(constraint, **options)
        return text.replace("REFERENCES", "REFERENCES WITH NO CHECK OPTION", 1)

    def get_column_specification(self, column: Any, **options: Any) -> str:
        """Return a column with its default, which the stock compiler drops."""
        if column.identity is not None or column.computed is not None:
            refuse("column of this kind in this schema", "number the rows yourself")
        if column.table is not None and column is column.table._autoincrement_column:
            refuse("numbering of rows in this schema", "pass autoincrement=False")
        kind = self.dialect.type_compiler_instance.process(column.type, type_expression=column)
        text = f"{self.preparer.format_column(column)} {kind}"
        if (default := self.get_column_default_string(column)) is not None:
            text += f" DEFAULT {default}"
        return text + ("" if column.nullable else " NOT NULL")

    def visit_drop_table(self, drop: Any, **options: Any) -> str:
        """Refuse IF EXISTS."""
        if drop.if_exists:
            refuse("IF EXISTS", "ask DBC.TablesV first")
        text: str = super().visit_drop_table(drop, **options)
        return text.strip()

    def visit_create_index(self, create: Any, **options: Any) -> str:
        """Refuse IF NOT EXISTS."""
        if create.if_not_exists:
            refuse("IF NOT EXISTS", "ask DBC.IndicesV first")
        text: str = super().visit_create_index(create)
        return text

    def visit_drop_index(self, drop: Any, **options: Any) -> str:
        """Return DROP INDEX .. ON: an index name is unique within its table only."""
        if drop.if_exists:
            refuse("IF EXISTS", "ask DBC.IndicesV first")
        name = self._prepared_index_name(drop.element, include_schema=False)
        return f"DROP INDEX {name} ON {self.preparer.format_table(drop.element.table)}"

    def visit_set_table_comment(self, create: Any, **options: Any) -> str:
        """Return COMMENT ON .. AS, as the manuals write it."""
        text: str = super().visit_set_table_comment(create, **options)
        return text.replace(" IS '", " AS '", 1)

    def visit_set_column_comment(self, create: Any, **options: Any) -> str:
        """Return the same for a column."""
        text: str = super().visit_set_column_comment(create, **options)
        return text.replace(" IS '", " AS '", 1)

    def visit_create_schema(self, create: Any, **options: Any) -> str:
        """Refuse it: a DBA chooses the owner and size of a database."""
        raise ConfigurationError(
            f"there is no database {create.element!r}; ask a DBA, who chooses its owner and space: "
            "CREATE DATABASE .. FROM .. AS PERM = .."
        )


def _is_lob(kind: Any) -> bool:
    return isinstance(kind, (sa.Text, sa.LargeBinary))


def _unique(table: sa.Table) -> list[sa.UniqueConstraint]:
    return [c for c in table.constraints if isinstance(c, sa.UniqueConstraint)]

"""What the tables share: where they are, and how columns are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Integer, Table

from mfprefect.schema.types import MODEL_ID_LENGTH, NAME_LENGTH, Id

__all__ = ["Layout", "TablesBase", "column", "identifier", "number", "session_number"]


def _no_options(_: str) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Layout:
    """Where the tables of one installation are, and the options that its database needs."""

    schema: str | None = None
    """The database schema, or None for the connection's own."""
    prefix: str = ""
    """The start of every table and view name, for an installation that shares a schema."""
    options: Callable[[str], Mapping[str, Any]] = _no_options
    """Returns the dialect options (`mysql_engine`, ..) of a table, by its name."""
    range_indexes: bool = True
    """Whether an index finds ranges of values; otherwise tables get none for that."""


def column(name: str, kind: Any, comment: str, *items: Any, **options: Any) -> Column[Any]:
    """Return a column; its comment is a sentence for people who see only the database."""
    return Column(name, kind, *items, comment=comment, **options)


def identifier(name: str, comment: str, length: int = NAME_LENGTH, **options: Any) -> Column[str]:
    """Return a column of names, compared byte by byte."""
    return Column(name, Id(length), comment=comment, **options)


def number(name: str, comment: str) -> Column[int]:
    """Return a column of the key that counts."""
    return Column(name, Integer, comment=comment, primary_key=True, autoincrement=False)


def session_number() -> Column[int]:
    """Return the first column of what a session produced."""
    return number("session_no", "Number of the session, as in sessions.session_no.")


class TablesBase:
    """The tables of one layout, which the parts of the schema add to."""

    layout: Layout
    metadata: sa.MetaData
    tables: dict[str, Table]
    models: Table
    sessions: Table

    def name(self, name: str) -> str:
        """Return the name of a table or view in the database, including the prefix."""
        return self.layout.prefix + name

    def _table(self, name: str, comment: str, *items: Any, of_session: bool = True) -> Table:
        first = items[0]
        if name != "sessions" and of_session and first.name == "session_no":
            items = (*items, sa.ForeignKeyConstraint(["session_no"], [self.sessions.c.session_no]))
        options = dict(self.layout.options(name))
        table = Table(self.name(name), self.metadata, *items, comment=comment, **options)
        self.tables[name] = table
        return table

    def _range_index(self, table: str, what: str, *columns: str) -> tuple[Index, ...]:
        """Return the index of a table by which conditions on values find sessions."""
        if not self.layout.range_indexes:
            return ()
        return (Index(f"ix_{self.name(table)}_{what}", *columns, "session_no"),)

    def _model_id(self, **options: Any) -> Column[str]:
        target = ForeignKey(self.models.c.model_id)
        comment = "Model, as in models.model_id."
        return Column("model_id", Id(MODEL_ID_LENGTH), target, comment=comment, **options)

"""MERGE, and the parts that all writing requests share."""

from __future__ import annotations

from typing import Any

from mfprefect_dev.teradata.catalog import Table, quoted
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.locking import inserted
from mfprefect_dev.teradata.sql.queries import Queries
from mfprefect_dev.teradata.sql.requests import WRITE, Given, Request, Want
from mfprefect_dev.teradata.sql.scopes import Field, Scope, Source

__all__ = ["Merging", "listed"]


def listed(names: list[str]) -> str:
    """Return quoted names, separated by commas, for SQLite."""
    return ", ".join(quoted(name) for name in names)


class Merging(Queries):
    """The grammar of MERGE."""

    def _target(self) -> Table:
        name = self.table_name()
        table = self.catalog.table(name)
        if table.loading:
            raise Refused(2652, str(name))
        self._target_name = str(name)
        return table

    def _scope_of(self, table: Table, alias: str) -> None:
        fields = {
            c.name.upper(): Field(c.name, c.type.name, f"{quoted(alias)}.{quoted(c.name)}")
            for c in table.columns
        }
        shown = alias if alias != table.name.lower() else ""
        full = f"{self.catalog.database}.{self._target_name}"
        if "." in self._target_name:
            full = self._target_name
        self.scope.sources.append(Source(shown, full, fields))

    def _written(
        self, kind: str, table: Table, *steps: str, want: Want | None = None, **more: Any
    ) -> Request:
        """Return a request that changes a table; without `want`, it locks the whole table."""
        return Request(kind, steps, wants=(want or Want(table.key, WRITE),), **more)

    @staticmethod
    def _same_number(values: Any, names: list[str]) -> None:
        if len(values) != len(names):
            raise Refused(3813 if len(values) > len(names) else 3812)

    def _merge(self) -> Request:
        self.expect("MERGE", "INTO")
        table = self._target()
        alias = table.name.lower()
        if self._an_alias_of_table(self.peek()):
            self.accept("AS")
            alias = self.identifier("an alias").lower()
        self._scope_of(table, alias)
        self.expect("USING")
        source, given, row = self._merge_source()
        self.expect("ON")
        at = self.at
        on = self.condition().sql
        matched = self._equal_columns(at, self.at, table, alias)
        sets, names, values = self._branches(table, alias, given)
        self._merge_rules(table, matched, sets, names, values, given)
        keyed = f"{source[0]} {{}}"
        steps = []
        if sets:
            parts = ", ".join(f"{quoted(c)} = {sql}" for c, sql in sets)
            steps.append(
                keyed.format(
                    f"UPDATE {table.in_sqlite()} AS {quoted(alias)} SET {parts} "
                    f"FROM {source[1]} WHERE {on}"
                )
            )
        if names:
            steps.append(
                keyed.format(
                    f"INSERT INTO {table.in_sqlite()} ({listed(names)}) "
                    f"SELECT {', '.join(values)} FROM {source[1]} WHERE NOT EXISTS "
                    f"(SELECT 1 FROM {table.in_sqlite()} AS {quoted(alias)} WHERE {on})"
                )
            )
        want = inserted(table, names, [row.get(sql) for sql in values]) if row and names else None
        return self._written("merge", table, *steps, want=want)

    def _merge_source(self) -> tuple[tuple[str, str], str, dict[str, Given | None]]:
        """Take the source of a MERGE: one row of VALUES, or a SELECT.

        Returns its SQL and name, its alias, and the values of the row by their SQL.
        """
        outer = self.scope
        self.scope = Scope(None)
        row: list[Given | None] = []
        kinds: list[tuple[str, str]] = []
        if self.accept("VALUES"):
            self.expect("(")
            parts, row = self._values_of_row()
            sql = f"VALUES ({', '.join(parts)})"
            kinds = [(f"c{n}", "") for n in range(len(parts))]
        else:
            self.expect("(")
            selected = self.compound()
            self.expect(")")
            sql, kinds = selected.sql, list(selected.fields)
        self.expect("AS")
        alias = self.identifier("a name").lower()
        names = self.columns() if self.comes("(") else [name for name, _ in kinds]
        if len(names) != len(kinds):
            raise Refused(3706, "the numbers of names and columns differ")
        self.scope = outer
        fields = {
            name.upper(): Field(name, kind, f"{quoted(alias)}.{quoted(name)}")
            for name, (_, kind) in zip(names, kinds, strict=True)
        }
        self.scope.sources.append(Source(alias, alias, fields))
        listed_names = ", ".join(map(quoted, names))
        query = f"WITH {quoted(alias)} ({listed_names}) AS ({sql})"
        by_sql = dict(zip((f"{quoted(alias)}.{quoted(name)}" for name in names), row, strict=False))
        return (query, quoted(alias)), alias, by_sql

    def _values_of_row(self) -> tuple[list[str], list[Given | None]]:
        parts, row = [], []
        while True:
            begin = self.at
            parts.append(self.value().sql)
            row.append(self.given(begin))
            if not self.accept(","):
                self.expect(")")
                return parts, row

    def _equal_columns(self, begin: int, end: int, table: Table, alias: str) -> set[str]:
        """Return the target's columns that the ON condition, joined by AND, equates."""
        columns: set[str] = set()
        span = self.tokens[begin:end]
        if any(token.text == "OR" for token in span):
            return columns
        for place, token in enumerate(span):
            if token.text != "=":
                continue
            for side in (span[max(0, place - 3) : place], span[place + 1 : place + 4]):
                names = [t.name for t in side if t.text != "."]
                if len(side) == 3 and side[1].text == "." and names[0].lower() == alias:
                    columns.add(names[1].upper())
        return columns

    def _branches(
        self, table: Table, alias: str, given: str
    ) -> tuple[list[tuple[str, str]], list[str], list[str]]:
        sets: list[tuple[str, str]] = []
        names: list[str] = []
        values: list[str] = []
        while self.accept("WHEN"):
            if self.accept("MATCHED", "THEN", "UPDATE", "SET"):
                while True:
                    column = table.column(self.identifier("a column"))
                    self.expect("=")
                    sets.append((column.name, self.value().sql))
                    if not self.accept(","):
                        break
                continue
            self.expect("NOT", "MATCHED", "THEN", "INSERT")
            names = [table.column(name).name for name in self.columns()]
            self.expect("VALUES", "(")
            values = [self.value().sql]
            while self.accept(","):
                values.append(self.value().sql)
            self.expect(")")
            self._same_number(values, names)
        if not (sets or names):
            raise self.unexpected("expected WHEN MATCHED or WHEN NOT MATCHED")
        return sets, names, values

    @staticmethod
    def _merge_rules(
        table: Table,
        matched: set[str],
        sets: list[tuple[str, str]],
        names: list[str],
        values: list[str],
        given: str,
    ) -> None:
        key = {name.upper() for name in table.primary.columns}
        if table.partition:
            key.add(table.partition.upper())
        inserted = dict(zip((name.upper() for name in names), values, strict=True))
        fits = all(
            inserted.get(name, f"{quoted(given)}.").startswith(quoted(given)) for name in key
        )
        if not key <= matched or not fits or any(name.upper() in key for name, _ in sets):
            raise Refused(5758)

"""FROM: tables, views, dictionary views, subqueries and their joins."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, NamedTuple

from mfprefect_dev.teradata.catalog import Name, Table, dictionary, quoted
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.expressions import Expressions
from mfprefect_dev.teradata.sql.locking import Locking, Reading
from mfprefect_dev.teradata.sql.reader import Reader
from mfprefect_dev.teradata.sql.scopes import Field, Scope, Source
from mfprefect_dev.teradata.sql.type_grammar import data_type
from mfprefect_dev.teradata.tokens import QUOTED, WORD, Token, tokens
from mfprefect_dev.teradata.types import LOBS

__all__ = ["CLAUSES", "Fields", "Query", "Tables", "renamed"]

CLAUSES = ("WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "UNION", "EXCEPT", "MINUS", "INTERSECT")
Fields = tuple[tuple[str, str], ...]
"""Names and types of columns."""


class Query(NamedTuple):
    """A SELECT in SQLite's SQL, and its columns."""

    sql: str
    fields: tuple[tuple[str, str], ...]
    """Name and type of each column."""
    tables: bool
    """Whether it reads a table."""
    ordered: bool = False
    top: bool = False


class Tables(Expressions, Locking):
    """The grammar of FROM."""

    ctes: dict[str, Fields]
    looked_up: set[str]
    """Dictionary views to read."""

    @abstractmethod
    def start(self) -> None:
        """Reset the state of the previous request."""

    @abstractmethod
    def query(self) -> Query:
        """Take a whole query."""

    @abstractmethod
    def inner(self, outer: Scope | None) -> Query:
        """Take a SELECT inside another."""

    def _from(self) -> str:
        text = self._joined_tables()
        while self.accept(","):
            text += f" CROSS JOIN {self._joined_tables()}"
        return text

    def _joined_tables(self) -> str:
        text = self._one_table()
        while True:
            if self.accept("CROSS", "JOIN"):
                text += f" CROSS JOIN {self._one_table()}"
                continue
            kind = self._join_kind()
            if kind is None:
                return text
            text += f" {kind} {self._one_table()}"
            self.expect("ON")
            text += f" ON {self.condition().sql}"

    def _join_kind(self) -> str | None:
        if self.accept("JOIN") or self.accept("INNER", "JOIN"):
            return "JOIN"
        for side in ("LEFT", "RIGHT", "FULL"):
            if self.accept(side):
                self.accept("OUTER")
                self.expect("JOIN")
                return f"{side} JOIN"
        return None

    def _one_table(self) -> str:
        if self.comes("("):
            word = self.peek(1)
            if word.kind == WORD and word.text in ("SELECT", "WITH", "LOCKING"):
                return self._derived()
            self.expect("(")
            if self.comes("VALUES"):
                raise self.unexpected("a derived table is a SELECT")
            text = self._joined_tables()
            self.expect(")")
            return f"({text})"
        if self.comes("JSON_TABLE", "("):
            return self._json_table()
        name = self.table_name()
        if name.database and name.database.upper() == "DBC":
            self.looked_up.add(name.name.lower())
            return self._source(dictionary.source(name.name), str(name))
        if name.database is None and name.name.upper() in self.ctes:
            fields = self.ctes[name.name.upper()]
            return self._source((quoted(name.name), fields), name.name)
        if name.database is None and dictionary.known(name.name):
            self.looked_up.add(name.name.lower())
            return self._source(dictionary.source(name.name), f"DBC.{name.name}")
        table = self.catalog.table(name, view=True)
        text = self._source(self._table(table), self._full(name))
        if table.kind != "V":
            self.readings.append(Reading(table, self.scope, self.scope.sources[-1]))
        return text

    def _full(self, name: Name) -> str:
        return f"{name.database or self.catalog.database}.{name.name}"

    def _table(self, table: Table) -> tuple[str, Fields]:
        if table.kind == "V":
            return self._view(table)
        if table.loading:
            raise Refused(2652, table.name)
        return table.in_sqlite(), tuple((c.name, c.type.name) for c in table.columns)

    def _view(self, view: Table) -> tuple[str, Fields]:
        """Expand a view to its SELECT."""
        reader = type(self)(tokens(view.text), self.catalog)
        reader.start()
        query = reader.query()
        self.looked_up |= reader.looked_up
        self.readings += [
            Reading(one.table, None, None, mode=reader.mode_of(one)) for one in reader.readings
        ]
        return f"({query.sql})", renamed(query.fields, list(view.view_columns) or None)

    def _source(self, view: tuple[str, Fields], name: str) -> str:
        sql, fields = view
        alias = ""
        if self.accept("AS") or self._an_alias_of_table(self.peek()):
            alias = self.identifier("an alias")
        return self._add_source(sql, fields, alias, name)

    def _add_source(self, sql: str, fields: Fields, alias: str, name: str) -> str:
        shown = (alias or name.rsplit(".", 1)[-1]).lower()
        for other in self.scope.sources:
            if (other.alias or other.table.rsplit(".", 1)[-1]).lower() == shown:
                raise Refused(3868, shown)
        at = {
            field.upper(): Field(field, kind, f"{quoted(shown)}.{quoted(field)}")
            for field, kind in fields
        }
        if len(at) != len(fields):
            raise Refused(3706, f"two columns of {shown} have the same name")
        self.scope.sources.append(Source(alias, name, at))
        return f"{sql} AS {quoted(shown)}"

    def _an_alias_of_table(self, token: Token) -> bool:
        after = ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "ON", "SET", "USING", "WHEN")
        return token.kind == QUOTED or (
            token.kind == WORD and token.text not in (*CLAUSES, *after, "ALL")
        )

    def _derived(self) -> str:
        self.expect("(")
        query = self.inner(None)
        self.expect(")")
        if not self.accept("AS") and not self._an_alias_of_table(self.peek()):
            raise self.unexpected("a derived table needs a name")
        alias = self.identifier("a derived table's name")
        columns = self.columns() if self.comes("(") else None
        fields = renamed(query.fields, columns)
        sql = f"({query.sql})"
        if columns is not None:
            given = ", ".join(
                f"{quoted(old)} AS {quoted(new)}"
                for (old, _), new in zip(query.fields, columns, strict=True)
            )
            sql = f"(SELECT {given} FROM ({query.sql}))"
        return self._add_source(sql, fields, alias, alias)

    def _json_table(self) -> str:
        """Take JSON_TABLE, which makes a row of each object in a list."""
        self.expect("JSON_TABLE", "(", "ON", "(")
        query = self.inner(None)
        self.expect(")", "USING", "ROWEXPR", "(")
        if len(query.fields) != 2 or query.fields[0][1] in LOBS:
            raise Refused(3706, "JSON_TABLE takes an id that is no LOB, and a document")
        if (path := self.string()) != "$[*]":
            raise Refused(3706, f"JSON_TABLE of {path!r} is not emulated")
        self.expect(")", "COLEXPR", "(")
        columns = json.loads(self.string())
        self.expect(")", ")", "AS")
        alias = self.identifier("the name of JSON_TABLE")
        (number, kind), (document, _) = query.fields
        shown = [(f"documents.{quoted(number)}", kind), *map(self._json_column, columns)]
        names = self.columns()
        fields = renamed(tuple(shown), names)
        listed = ", ".join(
            f"{sql} AS {quoted(name)}" for (sql, _), name in zip(shown, names, strict=True)
        )
        rows = f"({query.sql}) AS documents JOIN json_each(documents.{quoted(document)}) AS listed"
        return self._add_source(f"(SELECT {listed} FROM {rows})", fields, alias, alias)

    def _json_column(self, column: dict[str, Any]) -> tuple[str, str]:
        """Return what SQLite makes of a column of COLEXPR, and its type."""
        if column == {"ordinal": True}:
            return "listed.key", "INTEGER"
        if column.keys() != {"jsonpath", "type"}:
            raise Refused(3706, f"COLEXPR takes ordinal, or jsonpath and type, not {column}")
        kind = data_type(Reader(tokens(column["type"]), self.catalog))
        if kind.lob:
            raise Refused(3706, f"JSON_TABLE returns no {kind.name}")
        value = f"json_extract(listed.value, '{column['jsonpath']}')"
        if kind.name == "VARCHAR":  # too long a text is cut off
            return f"substr({value}, 1, {kind.length})", kind.name
        return f"CAST({value} AS {kind.affinity()})", kind.name


def renamed(fields: Fields, columns: list[str] | None) -> Fields:
    """Return the columns under the names of an alias's list."""
    if columns is None:
        return fields
    if len(columns) != len(fields):
        raise Refused(3706, "the numbers of names and columns differ")
    return tuple((name, kind) for name, (_, kind) in zip(columns, fields, strict=True))

"""The grammar of DDL that creates tables, indexes and views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mfprefect_dev.teradata.catalog import Column, ForeignKey, Index, Table, changes, quoted
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.alterations import Alterations
from mfprefect_dev.teradata.sql.requests import Request
from mfprefect_dev.teradata.sql.scopes import Field, Scope, Source
from mfprefect_dev.teradata.tokens import PARAM

__all__ = ["Definitions"]

MOST_PARTITIONS = 9_223_372_036_854_775_805


class Definitions(Alterations):
    """The grammar of DDL."""

    BEGINNINGS: ClassVar[tuple[str, ...]] = (
        "CREATE",
        "REPLACE",
        "ALTER",
        "DROP",
        "COLLECT",
        "GRANT",
        "REVOKE",
        "COMMENT",
    )

    def request(self, text: str) -> Request:
        """Take a whole request."""
        self.start()
        self.text = text
        if any(token.kind == PARAM for token in self.tokens):
            raise Refused(3706, "DDL takes no parameters")
        word = self.take().text
        change: changes.Change = getattr(self, f"_{word.lower()}")()
        self.end()
        return Request("ddl", change=change)

    def _create(self) -> changes.Change:
        multiset = self.accept("MULTISET") or not self.accept("SET")
        if self.accept("TABLE"):
            return self._table_definition(multiset)
        if self.accept("VIEW"):
            return self._view_definition(replace=False)
        if self.accept("DATABASE"):
            return self._new_database()
        unique = self.accept("UNIQUE")
        if self.accept("INDEX"):
            name = None if self.comes("(") else self.identifier("an index's name")
            columns = self.columns()
            self.expect("ON")
            table = self.catalog.table(self.table_name())
            index = Index(name, self._indexed(table.columns, columns), unique, "S")
            return changes.AddIndex(table.key, index)
        raise self.unexpected()

    def _new_database(self) -> changes.Change:
        name = self.identifier("a database")
        if self.accept("FROM"):
            self.identifier("a database")
        self.expect("AS", "PERM", "=")
        self.take()
        return changes.AddDatabase(name)

    def _replace(self) -> changes.Change:
        self.expect("VIEW")
        return self._view_definition(replace=True)

    def _view_definition(self, *, replace: bool) -> changes.Change:
        name = self.table_name()
        columns = self.columns() if self.comes("(") else []
        self.expect("AS")
        begin = self.tokens[self.at]
        query = self.query()
        if query.ordered and not query.top:
            raise Refused(3706, "ORDER BY is not allowed in views.")
        written = " ".join(token.written for token in self.tokens[self.tokens.index(begin) :])
        names = columns or [field for field, _ in query.fields]
        if len(names) != len(query.fields) or len({n.upper() for n in names}) != len(names):
            raise Refused(3706, f"two columns of view {name} have the same name")
        shown = tuple(
            Column(field, changes.NO_TYPE) for field in names
        )  # the dictionary has no types of view columns
        view = Table(
            name.name,
            "V",
            self.catalog.key(name),
            shown,
            text=written.rstrip("; "),
            view_columns=tuple(columns),
        )
        return changes.AddView(self.catalog.key(name), view, replace)

    def _table_definition(self, multiset: bool) -> changes.Change:
        name = self.table_name()
        while self.accept(","):
            if not (self.accept("FALLBACK") or self.accept("NO", "FALLBACK")):
                raise self.unexpected("expected FALLBACK or NO FALLBACK")
        self.expect("(")
        self._found = []
        self._keys = []
        self._foreign: list[ForeignKey] = []
        self._checks: list[tuple[str | None, str]] = []
        while True:
            self._element()
            if not self.accept(","):
                break
        self.expect(")")
        columns = tuple(self._found)
        if len({column.name.upper() for column in columns}) != len(columns):
            raise Refused(3706, f"two columns of {name} have the same name")
        indexes, partition = self._index_clauses(columns)
        table = Table(
            name.name,
            key=self.catalog.key(name),
            columns=columns,
            indexes=tuple(indexes),
            foreign_keys=tuple(self._foreign),
            checks=tuple(self._checks),
            multiset=multiset,
            partition=partition,
            text=self.text,
        )
        return changes.AddTable(table.key, table)

    def _element(self) -> None:
        name = None
        if self.accept("CONSTRAINT"):
            name = self.identifier("a constraint's name")
        if self.accept("PRIMARY", "KEY"):
            self._keys.append(Index(name, tuple(self.columns()), True, "K"))
        elif self.comes("UNIQUE", "("):
            self.take()
            self._keys.append(Index(name, tuple(self.columns()), True, "U"))
        elif self.accept("FOREIGN", "KEY"):
            self._foreign.append(self._reference(name, tuple(self.columns())))
        elif self.accept("CHECK"):
            self._checks.append((name, self._check()))
        elif name is not None:
            raise self.unexpected("expected a constraint")
        else:
            self._found.append(self._a_column())

    def _check(self) -> str:
        self.expect("(")
        self.scope = Scope(None)
        fields = {c.name.upper(): Field(c.name, c.type.name, quoted(c.name)) for c in self._found}
        self.scope.sources.append(Source("", "", fields))
        sql = self.condition().sql
        self.expect(")")
        return sql

    def _reference(self, name: str | None, columns: tuple[str, ...]) -> ForeignKey:
        self.expect("REFERENCES")
        checked = True
        if self.accept("WITH", "NO", "CHECK", "OPTION"):
            checked = False
        else:
            self.accept("WITH", "CHECK", "OPTION")
        parent = self.table_name()
        of = tuple(self.columns())
        if self.comes("ON"):
            raise self.unexpected("Teradata has no ON DELETE")
        key = self.catalog.key(parent)
        parent_table = self.catalog.table(parent)
        for column in of:
            parent_table.column(column)
        if len(of) != len(columns):
            raise Refused(3706, "a reference needs as many columns as the key")
        return ForeignKey(name, columns, key, of, checked)

    def _index_clauses(self, columns: Sequence[Column]) -> tuple[list[Index], str | None]:
        indexes: list[Index] = []
        partition = None
        while self.peek().kind == "word" or self.comes(","):
            self.accept(",")
            if self.accept("NO", "PRIMARY", "INDEX"):
                raise Refused(3706, "NO PRIMARY INDEX is not emulated")
            if self.accept("PARTITION", "BY"):
                partition = self._partition(columns)
                continue
            unique = self.accept("UNIQUE")
            primary = self.accept("PRIMARY")
            self.expect("INDEX")
            name = None if self.comes("(") else self.identifier("an index's name")
            listed = self._indexed(columns, self.columns())
            indexes.append(Index(name, listed, unique, "P" if primary else "S"))
        return self._complete(columns, indexes, partition), partition

    def _complete(
        self, columns: Sequence[Column], indexes: list[Index], partition: str | None
    ) -> list[Index]:
        """Return all indexes; the key becomes the primary index if no other is named."""
        nullable = {column.name.upper() for column in columns if column.nullable}
        keys = []
        for key in self._keys:
            listed = self._indexed(columns, list(key.columns))
            if any(name.upper() in nullable for name in listed):
                raise Refused(3706, "the columns of a key or unique constraint are NOT NULL")
            keys.append(Index(key.name, listed, True, key.kind))
        if sum(index.kind == "P" for index in indexes) > 1:
            raise Refused(3706, "a table has one primary index")
        primary = next((index for index in indexes if index.kind == "P"), None)
        if primary is None:
            first = next(iter(keys), None) or Index(None, (columns[0].name,), False, "P")
            keys = keys[1:]
            primary = Index(first.name, first.columns, first.unique, "P")
            indexes = [primary, *indexes]
        all_of = [*indexes, *keys]
        if len({index.columns for index in all_of}) != len(all_of):
            raise Refused(3519)
        if partition and primary.unique and partition not in primary.columns:
            raise Refused(3706, "a unique primary index must contain the partitioning column")
        return [Index(i.name, i.columns, i.unique, self._kind(i, partition)) for i in all_of]

    @staticmethod
    def _kind(index: Index, partition: str | None) -> str:
        return "Q" if partition and index.kind == "P" else index.kind

    def _partition(self, columns: Sequence[Column]) -> str:
        self.expect("RANGE_N", "(")
        name = self.identifier("a column's name")
        self.expect("BETWEEN")
        first = self.whole()
        self.expect("AND")
        last = self.whole()
        self.expect("EACH")
        each = self.whole()
        if self.accept(",", "NO", "RANGE"):
            self.accept(",", "UNKNOWN")
        self.expect(")")
        if each < 1 or not 0 < (last - first) // each + 1 <= MOST_PARTITIONS:
            raise Refused(3706, "no partitions, or too many")
        column = {c.name.upper(): c for c in columns}.get(name.upper())
        if column is None or column.type.name not in ("BYTEINT", "SMALLINT", "INTEGER", "BIGINT"):
            raise Refused(3706, f"RANGE_N of {name} is not emulated")
        return column.name

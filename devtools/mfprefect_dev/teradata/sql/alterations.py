"""The grammar of DDL that drops and alters, of statistics and of rights."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from mfprefect_dev.teradata.catalog import Column, Index, Name, changes
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.queries import Queries
from mfprefect_dev.teradata.sql.type_grammar import data_type
from mfprefect_dev.teradata.types import date_mark

__all__ = ["Alterations"]

MOST_INDEX_COLUMNS = 64
LONGEST_COMMENT = 255
OF_COLUMNS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
"""Rights that GRANT may limit to columns."""
KINDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "ALL", "REFERENCES", "INDEX", "STATISTICS")


class Alterations(Queries):
    """The grammar of DROP, ALTER, COMMENT, COLLECT STATISTICS, GRANT and REVOKE."""

    _found: list[Column]
    _keys: list[Index]

    def _a_column(self) -> Column:
        name = self.identifier("a column's name")
        kind = data_type(self)
        nullable, default = True, None
        while True:
            if self.accept("NOT", "NULL"):
                nullable = False
            elif self.accept("DEFAULT"):
                default = self._default()
            elif self.accept("PRIMARY", "KEY"):
                self._keys.append(Index(None, (name,), True, "K"))
            elif self.accept("UNIQUE"):
                self._keys.append(Index(None, (name,), True, "U"))
            elif self.accept("CHECK"):
                raise self.unexpected("the emulator takes CHECK only after the columns")
            elif self.comes("GENERATED"):
                raise self.unexpected("identity columns are not emulated: their values have gaps")
            else:
                return Column(name, kind, nullable, default)

    def _default(self) -> str | None:
        token = self.take()
        if token.kind == "string":
            return self._literal(token.text)
        if token.kind == "number":
            return token.text
        if token.text == "NULL":
            return None
        if token.text == "-" and self.peek().kind == "number":
            return "-" + self.take().text
        if token.text == "DATE" and self.peek().kind == "string":
            return self._literal(date_mark(dt.date.fromisoformat(self.string())))
        self.at -= 1
        raise self.unexpected("expected a literal default")

    def _indexed(self, columns: Sequence[Column], names: list[str]) -> tuple[str, ...]:
        by_name = {column.name.upper(): column for column in columns}
        if len(names) > MOST_INDEX_COLUMNS:
            raise Refused(3706, f"an index has at most {MOST_INDEX_COLUMNS} columns")
        for name in names:
            if name.upper() not in by_name:
                raise Refused(5628, name, "the table")
            if by_name[name.upper()].type.lob:
                raise Refused(5690)
        return tuple(by_name[name.upper()].name for name in names)

    def _drop(self) -> changes.Change:
        if self.accept("TABLE"):
            name = self.table_name()
            self.accept("ALL")
            if self.catalog.table(name, view=True).kind != "T":
                raise Refused(3853, str(name))
            return changes.DropTable(self.catalog.key(name))
        if self.accept("VIEW"):
            name = self.table_name()
            if self.catalog.table(name, view=True).kind != "V":
                raise Refused(3854, str(name))
            return changes.DropView(self.catalog.key(name))
        if self.accept("INDEX"):
            wanted = self.columns() if self.comes("(") else self.identifier("an index's name")
            self.expect("ON")
            of = self.table_name()
            return changes.DropIndex(self.catalog.key(of), self._index(of, wanted))
        if self.accept("DATABASE"):
            return changes.DropDatabase(self.identifier("a database"))
        raise self.unexpected()

    def _index(self, of: Name, wanted: str | list[str]) -> Index:
        for index in self.catalog.table(of).indexes:
            named = isinstance(wanted, str) and (index.name or "").upper() == wanted.upper()
            listed = isinstance(wanted, list) and [c.upper() for c in index.columns] == [
                c.upper() for c in wanted
            ]
            if (named or listed) and index.kind == "S":
                return index
        raise Refused(3526)

    def _alter(self) -> changes.Change:
        self.expect("TABLE")
        name = self.table_name()
        table, key = self.catalog.table(name), self.catalog.key(name)
        if self.accept("ADD"):
            if self.comes("CONSTRAINT") or self.comes("FOREIGN") or self.comes("CHECK"):
                raise self.unexpected("adding constraints is not emulated")
            self._keys, self._found = [], []
            column = self._a_column()
            if self._keys:
                raise self.unexpected("adding a key is not emulated")
            return changes.AddColumn(key, column)
        if self.accept("DROP"):
            column = table.column(self.identifier("a column"))
            if any(column.name in index.columns for index in table.indexes):
                raise Refused(3706, f"column {column.name} is part of an index")
            return changes.DropColumn(key, column)
        if self.accept("RENAME"):
            column = table.column(self.identifier("a column"))
            self.expect("TO")
            return changes.RenameColumn(key, column, self.identifier("a column's name"))
        raise self.unexpected()

    def _comment(self) -> changes.Change:
        self.accept("ON")
        kind = self.take().text
        if kind not in ("TABLE", "VIEW", "COLUMN"):
            raise self.unexpected("expected TABLE, VIEW or COLUMN")
        name, column = self.table_name(), None
        if kind == "COLUMN":
            name, column = self._commented_column(name)
        table = self.catalog.table(name, view=True)
        if kind in ("TABLE", "VIEW") and table.kind != kind[0]:
            raise Refused(3853 if kind == "TABLE" else 3854, str(name))
        column = column and table.column(column).name
        if not self.accept("AS"):
            raise self.unexpected("reading a comment is not emulated")
        text = self.string()
        if len(text) > LONGEST_COMMENT:
            raise Refused(3706, f"a comment has at most {LONGEST_COMMENT} characters")
        return changes.Comment(self.catalog.key(name), column, text)

    def _commented_column(self, name: Name) -> tuple[Name, str]:
        """Return the table and the column of `table.column` or `database.table.column`."""
        if self.accept("."):
            return name, self.identifier("a column")
        if name.database is None:
            raise self.unexpected("expected table.column")
        return Name(None, name.database), name.name

    def _collect(self) -> changes.Change:
        if not self.accept("STATISTICS"):
            self.expect("STATS")
        if self.accept("USING"):
            self._threshold()
        listed: list[list[str]] = []
        while not self.comes("ON"):
            if listed:
                self.expect(",")
            word = self.take().text
            if word not in ("COLUMN", "INDEX"):
                raise self.unexpected("expected COLUMN or INDEX")
            if self.comes("(", "PARTITION", ")"):
                self.at += 3
                listed.append([])
            elif self.accept("PARTITION"):
                listed.append([])
            else:
                listed.append(self.columns() if self.comes("(") else [self.identifier("a column")])
        self.expect("ON")
        table = self.catalog.table(self.table_name())
        for columns in listed:
            self._indexed(table.columns, columns)
        return changes.Nothing()

    def _threshold(self) -> None:
        if self.accept("NO"):
            self.expect("THRESHOLD")
            return
        self.accept("SYSTEM")
        self.expect("THRESHOLD")
        if self.peek().kind == "number":
            self.whole()
            if not self.accept("PERCENT"):
                self.expect("DAYS")

    def _grant(self) -> changes.Change:
        return self._right("TO")

    def _revoke(self) -> changes.Change:
        return self._right("FROM")

    def _right(self, whom: str) -> changes.Change:
        columns: list[str] = []
        while True:
            kind = self.peek().text
            if self.comes("CREATE") or self.comes("DROP"):
                self.take()
                if self.take().text not in ("TABLE", "VIEW", "MACRO"):
                    raise self.unexpected("expected TABLE or VIEW")
            elif self.take().text not in KINDS:
                self.at -= 1
                raise self.unexpected("expected a right")
            if kind in OF_COLUMNS and self.comes("("):
                columns += self.columns()
            if not self.accept(","):
                break
        self.expect("ON")
        name = self.table_name()
        if name.database is not None or name.name.lower() != self.catalog.database.lower():
            table = self.catalog.table(name, view=True)
            for column in columns:
                table.column(column)
        self.expect(whom)
        self.identifier("a user or role")
        while self.accept(","):
            self.identifier("a user or role")
        self.accept("WITH", "GRANT", "OPTION")
        return changes.Nothing()

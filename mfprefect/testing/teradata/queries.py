"""SELECT, turned into SQLite's."""

from __future__ import annotations

from mfprefect.testing.teradata.catalog import quoted
from mfprefect.testing.teradata.errors import Refused
from mfprefect.testing.teradata.scopes import Scope, Value
from mfprefect.testing.teradata.tables import CLAUSES, Query, Tables, renamed
from mfprefect.testing.teradata.tokens import QUOTED, WORD

__all__ = ["Queries"]

COMPOUNDS = {"UNION": "UNION", "EXCEPT": "EXCEPT", "MINUS": "EXCEPT", "INTERSECT": "INTERSECT"}
Item = tuple[str, Value, list[str]]
"""An item of a select list: its name, its value, and the columns it names outside aggregates."""


class Queries(Tables):
    """The grammar of SELECT."""

    def start(self) -> None:
        """Forget everything that an earlier request used."""
        self.scope = Scope(None)
        self.ctes = {}
        self.touched = set()
        self.looked_up = set()
        self.access = False
        self.write_locks: set[str] = set()

    def subquery(self) -> Value:
        """Take a SELECT between parentheses that gives one column."""
        self.expect("(")
        exists = self.peek(-2).text == "EXISTS"
        query = self.inner(self.scope)
        self.expect(")")
        if query.top:
            raise Refused(6916, "Top N option is not supported in subquery.")
        if len(query.fields) != 1 and not exists:
            raise Refused(3706, "a subquery gives one column here")
        return Value(f"({query.sql})", query.fields[0][1])

    def inner(self, outer: Scope | None) -> Query:
        """Take a SELECT inside another."""
        if self.comes("WITH"):
            raise self.unexpected("WITH stands at the beginning of a request or view only")
        kept, self.scope = (self.scope, self.deciding), Scope(outer)
        self.deciding = False
        try:
            query = self.compound()
        finally:
            self.scope, self.deciding = kept
        if query.ordered and not query.top:
            raise Refused(3706, "ORDER BY is not allowed in subqueries.")
        return query

    def query(self) -> Query:
        """Take a whole query: locks, WITH, SELECTs."""
        self.locks()
        names = ""
        if self.accept("WITH"):
            if self.comes("RECURSIVE"):
                raise self.unexpected("WITH RECURSIVE is not emulated")
            listed = [self._cte()]
            while self.accept(","):
                listed.append(self._cte())
            names = f"WITH {', '.join(listed)} "
        query = self.compound()
        return query._replace(sql=names + query.sql)

    def locks(self) -> None:
        """Take LOCKING modifiers."""
        while self.comes("LOCKING") or self.comes("LOCK"):
            self.take()
            row = self.accept("ROW")
            table = None
            if not row:
                self.accept("TABLE")
                table = self.table_name()
            if not self.accept("FOR"):
                self.expect("IN")
            kind = self.take().text
            if kind not in ("ACCESS", "READ", "WRITE", "EXCLUSIVE"):
                raise self.unexpected("expected ACCESS, READ, WRITE or EXCLUSIVE")
            self.accept("MODE")
            if self.accept("NOWAIT"):
                self.write_locks.add("nowait")
            if kind == "ACCESS":
                self.access = True
            elif kind in ("WRITE", "EXCLUSIVE"):
                if table is None:
                    raise Refused(3706, "LOCKING ROW FOR WRITE is not emulated")
                self.write_locks.add(self.catalog.table(table).key)

    def _cte(self) -> str:
        name = self.identifier("a name")
        columns = self.columns() if self.comes("(") else None
        self.expect("AS", "(")
        query = self.inner(None)
        self.expect(")")
        fields = renamed(query.fields, columns)
        self.ctes[name.upper()] = fields
        listed = ", ".join(quoted(field) for field, _ in fields)
        return f"{quoted(name)} ({listed}) AS ({query.sql})"

    def compound(self) -> Query:
        """Take SELECTs joined by UNION and the like."""
        first = self.simple()
        if self.peek().text not in COMPOUNDS:
            return first
        sql, tables = first.sql, first.tables
        while self.peek().text in COMPOUNDS and self.peek().kind == WORD:
            word = COMPOUNDS[self.take().text]
            every = self.accept("ALL")
            if every and word != "UNION":
                raise Refused(3706, f"{word} ALL is not emulated")
            if any(kind in ("CLOB", "BLOB") for _, kind in first.fields) and not every:
                raise Refused(5692)
            if first.ordered:
                raise Refused(3706, "ORDER BY stands behind the last SELECT.")
            self.scope = Scope(self.scope.outer)
            other = self.simple(last=True)
            if len(other.fields) != len(first.fields):
                raise Refused(3706, "the SELECTs differ in how many columns they give")
            if not (first.tables and other.tables):
                raise Refused(
                    3706, "A SELECT for a UNION,INTERSECT or MINUS must reference a table."
                )
            sql = f"{sql} {word}{' ALL' if every else ''} {other.sql}"
        self.scope = Scope(self.scope.outer)
        self.scope.aliases = {
            name.upper(): Value(quoted(name), kind) for name, kind in first.fields
        }
        order = f" {self.order_by(aliases=True)}" if self.comes("ORDER", "BY") else ""
        return Query(sql + order, first.fields, tables, bool(order))

    def simple(self, *, last: bool = False) -> Query:
        """Take one SELECT, or one between parentheses."""
        if self.accept("("):
            query = self.inner(self.scope.outer)
            self.expect(")")
            return query._replace(sql=f"SELECT * FROM ({query.sql})")
        self.expect("SELECT")
        distinct = self.accept("DISTINCT")
        self.accept("ALL")
        top = self._top(distinct)
        items_at, from_at = self.at, self._find_from()
        after = None
        text = ""
        if from_at is not None:
            self.at = from_at + 1
            text = f" FROM {self._from()}"
            after = self.at
            self.at = items_at
        items = self._items()
        if from_at is not None and after is not None:
            if self.at != from_at:
                raise self.unexpected("expected FROM")
            self.at = after
        return self._finished(items, text, distinct, top, last)

    def _top(self, distinct: bool) -> int | None:
        if not self.accept("TOP"):
            return None
        if distinct:
            raise Refused(6916, "TOP N option is not supported with DISTINCT.")
        number = self.whole()
        if self.comes("PERCENT") or self.comes("WITH"):
            raise self.unexpected("TOP .. PERCENT and WITH TIES are not emulated")
        return number

    def _find_from(self) -> int | None:
        depth = 0
        for place in range(self.at, len(self.tokens)):
            token = self.tokens[place]
            if token.text == "(" and token.kind == "sign":
                depth += 1
            elif token.text == ")" and token.kind == "sign":
                depth -= 1
                if depth < 0:
                    return None
            elif depth == 0 and token.kind == WORD:
                if token.text == "FROM":
                    return place
                if token.text in CLAUSES:
                    return None
        return None

    def _items(self) -> list[Item]:
        items: list[Item] = []
        while True:
            items.extend(self._item())
            if not self.accept(","):
                return items

    def _item(self) -> list[Item]:
        star = self._star()
        if star is not None:
            return star
        begin, before = self.at, len(self.scope.free)
        value = self.value("a value")
        written = " ".join(token.written for token in self.tokens[begin : self.at])
        used = self.scope.free[before:]
        name = value.column or written
        if self.accept("AS") or self._an_alias():
            name = self.identifier("an alias")
            self.scope.aliases.setdefault(name.upper(), value._replace(column=None))
        elif value.column:
            self.scope.aliases.setdefault(name.upper(), value)
        return [(name, value, used)]

    def _an_alias(self) -> bool:
        token = self.peek()
        return token.kind == QUOTED or (
            token.kind == WORD and token.text not in ("FROM", *CLAUSES) and not self.comes("INTO")
        )

    def _star(self) -> list[Item] | None:
        sources = None
        if self.accept("*"):
            sources = self.scope.sources
            if not sources:
                raise self.unexpected("* needs FROM")
        elif self.peek(1).text == "." and self.peek(2).text == "*":
            alias = self.identifier("a table")
            self.expect(".", "*")
            sources = [s for s in self.scope.sources if s.alias.upper() == alias.upper()]
            if not sources:
                raise Refused(3807, alias)
        if sources is None:
            return None
        return [
            (f.name, Value(f.sql, f.type, column=f.name), [f.sql])
            for source in sources
            for f in source.fields.values()
        ]

    def _finished(
        self, items: list[Item], source: str, distinct: bool, top: int | None, last: bool
    ) -> Query:
        scope = self.scope
        if distinct and any(value.lob for _, value, _ in items):
            raise Refused(5692)
        if not source and any(self.comes(word) for word in ("WHERE", "GROUP", "HAVING", "QUALIFY")):
            raise self.unexpected("expected FROM")
        aggregated = scope.aggregated
        text = source
        if self.accept("WHERE"):
            scope.aggregated = scope.windowed = False
            text += f" WHERE {self.condition().sql}"
            if scope.aggregated or scope.windowed:
                raise Refused(3706, "an aggregate stands in WHERE")
        grouped, group_text = self._group()
        text += group_text
        if self.accept("HAVING"):
            before = len(scope.free)
            text += f" HAVING {self.condition().sql}"
            self._grouped_only(scope.free[before:], grouped)
            aggregated = True
        if aggregated or grouped:
            for _, value, used in items:
                if value.sql not in grouped:
                    self._grouped_only(used, grouped)
        return self._ordered_query(items, text, distinct, top, last)

    def _group(self) -> tuple[list[str], str]:
        if not self.accept("GROUP", "BY"):
            return [], ""
        grouped = []
        while True:
            grouped.append(self.comparable("what rows are grouped by").sql)
            if not self.accept(","):
                return grouped, f" GROUP BY {', '.join(grouped)}"

    @staticmethod
    def _grouped_only(used: list[str], grouped: list[str]) -> None:
        if any(column not in grouped for column in used):
            raise Refused(3504)

    def _ordered_query(
        self, items: list[Item], text: str, distinct: bool, top: int | None, last: bool
    ) -> Query:
        listed = ", ".join(f"{value.sql} AS {quoted(name)}" for name, value, _ in items)
        select = "SELECT DISTINCT" if distinct else "SELECT"
        sql = f"{select} {listed}{text}"
        ordered = False
        if self.accept("QUALIFY"):
            sql, order = self._qualified(items, text, distinct)
            ordered = bool(order)
            sql += order
        elif self.comes("ORDER", "BY") and not last:
            ordered = True
            sql += f" {self.order_by(aliases=True)}"
        if top is not None:
            sql += f" LIMIT {top}"
        if last and top is not None:
            sql = f"SELECT * FROM ({sql})"
        fields = tuple((name, value.type) for name, value, _ in items)
        reads = bool(text)
        return Query(sql, fields, reads, ordered, top is not None)

    def _qualified(self, items: list[Item], text: str, distinct: bool) -> tuple[str, str]:
        """Filter by a window function from outside, as SQLite has no QUALIFY."""
        if distinct:
            raise Refused(3706, "DISTINCT with QUALIFY is not emulated")
        self.scope.windowed = False
        keep = self.condition().sql
        if not self.scope.windowed:
            raise Refused(3706, "QUALIFY needs a window function")
        inside = [f"{value.sql} AS c{n}" for n, (_, value, _) in enumerate(items)]
        outside = [f"c{n} AS {quoted(name)}" for n, (name, _, _) in enumerate(items)]
        order = ""
        if self.accept("ORDER", "BY"):
            keys: list[str] = []
            while True:
                key = self._ordered(False)
                flags = ""
                for word in (" ASC", " DESC", " NULLS FIRST", " NULLS LAST"):
                    if key.endswith(word):
                        key, flags = key.removesuffix(word), word + flags
                inside.append(f"{key} AS o{len(keys)}")
                keys.append(f"o{len(keys)}{flags}")
                if not self.accept(","):
                    break
            order = f" ORDER BY {', '.join(keys)}"
        kept = f"CASE WHEN {keep} THEN 1 ELSE 0 END AS keep"
        sql = f"SELECT {', '.join(outside)} FROM (SELECT {', '.join([*inside, kept])}{text})"
        return f"{sql} WHERE keep = 1", order

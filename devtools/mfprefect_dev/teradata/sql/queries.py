"""Queries, translated to SQLite's: locks, WITH, UNION and the like, subqueries."""

from __future__ import annotations

from mfprefect_dev.teradata.catalog import quoted
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.scopes import Scope, Value
from mfprefect_dev.teradata.sql.selects import Selects
from mfprefect_dev.teradata.sql.tables import Query, renamed
from mfprefect_dev.teradata.tokens import WORD

__all__ = ["Queries"]

COMPOUNDS = {"UNION": "UNION", "EXCEPT": "EXCEPT", "MINUS": "EXCEPT", "INTERSECT": "INTERSECT"}


class Queries(Selects):
    """The grammar of whole queries."""

    def start(self) -> None:
        """Reset the state of the previous request."""
        self.scope = Scope(None)
        self.ctes = {}
        self.readings = []
        self.looked_up = set()
        self.unlocked()

    def subquery(self) -> Value:
        """Take a SELECT of one column in parentheses."""
        self.expect("(")
        exists = self.peek(-2).text == "EXISTS"
        query = self.inner(self.scope)
        self.expect(")")
        if query.top:
            raise Refused(6916, "Top N option is not supported in subquery.")
        if len(query.fields) != 1 and not exists:
            raise Refused(3706, "a subquery here has one column")
        return Value(f"({query.sql})", query.fields[0][1])

    def inner(self, outer: Scope | None) -> Query:
        """Take a SELECT inside another."""
        if self.comes("WITH"):
            raise self.unexpected("WITH is only allowed at the start of a request or view")
        outer_state, self.scope = (self.scope, self.deciding), Scope(outer)
        self.deciding = False
        try:
            query = self.compound()
        finally:
            self.scope, self.deciding = outer_state
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
                raise Refused(3706, "ORDER BY is only allowed after the last SELECT.")
            self.scope = Scope(self.scope.outer)
            other = self.simple(last=True)
            if len(other.fields) != len(first.fields):
                raise Refused(3706, "the SELECTs have different numbers of columns")
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

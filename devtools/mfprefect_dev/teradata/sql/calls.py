"""Functions, aggregates and windows, and ORDER BY, which queries use too."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mfprefect_dev.teradata.catalog import quoted
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.lint.rules import RANKS
from mfprefect_dev.teradata.sql.reader import Reader
from mfprefect_dev.teradata.sql.scopes import Scope, Value
from mfprefect_dev.teradata.tokens import QUOTED, WORD

__all__ = ["AGGREGATES", "FUNCTIONS", "Calls"]

AGGREGATES = ("COUNT", "SUM", "MIN", "MAX", "AVG")
# Name: fewest and most arguments, name in SQLite, type of the result.
FUNCTIONS = {
    "ABS": (1, 1, "abs", ""),
    "COALESCE": (2, 99, "coalesce", ""),
    "NULLIF": (2, 2, "nullif", ""),
    "UPPER": (1, 1, "upper", "VARCHAR"),
    "LOWER": (1, 1, "lower", "VARCHAR"),
    "CHARACTER_LENGTH": (1, 1, "length", "INTEGER"),
    "CHAR_LENGTH": (1, 1, "length", "INTEGER"),
    "SUBSTR": (2, 3, "substr", "VARCHAR"),
    "OREPLACE": (3, 3, "replace", "VARCHAR"),
    "BYTES": (1, 1, "length", "INTEGER"),
    "FLOOR": (1, 1, "floor", ""),
    "CEILING": (1, 1, "ceil", ""),
    "SQRT": (1, 1, "sqrt", "FLOAT"),
    "EXP": (1, 1, "exp", "FLOAT"),
    "LN": (1, 1, "ln", "FLOAT"),
    "ZEROIFNULL": (1, 1, "td_zeroifnull", ""),
    "GETQUERYBAND": (0, 0, "td_queryband", "VARCHAR"),
    "HASHAMP": (0, 0, "td_hashamp", "INTEGER"),
    "HASHBUCKET": (0, 1, "td_hashbucket", "INTEGER"),
    "HASHROW": (1, 1, "td_hashrow", ""),
}


class Calls(Reader, ABC):
    """The grammar of calls; `Terms` adds their arguments."""

    scope: Scope

    @abstractmethod
    def either(self) -> Value:
        """Take a value or a condition."""

    @abstractmethod
    def side(self) -> Value:
        """Take an operand of a comparison."""

    @abstractmethod
    def subquery(self) -> Value:
        """Take a SELECT of one column."""

    def value(self, what: str = "a value") -> Value:
        """Take a value; refuse a condition."""
        value = self.either()
        if value.cond:
            raise Refused(3706, f"expected {what}, not a condition")
        return value

    def comparable(self, what: str) -> Value:
        """Take a value; refuse a LOB."""
        value = self.value(what)
        if value.lob:
            raise Refused(5692)
        return value

    def condition(self) -> Value:
        """Take a condition; refuse a value."""
        condition = self.either()
        if not condition.cond:
            raise Refused(3706, "expected a condition, not a value")
        return condition

    def _function(self) -> Value:
        name = self.take().text
        fewest, most, sql, kind = FUNCTIONS[name]
        self.expect("(")
        values: list[Value] = []
        while not self.comes(")"):
            if values:
                self.expect(",")
            values.append(self.value())
        self.expect(")")
        if not fewest <= len(values) <= most:
            raise Refused(3706, f"{name} takes {fewest} to {most} arguments, not {len(values)}")
        if any(value.lob for value in values) and name not in ("COALESCE", "BYTES"):
            raise Refused(5692)
        kind = kind or next((value.type for value in values if value.type), "")
        return Value(f"{sql}({', '.join(value.sql for value in values)})", kind)

    def _aggregate(self) -> Value:
        name = self.take().text
        scope = self.scope
        before = len(scope.free)
        self.expect("(")
        argument, kind = self._argument(name)
        self.expect(")")
        if not self.comes("OVER"):
            if name in RANKS:
                raise self.unexpected(f"{name} needs OVER (.. ORDER BY ..)")
            del scope.free[before:]
            scope.aggregated = True
            return Value(f"{name.lower()}({argument})", kind)
        scope.windowed = True
        return Value(f"{name.lower()}({argument}) OVER {self._window(name)}", kind)

    def _argument(self, name: str) -> tuple[str, str]:
        if name in RANKS:
            return "", "INTEGER"
        if name == "COUNT" and self.accept("*"):
            return "*", "COUNT"
        distinct = "DISTINCT " if self.accept("DISTINCT") else ""
        inner = self.comparable(f"the argument of {name}")
        kind = {"COUNT": "COUNT", "AVG": "FLOAT"}.get(name, inner.type)
        return distinct + inner.sql, kind

    def _window(self, name: str) -> str:
        self.expect("OVER", "(")
        parts = []
        if self.accept("PARTITION", "BY"):
            listed = [self.comparable("a value to partition by").sql]
            while self.accept(","):
                listed.append(self.comparable("a value to partition by").sql)
            parts.append(f"PARTITION BY {', '.join(listed)}")
        if self.comes("ORDER", "BY"):
            parts.append(self.order_by(aliases=False))
        elif name in RANKS:
            raise self.unexpected(f"{name} needs ORDER BY in its OVER clause")
        if self.accept("ROWS", "UNBOUNDED", "PRECEDING"):
            parts.append("ROWS UNBOUNDED PRECEDING")
        elif name not in RANKS and parts[-1:] and parts[-1].startswith("ORDER"):
            # https://docs.teradata.com: The Window Specification, ANSI Compliance
            raise self.unexpected(f"an ordered {name} covers all rows; expected ROWS")
        self.expect(")")
        return f"({' '.join(parts)})"

    def order_by(self, *, aliases: bool) -> str:
        """Take ORDER BY and its list."""
        self.expect("ORDER", "BY")
        listed = [self._ordered(aliases)]
        while self.accept(","):
            listed.append(self._ordered(aliases))
        return "ORDER BY " + ", ".join(listed)

    def _ordered(self, aliases: bool) -> str:
        token = self.peek()
        ends = self.peek(1).text in (",", "", ")", "ASC", "DESC", "NULLS", ";")
        alias = self.scope.aliases.get(token.name.upper())
        if aliases and ends and alias and token.kind in (WORD, QUOTED):
            self.take()
            if alias.lob:
                raise Refused(5692)
            sql = quoted(token.name) if alias.column is None else alias.sql
        else:
            sql = self.comparable("a value to order by").sql
        for word in ("ASC", "DESC"):
            if self.accept(word):
                sql += f" {word}"
        for word in ("FIRST", "LAST"):
            if self.accept("NULLS", word):
                sql += f" NULLS {word}"
        return sql

"""The smallest parts of expressions: literals, columns, functions, CASE, subqueries."""

from __future__ import annotations

from abc import ABC, abstractmethod

from mfprefect.testing.teradata.catalog import quoted
from mfprefect.testing.teradata.errors import Refused
from mfprefect.testing.teradata.reader import Reader
from mfprefect.testing.teradata.rules import LONGEST_STRING
from mfprefect.testing.teradata.scopes import Scope, Value, meant
from mfprefect.testing.teradata.tokens import BYTES, NUMBER, PARAM, QUOTED, STRING, WORD
from mfprefect.testing.teradata.types import MARK, data_type, number_kind

__all__ = ["Terms"]

AGGREGATES = ("COUNT", "SUM", "MIN", "MAX", "AVG")
RANKS = ("ROW_NUMBER", "RANK", "DENSE_RANK")
# Name: fewest and most arguments, what SQLite calls it, and the type of what it returns.
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
}


class Terms(Reader, ABC):
    """The grammar of terms; `Expressions` joins them, `Queries` adds what stands in FROM."""

    scope: Scope
    deciding = False
    """Whether the condition of a CASE is being read."""

    @abstractmethod
    def either(self) -> Value:
        """Take a value or a condition."""

    @abstractmethod
    def side(self) -> Value:
        """Take a value that is compared."""

    @abstractmethod
    def subquery(self) -> Value:
        """Take a SELECT that gives one column."""

    def value(self, what: str = "a value") -> Value:
        """Take a value; a condition is refused."""
        found = self.either()
        if found.cond:
            raise Refused(3706, f"a condition stands where {what} is expected")
        return found

    def comparable(self, what: str) -> Value:
        """Take a value that is no LOB."""
        found = self.value(what)
        if found.lob:
            raise Refused(5692)
        return found

    def condition(self) -> Value:
        """Take a condition; a value is refused."""
        found = self.either()
        if not found.cond:
            raise Refused(3706, "a value stands where a condition is expected")
        return found

    def _literal(self, text: str) -> str:
        if len(text) > LONGEST_STRING:
            raise Refused(3738)
        if "\0" in text:
            raise Refused(6706)
        return "'" + text.replace("'", "''") + "'"

    def _primary(self) -> Value:
        token = self.peek()
        if token.kind == PARAM:
            self.take()
            return Value(f"?{token.number}")
        if token.kind == NUMBER:
            self.take()
            kind = number_kind(token.text)
            return Value(token.text if kind == "INTEGER" else f"{float(token.text)!r}", kind)
        if token.kind == STRING:
            return Value(self._literal(self.string()), "VARCHAR")
        if token.kind == BYTES:
            self.take()
            return Value(f"x'{token.text[1 : token.text.rindex(chr(39))]}'", "VARBYTE")
        if self.comes("("):
            return self._parenthesised()
        if token.kind == WORD and (found := self._keyword(token.text)) is not None:
            return found
        if token.kind in (WORD, QUOTED):
            return self._column()
        raise self.unexpected("expected an expression")

    def _parenthesised(self) -> Value:
        if self.peek(1).text in ("SELECT", "WITH", "LOCKING") and self.peek(1).kind == WORD:
            return self.subquery()
        self.expect("(")
        found = self.either()
        self.expect(")")
        return Value(f"({found.sql})", found.type, found.cond, found.column, found.null)

    def _in_parentheses(self) -> str:
        """Take the SELECT of EXISTS or IN, which no condition of a CASE may hold."""
        if self.deciding:
            raise Refused(3771)
        return self.subquery().sql

    def _keyword(self, word: str) -> Value | None:
        """Take what begins with a word that is no column's name."""
        if word == "NULL":
            self.take()
            return Value("NULL", null=True)
        if word == "CASE":
            return self._case()
        if word in ("CAST", "TRIM", "POSITION", "EXTRACT") and self.peek(1).text == "(":
            return getattr(self, f"_{word.lower()}")()  # type: ignore[no-any-return]
        if word in ("DATE", "TIMESTAMP") and self.peek(1).kind == STRING:
            self.take()
            mark = f"{MARK}{word[0]}{self.string()}"
            if word == "TIMESTAMP":
                mark = mark if "." in mark else mark + "."
                mark = mark.ljust(28, "0")
            return Value(f"'{mark}'", word)
        if word in ("CURRENT_TIMESTAMP", "CURRENT_DATE"):
            self.take()
            if self.accept("("):
                self.whole()
                self.expect(")")
            return Value(f"td_{word.lower()}()", word[8:])
        if word in ("USER", "DATABASE", "SESSION"):
            self.take()
            return Value(f"td_{word.lower()}()", "INTEGER" if word == "SESSION" else "VARCHAR")
        if word in AGGREGATES + RANKS and self.peek(1).text == "(":
            return self._aggregate()
        if word in FUNCTIONS and self.peek(1).text == "(":
            return self._function()
        return None

    def _case(self) -> Value:
        self.expect("CASE")
        subject = None if self.comes("WHEN") else self.comparable("the subject of CASE")
        parts, kinds = ["CASE" if subject is None else f"CASE {subject.sql}"], []
        while self.accept("WHEN"):
            test = self._when() if subject is None else self.comparable("a value")
            self.expect("THEN")
            then = self.value()
            kinds.append(then.type)
            parts.append(f"WHEN {test.sql} THEN {then.sql}")
        if not kinds:
            raise self.unexpected("expected WHEN")
        if self.accept("ELSE"):
            other = self.value()
            kinds.append(other.type)
            parts.append(f"ELSE {other.sql}")
        self.expect("END")
        kind = next((kind for kind in kinds if kind), "")
        return Value(f"{' '.join(parts)} END", kind)

    def _when(self) -> Value:
        kept, self.deciding = self.deciding, True
        try:
            return self.condition()
        finally:
            self.deciding = kept

    def _cast(self) -> Value:
        self.expect("CAST", "(")
        inner = self.value()
        self.expect("AS")
        kind = data_type(self)
        self.expect(")")
        if kind.name in ("VARCHAR", "CHAR", "CLOB"):
            sql = f"td_text({inner.sql}, {kind.length})"
        elif kind.affinity() in ("INTEGER", "REAL", "NUMERIC"):
            sql = f"td_number({inner.sql}, '{kind.affinity()}')"
        elif kind.name == "DATE":
            sql = f"td_date({inner.sql})"
        else:
            sql = inner.sql
        return Value(sql, kind.name, null=inner.null)

    def _trim(self) -> Value:
        self.expect("TRIM", "(")
        how = "trim"
        for word, name in (("BOTH", "trim"), ("TRAILING", "rtrim"), ("LEADING", "ltrim")):
            if self.accept(word, "FROM"):
                how = name
        inner = self.comparable("a text")
        self.expect(")")
        return Value(f"{how}({inner.sql}, ' ')", "VARCHAR")

    def _position(self) -> Value:
        self.expect("POSITION", "(")
        part = self.side()
        self.expect("IN")
        whole = self.side()
        self.expect(")")
        return Value(f"instr({whole.sql}, {part.sql})", "INTEGER")

    def _extract(self) -> Value:
        self.expect("EXTRACT", "(")
        part = self.take().text
        if part not in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"):
            raise Refused(3706, f"EXTRACT({part} ..) is not emulated")
        self.expect("FROM")
        inner = self.comparable("a date")
        self.expect(")")
        return Value(f"td_extract('{part}', {inner.sql})", "INTEGER")

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
        inner = self.comparable(f"what {name} counts")
        kind = {"COUNT": "COUNT", "AVG": "FLOAT"}.get(name, inner.type)
        return distinct + inner.sql, kind

    def _window(self, name: str) -> str:
        self.expect("OVER", "(")
        parts = []
        if self.accept("PARTITION", "BY"):
            listed = [self.comparable("what rows are put together by").sql]
            while self.accept(","):
                listed.append(self.comparable("what rows are put together by").sql)
            parts.append(f"PARTITION BY {', '.join(listed)}")
        if self.comes("ORDER", "BY"):
            parts.append(self.order_by(aliases=False))
        elif name in RANKS:
            raise self.unexpected(f"{name} needs ORDER BY in its OVER clause")
        if self.accept("ROWS", "UNBOUNDED", "PRECEDING"):
            parts.append("ROWS UNBOUNDED PRECEDING")
        self.expect(")")
        return f"({' '.join(parts)})"

    def order_by(self, *, aliases: bool) -> str:
        """Take ORDER BY and what follows it."""
        self.expect("ORDER", "BY")
        listed = [self._ordered(aliases)]
        while self.accept(","):
            listed.append(self._ordered(aliases))
        return "ORDER BY " + ", ".join(listed)

    def _ordered(self, aliases: bool) -> str:
        token = self.peek()
        ends = self.peek(1).text in (",", "", ")", "ASC", "DESC", "NULLS", ";")
        known = self.scope.aliases.get(token.name.upper())
        if aliases and ends and known and token.kind in (WORD, QUOTED):
            self.take()
            if known.lob:
                raise Refused(5692)
            sql = quoted(token.name) if known.column is None else known.sql
        else:
            sql = self.comparable("what rows are ordered by").sql
        for word in ("ASC", "DESC"):
            if self.accept(word):
                sql += f" {word}"
        for word in ("FIRST", "LAST"):
            if self.accept("NULLS", word):
                sql += f" NULLS {word}"
        return sql

    def _column(self) -> Value:
        parts = [self.identifier("a column")]
        while self.accept("."):
            parts.append(self.identifier("a column"))
        *of, name = parts
        scope: Scope | None = self.scope
        while scope is not None:
            found = [
                source.fields[name.upper()]
                for source in scope.sources
                if name.upper() in source.fields and meant(source, of, self.catalog.database)
            ]
            if len(found) > 1:
                raise Refused(3809, name)
            if found:
                if not scope.within:
                    scope.free.append(found[0].sql)
                return Value(found[0].sql, found[0].type, column=found[0].name)
            scope = scope.outer
        if not of and (alias := self.scope.aliases.get(name.upper())):
            return alias
        raise Refused(5628, ".".join(parts), "the tables of the request")

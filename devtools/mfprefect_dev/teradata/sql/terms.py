"""The terms of expressions: literals, columns, CASE, CAST, subqueries."""

from __future__ import annotations

from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.lint.rules import LONGEST_STRING, RANKS
from mfprefect_dev.teradata.sql.calls import AGGREGATES, FUNCTIONS, Calls
from mfprefect_dev.teradata.sql.scopes import Scope, Value, meant
from mfprefect_dev.teradata.sql.type_grammar import data_type
from mfprefect_dev.teradata.tokens import BYTES, NUMBER, PARAM, QUOTED, STRING, WORD
from mfprefect_dev.teradata.types import MARK, WHOLE, number_kind

__all__ = ["Terms"]


class Terms(Calls):
    """The grammar of terms; `Expressions` combines them, `Tables` adds FROM."""

    deciding = False
    """Whether the position is in a condition of CASE."""

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
        if token.kind == WORD and (value := self._keyword(token.text)) is not None:
            return value
        if token.kind in (WORD, QUOTED):
            return self._column()
        raise self.unexpected("expected an expression")

    def _parenthesised(self) -> Value:
        if self.peek(1).text in ("SELECT", "WITH", "LOCKING") and self.peek(1).kind == WORD:
            return self.subquery()
        self.expect("(")
        value = self.either()
        self.expect(")")
        return Value(f"({value.sql})", value.type, value.cond, value.column, value.null)

    def _in_parentheses(self) -> str:
        """Take the SELECT of EXISTS or IN; a condition of CASE cannot contain one."""
        if self.deciding:
            raise Refused(3771)
        return self.subquery().sql

    def _keyword(self, word: str) -> Value | None:
        """Take a term that begins with a keyword; None for a column."""
        if word == "NULL":
            self.take()
            return Value("NULL", null=True)
        if word == "CASE":
            return self._case()
        if word in ("CAST", "TRIM", "POSITION", "EXTRACT") and self.peek(1).text == "(":
            return getattr(self, f"_{word.lower()}")()  # type: ignore[no-any-return]
        if word in ("DATE", "TIMESTAMP") and self.peek(1).kind == STRING:
            self.take()
            text = self.string()
            sql = f"td_local('{text}')" if word == "TIMESTAMP" else f"'{MARK}D{text}'"
            return Value(sql, word)
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
        deciding, self.deciding = self.deciding, True
        try:
            return self.condition()
        finally:
            self.deciding = deciding

    def _cast(self) -> Value:
        self.expect("CAST", "(")
        inner = self.value()
        self.expect("AS")
        begin = self.at
        kind = data_type(self)
        if any(token.text == "CASESPECIFIC" for token in self.tokens[begin : self.at]):
            raise Refused(3706, "CAST takes CHARACTER SET, FORMAT, NAMED and TITLE only")
        self.expect(")")
        if kind.name in ("VARCHAR", "CHAR", "CLOB"):
            sql = f"td_text({inner.sql}, {kind.length})"
        elif kind.affinity() == "REAL" and inner.type in ("FLOAT", *WHOLE):
            sql = f"CAST({inner.sql} AS REAL)"  # cannot fail, and is faster
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

    def _column(self) -> Value:
        parts = [self.identifier("a column")]
        while self.accept("."):
            parts.append(self.identifier("a column"))
        *of, name = parts
        scope: Scope | None = self.scope
        while scope is not None:
            matches = [
                source.fields[name.upper()]
                for source in scope.sources
                if name.upper() in source.fields and meant(source, of, self.catalog.database)
            ]
            if len(matches) > 1:
                raise Refused(3809, name)
            if matches:
                if not scope.within:
                    scope.free.append(matches[0].sql)
                return Value(matches[0].sql, matches[0].type, column=matches[0].name)
            scope = scope.outer
        if not of and (alias := self.scope.aliases.get(name.upper())):
            return alias
        raise Refused(5628, ".".join(parts), "the tables of the request")

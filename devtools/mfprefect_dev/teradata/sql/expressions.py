"""Expressions and conditions, translated to SQLite's while they are read.

The grammar separates values from conditions: in Teradata neither can stand for the other.
"""

from __future__ import annotations

from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.sql.scopes import Value, wider
from mfprefect_dev.teradata.sql.terms import Terms

__all__ = ["Expressions"]

COMPARISONS = ("=", "<>", "<", ">", "<=", ">=")


class Expressions(Terms):
    """The grammar of expressions."""

    def either(self) -> Value:
        """Take a value or a condition."""
        operands = [self._and()]
        while self.accept("OR"):
            operands.append(self._and())
        return self._joined(operands, "OR")

    def _and(self) -> Value:
        operands = [self._not()]
        while self.comes("AND"):
            self.take()
            operands.append(self._not())
        return self._joined(operands, "AND")

    @staticmethod
    def _joined(operands: list[Value], word: str) -> Value:
        """Join conditions in one pair of parentheses: SQLite's parser has a depth of 100."""
        if len(operands) == 1:
            return operands[0]
        if not all(operand.cond for operand in operands):
            raise Refused(3706, f"{word} joins conditions")
        return Value(f"({f' {word} '.join(operand.sql for operand in operands)})", cond=True)

    def _not(self) -> Value:
        if self.accept("NOT"):
            operand = self._not()
            if not operand.cond:
                raise Refused(3706, "NOT takes a condition")
            return Value(f"(NOT {operand.sql})", cond=True)
        return self._predicate()

    def _predicate(self) -> Value:
        if self.comes("EXISTS", "("):
            self.take()
            return Value(f"EXISTS {self._in_parentheses()}", cond=True)
        left = self._sum()
        token = self.peek()
        if token.text in COMPARISONS and token.kind == "sign":
            return self._compared(left, self.take().text)
        if self.accept("IS"):
            no = "NOT " if self.accept("NOT") else ""
            self.expect("NULL")
            self._not_condition(left)
            return Value(f"({left.sql} IS {no}NULL)", cond=True)
        no = "NOT " if self.comes("NOT") else ""
        if no and self.peek(1).text not in ("IN", "BETWEEN", "LIKE"):
            return left
        if no:
            self.take()
        if self.accept("IN"):
            return self._in(left, no)
        if self.accept("BETWEEN"):
            return self._between(left, no)
        if self.accept("LIKE"):
            return self._like(left, no)
        return left

    @staticmethod
    def _not_condition(value: Value, *, lob: bool = True) -> None:
        if value.cond:
            raise Refused(3706, "expected a value, not a condition")
        if value.lob and not lob:
            raise Refused(5692)

    def side(self) -> Value:
        """Take an operand of a comparison."""
        value = self._sum()
        self._not_condition(value, lob=False)
        if value.null:
            raise Refused(3731)
        return value

    def _compared(self, left: Value, sign: str) -> Value:
        self._not_condition(left, lob=False)
        if left.null:
            raise Refused(3731)
        right = self.side()
        # Trailing blanks do not count; a column's collation already says so.
        pad = "" if left.column or right.column else " COLLATE RTRIM"
        return Value(f"({left.sql} {sign} {right.sql}{pad})", cond=True)

    def _in(self, left: Value, no: str) -> Value:
        self._not_condition(left, lob=False)
        if self.comes("(", "SELECT"):
            return Value(f"({left.sql} {no}IN {self._in_parentheses()})", cond=True)
        self.expect("(")
        items = [self.side()]
        while self.accept(","):
            items.append(self.side())
        self.expect(")")
        pad = "" if left.column else " COLLATE RTRIM"
        listed = ", ".join(item.sql for item in items)
        return Value(f"({left.sql}{pad} {no}IN ({listed}))", cond=True)

    def _between(self, left: Value, no: str) -> Value:
        self._not_condition(left, lob=False)
        low = self.side()
        self.expect("AND")
        high = self.side()
        return Value(f"({left.sql} {no}BETWEEN {low.sql} AND {high.sql})", cond=True)

    def _like(self, left: Value, no: str) -> Value:
        self._not_condition(left, lob=False)
        pattern = self.side()
        escape = ""
        if self.accept("ESCAPE"):
            escape = f" ESCAPE {self._literal(self.string())}"
        return Value(f"({left.sql} {no}LIKE {pattern.sql}{escape})", cond=True)

    def _sum(self) -> Value:
        left = self._product()
        while self.peek().text in ("+", "-", "||") and self.peek().kind == "sign":
            left = self._added(left, text=self.peek().text == "||")
        return left

    def _added(self, first: Value, *, text: bool) -> Value:
        """Take what is added to a value, or what follows a text, in one pair of parentheses."""
        self._not_condition(first, lob=False)
        sql, kind = first.sql, first.type
        while self.peek().text in (("||",) if text else ("+", "-")) and self.peek().kind == "sign":
            sign = self.take().text
            right = self._product()
            self._not_condition(right, lob=False)
            sql = f"{sql} {sign} {right.sql}"
            kind = "VARCHAR" if text else wider(kind, right.type)
        return Value(f"({sql})", kind)

    def _product(self) -> Value:
        left = self._signed()
        while (self.peek().text in ("*", "/") and self.peek().kind == "sign") or self.comes("MOD"):
            sign = self.take().text
            right = self._signed()
            if sign == "/":
                self._not_condition(left, lob=False)
                self._not_condition(right, lob=False)
                left = Value(f"td_divide({left.sql}, {right.sql})", wider(left.type, right.type))
            else:
                sign = "%" if sign == "MOD" else sign
                left = self._computed(left, sign, right, wider(left.type, right.type))
        return left

    def _computed(self, left: Value, sign: str, right: Value, kind: str) -> Value:
        for side in (left, right):
            self._not_condition(side, lob=False)
        return Value(f"({left.sql} {sign} {right.sql})", kind)

    def _signed(self) -> Value:
        if self.accept("-"):
            operand = self._signed()
            self._not_condition(operand, lob=False)
            return Value(f"(- {operand.sql})", operand.type)
        self.accept("+")
        return self._postfixed(self._primary())

    def _postfixed(self, value: Value) -> Value:
        """Take `(NOT CASESPECIFIC)` and `(CASESPECIFIC)`, which follow a value."""
        if self.accept("(", "NOT", "CASESPECIFIC", ")"):
            return Value(f"{value.sql} COLLATE NOCASE", value.type)
        self.accept("(", "CASESPECIFIC", ")")
        return value

"""The columns of a matrix on its way through a pipeline."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import (
    Column,
    Expression,
    Fragment,
    Number,
    Shared,
    Sql,
    Text,
)

__all__ = ["LARGEST", "Context", "Lookup", "Matrix", "Value", "is_missing", "require_numbers"]

LARGEST = 1.7976931348623157e308
"""The largest double."""


@dataclass(frozen=True, eq=False)
class Lookup:
    """A number for each category of a column.

    Attributes:
        key: the column; its categories are texts or numbers.
        mapping: the number of each category, None for NULL.
        other: that of any other category.
        null: that of NULL.
    """

    key: Value
    mapping: Mapping[Any, float | None]
    other: float | None
    null: float | None

    def apply(self, function: Callable[[float | None], float | None]) -> Lookup:
        """Return the numbers after a function."""
        mapping = {key: function(x) for key, x in self.mapping.items()}
        return Lookup(self.key, mapping, function(self.other), function(self.null))

    @property
    def values(self) -> list[float | None]:
        """All numbers."""
        return [*self.mapping.values(), self.other, self.null]

    def expression(self) -> Sql:
        """Return one CASE."""
        cases = {key: x for key, x in self.mapping.items() if x != self.other}
        parts: list[Any] = []
        for key, x in cases.items():
            parts += [" WHEN ", self.key.literal(key), " THEN ", _constant(x)]
        other = _constant(self.other)
        inner = Sql("CASE ", self.key.expression, *parts, " ELSE ", other, " END")
        if not cases:
            inner = Sql(other)
        if self.null == self.other or not self.key.nullable:
            return inner
        null = ("CASE WHEN ", self.key.expression, " IS NULL THEN ", _constant(self.null))
        return Sql(*null, " ELSE ", inner, " END")


def _constant(value: float | None) -> Number | str:
    return "NULL" if value is None else Number(value)


@dataclass(frozen=True, eq=False)
class Value:
    """A column.

    Attributes:
        expression: what it is in SQL.
        text: whether it is a text, not a double.
        as_text: a feature of yet unknown type, as a text.
        nullable: whether it can be NULL.
        finite: whether it is certainly not infinite.
        lookup: its numbers, if it has one for each category of another column.
        linear: another column and a, b, if it is a * column + b.
        validated: whether a transformer refused infinities in it, or in what it is made of.
        feature: the feature that it is computed from, and a and b, as those of `linear`.
    """

    expression: Expression
    text: bool = False
    as_text: Value | None = None
    nullable: bool = True
    finite: bool = False
    lookup: Lookup | None = None
    linear: tuple[Value, float, float] | None = None
    feature: tuple[str, float, float] | None = None
    validated: bool = False

    @staticmethod
    def of_lookup(lookup: Lookup) -> Value:
        """Return the column of a lookup."""
        nullable = any(x is None for x in lookup.values)
        return Value(lookup.expression(), nullable=nullable, finite=True, lookup=lookup)

    @staticmethod
    def of_column(name: str) -> Value:
        """Return a feature as a column of doubles; an encoder may want its text instead."""
        as_double, as_text = (Column(name, text=text) for text in (False, True))
        return Value(as_double, as_text=Value(as_text, text=True), feature=(name, 1.0, 0.0))

    def literal(self, key: Any) -> Number | Text:
        """Return a category of the column."""
        return Text(key) if self.text else Number(key)

    def shared(self) -> Value:
        """Return the same column, computed once for each row."""
        if isinstance(self.expression, Shared):
            return self
        return dataclasses.replace(self, expression=Shared(self.expression), as_text=None)

    def texts(self, what: str) -> Value:
        """Return the column as texts.

        Raises:
            NotCompilable: it was computed from numbers.
        """
        if self.text:
            return self
        if self.as_text is None:
            raise NotCompilable(f"{what} gets texts made from a computed column")
        return self.as_text

    def map(self, function: Callable[[float], float | None], *fragments: Fragment) -> Value:
        """Return a function of the column, which fragments express in SQL."""
        if self.lookup is not None:
            return Value.of_lookup(self.lookup.apply(lambda x: None if x is None else function(x)))
        return Value(
            Sql(*fragments), nullable=self.nullable, finite=self.finite, validated=self.validated
        )

    def scaled(
        self, function: Callable[[float], float], a: float, b: float, *sql: Fragment
    ) -> Value:
        """Return a * column + b, which a function and fragments compute in the estimator's order.

        Raises:
            NotCompilable: a or b is not finite.
        """
        if not (math.isfinite(a) and math.isfinite(b)):
            raise NotCompilable(f"the model scales a column by {a!r} and adds {b!r}")
        base, a0, b0 = self.linear or (self, 1.0, 0.0)
        feature = self.feature and (self.feature[0], a * self.feature[1], a * self.feature[2] + b)
        scaled = self.map(function, *sql)
        if scaled.lookup is not None:
            return scaled
        return dataclasses.replace(scaled, linear=(base, a * a0, a * b0 + b), feature=feature)


Matrix = list[Value]


@dataclass
class Context:
    """What compiling an estimator collects beside its expressions."""

    conditions: list[Expression] = field(default_factory=list)
    """Where one is not true, the estimator refuses the row."""
    probes: dict[str, set[Any]] = field(default_factory=dict)
    """Values of features at which scores may jump."""
    tolerance: float = 1e-12

    def require(self, *fragments: Any) -> None:
        """Refuse rows for which a condition is not true."""
        self.conditions.append(Sql(*fragments))

    def refuse_infinite(self, value: Value, largest: float = LARGEST) -> None:
        """Refuse rows in which a column is infinite; NULL passes."""
        if value.finite:
            return
        x = value.expression
        inside = Sql(x, " BETWEEN ", Number(-largest), " AND ", Number(largest))
        self.require(*(("(", x, " IS NULL OR ", inside, ")") if value.nullable else (inside,)))

    def refuse_infinite_validated(self, matrix: Matrix) -> None:
        """Refuse rows with infinities for which a transformer before has raised an error."""
        for value in matrix:
            if value.validated:
                self.refuse_infinite(value)

    def probe(self, value: Value, points: Iterable[float]) -> None:
        """Note numbers at which a column's scores may jump."""
        if value.feature is None:
            return
        name, a, b = value.feature
        if a and math.isfinite(a) and math.isfinite(b):
            self.probes.setdefault(name, set()).update((x - b) / a for x in points)


def is_missing(value: Any) -> bool:
    """Return whether a category, or a fill, is None or NaN: NULL in a database."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def require_numbers(values: Matrix, what: str) -> None:
    """Refuse columns of texts.

    Raises:
        NotCompilable: a column is a text.
    """
    if any(value.text for value in values):
        raise NotCompilable(f"{what} gets a column of texts")

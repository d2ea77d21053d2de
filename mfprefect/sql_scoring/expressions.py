"""Expressions as elements of SQLAlchemy, which each dialect renders in its own words.

An expression is a list of fragments: SQL that this package wrote, numbers, texts, and other
expressions. Data of a model gets into a statement only as a `Number`, whose value is a finite
double, or as a `Text`, which is quoted. Rendering is iterative: a forest is no deep recursion.
"""

from __future__ import annotations

import decimal
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from mfprefect.schema import Double
from mfprefect.sql_scoring.errors import NotCompilable

__all__ = [
    "Base",
    "Column",
    "Expression",
    "Fragment",
    "Label",
    "Number",
    "Shared",
    "Sql",
    "Text",
    "joined",
    "number",
]

LONGEST_TEXT = 2_000
"""Characters of a category: Teradata's comparison needs a length."""
_PLAIN = re.compile(r"[A-Za-z0-9 _./<>=,;()+*&#@!|-]*")
_SURROGATE = re.compile("[\ud800-\udfff]")

_ORDER = itertools.count()

Fragment = Union[str, "Number", "Text", "Expression"]


class Number:
    """A finite double.

    Raises:
        NotCompilable: it is no finite number.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        try:
            self.value = float(value)
        except (TypeError, ValueError, OverflowError) as exc:
            raise NotCompilable(f"the model contains {value!r:.80} in place of a number") from exc
        if not math.isfinite(self.value):
            raise NotCompilable(f"the model contains the number {self.value!r}")

    def render(self, dialect: str) -> str:
        """Return a literal of type double: one of type decimal is slower, or is rounded."""
        text = repr(self.value)
        if dialect == "postgresql":
            return f"'{text}'::float8"
        if dialect == "sqlite" and decimal.Decimal(text) != decimal.Decimal(self.value):
            # Before 3.43, SQLite may round the shortest text to a neighbour of the double.
            text = f"{self.value:.17e}"
        return text.upper() if "e" in text else f"{text}E0"


class Text:
    """A category, quoted.

    Raises:
        NotCompilable: it is longer than 2,000 characters, or no database can store it.
    """

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        if len(value) > LONGEST_TEXT:
            raise NotCompilable(f"a category has {len(value)} characters; 2,000 are supported")
        if "\0" in value or _SURROGATE.search(value):
            raise NotCompilable(f"the category {value!r:.80} contains a character no text can have")
        self.value = str(value)

    def render(self, dialect: str) -> str:
        """Return a literal; it contains no `%`, so that no driver takes one for a parameter."""
        if dialect == "teradatasql":
            return _without_escapes(f"{self.value}.")  # see Cast
        if dialect == "sqlite" or _PLAIN.fullmatch(self.value):
            return _quoted(self.value)
        if dialect in ("mysql", "mariadb"):
            return f"X'{self.value.encode().hex()}'"  # independent of NO_BACKSLASH_ESCAPES
        escaped = self.value.replace("\\", "\\\\").replace("'", "''")
        return "E'" + escaped.replace("%", "\\x25").replace(":", "\\x3a") + "'"


class Label(Text):
    """A text of the result, where a category is one of a comparison."""

    __slots__ = ()

    def render(self, dialect: str) -> str:
        """Return a literal of type text."""
        if dialect == "teradatasql":
            return _without_escapes(self.value)
        text = super().render(dialect)
        return f"_utf8mb4 {text}" if text.startswith("X'") else text


def _without_escapes(text: str) -> str:
    """Return a text for Teradata, whose driver runs `{fn ..}` wherever it reads that."""
    return _quoted(text).replace("{", "{'||'")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Cast:
    """A column of the rows as a double, or as a text that compares byte by byte."""

    __slots__ = ("nan", "text")

    def __init__(self, *, text: bool, nan: bool = False) -> None:
        self.text = text
        self.nan = nan
        """Whether NaN stays NaN; otherwise it becomes NULL."""

    def render(self, dialect: str, name: str, boolean: bool) -> str:
        """Return the cast of a rendered column, which may have the type boolean."""
        return self._text(dialect, name) if self.text else self._number(dialect, name, boolean)

    def _number(self, dialect: str, name: str, boolean: bool) -> str:
        if dialect == "postgresql":
            if boolean:
                name = f"CAST({name} AS INTEGER)"
            number = f"CAST({name} AS DOUBLE PRECISION)"
            return number if self.nan else f"NULLIF({number}, 'NaN'::float8)"
        kinds = {"mysql": "DOUBLE", "mariadb": "DOUBLE", "sqlite": "REAL"}
        return f"CAST({name} AS {kinds.get(dialect, 'DOUBLE PRECISION')})"

    @staticmethod
    def _text(dialect: str, name: str) -> str:
        if dialect == "postgresql":
            return f'(CAST({name} AS TEXT) COLLATE "C")'
        if dialect in ("mysql", "mariadb"):
            return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"
        if dialect == "teradatasql":
            # With a last character, trailing blanks count.
            length = LONGEST_TEXT + 100
            return f"(CAST({name} AS VARCHAR({length}) CHARACTER SET UNICODE)||'.')"
        return f"(CAST({name} AS TEXT) COLLATE BINARY)"


class Expression(sa.ColumnElement[Any]):
    """A value of each row."""

    inherit_cache = False
    uses: Mapping[Any, int]
    """How often its text names each `Shared` and `Column`, not counting what is in these."""


class Sql(Expression):
    """An expression of fragments.

    Args:
        fragments: SQL that this package wrote, and what stands between.
        text: whether it is a text, not a double.
    """

    inherit_cache = False

    def __init__(self, *fragments: Fragment, text: bool = False) -> None:
        self.fragments = fragments
        self.type = sa.Text() if text else Double()
        uses: Counter[Any] = Counter()
        for part in fragments:
            if isinstance(part, Expression):
                uses.update(part.uses)
        self.uses = uses

    def fragments_for(self, dialect: str) -> Sequence[Fragment]:
        """Return the fragments; a subclass may choose them by dialect."""
        return self.fragments

    @property
    def is_case(self) -> bool:
        """Whether it is one CASE, which needs no parentheses."""
        if not self.fragments:
            return False
        first, last = self.fragments[0], self.fragments[-1]
        return isinstance(first, str) and first.startswith("CASE") and _is_end(last)


class Column(Expression):
    """A column of the rows: a cast where these are at hand, above a column of that name.

    Args:
        feature: the name of the column, whatever table will have it.
        text: whether to take it as a text.
        nan: whether NaN stays NaN.
    """

    inherit_cache = False

    def __init__(self, feature: str, *, text: bool, nan: bool = False) -> None:
        self.feature = feature
        self.cast_of = Cast(text=text, nan=nan)
        self.type = sa.Text() if text else Double()
        self.uses = {self: 1}
        self.order = next(_ORDER)
        self.name = ""
        """Its name in the derived tables; empty if these do not need it."""

    def with_nan(self) -> Column:
        """Return the column with NaN as it is, where a condition on the result refuses it."""
        return Column(self.feature, text=False, nan=True)


class Base(Expression):
    """An expression where the rows are at hand."""

    inherit_cache = False

    def __init__(self, inner: Expression, rows: sa.FromClause) -> None:
        self.inner, self.rows = inner, rows
        self.type = inner.type
        self.uses = inner.uses


class Shared(Expression):
    """An expression for a column of a derived table, so that it is computed once for each row.

    Args:
        inner: the expression.
        cheap: whether to compute it for each use costs less than to store a table.
        deep: whether to keep it even if it is used once, because expressions have a limited depth.
    """

    inherit_cache = False

    def __init__(self, inner: Expression, *, cheap: bool = False, deep: bool = False) -> None:
        self.inner = inner
        self.type = inner.type
        self.cheap = cheap
        self.deep = deep
        self.uses = {self: 1}
        self.order = next(_ORDER)
        self.level = 0
        """The number of its derived table, from 1."""
        self.name = ""
        """The name of its column, which the derived tables above pass on; empty: it is inlined."""


def _is_end(fragment: Fragment) -> bool:
    return isinstance(fragment, str) and fragment == " END"


def number(value: Any) -> Sql:
    """Return a constant."""
    return Sql(Number(value))


def joined(separator: str, parts: Iterable[Fragment]) -> list[Fragment]:
    """Return fragments with a separator between them."""
    fragments: list[Fragment] = []
    for part in parts:
        fragments += [separator, part] if fragments else [part]
    return fragments


def _render(fragments: Sequence[Any], compiler: Any, rows: sa.FromClause | None = None) -> str:
    dialect: str = compiler.dialect.name
    texts: list[str] = []

    stack: list[Any] = list(reversed(fragments))
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Sql):
            stack.extend(reversed(part.fragments_for(dialect)))
        elif isinstance(part, Shared):
            stack.extend(reversed((part.name,) if part.name else _inlined(part.inner)))
        elif isinstance(part, Column):
            texts.append(part.name if rows is None else _of_rows(part, rows, compiler))
        else:
            texts.append(part.render(dialect))
    return "".join(texts)


def _of_rows(column: Column, rows: sa.FromClause, compiler: Any) -> str:
    of_rows = rows.c[column.feature]
    boolean = isinstance(of_rows.type, sa.Boolean)
    return column.cast_of.render(compiler.dialect.name, compiler.process(of_rows), boolean)


def _inlined(inner: Expression) -> tuple[Any, ...]:
    bare = isinstance(inner, Shared) or (isinstance(inner, Sql) and inner.is_case)
    return (inner,) if bare else ("(", inner, ")")


@compiles(Sql)
def _sql(element: Sql, compiler: Any, **options: Any) -> str:
    return _render((element,), compiler)


@compiles(Column)
def _column(element: Column, compiler: Any, **options: Any) -> str:
    return _render((element,), compiler)


@compiles(Base)
def _base(element: Base, compiler: Any, **options: Any) -> str:
    return _render((element.inner,), compiler, element.rows)


@compiles(Shared)
def _shared(element: Shared, compiler: Any, **options: Any) -> str:
    return _render((element,), compiler)

"""From expressions to one SELECT of nested derived tables, one for each level of sharing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.sql_scoring.expressions import Base, Column, Expression, Shared, Sql, joined

__all__ = ["Stages", "only_if"]

# A database that merges a derived table into the query around it computes a shared expression once
# for each use. PostgreSQL and SQLite stream the rows of these; MySQL and MariaDB store them.
_STREAMED = {"postgresql": "OFFSET 0", "sqlite": "LIMIT -1 OFFSET 0"}
_STORED = dict.fromkeys(("mysql", "mariadb"), "LIMIT 18446744073709551615")
_ROW_OK = "row_ok"


class Stages:
    """Expressions over the columns of rows, and the derived tables that they take."""

    def __init__(
        self, outputs: Mapping[str, Expression], conditions: Sequence[Expression] = ()
    ) -> None:
        """Name what is computed once for each row; an expression belongs to one `Stages` only.

        Args:
            outputs: expressions by the name of their column.
            conditions: where one is not true, the outputs are NULL.
        """
        self._outputs, self._conditions = dict(outputs), list(conditions)
        self._levels = _levels([*self._outputs.values(), *conditions])
        _name_columns(
            self._levels, [*self._outputs.values(), *(x for x in conditions if _level(x))]
        )

    def select(
        self, rows: sa.FromClause, passed: Mapping[str, sa.ColumnElement[Any]]
    ) -> sa.Select[Any]:
        """Return a SELECT of columns of the rows, such as their id, and of the outputs.

        Args:
            rows: the rows that are scored.
            passed: columns of `rows` by the name that they get; no name is one of the outputs.
        """
        outputs, pending = self._outputs, self._conditions
        carried: list[Column | Shared] = []
        checked, columns_of = False, dict(passed)
        for level, made in self._levels.items():
            ready = [x for x in pending if _level(x) < level]
            pending = [x for x in pending if _level(x) >= level]
            needed = self._needed_above(level, pending)
            base = rows if level == 1 else None
            if base is not None:
                carried = sorted(
                    (x for x in needed if isinstance(x, Column)), key=lambda x: x.order
                )
            carried = [x for x in carried if x in needed]
            columns: list[sa.ColumnElement[Any]] = _labelled(columns_of)
            if ready or checked:
                columns.append(_at(base, _only_if(ready, checked, Sql("1"))).label(_ROW_OK))
            columns += [_at(base, x).label(x.name) for x in carried]
            columns += [_at(base, x.inner).label(x.name) for x in made]
            checked = checked or bool(ready)
            carried += made
            table = _unmerged(sa.select(*columns).select_from(rows), made).subquery(f"s{level}")
            rows, columns_of = table, {name: table.c[name] for name in passed}
        base = None if self._levels else rows
        final = [
            _at(base, _only_if(pending, checked, x)).label(name) for name, x in outputs.items()
        ]
        return sa.select(*_labelled(columns_of), *final).select_from(rows)

    def _needed_above(self, level: int, pending: Sequence[Expression]) -> set[Column | Shared]:
        above = [x.inner for number, made in self._levels.items() if number > level for x in made]
        return {x for y in [*self._outputs.values(), *pending, *above] for x in _reads(y)}


def _labelled(columns: Mapping[str, sa.ColumnElement[Any]]) -> list[sa.ColumnElement[Any]]:
    return [column.label(name) for name, column in columns.items()]


def only_if(conditions: Sequence[Expression], value: Expression) -> Expression:
    """Return an expression that is NULL where one of the conditions is not true."""
    return _only_if(conditions, False, value)


def _at(rows: sa.FromClause | None, expression: Expression) -> Expression:
    return expression if rows is None else Base(expression, rows)


def _levels(roots: Sequence[Expression]) -> dict[int, list[Shared]]:
    """Name the shared expressions that become columns; return them by level, from 1."""
    uses: Counter[Shared] = Counter()
    stack = list(roots)
    while stack:
        for shared, count in stack.pop().uses.items():
            if isinstance(shared, Shared):
                if not uses[shared]:
                    stack.append(shared.inner)
                uses[shared] += count
    levels: dict[int, list[Shared]] = {}
    for shared in sorted(uses, key=lambda x: x.order):  # what is in an expression was made before
        shared.name = ""
        shared.level = _level(shared.inner) + 1
        if uses[shared] > 1 or shared.deep:
            levels.setdefault(shared.level, []).append(shared)
            shared.name = f"x{sum(map(len, levels.values()))}"
    return dict(sorted(levels.items()))


def _name_columns(levels: dict[int, list[Shared]], above: Sequence[Expression]) -> None:
    """Name the columns of the rows that expressions above the first derived table need."""
    if not levels:
        return
    higher = [x.inner for level, group in levels.items() if level > 1 for x in group]
    for expression in [*above, *higher]:
        for column in _reads(expression):
            if isinstance(column, Column):
                column.name = f"c{column.order}"


def _reads(expression: Expression) -> set[Column | Shared]:
    """Return the columns of derived tables, and of the rows, that an expression reads."""
    columns: set[Column | Shared] = set()
    stack = [expression]
    while stack:
        for part in stack.pop().uses:
            if isinstance(part, Column) or part.name:
                columns.add(part)
            else:
                stack.append(part.inner)
    return columns


def _level(expression: Expression) -> int:
    """Return how many derived tables are below an expression."""
    return max((x.level for x in _reads(expression) if isinstance(x, Shared)), default=0)


def _only_if(conditions: Sequence[Expression], checked: bool, value: Expression) -> Expression:
    tests: list[Any] = [*([f"{_ROW_OK} = 1"] if checked else []), *conditions]
    if not tests:
        return value
    text = isinstance(value.type, sa.Text)
    return Sql("CASE WHEN ", *joined(" AND ", tests), " THEN ", value, " END", text=text)


def _unmerged(select: sa.Select[Any], made: list[Shared]) -> sa.Select[Any]:
    endings = _STREAMED if all(x.cheap for x in made) else {**_STREAMED, **_STORED}
    for dialect, ending in endings.items():
        select = select.suffix_with(sa.text(ending), dialect=dialect)
    return select

"""Functions that no database may overflow in: logistic, softmax, exponential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mfprefect.sql_scoring.expressions import Expression, Number, Shared, Sql, joined
from mfprefect.sql_scoring.values import LARGEST

__all__ = ["divided", "exponential", "finite", "greatest", "logistic", "shared", "softmax", "total"]

# exp of -708 is the last normal double; PostgreSQL raises an error where a result underflows.
_LOWEST, _HIGHEST = Number(-708.0), Number(709.0)
_TERMS = 200
"""Terms of a sum; SQLite's expressions have at most 1,000 levels."""


def shared(expression: Expression) -> Shared:
    """Return an expression that is computed once for each row."""
    return expression if isinstance(expression, Shared) else Shared(expression)


def finite(expression: Expression) -> Sql:
    """Return the condition that a number is neither NULL, NaN nor infinite."""
    return Sql(expression, " BETWEEN ", Number(-LARGEST), " AND ", Number(LARGEST))


def exponential(x: Expression) -> Sql:
    """Return e to the power of a shared number; NULL if that is no double."""
    return Sql(
        *("CASE WHEN ", x, " BETWEEN ", _LOWEST, " AND ", _HIGHEST, " THEN EXP(", x, ")"),
        *(" WHEN ", x, " < ", _LOWEST, " THEN ", Number(0.0), " END"),
    )


def logistic(x: Expression) -> Sql:
    """Return 1 / (1 + exp(-x)) of a shared number."""
    return Sql(
        *("CASE WHEN ", x, " BETWEEN ", _LOWEST, " AND ", _HIGHEST),
        *(" THEN ", Number(1.0), " / (", Number(1.0), " + EXP(-", x, "))"),
        *(" WHEN ", x, " > ", _HIGHEST, " THEN ", Number(1.0)),
        *(" WHEN ", x, " < ", _LOWEST, " THEN ", Number(0.0), " END"),
    )


def softmax(scores: Sequence[Expression]) -> tuple[Shared, ...]:
    """Return the share of each score's exponential in their sum."""
    inputs = [shared(score) for score in scores]
    most = Shared(greatest(inputs), cheap=True)
    powers = [
        shared(
            Sql(
                *("CASE WHEN ", x, " - ", most, " > ", _LOWEST, " THEN EXP(", x, " - ", most, ")"),
                *(" WHEN ", x, " < ", most, " THEN ", Number(0.0), " END"),
            )
        )
        for x in inputs
    ]
    return divided(powers, total(powers))


def one_versus_rest(parts: Sequence[Expression]) -> tuple[Shared, ...]:
    """Return each probability divided by their sum; equal ones where that is 0."""
    whole = shared(total(parts))
    equal = Number(1.0 / len(parts))
    return tuple(
        shared(
            Sql(
                *("CASE WHEN ", whole, " = ", Number(0.0), " THEN ", equal),
                *(" ELSE ", part, " / ", whole, " END"),
            )
        )
        for part in parts
    )


def divided(parts: Sequence[Expression], whole: Expression) -> tuple[Shared, ...]:
    """Return each part divided by the whole."""
    return tuple(shared(Sql(part, " / (", whole, ")")) for part in parts)


def total(terms: Sequence[Expression | Number]) -> Sql:
    """Return a sum, from left to right."""
    if len(terms) <= _TERMS:
        return Sql(*joined(" + ", terms))
    groups: list[Any] = [terms[at : at + _TERMS] for at in range(0, len(terms), _TERMS)]
    return Sql(*joined(" + ", (Sql("(", total(group), ")") for group in groups)))


def greatest(values: Sequence[Expression]) -> Sql:
    """Return the highest of shared numbers; any of them, if one is NULL."""
    parts: list[Any] = []
    for place, x in enumerate(values[:-1]):
        tests = (Sql(x, " >= ", y) for y in values[place + 1 :])
        parts += [" WHEN ", *joined(" AND ", tests), " THEN ", x]
    return Sql("CASE", *parts, " ELSE ", values[-1], " END")

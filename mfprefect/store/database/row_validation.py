"""Checks that every database can store a row exactly, before it is sent."""

from __future__ import annotations

import datetime as dt
import functools
import numbers
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.schema import Blob, Double, Id, Instant, LongText
from mfprefect.util import values

__all__ = ["MALFORMED", "check_lengths", "check_row", "typed", "with_instants"]

MALFORMED = (ValueError, LookupError, TypeError, AttributeError, OverflowError)
"""Errors that a malformed document can raise."""

_BITS = {sa.BigInteger: 63, sa.Integer: 31}


def check_lengths(table: sa.Table, row: Mapping[str, Any]) -> None:
    """Refuse text that is too long or not valid for a database, and integers out of range.

    Raises:
        InvalidValue: not every database can store a value of the row exactly.
    """
    lengths, bits = _limits(table)
    for key, value in row.items():
        if isinstance(value, str):
            values.text(value, f"{key} of {table.name}")
            if len(value) > lengths.get(key, len(value)):
                raise InvalidValue(
                    f"{key} of {table.name}, {value[:60]!r}.., has {len(value)} characters; at "
                    f"most {lengths[key]} fit."
                )
        elif key in bits and value is not None and not _within(value, 2 ** bits[key]):
            raise InvalidValue(
                f"{key} of {table.name} is {value!r}, not an integer of {bits[key] + 1} bits."
            )


_KINDS: dict[type[sa.types.TypeEngine[Any]], tuple[type, ...]] = {
    **{Id: (str,), LongText: (str,), Double: (float, int), Blob: (bytes,)},
    **{sa.Boolean: (bool,), sa.Integer: (int,), sa.BigInteger: (int,)},
    **{Instant: (dt.datetime,), sa.Date: (dt.date,)},
}


def check_row(table: sa.Table, row: Mapping[str, Any]) -> None:
    """Refuse a row of an untrusted file whose values do not have the types of the table.

    Some databases would store text in a number's column. The database itself refuses a missing
    column.

    Raises:
        InvalidValue: a column is unknown, or a value has the wrong type or does not fit.
    """
    for key, value in row.items():
        if key not in table.c:
            raise InvalidValue(f"the table {table.name} has no column {key[:60]!r}.")
        column = table.c[key]
        if value is None and not column.nullable:
            raise InvalidValue(f"{key} of {table.name} is missing.")
        # The exact type: to Python, True is an integer, too.
        if value is not None and type(value) not in _KINDS[type(column.type)]:
            raise InvalidValue(
                f"{key} of {table.name} is of type {type(value).__name__}, and must be "
                f"{_KINDS[type(column.type)][0].__name__}."
            )
        if isinstance(value, dt.datetime) and value.tzinfo is None:
            raise InvalidValue(f"{key} of {table.name}, {value}, has no time zone.")
        if isinstance(column.type, Double) and value is not None:
            values.figure(value, f"{key} of {table.name}")
    check_lengths(table, row)


def typed(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a JSON document with its dates and instants parsed."""

    def value(column: sa.Column[Any]) -> Any:
        raw = row.get(column.key)
        if raw is None:
            return None
        if isinstance(column.type, Instant):
            return dt.datetime.fromisoformat(raw)
        return dt.date.fromisoformat(raw) if isinstance(column.type, sa.Date) else raw

    return {column.key: value(column) for column in table.c}


def with_instants(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a JSON document with its instants parsed, and nothing else changed."""
    parsed = dict(row)
    for name in _instants(table) & row.keys():
        if isinstance(row[name], str):
            parsed[name] = dt.datetime.fromisoformat(row[name])
    return parsed


@functools.lru_cache(maxsize=64)
def _instants(table: sa.Table) -> frozenset[str]:
    return frozenset(column.key for column in table.c if isinstance(column.type, Instant))


def _within(value: Any, limit: int) -> bool:
    number: Any = value if isinstance(value, numbers.Real) else None
    return number is not None and bool(-limit <= number < limit)


@functools.lru_cache(maxsize=64)
def _limits(table: sa.Table) -> tuple[dict[str, int], dict[str, int]]:
    lengths = {c.key: c.type.length for c in table.c if isinstance(c.type, Id) and c.type.length}
    bits = {c.key: size for c in table.c for kind, size in _BITS.items() if type(c.type) is kind}
    return lengths, bits

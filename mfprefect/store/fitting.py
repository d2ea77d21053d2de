"""Rows that every database can keep exactly: what does not fit is refused before it is sent."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect import values
from mfprefect.errors import InvalidValue
from mfprefect.schema import Id

__all__ = ["check_fits"]

_BITS = {sa.BigInteger: 63, sa.Integer: 31}


def check_fits(table: sa.Table, row: Mapping[str, Any]) -> None:
    """Refuse text that is too long or no text for a database, and integers out of range.

    Raises:
        InvalidValue: a value of the row would not be stored exactly, or not by every database.
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
                f"{key} of {table.name} is {value!r}, no integer of {bits[key] + 1} bits."
            )


def _within(value: Any, limit: int) -> bool:
    number: Any = value if isinstance(value, numbers.Real) else None
    return number is not None and bool(-limit <= number < limit)


@functools.lru_cache(maxsize=64)
def _limits(table: sa.Table) -> tuple[dict[str, int], dict[str, int]]:
    lengths = {c.key: c.type.length for c in table.c if isinstance(c.type, Id) and c.type.length}
    bits = {c.key: size for c in table.c for kind, size in _BITS.items() if type(c.type) is kind}
    return lengths, bits

"""Data types: their limits, and how SQLite stores their values.

Dates and timestamps are stored as text that begins with a noncharacter, which no bound text can
contain: they stay recognisable after any expression, and compare in order.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
from dataclasses import dataclass
from typing import Any

from mfprefect_dev.teradata.errors import Refused

__all__ = [
    "LOBS",
    "LONGEST",
    "MARK",
    "WHOLE",
    "Type",
    "bound",
    "date_mark",
    "returned",
    "timestamp_mark",
    "without_pass_through",
]

LOBS = ("CLOB", "BLOB")
LONGEST = {"UNICODE": 32_000, "LATIN": 64_000}
"""Characters in a VARCHAR."""
MARK = "\ufffe"
WHOLE = {"BYTEINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}
# Without pass-through, a session takes only the basic plane of Unicode 6.0 without its private
# characters. Of the blocks that have grown since, this knows the currencies.
_BEYOND = re.compile("[\U00010000-\U0010ffff\ue000-\uf8ff\u20ba-\u20cf]")
_NO_CHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
    + "]"
)


@dataclass(frozen=True)
class Type:
    """A data type of a column or a cast."""

    name: str
    length: int = 0
    scale: int = 0
    charset: str = ""

    @property
    def lob(self) -> bool:
        """Whether it is a large object, which cannot be compared."""
        return self.name in LOBS

    def affinity(self) -> str:
        """Return the type of the column in SQLite."""
        if self.name in WHOLE:
            return "INTEGER"
        return {"FLOAT": "REAL", "BLOB": "BLOB", "VARBYTE": "BLOB", "BYTE": "BLOB"}.get(
            self.name, "NUMERIC" if self.name in ("DECIMAL", "NUMBER") else "TEXT"
        )

    def check(self, column: str) -> tuple[int, str] | None:
        """Return the error code and the CHECK condition of a quoted column; None for no check."""
        if self.name in WHOLE:
            most = 1 << WHOLE[self.name]
            inside = f"{column} BETWEEN {-most} AND {most - 1}"
            return 2617, f"typeof({column}) = 'integer' AND {inside}"
        if self.name in ("VARCHAR", "CHAR", "CLOB"):
            return 3996, f"typeof({column}) = 'text' AND length({column}) <= {self.length}"
        if self.name in ("VARBYTE", "BYTE", "BLOB"):
            return 3996, f"typeof({column}) = 'blob' AND length({column}) <= {self.length}"
        if self.name == "FLOAT":
            return 2621, f"typeof({column}) = 'real'"
        if self.name == "TIMESTAMP":
            return 6760, f"substr({column}, 1, 2) = '{MARK}T'"
        if self.name == "DATE":
            return 2665, f"substr({column}, 1, 2) = '{MARK}D'"
        return None

    def __str__(self) -> str:
        if self.name in ("DECIMAL", "NUMBER") and self.length:
            return f"{self.name}({self.length}, {self.scale})"
        length = f"({self.length})" if self.length else ""
        return f"{self.name}{length}" + (f" CHARACTER SET {self.charset}" if self.charset else "")


def timestamp_mark(value: dt.datetime, zone: dt.timedelta = dt.timedelta()) -> str:
    """Return the stored text of a timestamp, which is UTC; the value is of a session's zone.

    https://docs.teradata.com: SQL Data Types and Literals, 17.10, Time Zones (TimeDateWZControl 2).
    """
    if value.tzinfo is not None:
        raise Refused(3706, "TIMESTAMP WITH TIME ZONE is not emulated")
    value -= zone
    return f"{MARK}T{value:%Y-%m-%d %H:%M:%S.%f}"


def date_mark(value: dt.date) -> str:
    """Return the stored text of a date."""
    return f"{MARK}D{value:%Y-%m-%d}"


def bound(value: Any, place: str, pass_through: bool, zone: dt.timedelta = dt.timedelta()) -> Any:
    """Convert a value bound by the driver's caller to one that SQLite stores.

    A timestamp is of the session's `zone`.

    Raises:
        TypeError: the value has no plain Python type, which the driver refuses too.
        Refused: the database cannot store the number or character.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            value = _text_in(value, pass_through)
        return value
    if kind is int or kind is bytes or value is None:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise Refused(2621, place)
        return value
    if kind is bool:
        return int(value)
    if kind is dt.datetime:
        return timestamp_mark(value, zone)
    if kind is dt.date:
        return date_mark(value)
    if kind is decimal.Decimal:
        return int(value) if value == value.to_integral_value() else float(value)
    if kind is bytearray:
        return bytes(value)
    if isinstance(value, str):  # SQLAlchemy's quoted names, for example
        return bound("".join(value), place, pass_through)
    if isinstance(value, int | float):  # numpy's doubles are floats, its integers are not ints
        return bound(int(value) if isinstance(value, int) else float(value), place, pass_through)
    raise TypeError(f"{place} unexpected type {kind}")


def _text_in(value: str, pass_through: bool) -> str:
    if not pass_through and (_BEYOND.search(value) or _NO_CHARACTER.search(value)):
        raise Refused(6706)
    return _NO_CHARACTER.sub("\ufffd", value)


def without_pass_through(text: str) -> str:
    """Return a text as a session without Unicode pass-through gets it."""
    return text if text.isascii() else _BEYOND.sub("\ufffd", text)


def returned(value: Any, zone: dt.timedelta = dt.timedelta()) -> Any:
    """Convert a value from SQLite to the one that the driver returns, in the session's zone."""
    if type(value) is str and value[:1] == MARK:
        if value[1] == "T":
            return dt.datetime.fromisoformat(value[2:]) + zone
        return dt.date.fromisoformat(value[2:])
    return value


def number_kind(text: str) -> str:
    """Return the type of a numeric literal."""
    return "INTEGER" if text.isdigit() else "FLOAT" if "E" in text.upper() else "DECIMAL"

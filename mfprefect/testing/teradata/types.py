"""Data types: which there are, what they hold, and how SQLite keeps it.

Points in time are kept as text that begins with a noncharacter, which no bound text can hold: so
they are known for what they are after any expression, and compare as they should.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mfprefect.testing.teradata.errors import Refused

if TYPE_CHECKING:
    from mfprefect.testing.teradata.reader import Reader

__all__ = ["LOBS", "Type", "bound", "data_type", "date_mark", "returned", "timestamp_mark"]

LOBS = ("CLOB", "BLOB")
LONGEST = {"UNICODE": 32_000, "LATIN": 64_000}
"""Characters in a VARCHAR."""
MARK = "\ufffe"
_WHOLE = {"BYTEINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}
# In a session without pass-through, only characters of Unicode 6.0's basic plane.
_BEYOND = re.compile("[\U00010000-\U0010ffff]")
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
        """Whether it may not be compared."""
        return self.name in LOBS

    def affinity(self) -> str:
        """Return SQLite's type of a column."""
        if self.name in _WHOLE:
            return "INTEGER"
        return {"FLOAT": "REAL", "BLOB": "BLOB", "VARBYTE": "BLOB", "BYTE": "BLOB"}.get(
            self.name, "NUMERIC" if self.name in ("DECIMAL", "NUMBER") else "TEXT"
        )

    def check(self, column: str) -> tuple[int, str] | None:
        """Return what SQLite has to check of a quoted column, and the error if it is not so."""
        if self.name in _WHOLE:
            most = 1 << _WHOLE[self.name]
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


def data_type(reader: Reader) -> Type:
    """Take a data type."""
    word = reader.take().text
    if word in _WHOLE:
        return Type(word)
    if word in ("FLOAT", "REAL", "DOUBLE"):
        if word == "DOUBLE":
            reader.expect("PRECISION")
        return Type("FLOAT")
    if word in ("DECIMAL", "NUMERIC", "NUMBER"):
        return _decimal(reader, "NUMBER" if word == "NUMBER" else "DECIMAL")
    if word in ("VARCHAR", "CHAR", "CHARACTER", "CLOB"):
        return _text(reader, "CHAR" if word == "CHARACTER" else word)
    if word in ("VARBYTE", "BYTE", "BLOB"):
        most = 2_097_088_000 if word == "BLOB" else 64_000
        return Type(word, _length(reader, most, most if word == "BLOB" else 1))
    if word == "DATE":
        return Type("DATE")
    if word in ("TIMESTAMP", "TIME"):
        if reader.accept("("):
            if (digits := reader.whole()) != 6:
                raise Refused(3706, f"{word}({digits}) is not emulated, {word}(6) is")
            reader.expect(")")
        return Type(word, 6)
    reader.at -= 1
    raise reader.unexpected("expected a data type")


def _length(reader: Reader, most: int, default: int) -> int:
    if not reader.accept("("):
        return default
    length = reader.whole()
    if not 1 <= length <= most:
        raise Refused(3706, f"the length {length} is not between 1 and {most}")
    reader.expect(")")
    return length


def _decimal(reader: Reader, name: str) -> Type:
    precision = scale = 0
    if reader.accept("("):
        precision = reader.whole()
        if reader.accept(","):
            scale = reader.whole()
        reader.expect(")")
    return Type(name, precision, scale)


def _text(reader: Reader, name: str) -> Type:
    length = 0
    if reader.accept("("):
        length = reader.whole()
        reader.expect(")")
    charset = "LATIN"
    if reader.accept("CHARACTER", "SET"):
        charset = reader.take().text
        if charset not in LONGEST:
            raise Refused(3706, f"the character set {charset} is not emulated")
    while reader.accept("CASESPECIFIC") or reader.accept("NOT", "CASESPECIFIC"):
        if reader.tokens[reader.at - 2].text == "NOT":
            raise Refused(3706, "NOT CASESPECIFIC columns are not emulated")
    most = LONGEST[charset]
    if name == "CLOB":
        most = 1_048_544_000 if charset == "UNICODE" else 2_097_088_000
        length = length or most
    if name == "CHAR":
        length = length or 1
    if not 1 <= length <= most:
        raise Refused(3706, f"{name}({length}) CHARACTER SET {charset} is longer than {most}")
    return Type(name, length, 0, charset)


def timestamp_mark(value: dt.datetime) -> str:
    """Return how a point in time is kept."""
    if value.tzinfo is not None:
        raise Refused(3706, "TIMESTAMP WITH TIME ZONE is not emulated")
    return f"{MARK}T{value:%Y-%m-%d %H:%M:%S.%f}"


def date_mark(value: dt.date) -> str:
    """Return how a date is kept."""
    return f"{MARK}D{value:%Y-%m-%d}"


def bound(value: Any, place: str, pass_through: bool) -> Any:
    """Return how SQLite is given a value that the driver was given.

    Raises:
        TypeError: as the driver does, for anything but the plain types of Python.
        Refused: as the database does, for a number or character that it does not have.
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
        return timestamp_mark(value)
    if kind is dt.date:
        return date_mark(value)
    if kind is decimal.Decimal:
        return int(value) if value == value.to_integral_value() else float(value)
    if kind is bytearray:
        return bytes(value)
    if isinstance(value, str):  # as SQLAlchemy's quoted names are
        return bound("".join(value), place, pass_through)
    if isinstance(value, int | float):  # numpy's doubles are floats; its integers are no int
        return bound(int(value) if isinstance(value, int) else float(value), place, pass_through)
    raise TypeError(f"{place} unexpected type {kind}")


def _text_in(value: str, pass_through: bool) -> str:
    if not pass_through and (_BEYOND.search(value) or _NO_CHARACTER.search(value)):
        raise Refused(6706)
    return _NO_CHARACTER.sub("\ufffd", value)


def returned(value: Any) -> Any:
    """Return what the driver returns for what SQLite kept."""
    if type(value) is str and value[:1] == MARK:
        if value[1] == "T":
            return dt.datetime.fromisoformat(value[2:])
        return dt.date.fromisoformat(value[2:])
    return value


def number_kind(text: str) -> str:
    """Return the type of a number that is written out."""
    return "INTEGER" if text.isdigit() else "FLOAT" if "E" in text.upper() else "DECIMAL"

"""Column types of the schema on Teradata, and texts that it cannot store exactly."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.ext.compiler import compiles

from mfprefect.errors import InvalidValue
from mfprefect.schema import Blob, Double, Id, LongText, Timestamp

__all__ = ["COLSPECS", "NONCHARACTER", "has_long_text", "pass_through_pattern", "why_not_storable"]

# Unicode pass-through still turns these into U+FFFD.
NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(chr(plane * 0x10000 + end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
    + "]"
)


INLINE_BYTES = 64_000
"""The longest text that the driver sends within a request."""


def has_long_text(row: Sequence[Any]) -> bool:
    """Return whether a row has a text that the driver sends after its request."""
    return any(
        isinstance(value, str)
        and len(value) * 4 > INLINE_BYTES
        and max(len(value.encode()), 2 * len(value)) > INLINE_BYTES
        for value in row
    )


@functools.cache
def pass_through_pattern() -> str:
    """Return the regular expression of characters that need Unicode pass-through.

    Teradata itself has the basic plane of Unicode 6.0 without private characters. Python has the
    tables of 3.2, a part of it: a newer character is counted among those that need pass-through.
    """
    old = unicodedata.ucd_3_2_0
    plain = [chr(n) for n in range(0x10000) if old.category(chr(n)) not in ("Cn", "Co", "Cs")]
    ranges = []
    for _, group in itertools.groupby(enumerate(plain), lambda pair: ord(pair[1]) - pair[0]):
        run = [character for _, character in group]
        ranges.append(f"\\x{{{ord(run[0]):x}}}-\\x{{{ord(run[-1]):x}}}")
    return f"[^{''.join(ranges)}]"


class Refused(InvalidValue, DontWrapMixin):
    """A text that Teradata would change, or take for another one."""


def why_not_storable(text: str, length: int | None, *, compared: bool) -> str | None:
    """Return why Teradata cannot store a text exactly, None if it can.

    Args:
        text: the text.
        length: the column's length in UTF-16 units, None for a CLOB.
        compared: whether the column is compared, like names and ids.
    """
    if compared and text.endswith(" "):
        return "ends with a blank, which Teradata ignores when it compares names; strip it"
    if NONCHARACTER.search(text):
        return "has a Unicode noncharacter, which Teradata turns into U+FFFD; remove it"
    if length is not None and len(text) * 2 > length:
        units = len(text.encode("utf-16-le")) // 2
        if units > length:
            return f"has {units} UTF-16 units, but the column takes {length}; shorten it"
    return None


def _refuse(text: Any, length: int | None, compared: bool) -> Any:
    if isinstance(text, str) and (reason := why_not_storable(text, length, compared=compared)):
        raise Refused(f"{text[:80]!r} {reason}.")
    return text


class _Id(Id):
    def bind_processor(self, dialect: Any) -> Any:
        length = self.length
        return lambda text: _refuse(text, length, True)


class _LongText(LongText):
    def bind_processor(self, dialect: Any) -> Any:
        return lambda text: _refuse(text, None, False)


class _Double(Double):
    """Sends -0.0 as 0.0, which is equal: Teradata does not document the fate of the sign."""

    def bind_processor(self, dialect: Any) -> Any:
        return lambda value: value if value is None else float(value) + 0.0

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return lambda value: value if value is None else float(value)


class _Integer(sa.Integer):
    """Counts and sums are DECIMAL in an ANSI session."""

    def bind_processor(self, dialect: Any) -> Any:
        # the driver raises TypeError for numpy's integers
        return lambda value: value if value is None else int(value)

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return lambda value: int(value) if isinstance(value, Decimal) else value


class _BigInteger(_Integer, sa.BigInteger):
    pass


COLSPECS = {
    Id: _Id,
    LongText: _LongText,
    Double: _Double,
    sa.BigInteger: _BigInteger,
    sa.Integer: _Integer,
}


def _text(length: int | None, **options: Any) -> str:
    # CASESPECIFIC is for columns only, not for casts. An ANSI session defaults to it; the script
    # must say so.
    case = " CASESPECIFIC" if isinstance(options.get("type_expression"), sa.Column) else ""
    return f"VARCHAR({length}) CHARACTER SET UNICODE{case}"


@compiles(Id, "teradatasql")
def _id(element: Id, compiler: Any, **options: Any) -> str:
    return _text(element.length, **options)


@compiles(LongText, "teradatasql")
def _long_text(element: LongText, compiler: Any, **options: Any) -> str:
    return "CLOB CHARACTER SET UNICODE"


@compiles(Blob, "teradatasql")
def _blob(element: Blob, compiler: Any, **options: Any) -> str:
    return f"BLOB({element.length})"


@compiles(Double, "teradatasql")
def _double(element: Double, compiler: Any, **options: Any) -> str:
    return "DOUBLE PRECISION"


@compiles(Timestamp, "teradatasql")
def _timestamp(element: Timestamp, compiler: Any, **options: Any) -> str:
    return "TIMESTAMP(6)"

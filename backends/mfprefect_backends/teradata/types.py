"""Our column types as Teradata has them, and what must not reach it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.ext.compiler import compiles

from mfprefect.errors import InvalidValue
from mfprefect.schema import Blob, Double, Id, LongText, Timestamp

__all__ = ["COLSPECS", "NONCHARACTER", "why_not_storable"]

# A session that passes Unicode through still makes U+FFFD of these.
NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(chr(plane * 0x10000 + end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
    + "]"
)


class Refused(InvalidValue, DontWrapMixin):
    """A text that would not come back, or would be taken for another one."""


def why_not_storable(text: str, length: int | None, *, compared: bool) -> str | None:
    """Return why Teradata cannot keep a text exactly, None where it can.

    Args:
        text: what is to be stored.
        length: of the column, which counts UTF-16 units.
        compared: whether it is a name that others are told from.
    """
    if compared and text.endswith(" "):
        return "ends with a blank, and Teradata takes it for the same name without; strip it"
    if NONCHARACTER.search(text):
        return "holds a Unicode noncharacter, of which Teradata makes U+FFFD; remove it"
    if length is not None and len(text) * 2 > length:
        units = len(text.encode("utf-16-le")) // 2
        if units > length:
            return f"has {units} UTF-16 units, and Teradata's column holds {length}; shorten it"
    return None


def _refuse(text: Any, length: int | None, compared: bool) -> Any:
    if isinstance(text, str) and (why := why_not_storable(text, length, compared=compared)):
        raise Refused(f"{text[:80]!r} {why}.")
    return text


class _Id(Id):
    def bind_processor(self, dialect: Any) -> Any:
        length = self.length
        return lambda text: _refuse(text, length, True)


class _LongText(LongText):
    def bind_processor(self, dialect: Any) -> Any:
        return lambda text: _refuse(text, None, False)


class _Double(Double):
    """Sends -0.0 as 0.0, which is equal to it: what becomes of the sign is not documented."""

    def bind_processor(self, dialect: Any) -> Any:
        return lambda value: value if value is None else float(value) + 0.0

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        return lambda value: value if value is None else float(value)


class _Integer(sa.Integer):
    """Counts and sums are DECIMAL in an ANSI session."""

    def bind_processor(self, dialect: Any) -> Any:
        # numpy's integers are a TypeError to the driver
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
    # CASESPECIFIC belongs to a column; it is what an ANSI session makes anyway, said aloud.
    case = " CASESPECIFIC" if options.get("type_expression") is not None else ""
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

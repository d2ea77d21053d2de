"""The grammar of data types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.types import LONGEST, WHOLE, Type

if TYPE_CHECKING:
    from mfprefect_dev.teradata.sql.reader import Reader

__all__ = ["data_type"]


def data_type(reader: Reader) -> Type:
    """Take a data type."""
    word = reader.take().text
    if word in WHOLE:
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

"""Column types and lengths; backends say how their database writes each type."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from mfprefect.errors import InvalidValue

__all__ = [
    "DIGEST_LENGTH",
    "ENTITY_ID_LENGTH",
    "GATE_LENGTH",
    "KEY_ID_LENGTH",
    "MODEL_ID_LENGTH",
    "NAME_LENGTH",
    "PARAM_LENGTH",
    "SESSION_ID_LENGTH",
    "SIGNATURE_LENGTH",
    "Blob",
    "Double",
    "Id",
    "Instant",
    "LongText",
    "Timestamp",
]

MODEL_ID_LENGTH = 64
SESSION_ID_LENGTH = 96
ENTITY_ID_LENGTH = 255
NAME_LENGTH = 128
PARAM_LENGTH = 255
DIGEST_LENGTH = 64
KEY_ID_LENGTH = 32
SIGNATURE_LENGTH = 128
GATE_LENGTH = 1024


class Id(sa.String):
    """A name or identifier, compared byte by byte: `a`, `A` and `a ` are three values."""


class LongText(sa.Text):
    """Text of any length."""


class Blob(sa.LargeBinary):
    """Bytes, at most 4 MiB a row."""


class Double(sa.Double[float]):
    """An IEEE 754 double, stored bit for bit, including -0.0 and denormals."""


class Timestamp(sa.DateTime):
    """A point in time with microseconds, in the database's own type."""


class Instant(sa.TypeDecorator[dt.datetime]):
    """A UTC instant. Takes and returns aware datetimes; refuses naive ones."""

    impl = Timestamp
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive datetime; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise InvalidValue(
                f"{value!r} has no time zone, and this column stores instants; "
                "pass an aware datetime such as datetime.now(timezone.utc)."
            )
        return value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        """Return the stored UTC instant as an aware datetime."""
        return None if value is None else value.replace(tzinfo=dt.UTC)

"""Functions of Teradata that SQLite lacks."""

from __future__ import annotations

import datetime as dt
import sqlite3
import zlib
from typing import Any, Protocol

from mfprefect_dev.teradata.engine.system import System
from mfprefect_dev.teradata.errors import Refused
from mfprefect_dev.teradata.types import MARK, date_mark, returned, timestamp_mark

__all__ = ["add_functions"]

BUCKETS = 2**20
"""How many hash buckets there are."""


class SessionState(Protocol):
    """The attributes of a session that its SQL functions use."""

    user: str
    number: int
    system: System
    band: dict[str, str]
    zone: dt.timedelta
    refused: Refused | None


def _text(value: Any, length: int, zone: dt.timedelta) -> Any:
    if value is None:
        return None
    if isinstance(value, bytes):
        raise Refused(3532)
    text = value
    if isinstance(value, str) and value[:1] == MARK:
        moment = returned(value, zone)
        text = f"{moment:%Y-%m-%d %H:%M:%S.%f}" if value[1] == "T" else moment.isoformat()
    if isinstance(text, float):
        text = f"{text:.14E}"
    text = str(text)
    if len(text.rstrip(" ")) > length:
        raise Refused(3996)
    return text[:length]


def _number(value: Any, affinity: str) -> Any:
    if value is None:
        return None
    try:
        if affinity == "REAL":
            return float(value)
        number = float(value) if isinstance(value, str) else value
        return int(number) if affinity == "INTEGER" else number
    except (TypeError, ValueError):
        raise Refused(2621, "a text") from None


def _divide(left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    if right == 0:
        raise Refused(2618)
    if isinstance(left, int) and isinstance(right, int):
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right


def _date(value: Any, zone: dt.timedelta) -> Any:
    if value is None:
        return None
    if isinstance(value, str) and value[:1] == MARK:
        return date_mark(dt.date.fromisoformat(returned(value, zone).isoformat()[:10]))
    try:
        return date_mark(dt.date.fromisoformat(str(value).strip()))
    except ValueError:
        raise Refused(2665) from None


def _extract(part: str, value: Any, zone: dt.timedelta) -> Any:
    moment = returned(value, zone)
    return None if moment is None else getattr(moment, part.lower())


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def add_functions(sqlite: sqlite3.Connection, session: SessionState) -> None:
    """Register the functions; store their errors for the session to raise."""

    def safe(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except Refused as refused:
                session.refused = refused
                raise

        return call

    for name, count, function in (
        ("td_text", 2, lambda value, length: _text(value, length, session.zone)),
        ("td_number", 2, _number),
        ("td_divide", 2, _divide),
        ("td_date", 1, lambda value: _date(value, session.zone)),
        ("td_extract", 2, lambda part, value: _extract(part, value, session.zone)),
        ("td_local", 1, lambda text: timestamp_mark(dt.datetime.fromisoformat(text), session.zone)),
        ("td_hashrow", 1, lambda value: zlib.crc32(str(value).rstrip(" ").encode())),
        ("td_hashbucket", 1, lambda row_hash: row_hash // (2**32 // BUCKETS)),
        ("td_zeroifnull", 1, lambda value: 0 if value is None else value),
    ):
        sqlite.create_function(name, count, safe(function))  # some by the session's zone
    for name, give in (
        ("td_current_timestamp", lambda: timestamp_mark(_now())),
        ("td_current_date", lambda: date_mark((_now() + session.zone).date())),
        ("td_user", lambda: session.user),
        ("td_database", lambda: session.system.database),
        ("td_session", lambda: session.number),
        ("td_queryband", lambda: "".join(f"{k}={v};" for k, v in session.band.items())),
        ("td_hashamp", lambda: 0),
        ("td_hashbucket", lambda: BUCKETS - 1),
    ):
        sqlite.create_function(name, 0, give)

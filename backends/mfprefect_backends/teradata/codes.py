"""Classify the driver's errors by the numbers in their texts: all are OperationalErrors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mfprefect.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    IntegrityError,
    PermissionDenied,
)

__all__ = [
    "DEADLOCK",
    "DUPLICATE",
    "MISSING",
    "PRESENT",
    "code",
    "driver_errors",
    "is_lost",
    "kind",
]

_CODE = re.compile(r"\[Error (\d+)\]")
_LOST = (
    "Failure sending",
    "Failure receiving",
    "Socket communication failure",
    "connection is closed",
    "connection not established",
    "broken pipe",
    "connection reset",
)

DEADLOCK = 2631
DUPLICATE = frozenset({2801, 2802, 2803})
MISSING = 3807
PRESENT = 3803

# The driver's own: refused, name not found, link broken while sending or receiving.
_LINK = frozenset({444, 447, 493, 502, 801, 804, 808, 812})
_KINDS: dict[int, type[DatabaseError]] = {
    **dict.fromkeys((DEADLOCK, 3111), DatabaseConflict),  # deadlock, timed out
    **dict.fromkeys((2639, 3598, 3603), DatabaseConflict),  # too many at once, concurrent DDL
    **dict.fromkeys((2641, 2828, 2835, 3120, 3897), DatabaseUnavailable),  # restart, recovery
    **dict.fromkeys((2825, 2826), DatabaseUnavailable),  # unknown whether it was done
    **dict.fromkeys(_LINK, DatabaseUnavailable),
    2644: DatabaseUnavailable,  # no space: the spool keeps the run until a DBA adds some
    **dict.fromkeys((*DUPLICATE, 2700, 3604, 3811, 5317), IntegrityError),
    **dict.fromkeys((3523, 3524, 5315), PermissionDenied),
}
# The driver has no session after these.
_GONE = _LINK | {3120, 3897}


def code(error: BaseException) -> int:
    """Return the number of an error of the database or driver, 0 if it has none."""
    match = _CODE.search(str(error))
    return int(match.group(1)) if match else 0


def is_lost(error: BaseException) -> bool:
    """Return whether the connection is lost."""
    text = str(error).casefold()
    return code(error) in _GONE or any(words.casefold() in text for words in _LOST)


@contextmanager
def driver_errors(connection: sa.Connection, statement: str) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy's, in a block that uses the driver directly."""
    error: type[Exception] = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except error as exc:
        if lost := is_lost(exc):
            connection.invalidate(exc)
        raise DBAPIError.instance(statement, None, exc, error, connection_invalidated=lost) from exc


def kind(error: BaseException) -> type[DatabaseError]:
    """Return the error class by number; without one, by whether the connection is lost."""
    error_class = _KINDS.get(code(error))
    if error_class is not None:
        return error_class
    return DatabaseUnavailable if is_lost(error) else DatabaseError

"""What the numbers in the driver's texts mean: every error of it is an OperationalError."""

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

__all__ = ["DUPLICATE", "MISSING", "PRESENT", "code", "is_lost", "kind", "told"]

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

DUPLICATE = frozenset({2801, 2802, 2803})
MISSING = 3807
PRESENT = 3803

# The driver's own: refused, name not found, link broken while sending or receiving.
_LINK = frozenset({444, 447, 493, 502, 801, 804, 808, 812})
_KINDS: dict[int, type[DatabaseError]] = {
    **dict.fromkeys((2631, 3111), DatabaseConflict),  # deadlock, timed out
    **dict.fromkeys((2639, 3598, 3603), DatabaseConflict),  # too many at once, concurrent DDL
    **dict.fromkeys((2641, 2828, 2835, 3120, 3897), DatabaseUnavailable),  # restart, recovery
    **dict.fromkeys((2825, 2826), DatabaseUnavailable),  # whether it was done is not known
    **dict.fromkeys(_LINK, DatabaseUnavailable),
    2644: DatabaseUnavailable,  # no room: a DBA makes some, and the spool keeps a run until then
    **dict.fromkeys((*DUPLICATE, 2700, 3604, 3811, 5317), IntegrityError),
    **dict.fromkeys((3523, 3524, 5315), PermissionDenied),
}
# After these the driver has no session any more.
_GONE = _LINK | {3120, 3897}


def code(error: BaseException) -> int:
    """Return the number of the database's or driver's error, 0 where it has none."""
    found = _CODE.search(str(error))
    return int(found.group(1)) if found else 0


def is_lost(error: BaseException) -> bool:
    """Return whether the connection is gone."""
    text = str(error).casefold()
    return code(error) in _GONE or any(words.casefold() in text for words in _LOST)


@contextmanager
def told(connection: sa.Connection, statement: str) -> Iterator[None]:
    """Raise as SQLAlchemy's what the driver raises, where it is used directly."""
    error: type[Exception] = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except error as exc:
        if lost := is_lost(exc):
            connection.invalidate(exc)
        raise DBAPIError.instance(statement, None, exc, error, connection_invalidated=lost) from exc


def kind(error: BaseException) -> type[DatabaseError]:
    """Return which of our errors it is; the number says, and the link where there is none."""
    known = _KINDS.get(code(error))
    if known is not None:
        return known
    return DatabaseUnavailable if is_lost(error) else DatabaseError

"""Listings in pages: each begins after the last row of the one before, found by its key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.store.database import Database
from mfprefect.store.results.frames import selected_sessions, sessions_source

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sessions_page"]


def sessions_page(
    db: Database,
    limit: int,
    after: Sequence[Any] | None,
    equal: Mapping[str, str | None],
    **choices: Any,
) -> tuple[pd.DataFrame, list[Any] | None]:
    """Return a page of sessions, newest first, and where the next one begins: None at the end.

    Args:
        db: the database.
        limit: the most rows of the page.
        after: where it begins, as an earlier page said; None: with the newest.
        equal: columns and the values that they must have; None: any.
        choices: `purpose`, `since` and `trials`, as in `Store.sessions`.

    Raises:
        InvalidValue: `after` is not what a page of this user said.
    """
    source = sessions_source(db)
    select = source.select.where(
        *(source.c[name] == value for name, value in equal.items() if value is not None)
    )
    if after is not None:
        select = select.where(_is_older(source.newest, after))
    frame = db.frame(
        selected_sessions(source._replace(select=select), None, None, limit + 1, **choices)
    )
    page = frame[:limit]
    if len(frame) <= limit or page.empty:
        return page, None
    last = page.iloc[-1]
    return page, [_plain_key(last[str(column.key)]) for column in source.newest]


def _plain_key(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else getattr(value, "item", str)()


def _is_older(
    newest: Sequence[sa.ColumnElement[Any]], after: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """Return the condition that a session comes after a place in the order, newest first."""
    kinds = tuple(column.type.python_type for column in newest)
    try:
        keys = [_key(value, kind) for value, kind in zip(after, kinds, strict=True)]
    except (TypeError, ValueError) as exc:
        raise InvalidValue(
            f"{after!r} is not where a page of sessions ended; begin with the first page."
        ) from exc
    conditions = [
        sa.and_(*(c == k for c, k in zip(newest[:place], keys, strict=False)), newest[place] < key)
        for place, key in enumerate(keys)
    ]
    return sa.or_(*conditions)


def _key(value: Any, kind: type[Any]) -> Any:
    if kind is dt.datetime:
        return dt.datetime.fromisoformat(value)
    if type(value) is not kind or (kind is int and abs(value) >= 2**31):
        raise TypeError
    return value

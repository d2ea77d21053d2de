"""Selects that an index answers: the newest rows of each of many keys, and windows of sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.store.database import Database

__all__ = ["SELECTS", "chunks", "mappings", "union_of", "window"]

SELECTS = 60
"""The most SELECTs of one statement: SQLite takes 500, but planning them takes time."""


def mappings(rows: Iterable[sa.Row[*tuple[Any, ...]]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows as dictionaries by the schema's keys."""
    return [dict(zip(keys, row, strict=True)) for row in rows]


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Yield a sequence in pieces."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def union_of(
    db: Database, selects: Mapping[Any, sa.Select[*tuple[Any, ...]]]
) -> dict[Any, list[dict[str, Any]]]:
    """Run many small selects of the same columns in a few statements.

    Each may have its own order and limit, so that an index finds its rows.

    Args:
        db: the database.
        selects: by any key.

    Returns:
        The rows by key, those without rows as empty lists.
    """
    results: dict[Any, list[dict[str, Any]]] = {key: [] for key in selects}
    for some in chunks(list(selects.items()), SELECTS):
        parts = []
        for number, (_, select) in enumerate(some):
            inner = select.subquery(f"q{number}")
            parts.append(sa.select(sa.literal(number, sa.Integer).label("which"), *inner.c))
        keys = [column.key for column in some[0][1].selected_columns]
        statement = sa.union_all(*parts) if len(parts) > 1 else parts[0]
        for which, *values in db.fetch_all(statement):
            results[some[int(which)][0]].append(dict(zip(keys, values, strict=True)))
    return results


def window(db: Database, size: int, model_id: str | None, before: int | None) -> tuple[int, bool]:
    """Return the lowest number of the newest sessions, and whether there are older ones.

    Args:
        db: the database.
        size: how many sessions at most.
        model_id: only sessions of this model.
        before: only sessions numbered lower.
    """
    s = db.schema.sessions.c
    select = sa.select(s.session_no).order_by(s.session_no.desc()).limit(size + 1)
    if model_id is not None:
        select = select.where(s.model_id == model_id)
    if before is not None:
        select = select.where(s.session_no < before)
    numbers = select.subquery("numbers").c.session_no
    low, count = db.fetch_all(sa.select(sa.func.min(numbers), sa.func.count(numbers)))[0]
    if not count:
        return 0, False
    return int(low) + (1 if count > size else 0), count > size

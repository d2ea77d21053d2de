"""Steps of metrics, read in the order of their seal without holding them all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mfprefect import audit
from mfprefect.store.held_rows import WITHOUT_LOCK

__all__ = ["PAGE", "TABLE", "pages"]

TABLE = "metric_steps"
PAGE = 10_000
"""Rows of a session that are read at once."""


def pages(connection: sa.Connection, table: sa.Table, session_no: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a session as seals cover them, by metric, segment and step.

    Each curve by itself: not every database orders texts by code points, as seals do.
    """
    c = table.c
    of_session = c.session_no == session_no
    curves = sa.select(c.metric_name, c.segment).where(of_session).distinct()
    names = [tuple(row) for row in connection.execute(curves, execution_options=WITHOUT_LOCK)]
    for name, segment in sorted(names):
        of_curve = (of_session, c.metric_name == name, c.segment == segment)
        select = sa.select(table).where(*of_curve).order_by(c.step).limit(PAGE)
        after: tuple[Any, ...] = ()
        while rows := connection.execute(
            select.where(*after), execution_options=WITHOUT_LOCK
        ).all():
            for row in rows:
                plain = audit.plain_row(table, dict(zip(c.keys(), row, strict=True)))
                plain.pop("session_no")
                yield plain
            after = (c.step > row[c.keys().index("step")],)

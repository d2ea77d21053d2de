"""Scores that both models have stored, of the same day of data: compared in the database."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from mfprefect.quality.score_changes import OperatingThreshold, ScoreChanges
from mfprefect.store.database import Database
from mfprefect.store.order import day_of
from mfprefect.store.scores.changes import Pairs, changes_in_database
from mfprefect.store.states import SHADOW_OF, Purpose, Status

__all__ = ["stored_changes"]

NEWEST = 50
"""How many scorings of each model are looked at."""
Row = sa.Row[*tuple[Any, ...]]


def stored_changes(
    db: Database, production: str, candidate: str, threshold: OperatingThreshold | None
) -> tuple[str, ScoreChanges] | None:
    """Compare the newest scorings of two training sessions that are of the same day.

    Returns:
        What was compared, and the changes; None if there is nothing to compare.
    """

    def work(connection: sa.Connection) -> tuple[str, ScoreChanges] | None:
        sides = [_scorings(db, connection, name) for name in (production, candidate)]
        for other in sides[1]:
            for one in sides[0]:
                if not _same_data(one, other):
                    continue
                pairs = _pairs(db, one.session_no, other.session_no)
                count = sa.select(sa.func.count()).select_from(pairs.rows)
                if connection.scalar(count):
                    changes = changes_in_database(connection, pairs, threshold)
                    return f"stored scores of {one.session_id} and {other.session_id}", changes
        return None

    return db.read_snapshot(work)


def _scorings(db: Database, connection: sa.Connection, training: str) -> list[Row]:
    """Return the successful scorings of a training session that have scores, newest first."""
    s, parts = db.schema.sessions.c, db.schema.score_parts.c
    parent = sa.select(s.session_no).where(s.session_id == training)
    select = (
        sa.select(s.session_no, s.session_id, s.as_of, s.started_at, s.params)
        .where(
            s.parent_session_no == parent.scalar_subquery(),
            s.purpose == Purpose.SCORE,
            s.status == Status.SUCCEEDED,
            sa.exists().where(parts.session_no == s.session_no, parts.rows > 0),
        )
        .order_by(s.session_no.desc())
        .limit(NEWEST)
    )
    return list(connection.execute(select))


def _same_data(one: Row, other: Row) -> bool:
    """Return whether the second scored the data of the first, as its shadow or on its own."""
    shadow_of = json.loads(other.params).get(SHADOW_OF)
    same_day: bool = day_of(one) == day_of(other)
    return same_day if shadow_of is None else bool(one.session_id == shadow_of)


def _pairs(db: Database, production: int, candidate: int) -> Pairs:
    one, other = db.schema.scores.alias("one"), db.schema.scores.alias("other")
    select = (
        sa.select(
            one.c.score.label("score_a"),
            other.c.score.label("score_b"),
            one.c.score_class.label("class_a"),
            other.c.score_class.label("class_b"),
        )
        .join_from(one, other, one.c.entity_id == other.c.entity_id)
        .where(one.c.session_no == production, other.c.session_no == candidate)
    )
    return Pairs(select.subquery("joined"))

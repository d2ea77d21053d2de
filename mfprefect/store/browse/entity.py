"""The published scores of one entity, newest first."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.store.browse import keyed
from mfprefect.store.database import Database
from mfprefect.store.lookup import require_model

__all__ = ["EntityScores", "entity_scores"]

LOOKED_AT = 500
"""Published sessions that are searched for an entity, the newest ones."""
CHUNK = 100
SESSION = (
    "session_no", "session_id", "as_of", "started_at", "published_at", "run_by", "git_commit",
    "git_dirty", "deployment", "purpose",
)  # fmt: skip


@dataclass(frozen=True)
class EntityScores:
    """Scores of an entity that readers could see."""

    rows: list[dict[str, Any]]
    """Newest first, by the order of `latest_scores`: the first is what readers saw."""
    searched: int | None = None
    """How many sessions were searched, if there are older ones."""


def entity_scores(
    db: Database, model_id: str, entity_id: str, until: dt.datetime | None = None
) -> EntityScores:
    """Return the published scores of an entity, with session, training and threshold of each.

    Args:
        db: the database.
        model_id: the model.
        entity_id: the entity, as it is stored.
        until: only what was published before this instant.

    Raises:
        UnknownModel: the model does not exist.
    """
    db.read_transaction(lambda connection: require_model(db, connection, model_id))
    if db.backend.why_not_storable(db.schema.scores.c.entity_id, entity_id) is not None:
        return EntityScores([])
    s, parent = db.schema.sessions, db.schema.sessions.alias("parent")
    select = (
        sa.select(*(s.c[key] for key in SESSION), parent.c.session_id.label("training"))
        .join_from(s, parent, parent.c.session_no == s.c.parent_session_no, isouter=True)
        .where(s.c.model_id == model_id, s.c.published_at.is_not(None))
        .order_by(s.c.session_no.desc())
        .limit(LOOKED_AT + 1)
    )
    if until is not None:
        select = select.where(s.c.published_at < until)
    sessions = keyed.mappings(db.fetch_all(select), (*SESSION, "training"))
    searched = LOOKED_AT if len(sessions) > LOOKED_AT else None
    by_number = {row["session_no"]: row for row in sessions[:LOOKED_AT]}
    rows = _scores(db, entity_id, by_number)
    _add_thresholds(db, model_id, rows)
    key = ("published_at", "session_no")
    rows.sort(key=lambda row: (row["day"], *(row[k] for k in key)), reverse=True)
    return EntityScores(rows, searched)


def _scores(
    db: Database, entity_id: str, sessions: dict[int, dict[str, Any]]
) -> list[dict[str, Any]]:
    c, rows = db.schema.scores.c, []
    for some in keyed.chunks(list(sessions), CHUNK):
        select = sa.select(c.session_no, c.score, c.score_class, c.part_no).where(
            c.session_no.in_(list(some)), c.entity_id == entity_id
        )
        for number, score, score_class, part_no in db.fetch_all(select):
            session = sessions[number]
            rows.append(
                {
                    **session,
                    "day": session["as_of"] or session["started_at"].date(),
                    "score": float(score),
                    "score_class": score_class,
                    "part_no": part_no,
                }
            )
    return rows


def _add_thresholds(db: Database, model_id: str, rows: list[dict[str, Any]]) -> None:
    """Add to each score the operating threshold in force when it was published."""
    t = db.schema.model_thresholds.c
    select = sa.select(t.set_at, t.value, t.kind).where(t.model_id == model_id)
    thresholds = db.fetch_all(select.order_by(t.set_at.desc()))
    for row in rows:
        valid = (x for x in thresholds if x[0] <= row["published_at"])
        newest = next(valid, None)
        row["threshold"] = None if newest is None else float(newest[1])
        row["threshold_kind"] = None if newest is None else newest[2]

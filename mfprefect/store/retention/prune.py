"""Applying the rules of `mfprefect.retention`: sessions are archived, then deleted."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError, InvalidValue, UnknownSession
from mfprefect.retention import DELETE, KEEP, Retention, RetentionDecision, SessionFacts, judge
from mfprefect.store.database import Database
from mfprefect.store.models.stages import PRODUCTION, histories, one_step
from mfprefect.store.order import day_of
from mfprefect.store.retention.delete import delete_session, finish_deletions
from mfprefect.store.retention.delete_scores import (
    delete_scores,
    finish_score_deletions,
    without_scores,
)
from mfprefect.util import values

__all__ = ["finish", "prune"]

log = logging.getLogger(__name__)


def finish(db: Database) -> list[str]:
    """Finish interrupted deletions; return the ids of the sessions and models."""
    return finish_deletions(db) + finish_score_deletions(db)


def prune(
    db: Database,
    policy: Retention,
    *,
    model_id: str | None = None,
    only: Collection[str] | None = None,
    dry_run: bool = False,
) -> list[RetentionDecision]:
    """Archive and delete the sessions that the rules do not keep; return decisions, newest first.

    Args:
        db: the database.
        policy: the rules.
        model_id: only sessions of this model.
        only: of the sessions to delete, only these.
        dry_run: change nothing.

    Raises:
        ConfigurationError: the folder for archives does not exist.
        ArtifactCorrupt: an archive is damaged; its session was not deleted.
        OSError: an archive cannot be written; its session was not deleted.
    """
    if not dry_run:
        _require_folder(policy)
        finish(db)
    facts = db.snapshot(lambda moment: list(_facts(moment)))
    decisions = judge(facts, policy.of, values.utc_now())
    decisions = [d for d in decisions if model_id in (None, d.session.model_id)]
    if dry_run:
        return decisions
    # Newest first: sessions that need another one are deleted before it.
    return [d if d.verdict == KEEP else _apply(db, policy, d, only) for d in decisions]


def _require_folder(policy: Retention) -> None:
    # Where the archive is not mounted, a new folder would be on the local disk.
    if policy.archive_to is not None and not policy.archive_to.is_dir():
        raise ConfigurationError(
            f"archive_to = {str(policy.archive_to)!r} is not a folder; create it, or mount it. "
            "Nothing was deleted."
        )


def _apply(
    db: Database, policy: Retention, decision: RetentionDecision, only: Collection[str] | None
) -> RetentionDecision:
    name = decision.session.session_id
    if only is not None and name not in only:
        return replace(decision, verdict=KEEP, reason="was not among those to go")
    detail: dict[str, Any] = {"retention": decision.reason}
    try:
        if policy.archive_to is not None:
            from mfprefect.store.retention.archive import archive_session

            folder, digest = archive_session(db, name, policy.archive_to)
            decision = replace(decision, archived=str(folder))
            detail |= {"archive": str(folder), "archive_sha256": digest}
        if decision.verdict == DELETE:
            delete_session(db, name, with_stages=True, **detail)
        else:
            delete_scores(db, name, **detail)
    except (InvalidValue, UnknownSession) as exc:  # it changed meanwhile
        log.warning("session %s is kept: %s", name, exc)
        return replace(decision, verdict=KEEP, reason=str(exc))
    log.info("session %s: %s, %s", name, decision.verdict, decision.reason)
    return decision


def _facts(db: Database) -> Iterator[SessionFacts]:
    s, parts = db.schema.sessions.c, db.schema.score_parts.c
    rows = (
        sa.select(parts.session_no, sa.func.sum(parts.rows).label("row_total"))
        .group_by(parts.session_no)
        .subquery("counted")
    )
    names = ("session_no", "session_id", "model_id", "purpose", "status")
    select = sa.select(
        *(s[name] for name in names),
        sa.func.coalesce(s.ended_at, s.started_at).label("last_at"),
        s.published_at,
        s.as_of,
        s.started_at,
        s.parent_session_no,
        rows.c.row_total,
    ).join_from(db.schema.sessions, rows, rows.c.session_no == s.session_no, isouter=True)
    references, stages = _references(db), _stages(db)
    emptied = {number for (number,) in db.fetch_all(without_scores(db))}
    for row in db.fetch_all(select):
        protected, left_at = stages.get(row.session_no, (None, None))
        parent = {row.parent_session_no} - {None}
        yield SessionFacts(
            **{name: row._mapping[name] for name in names},
            ended_at=row.last_at,
            published_at=row.published_at,
            day=day_of(row),
            rows=0 if row.session_no in emptied else int(row.row_total or 0),
            needs=frozenset(parent | references.get(row.session_no, set())),
            protected=protected,
            left_stage_at=left_at,
        )


def _references(db: Database) -> dict[int, set[int]]:
    """Return the reference sessions of each session's drift."""
    drift = db.schema.drift.c
    pairs = sa.select(drift.session_no, drift.reference_session_no).distinct()
    references: dict[int, set[int]] = {}
    for user, reference in db.fetch_all(pairs.where(drift.reference_session_no.is_not(None))):
        references.setdefault(user, set()).add(reference)
    return references


def _stages(db: Database) -> dict[int, tuple[str | None, Any]]:
    """Return why a session that had a stage must stay, or when it left the stage, by number."""
    stages: dict[int, tuple[str | None, Any]] = {}
    for model_id, rows in histories(db).items():
        # Each row ends the one before it.
        ends = [row.set_at for row in rows[1:]] + [rows[-1].set_at]
        stages |= {row.session_no: (None, end) for row, end in zip(rows, ends, strict=True)}
        if rows[-1].stage == PRODUCTION:
            with suppress(InvalidValue):  # there is no earlier production
                before = one_step(model_id, rows)[1].session_no
                stages[before] = ("was in production before, for a rollback", None)
            stages[rows[-1].session_no] = ("in production", None)
    return stages

"""Carrying out the rules of `mfprefect.retention`: what goes is archived, then deleted."""

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
    """Finish the deletions that were interrupted; return whose."""
    return finish_deletions(db) + finish_score_deletions(db)


def prune(
    db: Database,
    policy: Retention,
    *,
    model_id: str | None = None,
    only: Collection[str] | None = None,
    dry_run: bool = False,
) -> list[RetentionDecision]:
    """Delete, or archive and delete, what the rules let go; return all verdicts, newest first.

    Args:
        db: the database.
        policy: the rules.
        model_id: only sessions of this model.
        only: of what goes, only these sessions.
        dry_run: change nothing.

    Raises:
        ConfigurationError: the folder for archives is not there.
        ArtifactCorrupt: an archive is not sound; its session was not deleted.
        OSError: an archive cannot be written; its session was not deleted.
    """
    if not dry_run:
        _require_folder(policy)
        finish(db)
    verdicts = judge(_facts(db), policy.of, values.utc_now())
    verdicts = [v for v in verdicts if model_id in (None, v.session.model_id)]
    if dry_run:
        return verdicts
    # Newest first: a session goes after those that needed it.
    return [v if v.verdict == KEEP else _carry_out(db, policy, v, only) for v in verdicts]


def _require_folder(policy: Retention) -> None:
    # Made here, it would be on this host's own disk wherever the archive is not mounted.
    if policy.archive_to is not None and not policy.archive_to.is_dir():
        raise ConfigurationError(
            f"archive_to = {str(policy.archive_to)!r} is no folder here; create it, or mount it. "
            "Nothing was deleted."
        )


def _carry_out(
    db: Database, policy: Retention, verdict: RetentionDecision, only: Collection[str] | None
) -> RetentionDecision:
    name = verdict.session.session_id
    if only is not None and name not in only:
        return replace(verdict, verdict=KEEP, reason="was not among those to go")
    detail: dict[str, Any] = {"retention": verdict.reason}
    try:
        if policy.archive_to is not None:
            from mfprefect.store.retention.archive import archive_session

            folder, digest = archive_session(db, name, policy.archive_to)
            verdict = replace(verdict, archived=str(folder))
            detail |= {"archive": str(folder), "archive_sha256": digest}
        if verdict.verdict == DELETE:
            delete_session(db, name, with_stages=True, **detail)
        else:
            delete_scores(db, name, **detail)
    except (InvalidValue, UnknownSession) as exc:  # what is known of it is no longer true
        log.warning("session %s is kept: %s", name, exc)
        return replace(verdict, verdict=KEEP, reason=str(exc))
    log.info("session %s: %s, %s", name, verdict.verdict, verdict.reason)
    return verdict


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
            published=row.published_at is not None,
            rows=0 if row.session_no in emptied else int(row.row_total or 0),
            needs=frozenset(parent | references.get(row.session_no, set())),
            protected=protected,
            left_stage_at=left_at,
        )


def _references(db: Database) -> dict[int, set[int]]:
    """Return the sessions that each session's drift was measured against."""
    drift = db.schema.drift.c
    pairs = sa.select(drift.session_no, drift.reference_session_no).distinct()
    found: dict[int, set[int]] = {}
    for user, reference in db.fetch_all(pairs.where(drift.reference_session_no.is_not(None))):
        found.setdefault(user, set()).add(reference)
    return found


def _stages(db: Database) -> dict[int, tuple[str | None, Any]]:
    """Return why each session that ever had a stage must stay, or when it left its last one."""
    found: dict[int, tuple[str | None, Any]] = {}
    for model_id, rows in histories(db).items():
        # The newest row holds. A later row ends an earlier one.
        ends = [row.set_at for row in rows[1:]] + [rows[-1].set_at]
        found |= {row.session_no: (None, end) for row, end in zip(rows, ends, strict=True)}
        if rows[-1].stage == PRODUCTION:
            with suppress(InvalidValue):  # there is nothing to go back to
                before = one_step(model_id, rows)[1].session_no
                found[before] = ("was in production before, for a rollback", None)
            found[rows[-1].session_no] = ("in production", None)
    return found

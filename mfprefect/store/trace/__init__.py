"""Every score of an entity that readers could see, and where each comes from.

All statements look up keys: of a model's sessions, the entity's score in each by the key of scores,
and what is stored of those sessions. The rank of a score, which a share of the population needs,
reads the scores of its session, and is left out for all but the newest.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import DatabaseConflict, InvalidValue
from mfprefect.store.database import Database
from mfprefect.store.lookup import require_model
from mfprefect.store.trace import publications as publishing
from mfprefect.store.trace.origins import Origins
from mfprefect.store.trace.periods import Period, Publication, Window, periods, window
from mfprefect.store.trace.result import Trace, TracedScore, TracedThreshold
from mfprefect.util import values

__all__ = ["Trace", "trace"]

MOST_RANKED = 20
"""Scores whose rank is looked up for a threshold that is a share of the population."""
ACTED, NOT_ACTED = "acted on", "not acted on"


def trace(db: Database, model_id: str, entity_id: str | int, on: Any = None) -> Trace:
    """Return the scores of an entity: see `Store.trace`."""
    (entity_id,) = values.entity_ids([entity_id])
    moment = _moment(on)
    if db.backend.why_not_storable(db.schema.scores.c.entity_id, entity_id) is not None:
        db.read_transaction(lambda connection: require_model(db, connection, model_id))
        return Trace(model_id, entity_id, moment, (), ())
    return db.read_snapshot(lambda c: _Tracer(db, c, model_id, entity_id, moment).trace())


def _moment(on: Any) -> dt.date | None:
    """Return a date, or an instant in UTC; None for all times."""
    if isinstance(on, str) and ":" in on:
        try:
            on = dt.datetime.fromisoformat(on)
        except ValueError as exc:
            raise InvalidValue(
                f"on={on!r} is neither a date such as 2026-11-23 nor an instant such as "
                "2026-11-23T08:30+01:00."
            ) from exc
    if isinstance(on, dt.datetime):
        if on.tzinfo is None:
            raise InvalidValue(f"on={on!r} has no time zone; pass an aware datetime, or a date.")
        return values.plain_datetime(on).astimezone(dt.UTC)
    return values.as_date(on, "on")


class _Tracer:
    """One trace, in a transaction."""

    def __init__(
        self,
        db: Database,
        connection: sa.Connection,
        model_id: str,
        entity_id: str,
        on: dt.date | None,
    ) -> None:
        self.db, self.connection = db, connection
        self.model_id, self.entity_id, self.on = model_id, entity_id, on

    def trace(self) -> Trace:
        """Return the trace."""
        published = publishing.published(self.db, self.connection, self.model_id)
        if not published:
            require_model(self.db, self.connection, self.model_id)
        without = publishing.deleted_scores(self.db, self.connection, self.model_id)
        deleted = publishing.deleted_sessions(self.db, self.connection, self.model_id, without)
        by_number = {p.session_no: p for p in published}
        scores = self._scores(sorted(by_number))
        spans = periods([*published, *(p for p, _ in without)], scores)
        if (asked := window(self.on)) is not None:
            deleted = [d for d in deleted if asked.meets(d.published_at, d.deleted_at)]
            spans = {n: span for n, span in spans.items() if _in_force(span, asked)}
        newest = sorted(spans, key=lambda n: (by_number[n].published_at, n), reverse=True)
        chosen = [(by_number[n], scores[n], spans[n]) for n in newest]
        traced = self._traced(chosen, asked)
        self._require_unchanged(published)
        return Trace(self.model_id, self.entity_id, self.on, tuple(traced), tuple(deleted))

    def _scores(self, numbers: Sequence[int]) -> dict[int, sa.Row[*tuple[Any, ...]]]:
        """Return the entity's score in each session that has one."""
        c = self.db.schema.scores.c
        select = sa.select(c.session_no, c.score, c.score_class, c.part_no)
        return {
            row.session_no: row
            for some in publishing.chunks(numbers)
            for row in self.connection.execute(
                select.where(c.session_no.in_(some), c.entity_id == self.entity_id)
            )
        }

    def _traced(
        self,
        chosen: Sequence[tuple[Publication, sa.Row[*tuple[Any, ...]], Period]],
        asked: Window | None,
    ) -> list[TracedScore]:
        parts = ((p.session_no, score.part_no) for p, score, _ in chosen)
        origins = Origins.read(self.db, self.connection, self.model_id, parts)
        traced = []
        for place, (publication, score, span) in enumerate(chosen):
            number = publication.session_no
            row = origins.sessions[number]
            threshold = origins.threshold(_decided_at(publication, span, asked))
            inputs, count = origins.inputs.get(number, ([], 0))
            traced.append(
                TracedScore(
                    score=score.score,
                    score_class=score.score_class,
                    session_id=publication.session_id,
                    as_of=publication.day,
                    published_at=publication.published_at,
                    newest_from=span.newest_from,
                    newest_until=span.newest_until,
                    replaced_by=span.replaced_by,
                    current_until=span.current_until,
                    part_no=score.part_no,
                    run=origins.run(number, score.part_no),
                    deployment=row["deployment"],
                    flow_run_id=row["flow_run_id"],
                    scheduled=origins.scheduled(number),
                    inputs=tuple(inputs),
                    input_count=count,
                    model=origins.model(number, publication.published_at),
                    threshold=threshold,
                    decision=self._decision(score, threshold, place < MOST_RANKED),
                    seal=row["seal"],
                )
            )
        return traced

    def _decision(
        self, score: sa.Row[*tuple[Any, ...]], threshold: TracedThreshold | None, ranked: bool
    ) -> str | None:
        if threshold is None or score.score_class is not None:
            return None
        if threshold.kind == "probability":
            return ACTED if score.score >= threshold.value else NOT_ACTED
        if not ranked:
            return None
        c, parts = self.db.schema.scores.c, self.db.schema.score_parts.c
        of_session = c.session_no == score.session_no
        lower = sa.select(sa.func.count()).where(of_session, c.score < score.score)
        rows = sa.select(sa.func.sum(parts.rows)).where(parts.session_no == score.session_no)
        # The top ⌈value·n⌉ without a tie that the cut would split, as in the confusion matrix.
        n = int(self.connection.scalar(rows) or 0)
        top = math.ceil(Decimal(repr(threshold.value)) * n)
        below = int(self.connection.scalar(lower) or 0)
        return ACTED if below + 1 >= n + 1 - top else NOT_ACTED

    def _require_unchanged(self, published: Sequence[Publication]) -> None:
        """Refuse a trace of several moments, where a database has no snapshots."""
        if self.db.backend.reads_uncommitted:
            now = publishing.published(self.db, self.connection, self.model_id)
            if set(now) != set(published):
                raise DatabaseConflict(
                    f"scores of model {self.model_id!r} were published or deleted while they were "
                    "read; try again."
                )


def _in_force(span: Period, asked: Window) -> bool:
    """Return whether a score was the newest at the time asked for."""
    return span.newest_from is not None and asked.meets(span.newest_from, span.newest_until)


def _decided_at(publication: Publication, span: Period, asked: Window | None) -> dt.datetime:
    """Return the instant whose threshold counts: the last one that a reader saw the score at."""
    if asked is None:
        return publication.published_at
    end = asked.end if span.newest_until is None else min(asked.end, span.newest_until)
    return max(end, publication.published_at)

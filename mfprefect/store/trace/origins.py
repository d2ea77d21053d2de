"""Where scores come from: attempts, inputs, models, promotions and thresholds, by their keys."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.store.artifacts.rows import is_model
from mfprefect.store.database import Database
from mfprefect.store.models.stages import PRODUCTION, Stage, history
from mfprefect.store.trace.publications import chunks
from mfprefect.store.trace.result import (
    Promotion,
    TracedInput,
    TracedModel,
    TracedRun,
    TracedThreshold,
)

__all__ = ["MOST_INPUTS", "Origins"]

MOST_INPUTS = 20
"""Reads of a session in a trace; a scoring in parts may have thousands."""
SCHEDULED = "auto-scheduled"
"""The tag that Prefect gives to a flow run which a schedule started."""
_RUN = (
    *("attempt", "run_by", "host", "vcs", "git_commit", "git_author", "git_branch", "git_remote"),
    *("git_dirty", "environment_digest"),
)
_SESSION = (
    *("session_no", "session_id", "started_at", "attempt_started_at", "parent_session_no"),
    *("deployment", "flow_run_id", "tags", "seal"),
)
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Origins:
    """What is stored of some sessions of a model, read at once."""

    sessions: Mapping[int, Row]
    """Also the training sessions, by number."""
    attempts: Mapping[tuple[int, int], Row]
    """Of sessions that were retried, by session and attempt."""
    part_attempts: Mapping[tuple[int, int], int]
    """The attempt that wrote a part, by session and part."""
    inputs: Mapping[int, tuple[list[TracedInput], int]]
    """The first inputs of a session, and how many it has."""
    artifacts: Mapping[int, dict[str, str]]
    stages: Sequence[Stage]
    thresholds: Sequence[TracedThreshold]

    @classmethod
    def read(
        cls,
        db: Database,
        connection: sa.Connection,
        model_id: str,
        parts: Iterable[tuple[int, int]],
    ) -> Origins:
        """Read what is stored of the sessions and parts that scores are of."""
        parts = set(parts)
        reader = _Reader(db, connection)
        numbers = sorted({number for number, _ in parts})
        sessions = reader.sessions(numbers)
        parents = {row["parent_session_no"] for row in sessions.values()} - {None}
        sessions |= reader.sessions(sorted(parents - set(sessions)))
        return cls(
            sessions,
            reader.attempts(numbers),
            reader.part_attempts(parts),
            reader.inputs(numbers),
            reader.artifacts(sorted(parents)),
            history(db, connection, model_id) if numbers else (),
            reader.thresholds(model_id) if numbers else (),
        )

    def run(self, number: int, part: int | None = None) -> TracedRun:
        """Return the attempt that wrote a part of a session, or its last one."""
        session = self.sessions[number]
        attempt = self.part_attempts.get((number, part or 0), session["attempt"])
        row = self.attempts.get((number, attempt))
        if row is None and attempt != session["attempt"]:  # an earlier version ran it
            row = dict.fromkeys(_RUN) | {"attempt": attempt, "started_at": None}
        if row is None:
            first = session["started_at"] if attempt == 1 else None
            row = {**session, "started_at": session["attempt_started_at"] or first}
        names = ("run_by", "host", "vcs", "git_commit", "git_author", "git_branch", "git_remote")
        facts = (row[name] for name in (*names, "git_dirty", "environment_digest"))
        return TracedRun(attempt, row["started_at"], *facts)

    def scheduled(self, number: int) -> bool | None:
        """Return whether a schedule started the flow run of a session; None outside of one."""
        row = self.sessions[number]
        if row["flow_run_id"] is None:
            return None
        return SCHEDULED in json.loads(row["tags"] or "[]")

    def model(self, number: int, published_at: dt.datetime) -> TracedModel | None:
        """Return the training session of a session, and who had put it into production."""
        parent = self.sessions[number]["parent_session_no"]
        if parent is None or parent not in self.sessions:
            return None
        name, artifacts = self.sessions[parent]["session_id"], self.artifacts.get(parent, {})
        return TracedModel(name, self.run(parent), artifacts, self._promotion(parent, published_at))

    def _promotion(self, number: int, until: dt.datetime) -> Promotion | None:
        last = None
        for stage in self.stages:
            if (stage.session_no, stage.stage) == (number, PRODUCTION) and stage.set_at <= until:
                last = stage
        if last is None:
            return None
        return Promotion(last.set_at, last.set_by, last.reason, last.detail.get("override"))

    def threshold(self, at: dt.datetime) -> TracedThreshold | None:
        """Return the operating threshold of the model at an instant."""
        return next((t for t in reversed(self.thresholds) if t.set_at <= at), None)


class _Reader:
    """Reads rows of sessions by their keys."""

    def __init__(self, db: Database, connection: sa.Connection) -> None:
        self.schema, self.db, self.connection = db.schema, db, connection

    def sessions(self, numbers: Sequence[int]) -> dict[int, Row]:
        s = self.schema.sessions.c
        select = sa.select(*(s[name] for name in (*_SESSION, *_RUN)))
        return {
            row["session_no"]: dict(row)
            for some in chunks(numbers)
            for row in self.connection.execute(select.where(s.session_no.in_(some))).mappings()
        }

    def attempts(self, numbers: Sequence[int]) -> dict[tuple[int, int], Row]:
        a = self.schema.session_attempts.c
        select = sa.select(*(a[name] for name in ("session_no", "started_at", *_RUN)))
        return {
            (row["session_no"], row["attempt"]): dict(row)
            for some in chunks(numbers)
            for row in self.connection.execute(select.where(a.session_no.in_(some))).mappings()
        }

    def part_attempts(self, parts: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
        p = self.schema.score_parts.c
        select = sa.select(p.session_no, p.part_no, p.attempt)
        by_part: dict[int, list[int]] = {}
        for number, part in sorted(parts):
            by_part.setdefault(part, []).append(number)
        return {
            (number, part): attempt
            for part_no, numbers in by_part.items()
            for some in chunks(numbers)
            for number, part, attempt in self.connection.execute(
                select.where(p.session_no.in_(some), p.part_no == part_no)
            )
        }

    def inputs(self, numbers: Sequence[int]) -> dict[int, tuple[list[TracedInput], int]]:
        i = self.schema.inputs.c
        place = sa.func.row_number().over(partition_by=i.session_no, order_by=i.input_no)
        count = sa.func.count().over(partition_by=i.session_no)
        inputs: dict[int, tuple[list[TracedInput], int]] = {}
        for some in chunks(numbers):
            ranked = (
                sa.select(
                    *(i.session_no, i.source, i.rows, i.digest),
                    *(place.label("place"), count.label("reads")),
                )
                .where(i.session_no.in_(some))
                .subquery("ranked")
            )
            first = sa.select(ranked).where(ranked.c.place <= MOST_INPUTS)
            rows = self.connection.execute(first.order_by(ranked.c.session_no, ranked.c.place))
            for number, source, read_rows, digest, _, total in rows:
                listed = inputs.setdefault(number, ([], int(total)))[0]
                listed.append(TracedInput(source, read_rows, digest))
        return inputs

    def artifacts(self, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
        a, artifacts = self.schema.artifacts.c, dict[int, dict[str, str]]()
        select = sa.select(a.session_no, a.artifact_name, a.sha256).where(is_model(self.db))
        for some in chunks(numbers):
            for number, name, sha256 in self.connection.execute(
                select.where(a.session_no.in_(some))
            ):
                artifacts.setdefault(number, {})[name] = sha256
        return artifacts

    def thresholds(self, model_id: str) -> list[TracedThreshold]:
        t = self.schema.model_thresholds.c
        select = sa.select(t.value, t.kind, t.set_at, t.set_by).where(t.model_id == model_id)
        return [TracedThreshold(*row) for row in self.connection.execute(select.order_by(t.set_at))]

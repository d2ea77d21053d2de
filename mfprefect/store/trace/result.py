"""What a trace says of the scores of one entity."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

__all__ = [
    "DeletedScores",
    "Promotion",
    "Trace",
    "TracedInput",
    "TracedModel",
    "TracedRun",
    "TracedScore",
    "TracedThreshold",
]


@dataclass(frozen=True)
class TracedRun:
    """An attempt of a session: which code ran, where, by whom."""

    attempt: int
    started_at: dt.datetime | None
    run_by: str | None
    """The user in the operating system."""
    host: str | None
    vcs: str | None
    commit: str | None
    author: str | None
    """Of the commit: name and mail address."""
    branch: str | None
    remote: str | None
    dirty: bool | None
    """Whether the code had changes that were not committed."""
    environment_digest: str | None


@dataclass(frozen=True)
class TracedInput:
    """What the session read."""

    source: str
    rows: int | None
    digest: str | None


@dataclass(frozen=True)
class Promotion:
    """Why the model was in production when it scored."""

    promoted_at: dt.datetime
    promoted_by: str
    reason: str | None
    override: str | None
    """Why despite gates that it had not passed."""


@dataclass(frozen=True)
class TracedModel:
    """The training session whose model computed the score."""

    session_id: str
    run: TracedRun
    artifacts: dict[str, str]
    """SHA-256 by the name of each stored model."""
    promotion: Promotion | None
    """The last one before the scores were published; None if it never was in production."""


@dataclass(frozen=True)
class TracedThreshold:
    """An operating threshold."""

    value: float
    kind: str
    """`probability` or `population`."""
    set_at: dt.datetime
    set_by: str


@dataclass(frozen=True)
class TracedScore:
    """A published score, and where it comes from."""

    score: float
    score_class: str | None
    session_id: str
    as_of: dt.date
    """The day of the data."""
    published_at: dt.datetime
    newest_from: dt.datetime | None
    """When it became the entity's newest score, as `latest_scores` shows it; None: it never was,
    because a score of a newer day was there."""
    newest_until: dt.datetime | None
    """When a newer one replaced it; None while it is the newest."""
    replaced_by: str | None
    """The session with the newer score."""
    current_until: dt.datetime | None
    """When `current_scores` moved to another session, which may lack the entity; None while it
    shows this one; `published_at` if it never did."""
    part_no: int
    run: TracedRun
    """The attempt that wrote the score."""
    deployment: str | None
    flow_run_id: str | None
    scheduled: bool | None
    """Whether a schedule started the flow run, rather than a person or a program; None outside of
    Prefect."""
    inputs: tuple[TracedInput, ...]
    """The first `MOST_INPUTS` reads of the session."""
    input_count: int
    model: TracedModel | None
    threshold: TracedThreshold | None
    """In force when the score was published, or at the moment asked for."""
    decision: str | None
    """`acted on` or `not acted on`, by the threshold; None without one, for a class, and for a
    share of the population beyond the `MOST_RANKED` newest scores."""
    seal: str | None


@dataclass(frozen=True)
class DeletedScores:
    """Scores that readers saw and nobody can read any more: of which entities is not known."""

    session_id: str
    published_at: dt.datetime
    """Of a session that was deleted as a whole: when it was sealed."""
    deleted_at: dt.datetime | None
    deleted_by: str | None
    rows: int | None


@dataclass(frozen=True)
class Trace:
    """The scores of an entity that readers could see."""

    model_id: str
    entity_id: str
    on: dt.date | None
    """The day (UTC) or the instant asked for; None: all times."""
    scores: tuple[TracedScore, ...]
    """The one published last is the first."""
    deleted: tuple[DeletedScores, ...]
    """Deleted sessions that may have had a score of the entity, too; the oldest is the first."""

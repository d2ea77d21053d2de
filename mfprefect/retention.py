"""Which sessions are kept, and why: the rules of the setting `retention`.

Pure: takes facts, returns decisions; opens no connection.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from mfprefect.errors import InvalidValue
from mfprefect.vocabulary import Status

__all__ = [
    "DELETE",
    "DELETE_SCORES",
    "KEEP",
    "Limits",
    "Retention",
    "RetentionDecision",
    "SessionFacts",
    "judge",
    "overridden",
]

KEEP = "keep"
DELETE = "delete"
DELETE_SCORES = "delete scores"


class Limits(BaseModel, extra="forbid", frozen=True):
    """Which sessions of a model are kept; without a limit, all are."""

    keep_days: float | None = Field(default=None, gt=0)
    """Delete sessions that ended more days ago."""
    keep_sessions: int | None = Field(default=None, ge=1)
    """Keep this many of the newest succeeded sessions of each purpose, however old.

    If it is the only limit, delete the others."""
    failed_days: float | None = Field(default=None, gt=0)
    """Delete failed, crashed and cancelled sessions after so many days; by default like others."""
    scores_days: float | None = Field(default=None, gt=0)
    """Delete scores after so many days; the session and its figures stay."""
    retired_days: float | None = Field(default=None, gt=0)
    """Treat sessions that left production so many days ago like others; by default they stay."""


class Retention(Limits, frozen=True):
    """How long sessions are kept, where they are archived, and exceptions by model."""

    archive_to: Path | None = None
    """A folder that sessions are written to before they are deleted."""
    models: dict[str, Limits] = {}
    """Limits of single models: `[retention.models.churn] keep_days = 3650`."""

    def of(self, model_id: str) -> Limits:
        """Return the limits of a model, which override the general ones."""
        names = Limits.model_fields
        general = {name: getattr(self, name) for name in names}
        limits = self.models.get(model_id, Limits())
        return Limits(**general | limits.model_dump(exclude_unset=True))

    @property
    def active(self) -> bool:
        """Whether anything could be deleted."""
        some = [self.of(""), *(self.of(model_id) for model_id in self.models)]
        return any(value is not None for limits in some for _, value in limits)


def overridden(policy: Retention, model_id: str | None, **given: Any) -> Retention:
    """Return a policy with other limits, which also override those of the model `model_id`.

    Raises:
        InvalidValue: a limit is not above 0.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    of_model = policy.models.get(model_id) if model_id else None
    models = {}
    try:
        changed = Retention(**policy.model_dump(exclude={"models"}) | changes)
        if model_id and of_model:
            limits = {n: value for n, value in changes.items() if n in Limits.model_fields}
            models[model_id] = Limits(**of_model.model_dump(exclude_unset=True) | limits)
    except ValidationError as exc:
        wrong = exc.errors()[0]
        raise InvalidValue(f"{wrong['loc'][0]} = {wrong['input']!r}: {wrong['msg']}.") from exc
    return changed.model_copy(update={"models": {**policy.models, **models}})


@dataclass(frozen=True)
class SessionFacts:
    """What the rules need of a session."""

    session_no: int
    session_id: str
    model_id: str
    purpose: str
    status: str
    ended_at: dt.datetime
    """When it began, if it has not ended."""
    day: dt.date
    """The day of its data: `as_of`, or the day on which it began."""
    published_at: dt.datetime | None = None
    """When its scores were published, if they were."""
    rows: int = 0
    """Number of scores."""
    needs: frozenset[int] = frozenset()
    """The training session that it used, and the reference sessions of its drift."""
    protected: str | None = None
    """Why it must stay whatever the limits: it is in production, or was before."""
    left_stage_at: dt.datetime | None = None
    """When it left its last stage, if it ever had one."""

    @property
    def newness(self) -> tuple[dt.date, dt.datetime, int]:
        """The place of its scores in the order of `mfprefect.schema.newest_first`."""
        return self.day, self.published_at or self.ended_at, self.session_no


@dataclass(frozen=True)
class RetentionDecision:
    """Whether a session is kept, and why."""

    session: SessionFacts
    verdict: str
    reason: str
    archived: str | None = None
    """The folder of its archive."""


def judge(
    sessions: Iterable[SessionFacts], limits_of: Callable[[str], Limits], now: dt.datetime
) -> list[RetentionDecision]:
    """Return a decision on every session, newest first.

    A session is deleted if no limit keeps it, and no session that is kept needs it.
    """
    ordered = sorted(sessions, key=lambda session: -session.session_no)
    newest = _newest(ordered, limits_of)
    decisions = {
        s.session_no: _alone(s, limits_of(s.model_id), s.session_no in newest, now) for s in ordered
    }
    unchecked = [d.session for d in decisions.values() if d.verdict == KEEP]
    while unchecked:
        user = unchecked.pop()
        for number in user.needs & decisions.keys():
            if decisions[number].verdict == DELETE:
                reason = f"needed by {user.session_id}"
                decisions[number] = replace(decisions[number], verdict=KEEP, reason=reason)
                unchecked.append(decisions[number].session)
    return [
        _scores(decision, limits_of(decision.session.model_id), number in newest, now)
        for number, decision in decisions.items()
    ]


def _newest(ordered: Sequence[SessionFacts], limits_of: Callable[[str], Limits]) -> set[int]:
    """Return the newest sessions of each model and purpose, one if no limit says how many.

    Sessions with published scores are counted once more by themselves, in the order of their
    scores: the scores that readers see as the latest stay, also after a backfill.
    """
    scored = [session for session in ordered if session.published_at is not None]
    counted = [(s, s.purpose) for s in ordered if s.status == Status.SUCCEEDED]
    counted += [(s, "scores") for s in sorted(scored, key=lambda s: s.newness, reverse=True)]
    seen: Counter[tuple[str, str]] = Counter()
    newest = set()
    for session, key in counted:
        seen[session.model_id, key] += 1
        if seen[session.model_id, key] <= (limits_of(session.model_id).keep_sessions or 1):
            newest.add(session.session_no)
    return newest


def _alone(
    session: SessionFacts, limits: Limits, newest: bool, now: dt.datetime
) -> RetentionDecision:
    """Decide on a session without regard to the sessions that need it."""
    if reason := _reason_to_keep(session, limits, newest, now):
        return RetentionDecision(session, KEEP, reason)
    succeeded = session.status == Status.SUCCEEDED
    days = limits.keep_days if succeeded else limits.failed_days or limits.keep_days
    if days is not None:
        if _days(session.ended_at, now) <= days:
            return RetentionDecision(session, KEEP, f"ended less than {days:g} days ago")
        name = "keep_days" if succeeded or limits.failed_days is None else "failed_days"
        return RetentionDecision(session, DELETE, f"{session.status}, older than {name} = {days:g}")
    if succeeded and limits.keep_sessions is not None:
        reason = f"not among the newest {limits.keep_sessions} of purpose {session.purpose}"
        return RetentionDecision(session, DELETE, reason)
    return RetentionDecision(session, KEEP, "no limit is set")


def _reason_to_keep(
    session: SessionFacts, limits: Limits, newest: bool, now: dt.datetime
) -> str | None:
    if session.status == Status.RUNNING:
        return "running"
    if session.protected:
        return session.protected
    if session.left_stage_at is not None and (
        limits.retired_days is None or _days(session.left_stage_at, now) <= limits.retired_days
    ):
        return "was promoted once"
    return f"among the newest of purpose {session.purpose}" if newest else None


def _scores(
    decision: RetentionDecision, limits: Limits, newest: bool, now: dt.datetime
) -> RetentionDecision:
    """Decide on the scores of a session that is kept."""
    session, days = decision.session, limits.scores_days
    if decision.verdict != KEEP or newest or days is None:
        return decision
    if session.status != Status.SUCCEEDED or not session.rows:
        return decision  # other sessions are deleted as a whole
    if _days(session.ended_at, now) <= days:
        return decision
    return replace(decision, verdict=DELETE_SCORES, reason=f"older than scores_days = {days:g}")


def _days(then: dt.datetime, now: dt.datetime) -> float:
    return (now - then).total_seconds() / 86_400

"""Which sessions are kept, and why: the rules of the setting `retention`.

Pure: takes facts, returns verdicts; opens no connection.
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
    """What of a model's sessions is kept; nothing is deleted where nothing is set."""

    keep_days: float | None = Field(default=None, gt=0)
    """Sessions that ended longer ago go."""
    keep_sessions: int | None = Field(default=None, ge=1)
    """Of each purpose, the newest so many that succeeded stay, however old; alone, no others do."""
    failed_days: float | None = Field(default=None, gt=0)
    """Failed, crashed and cancelled sessions go after so many days; by default as the others."""
    scores_days: float | None = Field(default=None, gt=0)
    """Scores go after so many days; the session and its figures stay."""
    retired_days: float | None = Field(default=None, gt=0)
    """Sessions that left production so long ago are treated as others; by default they stay."""


class Retention(Limits, frozen=True):
    """How long sessions are kept, where to, and for which models otherwise."""

    archive_to: Path | None = None
    """A folder into which everything is written before it is deleted."""
    models: dict[str, Limits] = {}
    """What is otherwise for one model: `[retention.models.churn] keep_days = 3650`."""

    def of(self, model_id: str) -> Limits:
        """Return the limits of a model: its own over the general ones."""
        names = Limits.model_fields
        general = {name: getattr(self, name) for name in names}
        own = self.models.get(model_id, Limits())
        return Limits(**general | {name: getattr(own, name) for name in own.model_fields_set})

    @property
    def active(self) -> bool:
        """Whether anything could be deleted."""
        some = [self.of(""), *(self.of(model_id) for model_id in self.models)]
        return any(value is not None for limits in some for _, value in limits)


def overridden(policy: Retention, model_id: str | None, **given: Any) -> Retention:
    """Return a policy with the limits that were given; those of models stay, but of `model_id`.

    Raises:
        InvalidValue: a limit is not above 0.
    """
    known = {name: value for name, value in given.items() if value is not None}
    own = policy.models.get(model_id) if model_id else None
    try:
        changed = Retention(**policy.model_dump(exclude={"models"}) | known)
        limits = {n: value for n, value in known.items() if n in Limits.model_fields}
        models = {model_id: Limits(**own.model_dump(exclude_unset=True) | limits)} if own else {}
    except ValidationError as exc:
        wrong = exc.errors()[0]
        raise InvalidValue(f"{wrong['loc'][0]} = {wrong['input']!r}: {wrong['msg']}.") from exc
    return changed.model_copy(update={"models": {**policy.models, **models}})


@dataclass(frozen=True)
class SessionFacts:
    """What is known of a session."""

    session_no: int
    session_id: str
    model_id: str
    purpose: str
    status: str
    ended_at: dt.datetime
    """Or began, where it has not ended."""
    published: bool = False
    rows: int = 0
    """Scores that are there."""
    needs: frozenset[int] = frozenset()
    """The training session that it used, and the sessions that its drift was measured against."""
    protected: str | None = None
    """Why it must stay whatever the limits: it is in production, or was before."""
    left_stage_at: dt.datetime | None = None
    """When it left its last stage, if it ever had one."""


@dataclass(frozen=True)
class RetentionDecision:
    """What becomes of a session, and why."""

    session: SessionFacts
    verdict: str
    reason: str
    archived: str | None = None
    """The folder of its archive."""


def judge(
    sessions: Iterable[SessionFacts], limits_of: Callable[[str], Limits], now: dt.datetime
) -> list[RetentionDecision]:
    """Return a verdict on every session, newest first.

    A session goes when every limit that is set lets it go. What a kept session needs is kept.
    """
    found = sorted(sessions, key=lambda session: -session.session_no)
    newest = _newest(found, limits_of)
    verdicts = {
        s.session_no: _alone(s, limits_of(s.model_id), s.session_no in newest, now) for s in found
    }
    waiting = [v.session for v in verdicts.values() if v.verdict == KEEP]
    while waiting:
        user = waiting.pop()
        for number in user.needs & verdicts.keys():
            if verdicts[number].verdict == DELETE:
                reason = f"needed by {user.session_id}"
                verdicts[number] = replace(verdicts[number], verdict=KEEP, reason=reason)
                waiting.append(verdicts[number].session)
    return [
        _scores(verdict, limits_of(verdict.session.model_id), number in newest, now)
        for number, verdict in verdicts.items()
    ]


def _newest(found: Sequence[SessionFacts], limits_of: Callable[[str], Limits]) -> set[int]:
    """Return the newest sessions of each model and purpose, one where no limit says how many.

    Those with published scores count for themselves as well: the latest scores stay.
    """
    seen: Counter[tuple[str, str]] = Counter()
    newest = set()
    for session in found:
        keys = [session.purpose] * (session.status == Status.SUCCEEDED) + [
            "scores"
        ] * session.published
        for key in keys:
            seen[session.model_id, key] += 1
            if seen[session.model_id, key] <= (limits_of(session.model_id).keep_sessions or 1):
                newest.add(session.session_no)
    return newest


def _alone(
    session: SessionFacts, limits: Limits, newest: bool, now: dt.datetime
) -> RetentionDecision:
    """Judge a session by itself, whoever needs it."""
    if kept := _kept(session, limits, newest, now):
        return RetentionDecision(session, KEEP, kept)
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


def _kept(session: SessionFacts, limits: Limits, newest: bool, now: dt.datetime) -> str | None:
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
    verdict: RetentionDecision, limits: Limits, newest: bool, now: dt.datetime
) -> RetentionDecision:
    """Let the scores of a session go that is kept itself."""
    session, days = verdict.session, limits.scores_days
    if verdict.verdict != KEEP or newest or days is None:
        return verdict
    if session.status != Status.SUCCEEDED or not session.rows:
        return verdict  # what did not succeed goes as a whole
    if _days(session.ended_at, now) <= days:
        return verdict
    return replace(verdict, verdict=DELETE_SCORES, reason=f"older than scores_days = {days:g}")


def _days(then: dt.datetime, now: dt.datetime) -> float:
    return (now - then).total_seconds() / 86_400

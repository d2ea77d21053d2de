"""Content of notices, read from the database, so that a later attempt sends the same text."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from mfprefect.notifications.notice import Check, MetricChange, Notice
from mfprefect.provenance.flow_run import run_url
from mfprefect.quality.checks.result import ACCEPTED, label, message_of
from mfprefect.settings import Target
from mfprefect.store.database import Database
from mfprefect.store.models.gate_verdicts import stored_results
from mfprefect.store.models.stages import PRODUCTION, RETIRED, ROLLED_BACK, Stage, history
from mfprefect.store.notifications.drift_rows import drift_rows, in_alarm, unmatched_text
from mfprefect.store.notifications.readers import readers_of
from mfprefect.store.notifications.waiting import WAITING, waits_for_promotion
from mfprefect.store.order import newest_by_model, previous_success
from mfprefect.store.results.monitoring import published
from mfprefect.store.states import Purpose, Status
from mfprefect.util import values

__all__ = [
    "LATE",
    "build_notice",
    "last_problem",
    "matches",
    "matches_model",
    "problem_events",
    "recorded_event",
    "recovered_later",
    "session_row",
    "still_news",
]

PROBLEMS = ("failed", "crashed", "cancelled", "checks_failed", "gate_failed", "drift", "stale")
FAILURES = {"ChecksFailed": "checks_failed", "GateFailed": "gate_failed"}
STAGES = ("promoted", "rolled_back", "retired")
LATE = ("stale", *STAGES)
"""Events that may happen long after their session ended."""
MAX_CHANGES = 5
_SESSION_FIELDS = (
    "model_id",
    "session_id",
    "purpose",
    "attempt",
    "status",
    "started_at",
    "ended_at",
    "run_by",
    "host",
    "deployment",
    "as_of",
)
Row = sa.Row[*tuple[Any, ...]]


def session_row(db: Database, session_no: int) -> Row | None:
    """Return a session's row, or None if it was deleted."""
    s = db.schema.sessions
    rows = db.fetch_all(sa.select(*s.c).where(s.c.session_no == session_no))
    return rows[0] if rows else None


def matches(target: Target, row: Row) -> bool:
    """Return whether a target wants notices about this session's model and tags."""
    return matches_model(target, row.model_id, json.loads(row.tags) if row.tags else ())


def matches_model(target: Target, model_id: str, tags: Collection[str]) -> bool:
    """Return whether a target wants notices about a model's sessions with these tags."""
    return (not target.models or model_id in target.models) and (
        not target.tags or not set(tags).isdisjoint(target.tags)
    )


def problem_events(db: Database, row: Row) -> list[str]:
    """Return the problem events of a session that ended, [] if all is well."""
    events = []
    if row.status == Status.FAILED:
        events.append(FAILURES.get(row.failure_kind, "failed"))
    elif row.status != Status.SUCCEEDED:
        events.append(row.status)
    elif any(check.severity != ACCEPTED for check in _failed_checks(db, row)):
        events.append("checks_failed")
    return [*events, "drift"] if in_alarm(db, row.session_no) else events


def last_problem(db: Database, row: Row, channel: str) -> Row | None:
    """Return the last problem a channel was notified of, None if a recovery followed.

    Looks at this session and earlier ones of the same model and purpose. A scoring session also
    sees `stale`: fresh scores end it.

    Returns:
        event, session_id.
    """
    s, n = db.schema.sessions, db.schema.notifications
    stale = n.c.event == "stale"  # about scores, whichever session its row belongs to
    same = sa.and_(s.c.purpose == row.purpose, sa.not_(stale))
    if row.purpose == Purpose.SCORE:
        same = sa.or_(same, stale)
    this_recovery = sa.and_(n.c.session_no == row.session_no, n.c.event == "recovered")
    select = (
        sa.select(n.c.event, s.c.session_id)
        .join_from(n, s, n.c.session_no == s.c.session_no)
        .where(
            n.c.channel == channel,
            n.c.session_no <= row.session_no,
            n.c.event.in_([*PROBLEMS, "recovered"]),
            s.c.model_id == row.model_id,
            same,
            sa.not_(this_recovery),
        )
        .order_by(n.c.session_no.desc(), n.c.notice_no.desc())
        .limit(1)
    )
    problems = db.fetch_all(select)
    return problems[0] if problems and problems[0].event != "recovered" else None


def recovered_later(db: Database, row: Row, channel: str) -> bool:
    """Return whether a channel was notified that a later session recovered."""
    s, n = db.schema.sessions, db.schema.notifications
    select = (
        sa.select(n.c.session_no)
        .join_from(n, s, n.c.session_no == s.c.session_no)
        .where(
            n.c.channel == channel,
            n.c.event == "recovered",
            n.c.session_no > row.session_no,
            s.c.model_id == row.model_id,
            s.c.purpose == row.purpose,
        )
        .limit(1)
    )
    return bool(db.fetch_all(select))


def build_notice(db: Database, row: Row, event: str, channel: str) -> Notice:
    """Return the notice about a session's event, which may be numbered as by `recorded_event`."""
    kind, text = _cause(db, row, event, channel)
    number = row.session_no
    return Notice(
        event=event.partition(" ")[0],
        **{name: getattr(row, name) for name in _SESSION_FIELDS},
        cause_kind=kind,
        cause_text=text,
        moved=_metric_changes(db, row),
        checks=_checks(db, row),
        gates=tuple(db.read_transaction(lambda connection: stored_results(db, connection, number))),
        drift=drift_rows(db, row),
        readers=readers_of(db, row.model_id),
        run_url=run_url(row.flow_run_id),
        report_url=db.settings.report_link(row.model_id, row.session_id),
        environment=db.settings.environment or "",
    )


def _cause(db: Database, row: Row, event: str, channel: str) -> tuple[str, str]:
    if event == "recovered":
        before = last_problem(db, row, channel)
        return (f"last problem: {before.event} in {before.session_id}", "") if before else ("", "")
    if event == "stale":
        return "Stale", _staleness(db, row)
    if event.startswith(STAGES):
        return _stage_cause(db, row, event)
    text = row.failure_text or (unmatched_text(db, row) if event == "drift" else "")
    return row.failure_kind or "", text


def _stage_cause(db: Database, row: Row, event: str) -> tuple[str, str]:
    stage = _stage(db, row.model_id, row.session_id, event)
    if stage is None:
        return "", ""
    kind = event.partition(" ")[0]
    change = f"rolled back to {stage.session_id}" if kind == "rolled_back" else kind
    return f"{change} by {stage.set_by}", stage.reason or ""


def recorded_event(db: Database, row: Row, event: str) -> str:
    """Return the name to record for an event that happened now: `promoted`, `promoted 2`.

    A session may be promoted, and rolled back from, several times; each time gets its own notice.
    """
    times = len(_stages(db, row.model_id, row.session_id, event)) if event in STAGES else 1
    return event if times < 2 else f"{event} {times}"


def _stages(db: Database, model_id: str, session_id: str, event: str) -> list[Stage]:
    """Return the promotions, rollbacks or retirements of a session, oldest first."""
    stages = db.read_transaction(lambda connection: history(db, connection, model_id))
    if event.startswith("rolled_back"):
        return [stage for stage in stages if stage.detail.get(ROLLED_BACK) == session_id]
    wanted = RETIRED if event.startswith("retired") else PRODUCTION
    return [
        stage
        for stage in stages
        if (stage.session_id, stage.stage) == (session_id, wanted)
        and ROLLED_BACK not in stage.detail
    ]


def _stage(db: Database, model_id: str, session_id: str, event: str) -> Stage | None:
    stages = _stages(db, model_id, session_id, event)
    number = int(event.partition(" ")[2] or 1)
    return stages[number - 1] if number <= len(stages) else None


def still_news(db: Database, waiting: Row, since: dt.datetime) -> bool:
    """Return whether an undelivered notice is still worth sending; always for a session's end.

    Args:
        db: the database.
        waiting: the notice's row, with model_id and session_id.
        since: the oldest change of stage that still counts as news.
    """
    if waiting.event == "stale":
        last, max_age = _last_scored(db, waiting.model_id)
        age = dt.timedelta(seconds=max_age) if max_age else values.utc_now() - since
        return last is None or last + age < values.utc_now()
    if waiting.event == WAITING:
        row = session_row(db, waiting.session_no)
        return row is not None and waits_for_promotion(db, row)
    if waiting.event.startswith(STAGES):
        stage = _stage(db, waiting.model_id, waiting.session_id, waiting.event)
        return stage is not None and stage.set_at >= since
    return True


def _last_scored(db: Database, model_id: str) -> tuple[dt.datetime | None, int | None]:
    """Return when a model's newest scores were published, and its max_age in seconds."""
    sessions, models = db.schema.sessions, db.schema.models
    scored = newest_by_model(sessions, *published(sessions), sessions.c.model_id == model_id)
    select = (
        sa.select(scored.c.published_at, models.c.max_age_seconds)
        .join_from(models, scored, scored.c.model_id == models.c.model_id, isouter=True)
        .where(models.c.model_id == model_id)
    )
    rows = db.fetch_all(select)
    return (rows[0].published_at, rows[0].max_age_seconds) if rows else (None, None)


def _staleness(db: Database, row: Row) -> str:
    last, max_age = _last_scored(db, row.model_id)
    since = f"since {last:%Y-%m-%d %H:%M} UTC" if last else "yet"
    expected = f"; expected every {dt.timedelta(seconds=max_age)}" if max_age else ""
    return f"no scores published {since}{expected}"


def _checks(db: Database, row: Row) -> tuple[Check, ...]:
    """Return the checks of all parts, the failed ones first, those of severity error before all."""
    failed = _failed_checks(db, row)
    c = db.schema.check_results.c
    passed = (
        sa.select(*(c[name].label(name) for name in _CHECK))
        .where(c.session_no == row.session_no, c.passed == sa.literal(True))
        .group_by(*(c[name] for name in _CHECK))
        .order_by(sa.func.min(c.check_no))
    )
    names = {(check.check, check.column) for check in failed}
    others = [
        Check(label(x), x["severity"], 0, "", passed=True, check=x["check"], column=x["column"])
        for x in (dict(row._mapping) for row in db.fetch_all(passed))
    ]
    return *failed, *(x for x in others if (x.check, x.column) not in names)


_CHECK = ("check", "column", "severity")
_SEVERITIES = ("error", "warning", ACCEPTED)


def _failed_checks(db: Database, row: Row) -> list[Check]:
    """Return the checks that did not pass, accepted ones last."""
    c = db.schema.check_results.c
    select = (
        sa.select(*(c[name].label(name) for name in (*_CHECK, "failing_rows", "message")))
        .where(c.session_no == row.session_no, c.passed == sa.literal(False))
        .order_by(c.check_no)
    )
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for x in (dict(row._mapping) for row in db.fetch_all(select)):
        groups.setdefault(tuple(x[name] for name in _CHECK), []).append(x)
    checks = [
        Check(
            label(rows[0]),
            severity,
            sum(x["failing_rows"] for x in rows),
            message_of(rows),
            check=check,
            column=column,
        )
        for (check, column, severity), rows in groups.items()
    ]
    return sorted(checks, key=lambda check: _SEVERITIES.index(check.severity))


def _metric_changes(db: Database, row: Row) -> tuple[MetricChange, ...]:
    """Return the metrics that changed most since the previous success, the largest change first."""
    success = previous_success(db, row)
    if success is None:
        return ()
    m, previous = db.schema.metrics.c, success.session_no
    select = sa.select(m.session_no, m.metric_name, m.value).where(
        m.session_no.in_([previous, row.session_no]), m.segment == ""
    )
    figures: dict[int, dict[str, float]] = {previous: {}, row.session_no: {}}
    for metric in db.fetch_all(select.order_by(m.metric_name)):
        figures[metric.session_no][metric.metric_name] = metric.value
    old, new = figures[previous], figures[row.session_no]
    changes = [MetricChange(name, old[name], new[name]) for name in new if name in old]
    changes = [change for change in changes if change.old != change.new]
    return tuple(sorted(changes, key=lambda change: -abs(change.change))[:MAX_CHANGES])

"""The headline of a report: how the session ended, and its problems."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from mfprefect.quality.checks.result import ACCEPTED, CheckCounts, is_open, label
from mfprefect.report.blocks import Headline
from mfprefect.report.formats import brief, duration, moment, present, text
from mfprefect.report.sections.production import no_production, promotion

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.report.content import ModelReport, SessionReport

__all__ = ["LEVEL_OF_STATUS", "LEVEL_OF_VERDICT", "model_verdict", "session_verdict"]

LEVEL_OF_STATUS = {
    "succeeded": "good",
    "failed": "bad",
    "crashed": "bad",
    "cancelled": "warn",
    "running": "info",
}
LEVEL_OF_VERDICT = {"ok": "good", "warning": "warn", "alarm": "bad", "unknown": "info"}
ACTIVITIES = {
    "train": "Training",
    "score": "Scoring",
    "monitor": "Monitoring",
    "adhoc": "Run",
    "trial": "Trial",
}
FAILURES = {"ChecksFailed": "input checks failed", "GateFailed": "it did not pass its gates"}
MOST_NAMED = 5


def session_verdict(report: SessionReport) -> Headline:
    """Return how a session ended, and the problems it has."""
    row, activity = report.session, ACTIVITIES.get(report.purpose, report.purpose)
    status = str(row["status"])
    kind = row["failure_kind"] if present(row["failure_kind"]) else ""
    reasons = [
        *_gates(report.gates),
        *_checks(report.checks),
        *_drift(report.drift),
        *_rows(report),
    ]
    if status != "succeeded":
        headline = f"{activity} {_ended(status)}"
        headline += f": {FAILURES.get(kind, kind)}" if kind else ""
        cause = str(row["failure_text"]) if present(row["failure_text"]) else ""
        return Headline(LEVEL_OF_STATUS.get(status, "bad"), headline, reasons, cause)
    drifted = bool((report.drift["verdict"] == "alarm").any())
    warned = any(map(is_open, report.checks.to_dict("records")))
    problems = [*(["drift"] if drifted else []), *(["failed checks"] if warned else [])]
    headline = f"{activity} succeeded" + (f", with {' and '.join(problems)}" if problems else "")
    return Headline("warn" if problems else "good", headline, reasons)


def _ended(status: str) -> str:
    return {"running": "is running", "cancelled": "was cancelled"}.get(status, status)


def _gates(gates: pd.DataFrame) -> list[str]:
    if gates.empty:
        return []
    blocking = gates[gates["verdict"] != "passed"]
    if blocking.empty:
        return [f"all {len(gates)} gates passed" if len(gates) > 1 else "the gate passed"]
    names = [f"{row['gate']} ({row['verdict']})" for row in blocking.to_dict("records")]
    return [f"{len(blocking)} of {len(gates)} gates did not pass: {_listed(names)}"]


def _checks(checks: pd.DataFrame) -> list[str]:
    if checks.empty:
        return []
    rows = checks.to_dict("records")
    failed = [row for row in rows if is_open(row)]
    accepted = [row for row in rows if row["severity"] == ACCEPTED]
    counts = CheckCounts.of(rows)
    if counts.passed:
        return [f"all {counts.checks} input checks passed" if counts.checks > 1 else _ONE_PASSED]
    named = [*failed, *accepted]
    return [f"{counts.words}: {_names(named)}"]


_ONE_PASSED = "the input check passed"


def _names(checks: list[dict[Hashable, Any]]) -> str:
    return _listed([*dict.fromkeys(map(label, checks))])


def _drift(drift: pd.DataFrame) -> list[str]:
    if drift.empty:
        return []
    alarms = drift[drift["verdict"] == "alarm"]
    count = int((drift["verdict"] == "warning").sum())
    warnings = f"; {count} {'warnings' if count > 1 else 'warning'}" if count else ""
    if alarms.empty:
        return [f"none of {len(drift)} drift measures raised an alarm{warnings}"]
    names = [
        f"{row['variable']} ({row['measure']} {brief(row['value'])})"
        if present(row["value"])
        else f"{row['variable']} ({row['measure']})"
        for row in alarms.to_dict("records")
    ]
    summary = f"{len(alarms)} of {len(drift)} drift measures raised an alarm"
    return [f"{summary}: {_listed(names)}{warnings}"]


def _rows(report: SessionReport) -> list[str]:
    if report.parts is None or report.parts.empty:
        return []
    rows = int(report.parts["rows"].sum())
    if present(report.session["published_at"]):
        return [f"{rows:,} scores published at {moment(report.session['published_at'])}"]
    return [f"{rows:,} scores written but not published"]


def _listed(names: list[str]) -> str:
    listed = ", ".join(text(name, 120) for name in names[:MOST_NAMED])
    return listed + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def model_verdict(report: ModelReport) -> Headline:
    """Return the state of a model: what is in production, its last sessions, its freshness."""
    if report.sessions.empty:
        return Headline("info", "No session has run yet")
    findings = [*_last_sessions(report), *_stale(report.freshness)]
    levels = [level for level, _ in findings]
    worst = next((x for x in ("bad", "warn", "info") if x in levels), "good")
    headline = {
        "bad": "This model needs attention",
        "warn": "This model works, with warnings",
        "info": "A session is running",
        "good": "This model is healthy",
    }[worst]
    if report.production is None:
        first, headline = no_production(report), "Nothing is in production"
        worst = worst if worst == "bad" else "warn"
    else:
        first = promotion(report.production)
    problems = [finding for level, finding in findings if level != "good"]
    return Headline(worst, headline, [first, *(problems or [finding for _, finding in findings])])


def _last_sessions(report: ModelReport) -> list[tuple[str, str]]:
    """Return level and text of the newest session of each purpose."""
    findings: list[tuple[str, str]] = []
    for purpose, group in report.sessions.groupby("purpose", sort=False):
        row = group.iloc[0]
        level = LEVEL_OF_STATUS.get(str(row["status"]), "bad")
        ending = f"the last {purpose} session {_ended(str(row['status']))}"
        findings.append((level, f"{ending} (started {moment(row['started_at'])})"))
    last = set(report.sessions.drop_duplicates("purpose")["session_id"])
    trained = report.candidate or (report.production.training if report.production else None)
    for session in (trained, report.scoring, report.monitoring):
        if session is None or session.session["session_id"] not in last:
            continue
        verdict = session_verdict(session)
        if verdict.level == "warn":
            findings.append(("warn", f"{verdict.headline[0].lower()}{verdict.headline[1:]}"))
    return findings


def _stale(freshness: Any) -> list[tuple[str, str]]:
    if freshness is None or not freshness["stale"]:
        return []
    last = freshness["last_scored_at"]
    since = f"since {moment(last)}" if present(last) else "so far"
    max_age = duration(float(freshness["max_age_seconds"]))
    return [("bad", f"no scores published {since}; expected every {max_age}")]

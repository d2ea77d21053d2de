"""What a reader has to know first: how a session ended, and what is not well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mfprefect.report.blocks import Headline
from mfprefect.report.formats import brief, duration, moment, present, text

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
WORKS = {"train": "Training", "score": "Scoring", "monitor": "Monitoring", "adhoc": "Run"}
FAILURES = {
    "ChecksFailed": "the input data did not pass its checks",
    "GateFailed": "the model did not pass its gates",
}
MOST_NAMED = 5


def session_verdict(facts: SessionReport) -> Headline:
    """Return how a session ended and what is not well with it."""
    row, work = facts.session, WORKS.get(facts.purpose, facts.purpose)
    status = str(row["status"])
    kind = row["failure_kind"] if present(row["failure_kind"]) else ""
    reasons = [*_gates(facts.gates), *_checks(facts.checks), *_drift(facts.drift), *_rows(facts)]
    if status != "succeeded":
        why = FAILURES.get(kind)
        headline = f"{work} {_ended(status)}: {why or kind}" if kind else f"{work} {_ended(status)}"
        cause = str(row["failure_text"]) if present(row["failure_text"]) else ""
        return Headline(LEVEL_OF_STATUS.get(status, "bad"), headline, reasons, cause)
    drifted = bool((facts.drift["verdict"] == "alarm").any())
    warned = not bool(facts.checks["passed"].astype(bool).all())
    problems = [*(["drift"] if drifted else []), *(["failed checks"] if warned else [])]
    headline = f"{work} succeeded" + (f", with {' and '.join(problems)}" if problems else "")
    return Headline("warn" if problems else "good", headline, reasons)


def _ended(status: str) -> str:
    return {"running": "is running", "cancelled": "was cancelled"}.get(status, status)


def _gates(gates: pd.DataFrame) -> list[str]:
    if gates.empty:
        return []
    held = gates[gates["verdict"] != "passed"]
    if held.empty:
        return [f"all {len(gates)} gates passed" if len(gates) > 1 else "its gate passed"]
    named = [f"{row['gate']} ({row['verdict']})" for row in held.to_dict("records")]
    return [f"{len(held)} of {len(gates)} gates not passed: {_some(named)}"]


def _checks(checks: pd.DataFrame) -> list[str]:
    if checks.empty:
        return []
    failed = checks[~checks["passed"].astype(bool)]
    if failed.empty:
        return [f"all {len(checks)} input checks passed" if len(checks) > 1 else "1 check passed"]
    named = [
        f"{row['column']}: {row['check']}" if present(row["column"]) else str(row["check"])
        for row in failed.to_dict("records")
    ]
    return [f"{len(failed)} of {len(checks)} input checks failed: {_some(named)}"]


def _drift(drift: pd.DataFrame) -> list[str]:
    if drift.empty:
        return []
    alarms = drift[drift["verdict"] == "alarm"]
    warnings = int((drift["verdict"] == "warning").sum())
    also = f"; {warnings} more give a warning" if warnings else ""
    if alarms.empty:
        return [f"none of {len(drift)} measures of drift is in alarm{also}"]
    named = [
        f"{row['variable']} ({row['measure']} {brief(row['value'])})"
        if present(row["value"])
        else f"{row['variable']} ({row['measure']})"
        for row in alarms.to_dict("records")
    ]
    return [f"{len(alarms)} of {len(drift)} measures of drift are in alarm: {_some(named)}{also}"]


def _rows(facts: SessionReport) -> list[str]:
    if facts.parts is None or facts.parts.empty:
        return []
    rows = int(facts.parts["rows"].sum())
    if present(facts.session["published_at"]):
        return [f"{rows:,} scores are published since {moment(facts.session['published_at'])}"]
    return [f"{rows:,} scores are written, and not published"]


def _some(names: list[str]) -> str:
    shown = ", ".join(text(name, 120) for name in names[:MOST_NAMED])
    return shown + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def model_verdict(facts: ModelReport) -> Headline:
    """Return whether a model is well: the newest session of each purpose, and how fresh it is."""
    if facts.sessions.empty:
        return Headline("info", "No session has run yet")
    findings: list[tuple[str, str]] = []
    for purpose, group in facts.sessions.groupby("purpose", sort=False):
        row = group.iloc[0]
        level = LEVEL_OF_STATUS.get(str(row["status"]), "bad")
        words = f"the last {purpose} session {_ended(str(row['status']))}"
        findings.append((level, f"{words}, begun {moment(row['started_at'])}"))
    last = set(facts.sessions.drop_duplicates("purpose")["session_id"])
    for session in facts.newest.values():
        verdict = session_verdict(session)
        if verdict.level == "warn" and session.session["session_id"] in last:
            findings.append(("warn", f"{verdict.headline[0].lower()}{verdict.headline[1:]}"))
    findings += _stale(facts.freshness)
    levels = [level for level, _ in findings]
    worst = next((x for x in ("bad", "warn", "info") if x in levels), "good")
    headline = {
        "bad": "This model needs attention",
        "warn": "This model works, with warnings",
        "info": "A session is running",
        "good": "This model is well",
    }[worst]
    reasons = [words for level, words in findings if level != "good"] or [w for _, w in findings]
    return Headline(worst, headline, reasons)


def _stale(freshness: Any) -> list[tuple[str, str]]:
    if freshness is None or not freshness["stale"]:
        return []
    last = freshness["last_scored_at"]
    since = f"since {moment(last)}" if present(last) else "so far"
    allowed = duration(float(freshness["max_age_seconds"]))
    return [("bad", f"no scores were published {since}; they are expected every {allowed}")]

"""A notice as JSON fields, for programs that receive it through a web hook."""

from __future__ import annotations

import datetime as dt
from typing import Any

from mfprefect.notifications.drift_words import drift_words
from mfprefect.notifications.facts import Facts
from mfprefect.notifications.wording import Body, happening

__all__ = ["json_fields"]

MAX_ROWS = 100
"""The most rows of a list; `*_count` has the number of all."""


def json_fields(facts: Facts, body: Body) -> dict[str, Any]:
    """Return the fields; absent facts are None or empty, so that every hook has all names."""
    return {
        "event": facts.event,
        "model": facts.model_id or None,
        "session_id": facts.session_id or None,
        "environment": facts.environment or None,
        "purpose": facts.purpose or None,
        "status": facts.status or None,
        "attempt": facts.attempt or None,
        "verdict": happening(facts),
        "as_of": _iso(facts.as_of),
        "started_at": _iso(facts.started_at),
        "ended_at": _iso(facts.ended_at),
        "run_by": facts.run_by or None,
        "host": facts.host or None,
        "deployment": facts.deployment,
        "cause": {"kind": facts.cause_kind or None, "text": facts.cause_text or None},
        "readers": _readers(facts),
        "action": body.action,
        "command": body.command or None,
        "gates": [gate.as_dict() for gate in facts.gates[:MAX_ROWS]],
        "checks": [check._asdict() for check in facts.checks[:MAX_ROWS]],
        "checks_count": len(facts.checks),
        "drift": [row._asdict() for row in facts.drift[:MAX_ROWS]],
        "drift_count": len(facts.drift),
        "drift_words": [" ".join([name + ":", words]) for name, words in drift_words(facts.drift)],
        "metrics": [change._asdict() for change in facts.moved],
        "summary": {
            "sessions": facts.count,
            "by_model": dict(facts.counts),
            "scores": dict(facts.scores),
            "problems": dict(facts.failures[:MAX_ROWS]),
        }
        if facts.event == "digest"
        else None,
        "urls": {"flow_run": facts.run_url, "report": facts.report_url},
    }


def _readers(facts: Facts) -> dict[str, Any] | None:
    if facts.readers is None:
        return None
    session_id, as_of, published_at = facts.readers
    return {
        "session_id": session_id,
        "as_of": _iso(as_of),
        "published_at": _iso(published_at),
        "this_session": facts.read_now,
    }


def _iso(value: dt.date | None) -> str | None:
    return value.isoformat() if value else None

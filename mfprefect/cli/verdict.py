"""A session in three sentences: what happened, whether it can be used, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mfprefect.quality.checks.advice import after_failed_checks
from mfprefect.quality.checks.result import CheckCounts
from mfprefect.report.formats import duration
from mfprefect.vocabulary import Purpose, Status

__all__ = ["Verdict", "verdict"]

Document = Mapping[str, Any]
"""What `mfprefect show --json` writes."""
ACTIVITIES = {
    "train": "training",
    "score": "scoring",
    "monitor": "monitoring",
    "adhoc": "run",
    "trial": "trial",
}
MOST_CHARACTERS = 200
NOTHING = "nothing"


class Verdict(NamedTuple):
    """Three sentences about a session."""

    happened: str
    usable: str
    next: str
    """What to do."""


def verdict(document: Document, took: float | None) -> Verdict:
    """Return the verdict on a session.

    Args:
        document: the session and what it stored.
        took: how long it ran, in seconds; None while it runs.
    """
    row = document["session"]
    if row["status"] == Status.RUNNING:
        since = f"{_activity(document)} is running since {_time(row['started_at'])} UTC"
        todo = "wait; `mfprefect reconcile` ends it if its process is gone"
        return Verdict(since, "not yet", todo)
    if row["status"] != Status.SUCCEEDED:
        return Verdict(_failed(document, took), *(_standing(document) or _unusable(document)))
    judge = {Purpose.TRAIN: _trained, Purpose.SCORE: _scored, Purpose.MONITOR: _monitored}
    happened = "; ".join([_ended(document, took, "succeeded"), *_findings(document)])
    usable = _standing(document) or judge.get(row["purpose"], _other)(document)
    return Verdict(happened, *usable)


def _activity(document: Document) -> str:
    purpose: str = document["session"]["purpose"]
    return ACTIVITIES.get(purpose, purpose).capitalize()


def _ended(document: Document, took: float | None, how: str) -> str:
    text = f"{_activity(document)} {how} on {_time(document['session']['ended_at'])} UTC"
    return text if took is None else f"{text}, after {duration(took)}"


def _time(instant: str | None) -> str:
    return "an unknown day" if instant is None else instant[:16].replace("T", " ")


def _failed(document: Document, took: float | None) -> str:
    row = document["session"]
    how = "was cancelled" if row["status"] == Status.CANCELLED else row["status"]
    cause = next(iter((row["failure_text"] or "").splitlines()), "")
    reason = ": ".join(filter(None, [row["failure_kind"], cause]))
    if len(reason) > MOST_CHARACTERS:
        reason = reason[:MOST_CHARACTERS] + ".."
    return _ended(document, took, how) + (f". {reason}" if reason else "")


def _unusable(document: Document) -> tuple[str, str]:
    row = document["session"]
    if row["deletion"] is not None:
        return "no: it is being deleted", "`mfprefect prune` finishes the deletion"
    if row["failure_kind"] == "GateFailed":
        promote = _promote(row, override=True)
        return "no: it did not pass its gates", f"train again, or take the risk: {promote}"
    usable = "no: none of its scores can be seen" if row["purpose"] == Purpose.SCORE else "no"
    if row["failure_kind"] == "ChecksFailed":
        text, command = after_failed_checks(row["session_id"], document["checks"])
        return usable, f"{text} `{command}`" if command else text
    if row["flow_run_id"] is not None:
        again = "retry its flow run in Prefect, which continues this session"
    else:
        again = "run it again"
    cause = "look at the failure, then " if row["status"] == Status.FAILED else ""
    return usable, cause + again


def _promote(row: Mapping[str, Any], *, override: bool = False) -> str:
    reason = " --override REASON" if override else ""
    return f"`mfprefect promote {row['model_id']} {row['session_id']}{reason}`"


def _findings(document: Document) -> list[str]:
    """Return what gates, checks and drift say, if there are any."""
    passed = sum(gate["verdict"] == "passed" for gate in document["gates"])
    checks = CheckCounts.of(document["checks"])
    alarms = sum(measure["verdict"] == "alarm" for measure in document["drift"])
    parts, empty = document["scores"]["parts"], document["scores"]["empty_parts"]
    findings = {
        f"{empty} of {parts} parts had no rows": empty and parts > 1,
        f"{passed} of {len(document['gates'])} gates passed": document["gates"],
        checks.words: checks.warned or checks.accepted,
        f"{alarms} of {len(document['drift'])} drift measures in alarm": alarms,
    }
    return [text for text, any_of_it in findings.items() if any_of_it]


def _standing(document: Document) -> tuple[str, str] | None:
    """Return what the stage in force says of a training; None if it is in none."""
    row, stage = document["session"], document["stage"]
    if stage is None or stage["until"] is not None:
        return None
    since = f" since {_time(stage['set_at'])} UTC, set by {stage['set_by']}"
    since = since if stage["set_at"] else ""
    if stage["stage"] == "production":
        return f"yes: it is in production{since}", NOTHING
    if stage["stage"] == "retired":
        back = f"`mfprefect rollback {row['model_id']}` puts it back into production"
        return f"no: its model is retired{since}", back
    return f"as an experiment{since}", f"to put it into production: {_promote(row)}"


def _trained(document: Document) -> tuple[str, str]:
    row, stage, gates = document["session"], document["stage"], document["gates"]
    missed = [gate["gate"] for gate in gates if gate["verdict"] != "passed"]
    if missed:
        usable = f"no: it did not pass {', '.join(missed)}"
    elif not gates:
        usable = "if somebody answers for it: no gate judged it"
    else:
        usable = "yes: it passed its gates"
    if stage is not None:
        usable += f"; it was in stage {stage['stage']} until {_time(stage['until'])} UTC"
    promote = _promote(row, override=bool(missed) or not gates)
    return usable, f"to put it into production: {promote}"


def _scored(document: Document) -> tuple[str, str]:
    row, scores = document["session"], document["scores"]
    if not scores["published"]:
        deleted = any(entry["meta_group"] == "retention" for entry in document["metadata"])
        why = "its scores were deleted" if deleted else "it published no scores"
        return f"no: {why}", NOTHING
    rows = "its scores" if scores["rows"] is None else f"its {scores['rows']} scores"
    looks = [check for check in document["checks"] if not check["passed"]]
    todo = "look at the checks that gave a warning" if looks else NOTHING
    return f"yes: readers see {rows} since {_time(row['published_at'])} UTC", todo


def _monitored(document: Document) -> tuple[str, str]:
    if any(measure["verdict"] == "alarm" for measure in document["drift"]):
        return "the model with care: its data have changed", (
            "look at the measures in alarm; train again if the change is real"
        )
    return "yes: no drift measure is in alarm", NOTHING


def _other(document: Document) -> tuple[str, str]:
    return "its figures: a run of purpose adhoc is never published or promoted", NOTHING

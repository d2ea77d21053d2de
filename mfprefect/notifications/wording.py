"""What a notice says: its subject, what readers see now, what to do, and the tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mfprefect.notifications.drift_words import OUTCOMES, PERFORMANCE, SCORE, drift_words
from mfprefect.notifications.facts import Check, Facts, MetricChange, Readers, Row
from mfprefect.notifications.text import inert, instant, number, pair, plural
from mfprefect.quality.checks.advice import after_failed_checks
from mfprefect.quality.gates.verdicts import GateResult

__all__ = [
    "FAILURE",
    "INFO",
    "SUCCESS",
    "WARNING",
    "Body",
    "Table",
    "TableRow",
    "body",
    "happening",
    "scores_of",
    "subject",
    "tone",
]

FAILURE, WARNING, SUCCESS, INFO = "failure", "warning", "success", "info"
MAX_ROWS = 10
TRAIN, SCORE_PURPOSE, MONITOR = "train", "score", "monitor"
WORK = {
    TRAIN: "training",
    SCORE_PURPOSE: "scoring",
    MONITOR: "monitoring",
    "adhoc": "session",
    "trial": "trial",
}
_TONES = {
    **dict.fromkeys(("failed", "crashed", "checks_failed", "gate_failed"), FAILURE),
    **dict.fromkeys(("cancelled", "drift", "stale", "rolled_back", "retired", "spooled"), WARNING),
    **dict.fromkeys(("succeeded", "recovered", "promoted"), SUCCESS),
}
_STAGES = ("promoted", "rolled_back", "retired")
"""Events with a person and a reason, and no error."""
_VERDICTS = {"passed": SUCCESS, "failed": FAILURE}


class TableRow(NamedTuple):
    """A row of a table; the first cell names it, the last one is the verdict if it has a tone."""

    cells: tuple[str, ...]
    tone: str = ""
    note: str = ""


class Table(NamedTuple):
    """A table of a notice."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    more: str = ""
    """How many rows were left out: `and 12 more`."""


@dataclass(frozen=True)
class Body:
    """The parts of a message, in the order in which they are shown."""

    lead: str
    """What readers of the scores see now."""
    action: str
    """What to do."""
    command: str
    """The command that does it, '' if there is none."""
    tables: tuple[Table, ...]
    cause: str
    facts: tuple[Row, ...]
    more: str
    """The command that shows everything, '' if there is none."""
    links: tuple[Row, ...]
    """Label and URL of the report and of the run, where there are any."""

    @property
    def first_line(self) -> str:
        """What readers see now and what to do, for a list of mails that shows one line."""
        return f"{self.lead} {self.action}"


def tone(facts: Facts) -> str:
    """Return how bad it is: `failure`, `warning`, `success` or `info`."""
    if facts.warns or (facts.event == "digest" and facts.failures):
        return WARNING
    return _TONES.get(facts.event, INFO)


def subject(facts: Facts) -> str:
    """Return one line without markup: `churn (production): training failed, 2 of 3 gates missed`.

    Names are cut and hold lookalikes for characters that could be markup.
    """
    name = inert(facts.model_id) or "mfprefect"
    environment = f" ({inert(facts.environment, 40)})" if facts.environment else ""
    return f"{name}{environment}: {happening(facts)}"


def happening(facts: Facts) -> str:
    """Return what happened: `training failed, 2 of 3 gates missed`."""
    work = WORK.get(facts.purpose) or inert(facts.purpose, 40)
    sayings = {
        "failed": f"{work} failed" + (f", {inert(facts.cause_kind, 60)}" * bool(facts.cause_kind)),
        "crashed": f"{work} crashed, its process is gone",
        "cancelled": f"{work} was cancelled",
        "checks_failed": _checks_happening(facts, work),
        "gate_failed": _gates_happening(facts, work),
        "drift": _drift_happening(facts, work),
        "stale": "scores are out of date",
        "recovered": f"{work} recovered",
        "promoted": "promoted to production",
        "rolled_back": "rolled back in production",
        "retired": "retired, nothing is in production",
        "succeeded": f"{work} succeeded",
        "waiting_for_promotion": "trained, waits for promotion",
        "digest": f"summary of {plural(facts.count, 'session')}" + _problems(facts),
        "spooled": f"{work} is spooled, the database is unavailable",
        "test": "a test notice",
    }
    return sayings[facts.event]


def _problems(facts: Facts) -> str:
    return f", {len(facts.failures)} with problems" if facts.failures else ""


def _checks_happening(facts: Facts, work: str) -> str:
    ended = "succeeded" if facts.warns else "failed"
    if facts.checks:
        return f"{work} {ended}, {facts.check_counts.words}"
    how = "with warnings of input checks" if facts.warns else "its input checks failed"
    return f"{work} {ended}, {how}"


def _gates_happening(facts: Facts, work: str) -> str:
    if not facts.gates:
        return f"{work} failed, it did not pass its gates"
    return f"{work} failed, {facts.missed_gates} of {plural(len(facts.gates), 'gate')} missed"


def _drift_happening(facts: Facts, work: str) -> str:
    measures = {row.measure for row in facts.drift}
    performance = {row.variable for row in facts.drift if row.measure == PERFORMANCE}
    inputs = [x for x in facts.drifted if x not in {SCORE, *performance, "outcomes"}]
    parts = [
        "no outcome belongs to a score" if OUTCOMES in measures else "",
        "performance fell" if performance else "",
        "the scores drifted" if SCORE in facts.drifted else "",
        f"{plural(len(inputs), 'variable')} drifted" if inputs else "",
    ]
    text = ", ".join(filter(None, parts)) or "drift"
    if facts.purpose == MONITOR:
        return text
    return f"{'scores published' if facts.read_now else f'{work} {facts.status}'}, {text}"


def body(facts: Facts) -> Body:
    """Return the parts of the message."""
    action, command = _action(facts)
    # The text of these errors repeats the table.
    links = (("Report", facts.report_url), ("Flow run in Prefect", facts.run_url))
    said = {"GateFailed": facts.gates, "ChecksFailed": facts.checks}.get(facts.cause_kind)
    return Body(
        _lead(facts),
        action,
        command,
        tuple(_tables(facts)),
        "" if said or facts.event in _STAGES else facts.cause_text,
        tuple(_session(facts)),
        _command("show", facts.session_id) if facts.session_id else "",
        tuple((label, url) for label, url in links if url),
    )


def scores_of(readers: Readers | None) -> str:
    """Return the scores that readers see: `the scores of 2026-11-29 (as of 2026-11-28)`."""
    if readers is None:
        return "no scores"
    at = f" of {readers.published_at:%Y-%m-%d}" if readers.published_at else ""
    return f"the scores{at}" + (f" (as of {readers.as_of})" if readers.as_of else "")


def _lead(facts: Facts) -> str:
    if facts.event == "test":
        return "Notices of mfprefect arrive here."
    if facts.event == "digest":
        models = len({name.rpartition(", ")[0] for name, _ in facts.counts})
        since = f" since {instant(facts.started_at)}" if facts.started_at else ""
        sessions = plural(facts.count, "session")
        problems = len(facts.failures)
        return (
            f"{sessions} of {plural(models, 'model')}{since}: {problems or 'none'} with problems."
        )
    if facts.event == "spooled":
        return "The database is unavailable: readers see what was published before, if anything."
    if facts.readers is None:
        return "Readers see no scores of this model yet."
    # Monitoring changes nothing that they could have seen instead.
    still = "" if facts.purpose == MONITOR else "still "
    return f"Readers {'now ' if facts.read_now else still}see {scores_of(facts.readers)}."


def _command(*words: str) -> str:
    return shlex.join(["mfprefect", *words])


def _action(facts: Facts) -> tuple[str, str]:
    """Return what to do, and the command that does it or ''."""
    rollback = _command("rollback", facts.model_id)
    actions = {
        "failed": ("Look at the cause below, mend it, and run it again.", ""),
        "crashed": (_AGAIN.get(facts.purpose, "Run it again."), ""),
        "cancelled": ("Run it again if its results are needed.", ""),
        "checks_failed": _checks_action(facts),
        "gate_failed": _gates_action(facts),
        "drift": _drift_action(facts),
        "stale": ("Run the score flow, or look at why it did not run:", _sessions(facts)),
        "promoted": ("The next scoring uses this model. To take it back:", rollback),
        "rolled_back": ("The next scoring uses the model before it, named below.", ""),
        "retired": ("It is not scored any more. To put its last model back:", rollback),
        "waiting_for_promotion": _promotion_action(facts),
        "digest": (_digest_action(facts), ""),
        "spooled": ("When the database is back, the next session delivers it, or:", _PUSH),
    }
    return actions.get(facts.event, ("Nothing has to be done.", ""))


_PUSH = _command("spool", "push")
_AGAIN = {
    TRAIN: "Run the training again.",
    SCORE_PURPOSE: "Run the scoring again: a retry of the flow run keeps its complete parts.",
}


def _sessions(facts: Facts) -> str:
    return _command("sessions", facts.model_id)


def _these(count: int, singular: str) -> str:
    return f"the {singular}" if count == 1 else f"the {count} {singular}s" if count else "them"


def _checks_action(facts: Facts) -> tuple[str, str]:
    if facts.warns:
        return f"Look at {_these(facts.failed_checks, 'check')} below; the session went on.", ""
    rows = [check._asdict() for check in facts.checks]
    text, command = after_failed_checks(facts.session_id, rows)
    return text[0].upper() + text[1:] + ("" if command else "."), command


def _gates_action(facts: Facts) -> tuple[str, str]:
    gates = _these(facts.missed_gates, "gate")
    if facts.purpose != TRAIN:
        return (
            f"Nothing new was published. Look at {gates} below, then mend the data, or retrain, "
            "and score again.",
            "",
        )
    promote = _command("promote", facts.model_id, facts.session_id, "--override", "REASON")
    return f"Look at {gates} below, then retrain, or promote it all the same by:", promote


def _drift_action(facts: Facts) -> tuple[str, str]:
    measures = {row.measure for row in facts.drift}
    if OUTCOMES in measures:
        return "Look at the ids that outcomes() returns; until they match, nothing is measured.", ""
    if PERFORMANCE in measures:
        return (
            "Look at the figures below, then retrain, or go back to the model before by:",
            _command("rollback", facts.model_id),
        )
    names = _these(len(facts.drifted), "variable")
    return (
        f"Look at {names} below; if the data is wrong, mend it and score again, else retrain.",
        "",
    )


def _promotion_action(facts: Facts) -> tuple[str, str]:
    words = ["promote", facts.model_id, facts.session_id]
    if not facts.gates:
        return "It has no gates, so whoever promotes it gives a reason:", _command(
            *words, "--override", "REASON"
        )
    return "It passed its gates. Look at its report, then promote it by:", _command(*words)


def _digest_action(facts: Facts) -> str:
    if not facts.failures:
        return "Nothing has to be done."
    return f"Look at {_these(len(facts.failures), 'session')} with problems below."


# Tables


def _tables(facts: Facts) -> Iterator[Table]:
    gates = sorted(facts.gates, key=lambda gate: gate.passed)
    checks = [_check(check) for check in facts.checks if not check.passed]
    missed = f"Gates: {facts.missed_gates or 'none'} of {len(gates)} missed"
    yield from _table(missed, _GATES, [_gate(x) for x in gates])
    yield from _table(f"Checks: {facts.check_counts.words}", _CHECKS, checks)
    drift = [TableRow(words) for words in drift_words(facts.drift)]
    yield from _table("Drift", ("Variable", "What happened"), drift)
    changes = [TableRow((x.name, _change(x))) for x in facts.moved]
    yield from _table("Changed metrics", ("Metric", "Before and now"), changes)
    problems = [_problem(*row) for row in facts.failures]
    yield from _table("Problems", ("Session", "What happened"), problems)
    counts = [TableRow(row) for row in facts.counts]
    yield from _table("Sessions", ("Model", "Sessions"), counts)
    scores = [TableRow(row) for row in facts.scores]
    yield from _table("Scores that readers see", ("Model", "Scores"), scores)


_GATES = ("Gate", "Figure", "Verdict")
_CHECKS = ("Check", "Failing rows", "Verdict")


def _table(heading: str, columns: tuple[str, ...], rows: list[TableRow]) -> Iterator[Table]:
    if not rows:
        return
    rest = rows[MAX_ROWS:]
    passed = ", all passed" if rest and all(row.tone == SUCCESS for row in rest) else ""
    more = f"and {len(rest)} more{passed}" if rest else ""
    yield Table(heading, columns, tuple(rows[:MAX_ROWS]), more)


def _gate(gate: GateResult) -> TableRow:
    figure = "" if gate.figure is None else number(gate.figure, gate.at_least, gate.at_most)
    # The reason of a gate with bounds repeats what the row says.
    said = gate.passed or (gate.kind == "metric" and gate.figure is not None)
    note = "" if said else gate.reason
    return TableRow((gate.gate, figure, gate.verdict), _VERDICTS.get(gate.verdict, WARNING), note)


def _check(check: Check) -> TableRow:
    verdict = "failed" if check.severity == "error" else check.severity
    shown = FAILURE if check.severity == "error" else WARNING
    return TableRow((check.name, f"{check.failing_rows:,}", verdict), shown, check.message)


def _problem(session_id: str, text: str) -> TableRow:
    """Return a row of a summary: the status and the kind of error, below them its text."""
    status, *kind_and_text = text.split(": ", 2)
    said = ": ".join([status, *kind_and_text[:1]])
    return TableRow((session_id, said), note="".join(kind_and_text[1:]))


def _change(metric: MetricChange) -> str:
    return pair(metric.old, metric.new) + (f" ({metric.change:+.1%})" if metric.old else "")


def _session(facts: Facts) -> Iterator[Row]:
    user = " on ".join(filter(None, [facts.run_by, facts.host]))
    labelled = {
        "model": facts.model_id,
        "environment": facts.environment,
        "session": facts.session_id,
        "attempt": str(facts.attempt) if facts.attempt else "",
        "status": facts.status,
        "data as of": str(facts.as_of or ""),
        "started": "" if facts.event == "digest" else instant(facts.started_at),
        "ended": instant(facts.ended_at),
        "run by": user,
        "deployment": facts.deployment or "",
        "checks": f"all {len(facts.checks)} passed"
        * bool(facts.checks and facts.check_counts.passed),
        "stage" if facts.event in _STAGES else "cause": facts.cause_kind,
        "reason": facts.cause_text if facts.event in _STAGES else "",
    }
    yield from ((label, value) for label, value in labelled.items() if value)

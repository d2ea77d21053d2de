"""What the log of a run says of its results, for people who watch no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.lifecycle.tasks import log
from mfprefect.notifications.drift_words import drift_words
from mfprefect.notifications.text import flat, number, percent, plural
from mfprefect.quality.checks.result import label
from mfprefect.quality.gates.verdicts import GateResult
from mfprefect.quality.metrics.order import ordered
from mfprefect.quality.score_figures import ScoreFigures
from mfprefect.store.models.gate_verdicts import stored_results
from mfprefect.store.notifications.content import session_row
from mfprefect.store.notifications.drift_rows import drift_rows
from mfprefect.store.notifications.waiting import waits_for_promotion
from mfprefect.store.results.frames import SessionSummary, outcome
from mfprefect.store.results.monitoring import drift_frame
from mfprefect.store.states import SPOOLED, Purpose, Status

if TYPE_CHECKING:
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["log_outcome", "log_scored"]

MOST_METRICS = 5
MOST_CLASSES = 5
MOST_DRIFTED = 5
ROWS_SCORED = "rows_scored"
"""A metric that `log_scored` says."""


def log_scored(figures: ScoreFigures, parts: int, before: int) -> None:
    """Log how many entities were scored, and how the scores are distributed.

    Args:
        figures: of the scores of this attempt.
        parts: the parts of the scoring.
        before: how many scores an earlier attempt wrote.
    """
    where = f" in {parts} parts" if parts > 1 else ""
    text = f"scored {figures.n + before:,} {'entity' if figures.n + before == 1 else 'entities'}"
    text += where + (f", {before:,} of them in an earlier attempt" if before else "")
    if not figures.n:
        log().info("%s", text)
        return
    spread = "" if figures.sd is None else f", standard deviation {number(figures.sd)}"
    ends = f"{number(figures.low, figures.high)} to {number(figures.high, figures.low)}"
    log().info("%s: scores %s, mean %s%s", text, ends, number(figures.mean), spread)
    if figures.classes:
        common = figures.classes.most_common(MOST_CLASSES)
        shares = [f"{flat(name, 60)} {percent(count / figures.n)}" for name, count in common]
        rest = len(figures.classes) - len(common)
        log().info("classes: %s", ", ".join(shares) + (f" and {rest} more" if rest else ""))


def log_outcome(store: Store, session: Session) -> None:
    """Log a session's figures, gates, failed checks and drift; never raise."""
    if session.status == SPOOLED:
        return  # whatever spooled it has said so, and the database is away
    try:
        _log_outcome(store, session)
    except Exception as exc:  # noqa: BLE001 - a line of a log must never fail the run
        log().warning("the results could not be read for the log: %s", type(exc).__name__)


def _log_outcome(store: Store, session: Session) -> None:
    database, number_ = store.database, session.session_no
    ended = outcome(database, number_)
    _log_metrics(ended)
    gates = database.read_transaction(lambda c: stored_results(database, c, number_))
    _log_gates(gates)
    _log_checks(ended)
    _log_drift(store, session)
    status = str(ended.session["status"])
    level = "info" if status == Status.SUCCEEDED else "error"
    getattr(log(), level)(
        "session %s %s; everything about it: mfprefect show %s",
        session.session_id,
        status,
        session.session_id,
    )
    row: Any = session_row(database, number_)
    if not session.promoting and waits_for_promotion(database, row):
        command = f"mfprefect promote {session.model_id} {session.session_id}"
        text = "it waits for promotion: %s%s"
        log().info(text, command, "" if gates else " --override REASON (it has no gates)")


def _log_metrics(ended: SessionSummary) -> None:
    names = [name for name in ordered(ended.figures) if name not in (ROWS_SCORED, "n")]
    if not names:
        return
    figures = ", ".join(f"{name} {number(ended.figures[name])}" for name in names[:MOST_METRICS])
    rest = len(names) - MOST_METRICS
    tested = ended.figures.get("n")
    on = f" on {tested:,.0f} rows" if tested else ""
    verb = {Purpose.TRAIN: "tested", Purpose.MONITOR: "measured"}.get(
        Purpose(ended.session["purpose"]), "figures"
    )
    log().info("%s%s: %s%s", verb, on, figures, f" and {rest} more" if rest > 0 else "")


def _log_gates(gates: Sequence[GateResult]) -> None:
    if not gates:
        return
    missed = [gate for gate in gates if not gate.passed]
    if not missed:
        passed = "; ".join(f"{flat(gate.gate)} ({_figure(gate)})" for gate in gates)
        which = "the gate" if len(gates) == 1 else f"all {len(gates)} gates"
        log().info("%s passed: %s", which, passed)
    for gate in missed:
        log().error("gate %s: %s", gate.verdict, flat(gate.reason))


def _figure(gate: GateResult) -> str:
    if gate.figure is None:
        return gate.verdict
    return number(gate.figure, gate.at_least, gate.at_most)


def _log_checks(ended: SessionSummary) -> None:
    if ended.failed_checks and ended.session["status"] == Status.SUCCEEDED:
        for text in dict.fromkeys(map(_check, ended.failed_checks)):
            log().warning("check %s", text)


def _check(row: Mapping[str, Any]) -> str:
    return flat(f"{label(row)}: {row['message']}")


def _log_drift(store: Store, session: Session) -> None:
    frame = drift_frame(store.database, [session.session_id])
    if frame.empty:
        return
    row: Any = session_row(store.database, session.session_no)
    moved = drift_words(drift_rows(store.database, row))
    if not moved:
        variables = plural(frame["variable"].nunique(), "variable")
        log().info("drift: none of %d measures of %s in alarm", len(frame), variables)
    for name, words in moved[:MOST_DRIFTED]:
        log().warning("drift of %s: %s", flat(name, 60), flat(words))
    if len(moved) > MOST_DRIFTED:
        log().warning("drift: and %d more", len(moved) - MOST_DRIFTED)

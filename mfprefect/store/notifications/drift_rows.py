"""The drift that raised an alarm in a session, with what moved in words."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.notifications.drift_words import OUTCOMES, PERFORMANCE, change_of
from mfprefect.notifications.facts import Drift
from mfprefect.notifications.text import pair
from mfprefect.store.database import Database
from mfprefect.store.states import Purpose

__all__ = ["drift_rows", "in_alarm", "unmatched_text"]

log = logging.getLogger(__name__)

Row = sa.Row[*tuple[Any, ...]]
ALARM = "alarm"
"""The verdict on a variable that drifted beyond its threshold."""
MAX_VARIABLES = 20
"""Of how many variables the words are read."""
MONITOR, DRIFT_OF, OUTCOMES_GROUP = "monitor", "drift_of", "outcomes"
"""Where a monitoring session says which scoring session it describes, and of its outcomes."""
INPUT = " (input)"
"""The suffix of an input variable whose name is that of scores."""


def in_alarm(db: Database, session_no: int) -> bool:
    """Return whether a session has drift beyond a threshold."""
    d = db.schema.drift.c
    alarms = sa.select(d.session_no).where(d.session_no == session_no, d.verdict == ALARM).limit(1)
    return bool(db.fetch_all(alarms))


def drift_rows(db: Database, row: Row) -> tuple[Drift, ...]:
    """Return the measures in alarm, the largest first."""
    d = db.schema.drift.c
    select = (
        sa.select(d.variable, d.measure, d.value, d.threshold, d.reference_session_no)
        .where(d.session_no == row.session_no, d.verdict == ALARM)
        .order_by(d.variable, d.measure)
    )
    alarms = sorted(db.fetch_all(select), key=lambda alarm: -abs(alarm.value or 0))
    changes = _changes(db, row, alarms)
    return tuple(
        Drift(
            alarm.variable,
            alarm.measure,
            alarm.value,
            alarm.threshold,
            changes.get((alarm.variable, alarm.reference_session_no), ""),
        )
        for alarm in alarms
    )


def unmatched_text(db: Database, row: Row) -> str:
    """Return why no outcome of a monitoring session belongs to a score, '' if some do."""
    d, m = db.schema.drift.c, db.schema.session_metadata.c
    s = db.schema.sessions.c
    select = (
        sa.select(m.value)
        .join_from(db.schema.drift, db.schema.sessions, s.session_no == d.reference_session_no)
        .join(
            db.schema.session_metadata,
            sa.and_(m.session_no == d.session_no, m.meta_name == s.session_id),
        )
        .where(
            d.session_no == row.session_no,
            d.measure == OUTCOMES,
            d.verdict == ALARM,
            m.meta_group == OUTCOMES_GROUP,
        )
    )
    rows = db.fetch_all(select)
    return str(rows[0][0]) if rows else ""


def _changes(db: Database, row: Row, alarms: Collection[Row]) -> dict[tuple[str, int | None], str]:
    """Return what moved, by variable and session of reference."""
    names = list(dict.fromkeys(alarm.variable for alarm in alarms))[:MAX_VARIABLES]
    if not names:
        return {}
    current = _described(db, row)
    references = {x.reference_session_no for x in alarms} - {None}
    rows = _summaries(db, {*references, current}, names)
    changes: dict[tuple[str, int | None], str] = {}
    for alarm in alarms:
        key = alarm.variable, alarm.reference_session_no
        if alarm.measure == PERFORMANCE:
            changes[key] = _performance_change(db, row, alarm)
            continue
        name = alarm.variable.removesuffix(INPUT)
        before, now = rows.get((alarm.reference_session_no, name)), rows.get((current, name))
        if before is not None and now is not None and _is_input(alarm):
            changes[key] = _words(name, before, now)
    return changes


def _words(name: str, before: Row, now: Row) -> str:
    try:
        return change_of(name, before._asdict(), now._asdict())
    except (KeyError, TypeError, ValueError) as exc:
        # A summary of another version: the notice goes out with the figures alone.
        log.warning("the drift of %s has no words: %s", name, type(exc).__name__)
        return ""


def _is_input(alarm: Row) -> bool:
    """Return whether a measure is about an input: a model may have an input called `score`."""
    return alarm.variable != "score" or "_" not in alarm.measure


def _described(db: Database, row: Row) -> int:
    """Return the session whose input the drift describes: monitoring describes a scoring."""
    if row.purpose != Purpose.MONITOR:
        return int(row.session_no)
    m, s = db.schema.session_metadata.c, db.schema.sessions.c
    noted = sa.select(m.value).where(
        m.session_no == row.session_no, m.meta_group == MONITOR, m.meta_name == DRIFT_OF
    )
    # Not a join: a long text has no index, and Teradata compares none.
    for (session_id,) in db.fetch_all(noted):
        for (number,) in db.fetch_all(sa.select(s.session_no).where(s.session_id == session_id)):
            return int(number)
    return int(row.session_no)


def _summaries(
    db: Database, sessions: Collection[int], names: Collection[str]
) -> Mapping[tuple[int, str], Row]:
    i = db.schema.input_summary.c
    variables = {name.removesuffix(INPUT) for name in names}
    fields = (i.session_no, i.variable, i.mean, i.sd, i.n, i.quantiles, i.bin_counts)
    select = sa.select(*(field.label(field.key) for field in fields)).where(
        i.session_no.in_(sorted(sessions)), i.variable.in_(sorted(variables))
    )
    return {(row.session_no, row.variable): row for row in db.fetch_all(select)}


def _performance_change(db: Database, row: Row, alarm: Row) -> str:
    m = db.schema.metrics.c
    numbers = [alarm.reference_session_no, row.session_no]
    select = sa.select(m.session_no, m.value).where(
        m.session_no.in_([x for x in numbers if x is not None]),
        m.metric_name == alarm.variable,
        m.segment == "",
    )
    figures = {x.session_no: x.value for x in db.fetch_all(select)}
    if len(figures) < 2:
        return ""
    return f"{alarm.variable} {pair(figures[numbers[0]], figures[numbers[1]])}"

"""Verdicts of gates: what gates judge by, and how a session stores their verdicts.

They are rows of `gate_results`. Sessions that were sealed before there was this table keep theirs
as a JSON list in `session_metadata`: sealed rows stay where they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.quality.gates.verdicts import Champion, GateInputs, GateResult
from mfprefect.store import views
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.held_rows import WITHOUT_LOCK
from mfprefect.store.lookup import require_all
from mfprefect.store.models.stages import in_production
from mfprefect.store.states import GATES_GROUP, GATES_NAME, Purpose
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "TABLE",
    "gate_inputs",
    "gates_frame",
    "merge_gate_inputs",
    "result_rows",
    "stored_results",
]

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
TABLE = "gate_results"

_JUDGED = {
    "metrics": ("segment", "metric_name", "value"),
    "check_results": ("check_no", "check", "column", "severity", "passed"),
    "drift": ("variable", "measure", "value", "threshold", "verdict"),
}
_FIELDS = tuple(f.name for f in fields(GateResult))
_FIGURES = tuple(f.name for f in fields(GateResult) if f.type == "float | None")


def gate_inputs(
    db: Database, handle: SessionHandle, pending: Rows, champion: Champion | None
) -> GateInputs:
    """Return what gates judge a session by: what it has stored so far, and what is pending."""

    def work(connection: sa.Connection) -> GateInputs:
        stored = {}
        for name, keys in _JUDGED.items():
            c = db.schema.tables[name].c
            select = sa.select(*(c[key].label(key) for key in keys))
            rows = connection.execute(select.where(c.session_no == handle.session_no))
            stored[name] = [dict(row._mapping) for row in rows]
        if handle.purpose == Purpose.SCORE:  # its drift is from its own training
            return merge_gate_inputs(stored, pending, handle.parent_session_id, champion)
        production = in_production(db, connection, handle.model_id)
        return merge_gate_inputs(stored, pending, production, champion)

    return db.read_snapshot(work)


def merge_gate_inputs(
    stored: Rows, pending: Rows, production: str | None, champion: Champion | None
) -> GateInputs:
    """Return the same from rows by table. The last row of a key counts."""
    rows = {name: [*stored.get(name, ()), *pending.get(name, ())] for name in _JUDGED}
    metrics: dict[str, dict[str, float]] = {}
    for row in rows["metrics"]:
        metrics.setdefault(row["segment"], {})[row["metric_name"]] = row["value"]
    checks = {row["check_no"]: row for row in rows["check_results"]}
    drift = {(row["variable"], row["measure"]): row for row in rows["drift"]}
    return GateInputs(metrics, list(checks.values()), list(drift.values()), production, champion)


def result_rows(results: Iterable[GateResult]) -> list[dict[str, Any]]:
    """Return rows of `gate_results`, numbered from 1 in the order of the gates.

    Raises:
        InvalidValue: a gate's words are no text, or its figures no finite numbers.
    """
    return [
        {"gate_no": number, **{name: _stored(name, getattr(result, name)) for name in _FIELDS}}
        for number, result in enumerate(results, start=1)
    ]


def _stored(name: str, value: Any) -> Any:
    what = f"{name} of a gate"
    if value is None:
        return None
    return values.figure(value, what) if name in _FIGURES else values.text(value, what)


def stored_results(db: Database, connection: sa.Connection, session_no: int) -> list[GateResult]:
    """Return the verdicts that a session stored, in the order of its gates.

    Takes no lock on them: an ended session, which a caller that writes holds, keeps its verdicts.
    """
    return [result for _, result in _stored_results(db, connection, [session_no])]


def _stored_results(
    db: Database, connection: sa.Connection, numbers: Sequence[int]
) -> Iterator[tuple[int, GateResult]]:
    """Yield sessions by number and their verdicts, in the order of both."""
    g, m = db.schema.gate_results.c, db.schema.session_metadata.c
    rows = sa.select(g.session_no, *(g[name].label(name) for name in _FIELDS))
    rows = rows.where(g.session_no.in_(numbers)).order_by(g.session_no, g.gate_no)
    by_session: dict[int, list[GateResult]] = {}
    for number, *row in connection.execute(rows, execution_options=WITHOUT_LOCK):
        result = GateResult(**dict(zip(_FIELDS, row, strict=True)))
        by_session.setdefault(number, []).append(result)
    if older := [number for number in numbers if number not in by_session]:
        lists = sa.select(m.session_no, m.value).where(
            m.session_no.in_(older), m.meta_group == GATES_GROUP, m.meta_name == GATES_NAME
        )
        for number, text in connection.execute(lists, execution_options=WITHOUT_LOCK):
            by_session[number] = [GateResult.from_dict(row) for row in json.loads(text)]
    for number in sorted(by_session):
        yield from ((number, result) for result in by_session[number])


def gates_frame(db: Database, session_ids: Sequence[str]) -> pd.DataFrame:
    """Return the verdicts of sessions, in the order of their numbers and gates.

    Raises:
        UnknownSession: one of the sessions does not exist.
    """
    import pandas as pd

    if db.views_only:
        return views.gates_frame(db, session_ids, _FIELDS)
    if not session_ids:
        raise InvalidValue("name at least one session id.")
    s = db.schema.sessions.c
    select = sa.select(s.session_no, s.session_id).where(s.session_id.in_(session_ids))

    def work(connection: sa.Connection) -> list[list[Any]]:
        names: dict[int, str] = dict(tuple(row) for row in connection.execute(select))
        require_all(session_ids, names.values())
        results = _stored_results(db, connection, list(names))
        return [[names[number], *result.as_dict().values()] for number, result in results]

    columns = ["session_id", *_FIELDS]
    frame = pd.DataFrame(db.read_snapshot(work), columns=columns)
    return frame.astype(dict.fromkeys(_FIGURES, "float64"))

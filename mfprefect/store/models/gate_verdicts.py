"""Verdicts of gates: what they are judged by, and how they are kept with the session."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.quality.gates.verdicts import Champion, GateInputs, GateResult
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.lookup import require_all
from mfprefect.store.models.stages import in_production

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GROUP", "NAME", "evidence", "evidence_of", "gates_frame", "stored"]

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
GROUP, NAME = "gates", "verdicts"
"""Where the metadata of a session holds its verdicts: a JSON list, in the order of the gates."""


_JUDGED = {
    "metrics": ("segment", "metric_name", "value"),
    "check_results": ("check_no", "check", "column", "severity", "passed"),
    "drift": ("variable", "measure", "value", "verdict"),
}


def evidence(
    db: Database, handle: SessionHandle, pending: Rows, champion: Champion | None
) -> GateInputs:
    """Return what a session has stored so far that gates can be about, and what is pending."""

    def work(connection: sa.Connection) -> GateInputs:
        stored = {}
        for name, keys in _JUDGED.items():
            c = db.schema.tables[name].c
            select = sa.select(*(c[key].label(key) for key in keys))
            mine = select.where(c.session_no == handle.session_no)
            stored[name] = [dict(row._mapping) for row in connection.execute(mine)]
        production = in_production(db, connection, handle.model_id)
        return evidence_of(stored, pending, production, champion)

    return db.read_transaction(work)


def evidence_of(
    stored: Rows, pending: Rows, production: str | None, champion: Champion | None
) -> GateInputs:
    """Return the same of rows by table; of those with the same key the last counts."""
    rows = {name: [*stored.get(name, ()), *pending.get(name, ())] for name in _JUDGED}
    metrics: dict[str, dict[str, float]] = {}
    for row in rows["metrics"]:
        metrics.setdefault(row["segment"], {})[row["metric_name"]] = row["value"]
    checks = {row["check_no"]: row for row in rows["check_results"]}
    drift = {(row["variable"], row["measure"]): row for row in rows["drift"]}
    return GateInputs(metrics, list(checks.values()), list(drift.values()), production, champion)


def stored(db: Database, connection: sa.Connection, session_no: int) -> list[GateResult]:
    """Return the verdicts that a session stored; none where it was held against no gate."""
    t = db.schema.session_metadata.c
    select = sa.select(t.value).where(
        t.session_no == session_no, t.meta_group == GROUP, t.meta_name == NAME
    )
    text = connection.scalar(select)
    return [GateResult.from_dict(row) for row in json.loads(text)] if text else []


def gates_frame(db: Database, session_ids: Sequence[str]) -> pd.DataFrame:
    """Return the verdicts of sessions, in the order of their numbers and gates.

    Raises:
        UnknownSession: one of the sessions is not there.
    """
    import pandas as pd

    if not session_ids:
        raise InvalidValue("name at least one session id.")
    s = db.schema.sessions.c
    select = sa.select(s.session_no, s.session_id).where(s.session_id.in_(session_ids))

    def work(connection: sa.Connection) -> list[list[Any]]:
        found = list(connection.execute(select.order_by(s.session_no)))
        require_all(session_ids, (row.session_id for row in found))
        return [
            [row.session_id, *verdict.as_dict().values()]
            for row in found
            for verdict in stored(db, connection, row.session_no)
        ]

    columns = ["session_id", *(f.name for f in fields(GateResult))]
    frame = pd.DataFrame(db.read_transaction(work), columns=columns)
    for f in fields(GateResult):
        if f.type == "float | None":
            frame[f.name] = frame[f.name].astype("float64")
    return frame

"""How large the tables are, which models filled them, and what `prune` would free."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mfprefect.backend import TableBytes
from mfprefect.retention import DELETE, KEEP, RetentionDecision
from mfprefect.store.database import Database
from mfprefect.store.retention import prune
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RECENT_DAYS", "StoreSize", "measure"]

RECENT_DAYS = 30
COLUMNS = ("sessions", "scores", "bytes")


@dataclass(frozen=True)
class StoreSize:
    """The size of a store, by table and by model."""

    tables: pd.DataFrame
    """table, rows, bytes, index_bytes (part of bytes; missing where the database does not tell)."""
    models: pd.DataFrame
    """model_id; sessions, scores and bytes; `recent_`: the same, of the last 30 days; `prunable_`:
    the same, of what `prune` would delete now. The bytes of tables are shared out: scores by their
    number, artifacts by their size, everything else evenly to the sessions."""


def measure(db: Database) -> StoreSize:
    """Return the size of a store. Counts the rows of all tables but `scores`."""
    import pandas as pd

    return db.snapshot(lambda moment: _measured(moment, pd.DataFrame))


def _measured(db: Database, frame: type[pd.DataFrame]) -> StoreSize:
    decisions = prune.prune(db, db.settings.retention, dry_run=True)
    rows = _rows(db, sum(d.session.rows for d in decisions))
    sizes = db.read_transaction(db.backend.table_bytes)
    names = {name: db.schema.name(name) for name in rows}
    tables = [
        [table, rows[name], *(sizes.get(table) or (float("nan"), None))]
        for name, table in names.items()
    ]
    shares = _shares(db, sizes, rows)
    models = [
        [model_id, *_totals([d for d in decisions if d.session.model_id == model_id], shares)]
        for model_id in sorted({d.session.model_id for d in decisions})
    ]
    kinds = ("", "recent_", "prunable_")
    return StoreSize(
        frame(tables, columns=["table", "rows", "bytes", "index_bytes"]),
        frame(models, columns=["model_id", *(kind + name for kind in kinds for name in COLUMNS)]),
    )


def _rows(db: Database, scores: int) -> dict[str, int]:
    """Return the rows of each table; those of scores would take minutes to count."""
    counts = {"scores": scores}
    for name, table in db.schema.tables.items():
        if name not in counts:
            select = sa.select(sa.func.count()).select_from(table)
            counts[name] = int(db.fetch_all(select)[0][0])
    return {name: counts[name] for name in db.schema.tables}


Shares = Callable[[RetentionDecision], tuple[float, float]]


def _shares(db: Database, sizes: dict[str, TableBytes], rows: dict[str, int]) -> Shares:
    """Return a function that returns a session's share of bytes: of its scores, and of the rest."""
    artifacts = db.schema.artifacts.c
    select = sa.select(artifacts.session_no, sa.func.sum(artifacts.bytes)).group_by(
        artifacts.session_no
    )
    saved = {number: int(total) for number, total in db.fetch_all(select)}

    def share(names: Sequence[str], of: int) -> float:
        tables = [sizes.get(db.schema.name(name)) for name in names]
        total = sum(table.total if table else float("nan") for table in tables)
        return total / of if of else 0.0

    of_sessions = db.schema.session_tables()
    produced = {name for name, table in db.schema.tables.items() if table in of_sessions}
    a_score = share(["scores"], rows["scores"])
    a_byte = share(["artifact_chunks"], sum(saved.values()))
    a_session = share(
        ["sessions", *sorted(produced - {"scores", "artifact_chunks"})], rows["sessions"]
    )

    def shares(decision: RetentionDecision) -> tuple[float, float]:
        session = decision.session
        return session.rows * a_score, saved.get(session.session_no, 0) * a_byte + a_session

    return shares


def _totals(decisions: Sequence[RetentionDecision], shares: Shares) -> list[float]:
    since = values.utc_now() - dt.timedelta(days=RECENT_DAYS)
    recent = [d for d in decisions if d.session.ended_at >= since]
    prunable = [d for d in decisions if d.verdict != KEEP]
    deleted = [d for d in prunable if d.verdict == DELETE]
    return [
        *_total(decisions, decisions, shares),
        *_total(recent, recent, shares),
        *_total(prunable, deleted, shares),
    ]


def _total(
    scored: Sequence[RetentionDecision], whole: Sequence[RetentionDecision], shares: Shares
) -> tuple[int, int, float]:
    """Return sessions, scores and bytes: of the scores of some, and of all else of others."""
    size = sum(shares(d)[0] for d in scored) + sum(shares(d)[1] for d in whole)
    return len(whole), sum(d.session.rows for d in scored), size

"""Which session of a model is in production: an append-only history.

A model's newest row is in force: its session is in production, is an experiment, or was retired.
Adding a row locks the model's row, and no row is dated before the last one. Concurrent promotions
are ordered whatever the clocks of their machines say.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.store import views
from mfprefect.store.audit.events import actor
from mfprefect.store.database import Database
from mfprefect.store.held_rows import WITHOUT_LOCK
from mfprefect.store.lookup import require_model
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EXPERIMENTAL",
    "PRODUCTION",
    "RETIRED",
    "ROLLED_BACK",
    "Stage",
    "add_stage",
    "happened",
    "histories",
    "history",
    "in_production",
    "lock_model",
    "one_step",
    "production",
    "stage_now",
    "stages_frame",
]

PRODUCTION, EXPERIMENTAL, RETIRED = "production", "experimental", "retired"
ROLLED_BACK = "rolled_back_from"
_TICK = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Stage:
    """One row of a model's history."""

    session_no: int
    session_id: str
    stage: str
    set_at: dt.datetime
    set_by: str
    reason: str | None
    detail: dict[str, Any]
    """`gates`: the verdicts at promotion; `override`: why despite them; `rolled_back_from`."""


def history(db: Database, connection: sa.Connection, model_id: str) -> list[Stage]:
    """Return a model's stages, oldest first."""
    of_model = _rows(db).where(db.schema.model_stages.c.model_id == model_id)
    # Who decides by it has locked the model.
    return [_stage(row) for row in connection.execute(of_model, execution_options=WITHOUT_LOCK)]


def histories(db: Database) -> dict[str, list[Stage]]:
    """Return the stages by model, oldest first; models without stages are left out."""
    by_model: dict[str, list[Stage]] = {}
    for row in db.fetch_all(_rows(db)):
        by_model.setdefault(row.model_id, []).append(_stage(row))
    return by_model


def _rows(db: Database) -> sa.Select[*tuple[Any, ...]]:
    t, s = db.schema.model_stages, db.schema.sessions
    return (
        sa.select(*t.c, s.c.session_id)
        .join_from(t, s, s.c.session_no == t.c.session_no)
        .order_by(t.c.set_at)
    )


def _stage(row: sa.Row[*tuple[Any, ...]]) -> Stage:
    who = (row.session_no, row.session_id, row.stage, row.set_at, row.set_by, row.reason)
    return Stage(*who, _detail(row.gates))


def _detail(text: str | None) -> dict[str, Any]:
    detail = json.loads(text) if text else {}
    return detail if isinstance(detail, dict) else {"gates": detail}


def in_production(
    db: Database, connection: sa.Connection, model_id: str, at: dt.datetime | None = None
) -> str | None:
    """Return the session in production, now or at an instant."""
    newest = _newest(db, connection, model_id, at)
    return newest[1] if newest is not None and newest[0] == PRODUCTION else None


def _newest(
    db: Database, connection: sa.Connection, model_id: str, at: dt.datetime | None = None
) -> tuple[str, str, dt.datetime] | None:
    t, s = db.schema.model_stages, db.schema.sessions
    select = (
        sa.select(t.c.stage, s.c.session_id, t.c.set_at)
        .join_from(t, s, s.c.session_no == t.c.session_no)
        .where(t.c.model_id == model_id)
        .order_by(t.c.set_at.desc())
        .limit(1)
    )
    if at is not None:
        select = select.where(t.c.set_at <= at)
    row = connection.execute(select, execution_options=WITHOUT_LOCK).first()
    return None if row is None else (row.stage, row.session_id, row.set_at)


def production(db: Database, model_id: str, at: dt.datetime | None = None) -> str | None:
    """Return the session in production, now or at an instant; None without one."""
    if at is not None and (not isinstance(at, dt.datetime) or at.tzinfo is None):
        raise InvalidValue(
            f"at = {at!r} is no instant; pass an aware datetime such as "
            "datetime(2026, 3, 1, 12, tzinfo=timezone.utc)."
        )

    at = None if at is None else values.plain_datetime(at)
    if db.views_only and at is None:
        return views.production(db, model_id)

    def work(connection: sa.Connection) -> str | None:
        require_model(db, connection, model_id)
        return in_production(db, connection, model_id, at)

    return db.read_snapshot(work)


def stage_now(db: Database, model_id: str) -> tuple[str, str] | None:
    """Return the newest stage of a model and its session; None without stages."""
    newest = db.read_transaction(lambda connection: _newest(db, connection, model_id))
    return None if newest is None else newest[:2]


def lock_model(db: Database, connection: sa.Connection, model_id: str) -> None:
    """Lock the model's stages until this transaction ends.

    Raises:
        UnknownModel: the model is not registered.
    """
    models = db.schema.models
    # Not the key: opening sessions would have to wait.
    update = models.update().where(models.c.model_id == model_id)
    connection.execute(update.values(owner=models.c.owner))
    require_model(db, connection, model_id)


def add_stage(
    db: Database, connection: sa.Connection, model_id: str, row: dict[str, Any]
) -> dict[str, Any]:
    """Add a row to the history, dated after all others; return it. Needs `lock_model`."""
    t = db.schema.model_stages
    newest = sa.select(sa.func.max(t.c.set_at)).where(t.c.model_id == model_id)
    last = connection.scalar(newest, execution_options=WITHOUT_LOCK)
    now = values.utc_now()
    set_at = now if last is None else max(now, last + _TICK)
    new = {"model_id": model_id, "set_at": set_at, "set_by": actor(), **row}
    connection.execute(t.insert(), new)
    return new


def happened(
    db: Database, connection: sa.Connection, model_id: str, set_at: dt.datetime | None
) -> bool:
    """Return whether a transaction added its row, after a lost answer to its commit."""
    t = db.schema.model_stages.c
    if set_at is None:
        return False
    select = sa.select(t.set_at).where(
        t.model_id == model_id, t.set_at == set_at, t.set_by == actor()
    )
    return connection.execute(select, execution_options=WITHOUT_LOCK).first() is not None


def one_step(model_id: str, stages: Sequence[Stage]) -> tuple[Stage, Stage]:
    """Return the current or last stage in production, and the one that a rollback restores.

    Raises:
        InvalidValue: there is no previous model.
    """
    way = _way(stages)
    if not way:
        raise InvalidValue(f"model {model_id!r} has never been in production: see store.stages.")
    now = way.pop()
    if now.stage != PRODUCTION and way:
        return now, way.pop()  # the model was retired: its last stage in production
    while way and (way[-1].stage != PRODUCTION or way[-1].session_id == now.session_id):
        way.pop()
    if not way:
        raise InvalidValue(
            f"session {now.session_id!r} is the first that model {model_id!r} had in production; "
            "there is nothing to go back to. store.retire takes it out of production."
        )
    return now, way.pop()


def _way(stages: Sequence[Stage]) -> list[Stage]:
    """Return the changes that led to the current stage, without those that were rolled back."""
    way: list[Stage] = []
    for stage in stages:
        if stage.stage == EXPERIMENTAL:
            continue  # not in production
        if ROLLED_BACK in stage.detail:
            while way and (way[-1].session_id, way[-1].stage) != (stage.session_id, PRODUCTION):
                way.pop()
            continue
        if not way or (way[-1].session_id, way[-1].stage) != (stage.session_id, stage.stage):
            way.append(stage)
    return way


def stages_frame(db: Database, model_id: str) -> pd.DataFrame:
    """Return a model's stages, newest first."""
    import pandas as pd

    def work(connection: sa.Connection) -> list[Stage]:
        require_model(db, connection, model_id)
        return history(db, connection, model_id)

    stages = db.read_snapshot(work)
    ends: list[dt.datetime | None] = [*(stage.set_at for stage in stages), None][1:]
    columns = (
        "session_id", "stage", "set_at", "until", "set_by", "reason", "override",
        "rolled_back_from", "gates",
    )  # fmt: skip
    rows = [
        (
            stage.session_id,
            stage.stage,
            stage.set_at,
            end,
            stage.set_by,
            stage.reason,
            stage.detail.get("override"),
            stage.detail.get(ROLLED_BACK),
            json.dumps(stage.detail.get("gates", [])),
        )
        for stage, end in zip(stages, ends, strict=True)
    ]
    return pd.DataFrame(rows[::-1], columns=list(columns))

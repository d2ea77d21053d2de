"""Trained models that wait until a person promotes them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mfprefect.store.artifacts.rows import is_model
from mfprefect.store.database import Database
from mfprefect.store.states import Purpose, Status

__all__ = ["WAITING", "waits_for_promotion"]

WAITING = "waiting_for_promotion"
"""The event of a training that succeeded, stored its model, and is in no stage."""


def waits_for_promotion(db: Database, row: sa.Row[*tuple[Any, ...]]) -> bool:
    """Return whether a session is a training whose model nobody has promoted."""
    if row.purpose != Purpose.TRAIN or row.status != Status.SUCCEEDED:
        return False
    artifacts, stages = db.schema.artifacts.c, db.schema.model_stages.c
    stored = sa.exists().where(artifacts.session_no == row.session_no, is_model(db))
    staged = sa.exists().where(stages.session_no == row.session_no)
    s = db.schema.sessions.c
    select = sa.select(s.session_no).where(s.session_no == row.session_no, stored, ~staged)
    return bool(db.fetch_all(select))

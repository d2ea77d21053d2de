"""The models and the files of sessions as DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mfprefect.artifacts.files import FOLDER, media_type
from mfprefect.store.artifacts.rows import is_file, is_model
from mfprefect.store.database import Database
from mfprefect.store.results.frames import of_existing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["files_frame", "models_frame"]

_FILE_COLUMNS = ("session_id", "name", "media_type", "bytes", "sha256")


def models_frame(db: Database, session_ids: Sequence[str]) -> pd.DataFrame:
    """Return the models and extras of sessions: see `Store.artifacts`."""
    return _frame(db, session_ids, is_model(db))


def files_frame(db: Database, session_ids: Sequence[str]) -> pd.DataFrame:
    """Return the files of sessions: see `Store.files`."""
    frame = _frame(db, session_ids, is_file(db))
    names = [str(name).removeprefix(FOLDER) for name in frame["artifact_name"]]
    return frame.assign(name=names, media_type=list(map(media_type, names)))[[*_FILE_COLUMNS]]


def _frame(db: Database, session_ids: Sequence[str], which: sa.ColumnElement[bool]) -> pd.DataFrame:
    s, heads = db.schema.sessions, db.schema.artifacts
    select = (
        sa.select(s.c.session_id, *(c for c in heads.c if c.key != "session_no"))
        .join_from(s, heads, s.c.session_no == heads.c.session_no)
        .where(s.c.session_id.in_(session_ids), which)
        .order_by(*heads.primary_key.columns)
    )
    return of_existing(db, session_ids, select)

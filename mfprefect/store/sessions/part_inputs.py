"""What a scoring session read for each part: stored until the session has succeeded.

A retry keeps complete parts without reading their input again. It gets from here what the earlier
attempt read, checked and summarised. Rows of `part_inputs`; sessions that older versions began may
have theirs in `session_metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.states import LEGACY_PART_INPUTS

__all__ = ["TABLE", "document", "drop", "drop_legacy", "is_legacy", "numbers"]

TABLE = "part_inputs"


def numbers(db: Database, handle: SessionHandle) -> list[int]:
    """Return the parts that have a document, in order."""
    p, m = db.schema.part_inputs.c, db.schema.session_metadata.c
    parts = sa.select(p.part_no).where(p.session_no == handle.session_no)
    legacy = sa.select(m.meta_name).where(
        m.session_no == handle.session_no, m.meta_group == LEGACY_PART_INPUTS
    )
    rows = (*db.fetch_all(parts), *db.fetch_all(legacy))
    return sorted({int(row[0]) for row in rows})


def document(db: Database, handle: SessionHandle, part: int) -> str | None:
    """Return the document of a part, as JSON text."""
    p, m = db.schema.part_inputs.c, db.schema.session_metadata.c
    select = sa.select(p.document).where(p.session_no == handle.session_no, p.part_no == part)
    legacy = sa.select(m.value).where(
        m.session_no == handle.session_no,
        m.meta_group == LEGACY_PART_INPUTS,
        m.meta_name == str(part),
    )
    rows = db.fetch_all(select) or db.fetch_all(legacy)
    return rows[0][0] if rows else None


def is_legacy(table: str, row: Mapping[str, Any]) -> bool:
    """Return whether a row of a table is the document of a part, as older versions wrote it."""
    return table == "session_metadata" and row["meta_group"] == LEGACY_PART_INPUTS


def drop(db: Database, connection: sa.Connection, handle: SessionHandle) -> None:
    """Delete the documents: no retry follows."""
    table = db.schema.part_inputs
    connection.execute(table.delete().where(table.c.session_no == handle.session_no))


def drop_legacy(db: Database, connection: sa.Connection, handle: SessionHandle) -> None:
    """Delete the documents that an older version wrote."""
    table = db.schema.session_metadata
    in_group = table.c.meta_group == LEGACY_PART_INPUTS
    connection.execute(table.delete().where(table.c.session_no == handle.session_no, in_group))

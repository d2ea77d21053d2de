"""What a scoring saw of each part of its input: kept until the session has succeeded.

A retry keeps complete parts without reading their input again; what the earlier attempt read,
checked and summarised of them is told from here.
"""

from __future__ import annotations

import sqlalchemy as sa

from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.states import PART_EVIDENCE

__all__ = ["document", "drop", "numbers"]


def numbers(db: Database, handle: SessionHandle) -> list[int]:
    """Return the parts of which something is kept, in order."""
    m = db.schema.session_metadata.c
    mine = (m.session_no == handle.session_no, m.meta_group == PART_EVIDENCE)
    return sorted(int(row[0]) for row in db.fetch_all(sa.select(m.meta_name).where(*mine)))


def document(db: Database, handle: SessionHandle, part: int) -> str | None:
    """Return what is kept of a part, as JSON text."""
    m = db.schema.session_metadata.c
    mine = (
        m.session_no == handle.session_no,
        m.meta_group == PART_EVIDENCE,
        m.meta_name == str(part),
    )
    rows = db.fetch_all(sa.select(m.value).where(*mine))
    return rows[0][0] if rows else None


def drop(db: Database, connection: sa.Connection, handle: SessionHandle) -> None:
    """Delete it: no retry follows."""
    table = db.schema.session_metadata
    mine = (table.c.session_no == handle.session_no, table.c.meta_group == PART_EVIDENCE)
    connection.execute(table.delete().where(*mine))

"""What a scoring saw of each part of its input: kept until the session has succeeded.

A retry keeps complete parts without reading their input again; what the earlier attempt read,
checked and summarised of them is told from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mfprefect.store.database import Database
from mfprefect.store.handle import Handle

__all__ = ["GROUP", "documents", "drop"]

GROUP = "part evidence"
"""The group of metadata that nobody is shown: a JSON object a part, named by its number."""


def documents(db: Database, handle: Handle) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each part's number and what is kept of it, in order, one in memory at a time."""
    m = db.schema.session_metadata.c
    mine = (m.session_no == handle.session_no, m.meta_group == GROUP)
    parts = sorted(int(row[0]) for row in db.read(sa.select(m.meta_name).where(*mine)))
    for part in parts:
        for row in db.read(sa.select(m.value).where(*mine, m.meta_name == str(part))):
            yield part, json.loads(row[0])


def drop(db: Database, connection: sa.Connection, handle: Handle) -> None:
    """Delete it: no retry follows."""
    table = db.schema.session_metadata
    mine = (table.c.session_no == handle.session_no, table.c.meta_group == GROUP)
    connection.execute(table.delete().where(*mine))

"""Write the scores of a part by INSERT .. SELECT, where its rows are in the store's database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from mfprefect import scores
from mfprefect.scores.digest import digest
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, require_running
from mfprefect.store.scores import write

__all__ = ["insert_part"]

ScoreSelect = sa.Select[*tuple[Any, ...]]
Names = tuple[str, str, str]
NAMES = tuple(scores.SCHEMA.names)


def insert_part(
    db: Database,
    handle: SessionHandle,
    part_no: int,
    select: ScoreSelect,
    names: Names,
    verify: Callable[[pa.Table], object] | None,
    also: Callable[[sa.Connection], None],
    session_rows: int = 0,
) -> pa.Table:
    """Insert one part in one transaction, replacing the part if it exists; return its scores.

    Only ids, scores and classes are read back, in the same transaction: they are validated and
    digested like those of any other part.

    Args:
        db: the database.
        handle: the session.
        part_no: the number of the part.
        select: `entity_id`, `score` and perhaps `score_class`, of rows in the same database.
        names: what errors call id, score and class.
        verify: gets the scores before they are kept; what it raises undoes them.
        also: writes what belongs to them, last in their transaction.
        session_rows: about how many rows all parts of the session have, if that is known.

    Raises:
        InvalidScores: an id or a score is none that scores may have; nothing was written.
        DatabaseError: the database refuses the statement, or a row of it.
        SessionClosed: the session accepts no more writes.
    """

    def work(connection: sa.Connection, _: bool) -> pa.Table:
        require_running(db, connection, handle)
        again = write.delete_part(db, connection, handle, part_no)
        table = db.backend.scores_of(connection, handle.session_no)
        part = (handle.session_no, part_no)
        db.backend.insert_select(connection, table, _rows(select, *part), part)
        stored = scores.normalise(_read_back(db, connection, table, part, names), *names)
        stored = stored.rename_columns(scores.SCHEMA.names)
        write.require_storable(db, stored)
        written = (stored.num_rows, digest(stored))
        if verify is not None:
            verify(stored)
        write.record_part(db, connection, handle, part_no, written, again=again)
        also(connection)
        return stored

    # Rows of a select come in no order, and a key that grows row by row costs most of the time.
    if db.backend.per_session_tables and session_rows >= write.LARGE_PART:
        write.create_table(db, handle)
    return db.write_transaction(work)


def _rows(select: ScoreSelect, session_no: int, part_no: int) -> ScoreSelect:
    scored = select.subquery("scored")
    classes = scored.c.get("score_class", sa.null())
    return sa.select(
        sa.literal(session_no, sa.Integer()).label("session_no"),
        scored.c.entity_id,
        scored.c.score,
        classes.label("score_class"),
        sa.literal(part_no, sa.Integer()).label("part_no"),
    )


def _read_back(
    db: Database, connection: sa.Connection, table: sa.Table, part: tuple[int, int], names: Names
) -> pa.Table:
    c = table.c
    select = sa.select(*(c[name] for name in NAMES)).where(
        c.session_no == part[0], c.part_no == part[1]
    )
    batches = list(db.backend.stream(connection, select, scores.SCHEMA))
    return pa.Table.from_batches(batches, scores.SCHEMA).rename_columns(list(names))

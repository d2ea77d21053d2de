"""Scores in the database: written part by part."""

from __future__ import annotations

import pyarrow as pa
import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidScores
from mfprefect.scores.digest import digest
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, begin_write, require_running
from mfprefect.util import values

__all__ = [
    "attach",
    "drop_parts",
    "drop_stale_parts",
    "keep_part",
    "parts",
    "require_fit",
    "write_part",
]

LARGE_PART = 100_000
"""From how many rows on a part is worth preparations."""


def keep_part(db: Database, handle: SessionHandle, part_no: int) -> int | None:
    """Take an earlier attempt's complete part over; return its rows, None where there is none."""
    parts = db.schema.score_parts
    same_part = (parts.c.session_no == handle.session_no, parts.c.part_no == part_no)

    def work(connection: sa.Connection, _: bool) -> int | None:
        begin_write(db, connection, handle)
        connection.execute(parts.update().where(*same_part), {"attempt": handle.attempt})
        return connection.scalar(sa.select(parts.c.rows).where(*same_part))

    return db.write_transaction(work)


def parts(db: Database, handle: SessionHandle) -> dict[int, int]:
    """Return how many rows each part of a session has."""
    c = db.schema.score_parts.c
    select = sa.select(c.part_no, c.rows).where(c.session_no == handle.session_no)
    return {row.part_no: row.rows for row in db.fetch_all(select)}


def drop_stale_parts(db: Database, connection: sa.Connection, handle: SessionHandle) -> None:
    """Delete the parts that only an earlier attempt wrote."""
    parts = db.schema.score_parts
    stale = (parts.c.session_no == handle.session_no, parts.c.attempt < handle.attempt)
    for number in list(connection.scalars(sa.select(parts.c.part_no).where(*stale))):
        _delete_rows(db, connection, handle, number)
    connection.execute(parts.delete().where(*stale))


def drop_parts(db: Database, handle: SessionHandle) -> None:
    """Delete all scores of a running session: it begins to write them anew."""
    parts = db.schema.score_parts
    of_session = parts.c.session_no == handle.session_no

    def work(connection: sa.Connection, _: bool) -> None:
        begin_write(db, connection, handle)
        for number in list(connection.scalars(sa.select(parts.c.part_no).where(of_session))):
            _delete_rows(db, connection, handle, number)
        connection.execute(parts.delete().where(of_session))

    db.write_transaction(work)


def _delete_rows(
    db: Database, connection: sa.Connection, handle: SessionHandle, part_no: int
) -> None:
    # A session's first parts may have been too small for a table of its own.
    for scores in {db.schema.scores, db.backend.scores_of(connection, handle.session_no)}:
        same_part = (scores.c.session_no == handle.session_no, scores.c.part_no == part_no)
        connection.execute(scores.delete().where(*same_part))


def attach(db: Database, handle: SessionHandle) -> None:
    """Bring scores that lie in a table of their own under the key, before they are published.

    Raises:
        InvalidScores: two parts hold the same entity.
    """
    if not db.backend.per_session_tables:
        return

    def work(connection: sa.Connection, _: bool) -> None:
        if handle.attempt > 1:
            drop_stale_parts(db, connection, handle)
        db.backend.attach_scores(connection, handle.session_no)

    session_table = db.read_transaction(
        lambda connection: db.backend.scores_of(connection, handle.session_no)
    )
    if session_table is db.schema.scores:
        return
    try:
        db.write_transaction(work)
    except IntegrityError as exc:
        raise InvalidScores(
            f"two parts of session {handle.session_id!r} hold the same entity, which has one "
            f"score a session: {exc}"
        ) from exc


def write_part(db: Database, handle: SessionHandle, part_no: int, table: pa.Table) -> None:
    """Write one part of normalised scores in one transaction; the same part twice is one part.

    Raises:
        InvalidScores: an entity has a score in another part of the session already, or the
            database could not keep an id exactly.
        SessionClosed: the session takes no more writes.
    """
    parts = db.schema.score_parts
    require_fit(db, table)
    seen = digest(table)
    same_part = (parts.c.session_no == handle.session_no, parts.c.part_no == part_no)

    def work(connection: sa.Connection, _: bool) -> None:
        require_running(db, connection, handle)
        earlier = connection.scalar(sa.select(parts.c.digest).where(*same_part))
        if earlier == seen:
            begin_write(db, connection, handle)
            connection.execute(parts.update().where(*same_part), {"attempt": handle.attempt})
            return
        if earlier is not None:
            _delete_rows(db, connection, handle, part_no)
            connection.execute(parts.delete().where(*same_part))
        scores = db.backend.scores_of(connection, handle.session_no)
        db.backend.append(connection, scores, _rows(table, handle.session_no, part_no))
        # Held for the last moment only: parts are written side by side, and hearts go on beating.
        begin_write(db, connection, handle)
        row = {
            "session_no": handle.session_no,
            "part_no": part_no,
            "rows": table.num_rows,
            "digest": seen,
            "attempt": handle.attempt,
            "written_at": values.utc_now(),
        }
        connection.execute(parts.insert(), row)

    try:
        if db.backend.per_session_tables and table.num_rows >= LARGE_PART:
            db.write_transaction(
                lambda connection, _: db.backend.create_session_table(connection, handle.session_no)
            )
        try:
            db.write_transaction(work)
        except IntegrityError:
            # Another process may have written this very part meanwhile: then ours replaces it.
            if not db.fetch_all(sa.select(parts.c.digest).where(*same_part)):
                raise
            db.write_transaction(work)
    except IntegrityError as exc:
        raise InvalidScores(
            f"part {part_no} holds an entity that another part of session {handle.session_id!r} "
            "has already; an entity has one score a session. The part was not written."
        ) from exc


def require_fit(db: Database, table: pa.Table) -> None:
    """Refuse a part with a text that the database would not keep exactly.

    Raises:
        InvalidScores: and nothing was written.
    """
    for column in (db.schema.scores.c.entity_id, db.schema.scores.c.score_class):
        if unfit := db.backend.unstorable_texts(column, table[column.name]):
            why = db.backend.why_not_storable(column, unfit[0])
            raise InvalidScores(
                f"{column.name} {unfit[0]!r} {why}. Nothing was written.", examples=unfit[:5]
            )


def _rows(table: pa.Table, session_no: int, part_no: int) -> pa.Table:
    def constant(value: int) -> pa.Array:
        return pa.repeat(pa.scalar(value, pa.int32()), table.num_rows)

    return table.add_column(0, "session_no", constant(session_no)).append_column(
        "part_no", constant(part_no)
    )

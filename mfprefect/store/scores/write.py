"""Write scores, part by part."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import sqlalchemy as sa

from mfprefect.errors import IntegrityError, InvalidScores
from mfprefect.scores.sorting import SortedScores
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, begin_write, require_running
from mfprefect.store.held_rows import WITHOUT_LOCK
from mfprefect.util import values

__all__ = [
    "LARGE_PART",
    "attach",
    "create_table",
    "delete_part",
    "drop_parts",
    "drop_stale",
    "drop_stale_parts",
    "keep_part",
    "part_digests",
    "part_rows",
    "record_part",
    "require_storable",
    "write_part",
]

LARGE_PART = 100_000
"""Parts with at least this many rows get a table of their own, if the backend has such tables."""


def keep_part(db: Database, handle: SessionHandle, part_no: int) -> int | None:
    """Keep an earlier attempt's complete part; return its row count, None if there is no part."""
    parts = db.schema.score_parts
    same_part = _same_part(db, handle, part_no)

    def work(connection: sa.Connection, _: bool) -> int | None:
        begin_write(db, connection, handle)
        connection.execute(parts.update().where(*same_part), {"kept_by": handle.attempt})
        return connection.scalar(sa.select(parts.c.rows).where(*same_part))

    return db.write_transaction(work)


def part_rows(db: Database, handle: SessionHandle) -> dict[int, int]:
    """Return the row count of each part of a session, by part number."""
    c = db.schema.score_parts.c
    select = sa.select(c.part_no, c.rows).where(c.session_no == handle.session_no)
    return {row.part_no: row.rows for row in db.fetch_all(select)}


def part_digests(db: Database, handle: SessionHandle) -> dict[int, str]:
    """Return the digest of each part of a session, by part number."""
    c = db.schema.score_parts.c
    select = sa.select(c.part_no, c.digest).where(c.session_no == handle.session_no)
    return {row.part_no: row.digest for row in db.fetch_all(select)}


def drop_stale(db: Database, handle: SessionHandle) -> int:
    """Do what `drop_stale_parts` does in a transaction of its own; return how many parts it was."""

    def work(connection: sa.Connection, _: bool) -> int:
        begin_write(db, connection, handle)
        return drop_stale_parts(db, connection, handle)

    return db.write_transaction(work)


def drop_stale_parts(db: Database, connection: sa.Connection, handle: SessionHandle) -> int:
    """Delete the parts of earlier attempts that this attempt neither wrote nor kept; count them."""
    parts = db.schema.score_parts
    last_user = sa.func.coalesce(parts.c.kept_by, parts.c.attempt)
    stale = (parts.c.session_no == handle.session_no, last_user < handle.attempt)
    return _drop(db, connection, handle, *stale)


def _drop(
    db: Database, connection: sa.Connection, handle: SessionHandle, *which: sa.ColumnElement[bool]
) -> int:
    """Delete parts of a session that the transaction holds; the parts first, as writers do."""
    parts = db.schema.score_parts
    select = sa.select(parts.c.part_no).where(*which)
    numbers = list(connection.scalars(select, execution_options=WITHOUT_LOCK))
    if numbers:
        connection.execute(parts.delete().where(*which))
    for number in numbers:
        _delete_rows(db, connection, handle, number)
    return len(numbers)


def drop_parts(db: Database, handle: SessionHandle, numbers: Collection[int] | None = None) -> None:
    """Delete scores of a running session, before it writes them again: all, or some parts."""
    parts = db.schema.score_parts
    which = [parts.c.session_no == handle.session_no]
    if numbers is not None:
        which.append(parts.c.part_no.in_(list(numbers)))

    def work(connection: sa.Connection, _: bool) -> None:
        begin_write(db, connection, handle)
        _drop(db, connection, handle, *which)

    db.write_transaction(work)


def _same_part(
    db: Database, handle: SessionHandle, part_no: int
) -> tuple[sa.ColumnElement[bool], ...]:
    parts = db.schema.score_parts.c
    return parts.session_no == handle.session_no, parts.part_no == part_no


def _delete_rows(
    db: Database, connection: sa.Connection, handle: SessionHandle, part_no: int
) -> None:
    # The first parts may be in the common table: they were too small for one of their own.
    for scores in {db.schema.scores, db.backend.scores_of(connection, handle.session_no)}:
        same_part = (scores.c.session_no == handle.session_no, scores.c.part_no == part_no)
        connection.execute(scores.delete().where(*same_part))


def attach(db: Database, handle: SessionHandle) -> None:
    """Attach a session's own table to the scores before publication, which enforces their key.

    Raises:
        InvalidScores: two parts have the same entity.
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
            f"two parts of session {handle.session_id!r} have the same entity; write one score "
            f"for each entity of a session: {exc}"
        ) from exc


def write_part(
    db: Database, handle: SessionHandle, part_no: int, table: pa.Table | SortedScores
) -> None:
    """Write one part of normalised scores in one transaction, replacing the part if it exists.

    Raises:
        InvalidScores: another part of the session has one of the entities, or the database
            cannot store an id exactly.
        SessionClosed: the session accepts no more writes.
    """
    parts = db.schema.score_parts
    part = table if isinstance(table, SortedScores) else SortedScores.of(table)
    require_storable(db, part)

    def work(connection: sa.Connection, _: bool) -> None:
        _replace_part(db, connection, handle, part_no, part)

    try:
        if db.backend.per_session_tables and part.num_rows >= LARGE_PART:
            create_table(db, handle)
        try:
            db.write_transaction(work)
        except IntegrityError:
            # If another process wrote this part meanwhile, replace its rows.
            if not db.fetch_all(sa.select(parts.c.digest).where(*_same_part(db, handle, part_no))):
                raise
            db.write_transaction(work)
    except IntegrityError as exc:
        raise InvalidScores(
            f"part {part_no} has an entity that another part of session {handle.session_id!r} has, "
            "too; write one score for each entity of a session. The part was not written."
        ) from exc


def create_table(db: Database, handle: SessionHandle) -> None:
    """Give a session that has a large part a table of its own."""

    def work(connection: sa.Connection, _: bool) -> None:
        # Locks the session: a worker that was declared dead must not leave an empty table.
        begin_write(db, connection, handle)
        db.backend.create_session_table(connection, handle.session_no)

    db.write_transaction(work)


def _replace_part(
    db: Database, connection: sa.Connection, handle: SessionHandle, part_no: int, part: SortedScores
) -> None:
    parts = db.schema.score_parts
    same_part = _same_part(db, handle, part_no)
    require_running(db, connection, handle)
    columns = (parts.c.digest, parts.c.attempt)
    earlier = connection.execute(sa.select(*columns).where(*same_part)).first()
    if earlier is None or earlier.digest != part.digest:
        if earlier is not None:
            _delete_rows(db, connection, handle, part_no)
        scores = db.backend.scores_of(connection, handle.session_no)
        pieces = part.pieces() if db.backend.appends_pieces else iter([part.table()])
        for piece in pieces:
            db.backend.append(connection, scores, _rows(piece, handle.session_no, part_no))
    if earlier is not None and tuple(earlier) == (part.digest, handle.attempt):
        # Lock last: other parts and heartbeats need the session's row.
        begin_write(db, connection, handle)
        return
    written = (part.num_rows, part.digest)
    record_part(db, connection, handle, part_no, written, again=earlier is not None)


def delete_part(
    db: Database, connection: sa.Connection, handle: SessionHandle, part_no: int
) -> bool:
    """Delete the rows of a part before they are written again; return whether it had any."""
    parts = db.schema.score_parts
    same_part = _same_part(db, handle, part_no)
    earlier = connection.execute(sa.select(parts.c.part_no).where(*same_part)).first()
    if earlier is not None:
        _delete_rows(db, connection, handle, part_no)
    return earlier is not None


def record_part(
    db: Database,
    connection: sa.Connection,
    handle: SessionHandle,
    part_no: int,
    written: tuple[int, str],
    *,
    again: bool,
) -> None:
    """Record a part as complete, at the end of the transaction that wrote its rows.

    Args:
        db: the database.
        connection: in that transaction.
        handle: the session.
        part_no: the number of the part.
        written: the number of its rows, and their digest.
        again: whether an earlier attempt recorded it.

    Raises:
        SessionClosed: the session accepts no more writes.
    """
    parts = db.schema.score_parts
    # Lock last: other parts and heartbeats need the session's row.
    begin_write(db, connection, handle)
    if again:
        connection.execute(parts.delete().where(*_same_part(db, handle, part_no)))
    row = {
        "session_no": handle.session_no,
        "part_no": part_no,
        "rows": written[0],
        "digest": written[1],
        "attempt": handle.attempt,
        "written_at": values.utc_now(),
    }
    connection.execute(parts.insert(), row)


def require_storable(db: Database, part: pa.Table | SortedScores) -> None:
    """Refuse a part with text that the database cannot store exactly.

    Raises:
        InvalidScores: names the text and the reason.
    """
    columns = (db.schema.scores.c.entity_id, db.schema.scores.c.score_class)
    for table in part.pieces() if isinstance(part, SortedScores) else (part,):
        for column in columns:
            if texts := db.backend.unstorable_texts(column, table[column.name]):
                reason = db.backend.why_not_storable(column, texts[0])
                raise InvalidScores(
                    f"{column.name} {texts[0]!r} {reason}. Nothing was written.", examples=texts[:5]
                )


def _rows(table: pa.Table, session_no: int, part_no: int) -> pa.Table:
    longest = max((len(chunk) for chunk in table["score"].chunks), default=0)

    def constant(value: int) -> pa.ChunkedArray:
        # One buffer for all chunks: a table mapped from a file may be larger than memory.
        values = pa.repeat(pa.scalar(value, pa.int32()), longest)
        chunks = [values[: len(chunk)] for chunk in table["score"].chunks]
        return pa.chunked_array(chunks, pa.int32())

    return table.add_column(0, "session_no", constant(session_no)).append_column(
        "part_no", constant(part_no)
    )

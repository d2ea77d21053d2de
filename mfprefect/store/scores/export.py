"""Export a session's scores to another application's table, in any supported database.

A reader of that table sees all rows of the session or none: one transaction replaces them, and
verifies them before it commits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mfprefect.errors import ConfigurationError, DatabaseError, IntegrityError, InvalidValue
from mfprefect.schema import (
    ENTITY_ID_LENGTH,
    MODEL_ID_LENGTH,
    NAME_LENGTH,
    SESSION_ID_LENGTH,
    Double,
    Id,
    Timestamp,
)
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.lookup import require_session
from mfprefect.store.scores.read import iter_scores
from mfprefect.util import values

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["export_scores"]

ROWS_PER_CHUNK = 250_000
"""Scores sent to another database at a time; a few MB."""
KEY = {"session_id", "entity_id"}


@dataclass(frozen=True)
class _Session:
    """The session to export."""

    session_no: int
    session_id: str
    model_id: str
    as_of: Any
    published_at: Any
    rows: int


@dataclass
class _Totals:
    """Totals of the sent scores, to verify the target against before the commit."""

    rows: int = 0
    lowest: float = math.inf
    highest: float = -math.inf

    def add(self, scores: pa.ChunkedArray) -> None:
        import pyarrow.compute as pc

        ends = pc.min_max(scores).as_py()
        self.rows += len(scores)
        self.lowest = min(self.lowest, ends["min"])
        self.highest = max(self.highest, ends["max"])


def export_scores(db: Database, session_id: str, to: str) -> int:
    """Replace a session's rows in an export's table; return their number.

    Args:
        db: the database.
        session_id: a published session.
        to: the export's name in the settings.

    Raises:
        ConfigurationError: unknown export, or its table cannot store scores exactly.
        UnknownSession: the session does not exist.
        InvalidValue: it has no published scores.
    """
    export = db.settings.exports.get(to)
    if export is None:
        raise ConfigurationError(
            f"unknown export {to!r}; the exports: {', '.join(db.settings.exports) or 'none'}. "
            f'Add to mfprefect.toml: [exports.{to}] table = "..", and url = ".." if it is in '
            "another database."
        )
    session = db.read_transaction(lambda connection: _require_published(db, connection, session_id))
    if export.url is None:
        table = _prepare_table(db, export.table)
        db.write_transaction(
            lambda c, _: _copy(db, c, table, session, to), also_retry=IntegrityError
        )
        return session.rows
    target = Database(db.settings.model_copy(update={"url": export.url, "schema_name": None}))
    try:
        table = _prepare_table(target, export.table)
        # Of two concurrent exports of a session, the loser tries again and replaces the other's.
        target.write_transaction(
            lambda c, _: _send(db, target, c, table, session), also_retry=IntegrityError
        )
    finally:
        target.close()
    db.write_transaction(lambda c, _: _record_export(db, c, session, to), also_retry=IntegrityError)
    return session.rows


def _require_published(db: Database, connection: sa.Connection, session_id: str) -> _Session:
    handle = require_session(db, connection, session_id)
    s, parts = db.schema.sessions.c, db.schema.score_parts.c
    rows = sa.select(sa.func.sum(parts.rows)).where(parts.session_no == handle.session_no)
    row = connection.execute(
        sa.select(s.published_at, rows.scalar_subquery().label("row_total")).where(
            s.session_no == handle.session_no
        )
    ).one()
    if row.published_at is None:
        raise InvalidValue(
            f"session {session_id!r} has no published scores to export; it is a {handle.purpose} "
            f"session, {handle.status}. See `mfprefect show {session_id}`."
        )
    return _Session(
        handle.session_no,
        session_id,
        handle.model_id,
        handle.as_of,
        row.published_at,
        int(row.row_total or 0),
    )


def _target_table(db: Database, place: str) -> sa.Table:
    schema, _, name = place.rpartition(".")
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("session_id", Id(SESSION_ID_LENGTH), primary_key=True),
        sa.Column("model_id", Id(MODEL_ID_LENGTH), nullable=False),
        sa.Column("entity_id", Id(ENTITY_ID_LENGTH), primary_key=True),
        sa.Column("score", Double, nullable=False),
        sa.Column("score_class", Id(NAME_LENGTH)),
        sa.Column("as_of", sa.Date),
        sa.Column("published_at", Timestamp, nullable=False),
        schema=schema or None,
        **db.backend.table_options("exported_scores"),
    )


def _prepare_table(db: Database, place: str) -> sa.Table:
    """Create the target table if it is missing, else check it; return it."""
    table = _target_table(db, place)

    def work(connection: sa.Connection, _: bool) -> None:
        if sa.inspect(connection).has_table(table.name, table.schema):
            _check(connection, table, place)
        else:
            table.create(connection)

    try:
        db.write_transaction(work, also_retry=IntegrityError)
    except DatabaseError:
        # Another export may have created it meanwhile.
        if not db.read_transaction(lambda c: sa.inspect(c).has_table(table.name, table.schema)):
            raise
    return table


def _check(connection: sa.Connection, table: sa.Table, place: str) -> None:
    """Refuse a table with other columns, or without a unique key on KEY.

    Raises:
        ConfigurationError: names the column or the missing key.
    """
    inspector = sa.inspect(connection)
    _check_columns(inspector, table, place)
    _check_key(inspector, table, place)


def _check_columns(inspector: sa.Inspector, table: sa.Table, place: str) -> None:
    columns = {c["name"]: c for c in inspector.get_columns(table.name, table.schema)}
    missing = [name for name in table.c.keys() if name not in columns]  # noqa: SIM118
    needed = [
        name
        for name, column in columns.items()
        if name not in table.c
        and not column["nullable"]
        and column.get("default") is None
        and column.get("autoincrement") is not True
    ]
    if missing or needed:
        what = f"has no column {missing[0]!r}" if missing else f"needs a value for {needed[0]!r}"
        raise ConfigurationError(
            f"the table {place!r} {what}; an export fills the columns {', '.join(table.c.keys())}. "
            "Name another table; it is created if it is missing."
        )


def _check_key(inspector: sa.Inspector, table: sa.Table, place: str) -> None:
    keys: list[Any] = [inspector.get_pk_constraint(table.name, table.schema)["constrained_columns"]]
    keys += [k["column_names"] for k in inspector.get_unique_constraints(table.name, table.schema)]
    keys += [
        k["column_names"] for k in inspector.get_indexes(table.name, table.schema) if k["unique"]
    ]
    if not any(set(key) == KEY for key in keys):
        raise ConfigurationError(
            f"the table {place!r} has no primary key or unique index on session_id and entity_id, "
            "so two concurrent exports could write a session twice; add one, or name another "
            "table; it is created if it is missing."
        )


def _copy(
    db: Database, connection: sa.Connection, table: sa.Table, session: _Session, to: str
) -> None:
    """Replace a session's rows within one database, and record the export."""
    s, c = db.schema.sessions.c, db.schema.scores.c
    connection.execute(table.delete().where(table.c.session_id == session.session_id))
    source = {
        "session_id": s.session_id,
        "model_id": s.model_id,
        "entity_id": c.entity_id,
        "score": c.score,
        "score_class": c.score_class,
        "as_of": s.as_of,
        "published_at": s.published_at,
    }
    select = (
        sa.select(*source.values())
        .join_from(db.schema.sessions, db.schema.scores, s.session_no == c.session_no)
        .where(s.session_no == session.session_no, s.published_at.is_not(None))
    )
    connection.execute(table.insert().from_select(list(source), select))
    ends = sa.select(sa.func.count(), sa.func.min(c.score), sa.func.max(c.score))
    ends_row = connection.execute(ends.where(c.session_no == session.session_no)).one()
    _verify(connection, table, session, _Totals(*ends_row))
    _record_export(db, connection, session, to)


def _send(
    db: Database, target: Database, connection: sa.Connection, table: sa.Table, session: _Session
) -> None:
    """Replace a session's rows in another database, chunk by chunk."""
    connection.execute(table.delete().where(table.c.session_id == session.session_id))
    totals = _Totals()
    for chunk in _chunks(db, session):
        totals.add(chunk["score"])
        target.backend.append(connection, table, chunk)
    _verify(connection, table, session, totals)


def _chunks(db: Database, session: _Session) -> Iterator[pa.Table]:
    """Yield the rows of the target table, about ROWS_PER_CHUNK at a time."""
    import pyarrow as pa

    published = session.published_at.replace(tzinfo=None)
    constants = {
        "session_id": pa.scalar(session.session_id, pa.large_string()),
        "model_id": pa.scalar(session.model_id, pa.large_string()),
        "as_of": pa.scalar(session.as_of, pa.date32()),
        "published_at": pa.scalar(published, pa.timestamp("us")),
    }
    batches: list[pa.RecordBatch] = []
    for batch in iter_scores(db, session.session_id):
        batches.append(batch)
        if sum(batch.num_rows for batch in batches) >= ROWS_PER_CHUNK:
            yield _add_constants(pa.Table.from_batches(batches), constants)
            batches = []
    if batches:
        yield _add_constants(pa.Table.from_batches(batches), constants)


def _add_constants(rows: pa.Table, constants: Mapping[str, pa.Scalar]) -> pa.Table:
    import pyarrow as pa

    for name, value in constants.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows


def _verify(connection: sa.Connection, table: sa.Table, session: _Session, sent: _Totals) -> None:
    """Require that all scores of the session were sent and that the target has them exactly.

    Raises:
        InvalidValue: scores were deleted meanwhile.
        ConfigurationError: the target changed the scores.
    """
    if sent.rows != session.rows:
        raise InvalidValue(
            f"session {session.session_id!r} has {session.rows} scores, but {sent.rows} could be "
            "read: some were deleted meanwhile, or tampered with. Nothing was exported."
        )
    c = table.c
    of_session = c.session_id == session.session_id
    # + 0.0 shows what a column narrower than a double really stored.
    score = c.score + sa.literal(0.0, Double())
    ends = sa.select(sa.func.count(), sa.func.min(score), sa.func.max(score)).where(of_session)
    ends_row = connection.execute(ends).one()
    if sent.rows and tuple(ends_row) != (sent.rows, sent.lowest, sent.highest):
        raise ConfigurationError(
            f"the table {table.fullname!r} did not store the scores exactly: it has "
            f"{tuple(ends_row)} for rows, lowest and highest instead of "
            f"{(sent.rows, sent.lowest, sent.highest)}. Its column score must be a double. "
            "Nothing was exported."
        )


def _record_export(db: Database, connection: sa.Connection, session: _Session, to: str) -> None:
    s, place = db.schema.sessions, db.settings.exports[to].table
    same_session = (s.c.session_no == session.session_no, s.c.session_id == session.session_id)
    now = values.utc_now()
    connection.execute(s.update().where(*same_session), {"last_exported_at": now})
    detail = {"model": session.model_id, "to": to, "table": place, "rows": session.rows}
    record(db, connection, "export_scores", session.session_id, **detail, exported_at=now)

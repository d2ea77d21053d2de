"""What Teradata's documents leave open, tried on a server: `mfprefect doctor --deep`.

All of it happens in a table of its own, which is dropped at the end.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from mfprefect.errors import DatabaseError
from mfprefect.schema import Blob, Double, Id, LongText, Timestamp
from mfprefect_backends.teradata import codes, export, load, staging
from mfprefect_backends.teradata.merge import merge
from mfprefect_backends.teradata.types import INLINE_BYTES

__all__ = ["try_all"]

Verdict = tuple[str, str, str, str]
BLOCKED = 7423
"""Somebody else holds the lock (NOWAIT)."""


class Differs(Exception):
    """What came back is not what was sent."""


@dataclass(frozen=True)
class Trial:
    """One thing to try; `run(engine, table)` raises if the server does not do it."""

    name: str
    shows: str
    cure: str
    run: Callable[[sa.Engine, sa.Table], None]
    needed: bool = True
    """Whether mfprefect fails without it."""


def try_all(engine: sa.Engine, layout: Mapping[str, Any]) -> Iterator[Verdict]:
    """Try everything; yield name, status, detail and cure of each trial.

    Args:
        engine: an engine of the backend.
        layout: the `prefix` and `schema` of the installation's tables.
    """
    table = _scratch_table(layout)
    try:
        with engine.connect() as connection:
            table.create(connection, checkfirst=False)
    except sa.exc.DBAPIError as exc:
        cure = "grant CREATE TABLE on the database to this user; nothing else was tried"
        yield "scratch", "failed", f"no table can be created: {_reason(exc)}", cure
        return
    try:
        for trial in TRIALS:
            yield _verdict(trial, engine, table)
    finally:
        with engine.connect() as connection:
            table.drop(connection, checkfirst=False)


def _scratch_table(layout: Mapping[str, Any]) -> sa.Table:
    number = sa.Column("n", sa.Integer, primary_key=True, autoincrement=False)
    return sa.Table(
        f"{layout['prefix']}doctor_{secrets.token_hex(8)}",
        sa.MetaData(schema=layout["schema"]),
        number,
        sa.Column("name", Id(20), nullable=False, unique=True),
        sa.Column("seen_at", Timestamp),
        sa.Column("figure", Double),
        sa.Column("long_text", LongText),
        sa.Column("chunk", Blob(4 * 1024 * 1024)),
    )


def _verdict(trial: Trial, engine: sa.Engine, table: sa.Table) -> Verdict:
    try:
        trial.run(engine, table)
    except (sa.exc.DBAPIError, DatabaseError, Differs) as exc:
        status = "failed" if trial.needed else "warning"
        return trial.name, status, f"{trial.shows}: no. {_reason(exc)}", trial.cure
    finally:
        with engine.connect() as connection:
            connection.execute(table.delete())
            connection.commit()
    return trial.name, "ok", trial.shows, ""


def _reason(exc: Exception) -> str:
    cause = exc.orig if isinstance(exc, sa.exc.DBAPIError) else exc
    return str(cause).strip().splitlines()[0]


def _same(stored: Any, sent: Any) -> None:
    if stored != sent:
        raise Differs(f"{str(sent)[:60]!r} came back as {str(stored)[:60]!r}")


def _one_row(engine: sa.Engine, table: sa.Table) -> None:
    count = sa.select(sa.func.count()).select_from(table).scalar_subquery()
    with engine.connect() as connection:
        _same(
            connection.execute(sa.select(count.label("a"), sa.literal(1).label("b"))).one(), (0, 1)
        )


def _round_trip(engine: sa.Engine, table: sa.Table, column: str, values: list[Any]) -> None:
    rows = [{"n": n, "name": f"row {n}", column: value} for n, value in enumerate(values)]
    with engine.connect() as connection:
        connection.execute(table.insert(), rows)
        connection.commit()
        stored = connection.scalars(sa.select(table.c[column]).order_by(table.c.n)).all()
    for value, sent in zip(stored, values, strict=True):
        _same(value, sent)


def _unicode(engine: sa.Engine, table: sa.Table) -> None:
    texts = ["ü", "漢字", "\u20bd", "\U0001f600"]
    _round_trip(engine, table, "long_text", texts)
    with engine.connect() as connection:
        connection.execute(table.insert(), [{"n": 9, "name": "\U0001f600"}])
        named = sa.select(table.c.n).where(table.c.name == "\U0001f600")
        _same(connection.scalar(named), 9)


def _order(engine: sa.Engine, table: sa.Table) -> None:
    names = ["B", "a", "b", "ü"]
    with engine.connect() as connection:
        rows = [{"n": n, "name": name} for n, name in enumerate(reversed(names))]
        connection.execute(table.insert(), rows)
        _same(connection.scalars(sa.select(table.c.name).order_by(table.c.name)).all(), names)


def _zone(engine: sa.Engine, table: sa.Table) -> None:
    moment = dt.datetime(2026, 1, 31, 23, 59, 59, 1)
    _round_trip(engine, table, "seen_at", [moment])
    with engine.connect() as connection:
        connection.exec_driver_sql("SET TIME ZONE INTERVAL '05:30' HOUR TO MINUTE")
        elsewhere = connection.scalar(sa.select(table.c.seen_at))
        connection.invalidate()  # the pool must not keep its zone
    _same(elsewhere, moment + dt.timedelta(hours=5, minutes=30))


def _numbers(engine: sa.Engine, table: sa.Table) -> None:
    _round_trip(engine, table, "figure", [0.1 + 0.2, -1 / 3, 2.2250738585072014e-308, 1.7e308])


def _tiny_numbers(engine: sa.Engine, table: sa.Table) -> None:
    _round_trip(engine, table, "figure", [5e-324, 1e-310])


def _long_text(engine: sa.Engine, table: sa.Table) -> None:
    _round_trip(engine, table, "long_text", ["x", "ü" * INLINE_BYTES, "y"])


def _chunk(engine: sa.Engine, table: sa.Table) -> None:
    chunk = secrets.token_bytes(4 * 1024 * 1024)
    with engine.connect() as connection:
        connection.execute(table.insert(), {"n": 1, "name": "one", "chunk": chunk})
        connection.commit()
        _same(connection.scalar(sa.select(table.c.chunk)), chunk)


def _clob_batch(engine: sa.Engine, table: sa.Table) -> None:
    texts = ["x" * (INLINE_BYTES + 1), "y" * (INLINE_BYTES + 1)]
    with engine.connect() as connection:
        name = staging.quoted_name(connection, table)
        insert = f"INSERT INTO {name} (n, name, long_text) VALUES (?, ?, ?)"  # noqa: S608
        driver: Any = connection.connection.dbapi_connection
        with codes.driver_errors(connection, insert), driver.cursor() as cursor:
            cursor.executemany(insert, [[n, str(n), text] for n, text in enumerate(texts)])
        connection.commit()
        stored = connection.scalars(sa.select(table.c.long_text).order_by(table.c.n)).all()
    _same(stored, texts)


def _row_locks(engine: sa.Engine, table: sa.Table) -> None:
    """Two sessions hold one row each, by either unique index, and only then wait for another."""
    with engine.connect() as one, engine.connect() as two:
        one.execute(table.insert(), [{"n": n, "name": f"row {n}"} for n in range(3)])
        one.commit()
        name = staging.quoted_name(one, table)
        hold = f"LOCKING ROW FOR WRITE NOWAIT SELECT n FROM {name} WHERE "  # noqa: S608
        _same(one.exec_driver_sql(hold + "n = ?", (1,)).scalar(), 1)
        _same(two.exec_driver_sql(hold + "n = ?", (2,)).scalar(), 2)
        _same(two.exec_driver_sql(hold + "name = ?", ("row 0",)).scalar(), 0)
        try:
            two.exec_driver_sql(hold + "name = ?", ("row 1",))
        except sa.exc.DBAPIError as exc:
            if codes.code(exc) != BLOCKED:
                raise
        else:
            raise Differs("a row that another session holds was given out")


def _merge(engine: sa.Engine, table: sa.Table) -> None:
    with engine.connect() as connection:
        for figure in (1.0, 2.0):
            row = {"n": 1, "name": "one", "figure": figure}
            connection.execute(merge(table, list(row)), [row])
        _same(connection.execute(sa.select(table.c.n, table.c.figure)).all(), [(1, 2.0)])


def _fastload(engine: sa.Engine, table: sa.Table) -> None:
    rows = pa.table({"n": pa.array([1, 2], pa.int32()), "name": ["one", "two"]})
    with engine.connect() as connection:
        staged = staging.staging_table(connection, table, rows)
        staged.create(connection, checkfirst=False)
        try:
            load.fastload(connection, staged, rows)
        finally:
            connection.rollback()
            staging.drop(connection, staged)


def _fastexport(engine: sa.Engine, table: sa.Table) -> None:
    names = ["B", "a", "b", "ü"]
    exported = sa.select(table.c.name).order_by(table.c.name)
    with engine.connect() as connection:
        rows = [{"n": n, "name": name} for n, name in enumerate(reversed(names))]
        connection.execute(table.insert(), rows)
        connection.commit()
        options = {export.EXPORT_OPTION: True}
        _same(connection.scalars(exported.execution_options(**options)).all(), names)


_LOAD_RIGHTS = (
    "parts of 100,000 rows and more need it: CREATE TABLE and DROP TABLE on the database, SELECT "
    "on DBC.SessionInfoV, and a free load slot"
)
_REPORT = "tell us: see docs/teradata.md"
TRIALS = (
    Trial("one-row", "a SELECT without a table reads (SELECT 1 AS one_column)", _REPORT, _one_row),
    Trial("merge", "MERGE inserts a row and then updates it", _REPORT, _merge),
    Trial("row-locks", "a unique index locks one row hash, not the table", _REPORT, _row_locks),
    Trial("zone", "times are UTC, and shown in the reader's zone", _REPORT, _zone),
    Trial("unicode", "any character is kept", "allow UNICODE PASS THROUGH", _unicode),
    Trial("order", "names are ordered by bytes", "allow COLLATION CHARSET_COLL", _order),
    Trial("numbers", "doubles come back bit for bit", _REPORT, _numbers),
    Trial(
        "tiny", "those under 2.2e-308 do, too", "avoid them in scores", _tiny_numbers, needed=False
    ),
    Trial("long-text", "texts over 64,000 bytes are kept", _REPORT, _long_text),
    Trial(
        "clob-batch",
        "a batch takes texts over 64,000 bytes",
        "nothing to do: mfprefect sends such rows one by one",
        _clob_batch,
        needed=False,
    ),
    Trial("chunk", "a model's chunk of 4 MiB is kept", _REPORT, _chunk),
    Trial("fastload", "FastLoad fills a staging table", _LOAD_RIGHTS, _fastload),
    Trial(
        "fastexport",
        "FastExport reads names, ordered by bytes",
        "SELECT on DBC.SessionInfoV and a free slot; without, all is read by ordinary queries",
        _fastexport,
        needed=False,
    ),
)

"""Those who write and read scores, each measured in a process of its own."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

import mfprefect
from mfprefect import scores as scoring
from scores_data import COLUMNS, NEW_SESSION, Data
from scores_places import TARGET, Work, peak_of

if TYPE_CHECKING:
    from mfprefect.backend import Backend
    from mfprefect.schema import Schema

__all__ = ["MODEL", "READERS", "WRITERS", "Job", "Measured", "perform", "target"]

MODEL = "benchmark"
ASKED = ("customer_id", "score", "score_class")


@dataclass(frozen=True)
class Job:
    """One run of one contender."""

    contender: str
    url: str
    data: Data
    streamed: bool
    """Whether the rows come in several frames."""
    loaders: Mapping[str, Work]
    """Of the prepared files, by order."""
    session_id: str | None
    """What to read."""
    server_pid: int | None


@dataclass(frozen=True)
class Measured:
    """What a run took."""

    seconds: float
    peak_mb: float
    """Memory beyond what the process held before; all of it of a client program."""
    client_cpu: float
    """Processor seconds of the process and the programs it started."""
    server_cpu: float


def perform(job: Job) -> Measured:
    """Prepare a contender and measure what it does."""
    work = (WRITERS | READERS)[job.contender](job)
    gc.collect()
    held = _forget_peak()
    client, server, began = _client_seconds(), _server_seconds(job), time.perf_counter()
    peak = work()
    return Measured(
        seconds=time.perf_counter() - began,
        peak_mb=peak_of() - held if peak is None else peak,
        client_cpu=_client_seconds() - client,
        server_cpu=_server_seconds(job) - server,
    )


def target(schema: Schema, options: Mapping[str, Any]) -> sa.Table:
    """Return a plain table with the columns and the key of `scores`."""
    # Partitions would be no plain table: the raw limit is that of the key alone.
    supported = {key: value for key, value in options.items() if "partition" not in key}
    columns = [
        sa.Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable)
        for c in schema.scores.columns
    ]
    return sa.Table(TARGET, sa.MetaData(), *columns, **supported)


def _forget_peak() -> float:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0.0
    return peak_of()


def _client_seconds() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _server_seconds(job: Job) -> float:
    if job.server_pid is None:
        return 0.0
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(path.parent.name) == job.server_pid:
            ticks += sum(map(int, fields[11:15]))  # its own, and of its children that have ended
        elif int(fields[1]) == job.server_pid:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _frame(job: Job) -> pd.DataFrame:
    return next(job.data.frames())  # all in one: those who need them so get no more


def _given(job: Job) -> pd.DataFrame | Iterator[pd.DataFrame]:
    return job.data.frames() if job.streamed else _frame(job)


def _whole_rows(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.rename(columns={"customer_id": "entity_id"})
    return frame.assign(session_no=NEW_SESSION, part_no=1)[list(COLUMNS)]


def _store(job: Job) -> mfprefect.Store:
    store = mfprefect.connect(job.url)
    store.models()  # connects, as the client programs' competitors are connected
    return store


def _mfprefect(job: Job) -> Work:
    store, data = _store(job), _given(job)

    def work() -> None:
        with store.session(MODEL, purpose="score") as session:
            session.write_scores(data, *ASKED)

    return work


def _inserts(job: Job) -> Work:
    work = _mfprefect(job)
    admin = sa.create_engine(job.url, isolation_level="AUTOCOMMIT")

    def without_local_infile() -> None:
        with admin.connect() as connection:
            connection.execute(sa.text("SET GLOBAL local_infile = 0"))
            try:
                work()
            finally:
                connection.execute(sa.text("SET GLOBAL local_infile = 1"))

    return without_local_infile


def _append(job: Job) -> Work:
    """Check, sort and append as `write_scores` does, without session, parts, digests."""
    store, data = _store(job), _given(job)
    backend = store.database.backend
    table = target(backend.schema, backend.table_options("scores"))

    def work() -> None:
        for piece in scoring.batches(data):
            rows = scoring.normalise(piece, *ASKED)
            number = [pa.repeat(pa.scalar(n, pa.int32()), len(rows)) for n in (NEW_SESSION, 1)]
            rows = pa.table([number[0], *rows.columns, number[1]], list(COLUMNS))
            insert = partial(_insert, backend, table, rows)
            store.database.write_transaction(insert)

    return work


def _insert(
    backend: Backend, table: sa.Table, rows: pa.Table, connection: sa.Connection, _: bool
) -> None:
    backend.append(connection, table, rows)


def _raw(order: str) -> Callable[[Job], Work]:
    return lambda job: job.loaders[order]


def _to_sql(job: Job) -> Work:
    engine = sa.create_engine(job.url)
    frames = map(_whole_rows, job.data.frames()) if job.streamed else [_whole_rows(_frame(job))]

    def work() -> None:
        with engine.begin() as connection:
            for frame in frames:
                frame.to_sql(TARGET, connection, if_exists="append", index=False)

    engine.connect().close()
    return work


def _core(job: Job) -> Work:
    engine, frame = sa.create_engine(job.url), _whole_rows(_frame(job))
    table = sa.Table(TARGET, sa.MetaData(), autoload_with=engine)

    def work() -> None:
        with engine.begin() as connection:
            rows: list[dict[Any, Any]] = frame.to_dict("records")
            connection.execute(table.insert(), rows)

    return work


def _complete(job: Job, rows: int) -> None:
    if rows != job.data.rows:
        raise RuntimeError(f"{job.contender} read {rows:,} of {job.data.rows:,} rows")


def _scores(job: Job) -> Work:
    store = _store(job)
    return lambda: _complete(job, len(store.scores(str(job.session_id))))


def _iter_scores(job: Job) -> Work:
    store = _store(job)
    return lambda: _complete(job, sum(len(b) for b in store.iter_scores(str(job.session_id))))


def _read_sql(job: Job) -> Work:
    scores = _store(job).database.schema.scores
    select = sa.select(scores.c.entity_id, scores.c.score, scores.c.score_class).where(
        scores.c.session_no == NEW_SESSION
    )
    engine = sa.create_engine(job.url)
    engine.connect().close()
    return lambda: _complete(job, len(pd.read_sql(select, engine)))


WRITERS: dict[str, Callable[[Job], Work]] = {
    "raw": _raw("sorted"),
    "mfprefect": _mfprefect,
    "inserts": _inserts,
    "append": _append,
    "raw_unsorted": _raw("given"),
    "to_sql": _to_sql,
    "core": _core,
}
READERS: dict[str, Callable[[Job], Work]] = {
    "read_sql": _read_sql,
    "scores": _scores,
    "iter_scores": _iter_scores,
}

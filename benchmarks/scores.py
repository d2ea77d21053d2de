"""How fast scores are written and read, beside the database's own loader and pandas.

    .venv/bin/python benchmarks/scores.py [--rows 1,5,20] [--repeats 3] [--output FILE.md]

On SQLite, on private PostgreSQL and MariaDB servers that are started for it with the memory
settings of a production server, and on MySQL 9 with its default settings, in one run. All
contenders load the same rows, which come in random order, into a database of their own, made anew
for each of their runs, whose table holds 100,000 rows of another session: the same columns, the
same primary key. They take turns, so that what slows the machine down slows all: compare the
ratios, which are medians of the ratios within each round. What arrived is counted and summed up
after each run. Beyond a million rows, mfprefect gets an iterator of frames, as somebody who scores
that many would write.

`append` is mfprefect's checking, sorting and loading without digests, parts, session and
publication: what these cost is the rest. `raw` loads a file that was prepared and sorted before.
`pandas.read_sql` reads in any order, the others by entity id.

Each run is in a process of its own. Memory is the peak above what the process held before, the
frame included; of a client program, all of it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import sqlalchemy as sa

import mfprefect
from scores_contenders import MODEL, READERS, WRITERS, Job, Measured, perform, target
from scores_data import NEW_SESSION, ORDERS, Data, make
from scores_places import PLACES, Place
from scores_report import DATABASES, Runs, markdown, picture
from scores_sessions import have_mlflow, record

T = TypeVar("T")
HELD_ROWS = 100_000
IN_ONE_FRAME = 1_000_000
"""How many rows come in one frame at most; more are streamed."""
AT_MOST = {"to_sql": 5_000_000, "core": 1_000_000, "read_sql": 5_000_000}
"""How many rows a contender that is slow, or holds all of them several times over, gets at most."""
ONLY_ON = {"inserts": ("mysql", "mysql9")}
"""The databases that a contender is for; the others have all."""
OURS = ("mfprefect", "inserts")
"""Contenders that write a session."""
SESSIONS = 20
PRELOADED = (
    *("pandas", "pyarrow.csv", "pyarrow.parquet", "psycopg2", "pymysql", "sqlalchemy.orm"),
    *(
        "mfprefect.session",
        "mfprefect.scores",
        "mfprefect.notifications.delivery",
        "mfprefect.store.api.results",
    ),
    *(f"mfprefect_backends.{name}" for name in ("sqlite", "postgres", "mysql")),
)


def main() -> None:
    """Measure, or read what was measured; print and keep the tables."""
    given = _arguments()
    result = _merged(given.render) if given.render else measured(given)
    text = markdown(result)
    print(f"\n{text}")
    if given.output:
        given.output.write_text(text)
        _keep(given.output, result)
        picture(result, given.output.with_suffix(".svg"))


def _keep(output: Path | None, result: dict[str, Any]) -> None:
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")


def _merged(files: list[Path]) -> dict[str, Any]:
    first, *others = (json.loads(file.read_text()) for file in files)
    for other in others:
        first["versions"] = list(dict.fromkeys([*first["versions"], *other["versions"]]))
        first["runs"] += other["runs"]
    return dict(first)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--rows", type=_sizes, default=_sizes("1,5,20"), help="in millions (1,5,20)")
    add("--databases", type=_choices(DATABASES), default=list(DATABASES), help=", ".join(DATABASES))
    names = [*WRITERS, *READERS]
    add("--contenders", type=_choices(names), default=names, help=", ".join(names))
    add("--writes", action="store_true", help="only writes")
    add("--reads", action="store_true", help="only reads")
    add("--sessions", action="store_true", help="only what a session costs, beside MLflow's run")
    add("--repeats", type=int, default=3)
    add("--frame-rows", type=int, default=500_000, help="rows of a streamed frame")
    add("--ids", choices=("customer", "uuid"), default="customer")
    add("--seed", type=int, default=1)
    for name in ("postgres", "mysql", "mysql9"):
        add(f"--{name}", action="append", default=[], metavar="SETTING=VALUE", help="of the server")
    add("--folder", type=Path, help="where the files go (the system's temporary folder)")
    add("--output", type=Path, help="a Markdown file; .json and .svg are written beside it")
    add("--render", type=Path, nargs="+", metavar="FILE.json", help="earlier runs, as one table")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return [round(float(part) * 1_000_000) for part in text.split(",")]


def _choices(choices: Any) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if wrong := [name for name in names if name not in choices]:
            raise argparse.ArgumentTypeError(f"no {wrong[0]!r}; choices: {', '.join(choices)}")
        return names

    return parse


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Measure what was asked for; keep what there is after each database."""
    for name in list(os.environ):  # the person's own settings must not reach our stores
        if name.startswith("MFPREFECT_") and not name.startswith("MFPREFECT_TEST_"):
            del os.environ[name]
    everything = not (given.writes or given.reads or given.sessions)
    result: dict[str, Any] = {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": _versions(),
        "runs": [],
        "sessions": [],
    }
    with tempfile.TemporaryDirectory(prefix="mfp-bench-", dir=given.folder) as folder:
        for rows in given.rows:
            into, attached = Path(folder) / f"{rows}", "sqlite" in given.databases
            frame_rows = rows if rows <= IN_ONE_FRAME else given.frame_rows
            data = _apart(make, into, rows, frame_rows, given.ids, given.seed, attached)
            for name in given.databases:
                with closing(PLACES[name](Path(folder), getattr(given, name, ()))) as place:
                    if rows == given.rows[0]:
                        result["versions"].append(place.version())
                        if everything or given.sessions:
                            result["sessions"].append(_sessions(place))
                    bench = Bench(place, data, given, result["runs"])
                    if everything or given.writes:
                        bench.writes()
                    if everything or given.reads:
                        bench.reads()
                _keep(given.output, result)
            shutil.rmtree(data.folder)
    return result


class Bench:
    """The contenders on one database, with the rows of one size."""

    def __init__(self, place: Place, data: Data, given: argparse.Namespace, runs: Runs) -> None:
        self._place, self._data, self._given, self._runs = place, data, given, runs

    def writes(self) -> None:
        """Let the writers take turns, each on a database of its own."""
        for number, contender in self._turns(WRITERS):
            with _prepared(self._place) as url:
                took = self._run(contender, url)
                self._check(url, contender)
            self._keep("write", number, contender, took)

    def reads(self) -> None:
        """Let the readers take turns, on one database, of which each page was read before."""
        if not self._contenders(READERS):
            return
        with _prepared(self._place) as url:
            self._run("mfprefect", url)
            self._check(url, "mfprefect")
            with mfprefect.connect(url) as store, _connected(url) as connection:
                self._place.settle(connection)
                session_id = str(store.sessions(MODEL, limit=1)["session_id"].iloc[0])
            for number, contender in self._turns(READERS):
                self._keep("read", number, contender, self._run(contender, url, session_id))

    def _contenders(self, contenders: dict[str, Any]) -> list[str]:
        return [
            name
            for name in self._given.contenders
            if name in contenders
            and self._data.rows <= AT_MOST.get(name, self._data.rows)
            and self._place.name in ONLY_ON.get(name, (self._place.name,))
        ]

    def _turns(self, contenders: dict[str, Any]) -> Iterator[tuple[int, str]]:
        names = self._contenders(contenders)
        for number in range(self._given.repeats):
            for place in range(len(names)):
                yield number, names[(place + number) % len(names)]

    def _run(self, contender: str, url: str, session_id: str | None = None) -> Measured:
        loaders = {order: self._place.loader(url, self._data, order) for order in ORDERS}
        server = self._place.server_pid()
        streamed = self._data.rows > IN_ONE_FRAME
        job = Job(contender, url, self._data, streamed, loaders, session_id, server)
        return _apart(perform, job)

    def _check(self, url: str, contender: str) -> None:
        with mfprefect.connect(url) as store, _connected(url) as connection:
            published = store.sessions(MODEL)["published_at"].notna().sum()
            table = store.database.schema.scores if contender in OURS else _raw(store)
            new_rows = table.c.session_no == NEW_SESSION
            counted = sa.select(sa.func.count(), sa.func.sum(table.c.score)).where(new_rows)
            rows, total = connection.execute(counted).one()
        if rows != self._data.rows or not np.isclose(total, self._data.total, rtol=1e-9):
            raise RuntimeError(
                f"{contender} left {rows:,} rows of {self._data.rows:,}, sum {total}"
            )
        if published != 1 + (contender in OURS):
            raise RuntimeError(f"{contender} left {published} published sessions")

    def _keep(self, kind: str, number: int, contender: str, took: Measured) -> None:
        case = {"database": self._place.name, "rows": self._data.rows, "kind": kind}
        self._runs.append({**case, "contender": contender, "round": number, **asdict(took)})
        text = f"{self._place.name} {kind} {self._data.rows:,} {contender}: {took.seconds:.2f} s"
        print(text, file=sys.stderr, flush=True)


@contextmanager
def _stored(place: Place) -> Iterator[tuple[str, mfprefect.Store]]:
    """Give a new database with a store in it."""
    url = place.new_database()
    try:
        with mfprefect.connect(url) as store:
            store.create_schema()
            store.add_model(MODEL)
            yield url, store
    finally:
        place.drop(url)


@contextmanager
def _prepared(place: Place) -> Iterator[str]:
    """Give a new database whose store and whose table for the others hold the same rows."""
    numbers = np.arange(HELD_ROWS)
    held = pd.DataFrame({"id": numbers, "score": numbers / HELD_ROWS, "class": "A"})
    with _stored(place) as (url, store):
        with store.session(MODEL, purpose="score") as session:
            session.write_scores(held, entity_id="id", score_class="class")
        raw, scores = _raw(store), store.database.schema.scores
        raw.metadata.create_all(store.database.engine)
        copied = sa.select(*(scores.c[name] for name in raw.c.keys()))  # noqa: SIM118
        with store.database.engine.begin() as connection:
            connection.execute(raw.insert().from_select(raw.c.keys(), copied))
        store.close()
        with _connected(url) as connection:
            place.settle(connection)
        yield url


@contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def _raw(store: mfprefect.Store) -> sa.Table:
    backend = store.database.backend
    return target(backend.schema, backend.table_options("scores"))


def _sessions(place: Place) -> dict[str, Any]:
    other = place.new_database() if have_mlflow() else None
    if other is None:
        print("MLflow is not installed: its run is left out", file=sys.stderr)
    with _stored(place) as (url, _):
        took = _apart(record, url, other, SESSIONS)
    if other is not None:
        place.drop(other)
    return {"database": place.name, **took}


_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(PRELOADED))


def _apart(work: Callable[..., T], *arguments: Any) -> T:
    """Run a function in a process of its own, which has imported what it needs and nothing more."""
    with ProcessPoolExecutor(1, mp_context=_context) as pool:
        return pool.submit(work, *arguments).result()


def _versions() -> list[str]:
    packages = ("pandas", "SQLAlchemy", "pyarrow", "psycopg2-binary", "PyMySQL")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    return [f"mfprefect {mfprefect.__version__}, Python {platform.python_version()}", *versions]


if __name__ == "__main__":
    main()

"""Whole scoring runs: mfprefect's flow beside the flow that anybody writes by hand.

    .venv/bin/python benchmarks/scoring.py [--rows 0.5,5] [--repeats 5] [--way python,sql]
        [--databases sqlite,postgres17,mariadb,mysql9] [--model linear] [--parts 1]
        [--output benchmarks/results/scoring.md]

Both read the same 22 columns (20 numbers, 2 texts) and the id from a table of the database that the
scores go to, predict with the same fitted estimator, and write a score for each row, inside a
Prefect flow on one temporary Prefect server. The plain flow has three tasks: `pandas.read_sql`,
`predict_proba`, `DataFrame.to_sql`. mfprefect also checks the rows, summarises them, measures their
drift, digests what it read and wrote, seals and publishes. The way `statement` is only the
INSERT .. SELECT that a person writes for the linear model, into a table with a key.

Each run is in a process of its own, which has imported everything before the clock starts. The ways
take turns, so that what slows the machine down slows all: compare the ratios, which are those of
the medians. Memory is the peak of the process above what it held before the flow. What arrived is
counted and summed up after each run, and must be the same.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

import joblib  # type: ignore[import-untyped]  # it has none
import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import mfprefect
from mfprefect.backend import backend_for
from mfprefect.checks import NewCategories, NullShare, Range
from mfprefect.settings import load_settings

NUMBERS = [f"n{number:02d}" for number in range(20)]
TEXTS = {"plan": ["basic", "plus", "pro", "team"], "region": [f"r{number}" for number in range(12)]}
TABLE, PLAIN = "customers", "plain_scores"
PIECE = 100_000
LEARNED = 50_000
LAST = "the last line of a run: "


def customers(rows: int, first: int) -> pd.DataFrame:
    """Return rows of the source; the same for the same numbers."""
    rng = np.random.default_rng(first)
    frame = pd.DataFrame({"customer_id": np.arange(first, first + rows)})
    for number, name in enumerate(NUMBERS):
        frame[name] = rng.normal(number, 1 + number, rows)
    for name, levels in TEXTS.items():
        frame[name] = rng.choice(levels, rows)
    return frame


ESTIMATORS: dict[str, Any] = {
    "linear": lambda: LogisticRegression(max_iter=1_000),
    "forest": lambda: RandomForestClassifier(100, max_depth=12, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(random_state=0),
}


class Customers(mfprefect.Model):
    """The model of all ways; `parts`, `scoring` and the estimator come from the environment."""

    model_id = "scoring_benchmark"
    entity_id = "customer_id"
    target = "gone"
    parts = int(os.environ.get("BENCH_PARTS", "1"))
    scoring = os.environ.get("BENCH_WAY", "python")
    checks = (NullShare(at_most=0.1), Range(margin=1.0, severity="warning"), NewCategories())

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        """Return rows with an outcome."""
        frame = customers(LEARNED, 10**9)
        odds = frame["n01"] + frame["n05"] / 5 + (frame["plan"] == "pro") - 3
        frame["gone"] = (np.random.default_rng(1).normal(odds, 1) > 0).astype(int)
        return frame

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        """Return scaled numbers and encoded texts before the estimator."""
        columns = make_column_transformer(
            (StandardScaler(), NUMBERS),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(TEXTS)),
        )
        estimator = make_pipeline(columns, ESTIMATORS[os.environ["BENCH_MODEL"]]())
        return estimator.fit(features, target)

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        """Return none, which no scoring needs."""
        return {}

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        """Return the rows of a part, by ranges of the key."""
        size = -(-int(os.environ["BENCH_ROWS"]) // self.parts)
        query = f"SELECT * FROM {TABLE} WHERE customer_id >= :low AND customer_id < :high"  # noqa: S608 - names of ours
        return self.read(query, low=(part - 1) * size, high=part * size)


@task(cache_policy=NO_CACHE)
def read(engine: sa.Engine) -> pd.DataFrame:
    """Read all rows."""
    return pd.read_sql(f"SELECT * FROM {TABLE}", engine)  # noqa: S608 - names of ours


@task(cache_policy=NO_CACHE)
def predict(estimator: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Predict a probability for each row."""
    score = estimator.predict_proba(frame[[*NUMBERS, *TEXTS]])[:, 1]
    return pd.DataFrame({"customer_id": frame["customer_id"], "score": score})


@task(cache_policy=NO_CACHE)
def write(engine: sa.Engine, scores: pd.DataFrame) -> None:
    """Write the scores."""
    scores.to_sql(PLAIN, engine, if_exists="append", index=False)


@flow(name="plain-score")
def plain(estimator: Any, engine: sa.Engine) -> None:
    """Do what anybody writes by hand."""
    write(engine, predict(estimator, read(engine)))


# One run, in a process of its own


def engine_of(url: str) -> sa.Engine:
    """Return an engine with the driver that mfprefect uses."""
    with mfprefect.connect(url) as store:
        return sa.create_engine(store.database.backend.url)


def run(way: str, folder: Path) -> dict[str, Any]:
    """Do one run; return seconds, memory, and how many scores arrived with which sum."""
    url = os.environ["MFPREFECT_URL"]
    if way == "train":
        train, _, _ = Customers.flows()
        with mfprefect.connect() as store:
            joblib.dump(store.load_model(train()), folder / "estimator.joblib")
        return {}
    importlib.import_module("skops.io")  # the model's format, as joblib is the plain flow's
    engine = engine_of(url)
    if way == "plain":
        estimator = joblib.load(folder / "estimator.joblib")
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {PLAIN}")
        with measured() as figures:
            plain(estimator, engine)
        with engine.connect() as connection:
            query = f"SELECT count(*), sum(score) FROM {PLAIN}"  # noqa: S608 - names of ours
            rows, total = connection.exec_driver_sql(query).one()
    elif way == "statement":
        rows, total, figures = handwritten(joblib.load(folder / "estimator.joblib"), engine)
    else:
        _, score, _ = Customers.flows()
        with measured() as figures, statement_seconds(figures):
            session_id = score()
        with mfprefect.connect() as store:
            notes = store.metadata(session_id)
            of_scoring = notes[notes["meta_group"] == "scoring"]
            figures["notes"] = dict(zip(of_scoring["meta_name"], of_scoring["value"], strict=True))
            batches = [batch["score"].to_numpy() for batch in store.iter_scores(session_id)]
            rows, total = sum(map(len, batches)), sum(float(batch.sum()) for batch in batches)
    return figures | {"rows": int(rows), "total": float(total)}


def handwritten(estimator: Any, engine: sa.Engine) -> tuple[int, float, dict[str, Any]]:
    """Score by the statement that a person writes for this linear model, into a table with a key.

    Returns:
        Rows, the sum of the scores, and the seconds of the statement and of its key.
    """
    columns, linear = estimator[0], estimator[-1]
    scaler, encoder = columns.named_transformers_.values()
    weights = iter(linear.coef_[0].tolist())
    terms, offset = [], float(linear.intercept_[0])
    moments = scaler.mean_.tolist(), scaler.scale_.tolist()
    for name, mean, scale in zip(NUMBERS, *moments, strict=True):
        weight = next(weights) / scale
        offset -= weight * mean
        terms.append(f"({weight!r}) * {name}")
    for name, levels in zip(TEXTS, encoder.categories_, strict=True):
        cases = " ".join(f"WHEN '{level}' THEN ({next(weights)!r})" for level in levels)
        terms.append(f"CASE {name} {cases} ELSE 0 END")
    score = f"1 / (1 + exp(-(({offset!r}) + {' + '.join(terms)})))"
    later = engine.dialect.name == "postgresql"  # whose loads are faster without a key
    key, kind = ("", "double precision") if later else ("PRIMARY KEY", "double")
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run(f"DROP TABLE IF EXISTS {PLAIN}")
        run(f"CREATE TABLE {PLAIN} (customer_id integer {key}, score {kind})")
        began = time.perf_counter()
        run(f"INSERT INTO {PLAIN} SELECT customer_id, {score} FROM {TABLE} ORDER BY customer_id")  # noqa: S608 - names of ours
        if later:
            run(f"ALTER TABLE {PLAIN} ADD PRIMARY KEY (customer_id)")
        seconds = time.perf_counter() - began
        rows, total = run(f"SELECT count(*), sum(score) FROM {PLAIN}").one()  # noqa: S608 - names of ours
    return int(rows), float(total), {"seconds": seconds, "statement": seconds, "memory": 0.0}


@contextmanager
def statement_seconds(figures: dict[str, Any]) -> Iterator[None]:
    """Add up the seconds of the statement that scores, and of its key."""
    began: dict[int, float] = {}

    def before(_: Any, cursor: Any, statement: str, *__: Any) -> None:
        if re.search(r"^INSERT INTO .*\bSELECT\b|ADD PRIMARY KEY", statement, re.DOTALL):
            began[id(cursor)] = time.perf_counter()

    def after(_: Any, cursor: Any, *__: Any) -> None:
        if id(cursor) in began:
            seconds = time.perf_counter() - began.pop(id(cursor))
            figures["statement"] = figures.get("statement", 0.0) + seconds

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    sa.event.listen(sa.Engine, "after_cursor_execute", after)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", before)
        sa.event.remove(sa.Engine, "after_cursor_execute", after)


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Yield a dictionary that gets the seconds and the peak of memory in MB of the block."""
    figures: dict[str, Any] = {}
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, began = memory("VmRSS"), time.perf_counter()
    yield figures
    figures["seconds"] = time.perf_counter() - began
    figures["memory"] = memory("VmHWM") - before


def memory(name: str) -> float:
    """Return a figure of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1_000
    raise AssertionError(name)


# All runs


@contextmanager
def database(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the URL of an empty database, and its name and version."""
    if name == "sqlite":
        import sqlite3

        yield f"sqlite:///{folder / 'scoring.db'}", f"SQLite {sqlite3.sqlite_version}"
        return
    from mfprefect_dev.servers import server_class

    with server_class(name).start() as server:
        url = server.new_database()
        with sa.create_engine(url).connect() as connection:
            version = connection.scalar(sa.text("SELECT version()"))
        yield url, f"{name}: {str(version).split(' on ')[0]}"


def fill(url: str, rows: int) -> None:
    """Create the source table."""
    settings = load_settings(url=url)
    backend = backend_for(settings)
    engine = backend.create_engine()
    columns: list[sa.Column[Any]] = [
        sa.Column("customer_id", sa.Integer, primary_key=True, autoincrement=False)
    ]
    columns += [sa.Column(name, sa.Double) for name in NUMBERS]
    columns += [sa.Column(name, sa.String(20)) for name in TEXTS]
    table = sa.Table(TABLE, sa.MetaData(), *columns)
    with engine.begin() as connection:
        table.drop(connection, checkfirst=True)
        table.create(connection)
        for first in range(0, rows, PIECE):
            frame = customers(min(PIECE, rows - first), first)
            backend.append(connection, table, pa.Table.from_pandas(frame, preserve_index=False))
    if backend.name == "postgres":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM ANALYZE {TABLE}")
    engine.dispose()


def child(way: str, folder: Path, **environment: Any) -> dict[str, Any]:
    """Do a run in a new process."""
    values = {name: str(value) for name, value in environment.items()}
    done = subprocess.run(  # noqa: S603 - this file
        [sys.executable, __file__, "--run", way, "--folder", str(folder)],
        env={**os.environ, "BENCH_WAY": "python", **values},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith(LAST))
    result: dict[str, Any] = json.loads(line.removeprefix(LAST))
    return result


def compare(name: str, rows: int, given: argparse.Namespace) -> tuple[list[str], str]:
    """Return the rows of the table for one database and number of rows, and its version."""
    ways = ["plain", *given.way.split(",")]
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory(prefix="mfp-scoring-") as place:
        folder = Path(place)
        with database(name, folder) as (url, version):
            with mfprefect.connect(url) as store:
                store.create_schema()
            fill(url, rows)
            options = {
                "MFPREFECT_URL": url,
                "MFPREFECT_SOURCES__WAREHOUSE__URL": url,
                "MFPREFECT_DEFAULT_SOURCE": "warehouse",
                "BENCH_MODEL": given.model,
                "BENCH_PARTS": given.parts,
                "BENCH_ROWS": rows,
            }
            # `auto`, so that the training proves SQL on this database, as it does for a user.
            child("train", folder, **options, BENCH_WAY="auto")
            for number in range(given.repeats):
                for way in ways if number % 2 else reversed(ways):
                    mode = way if way in ("python", "sql") else "auto"
                    runs[way].append(child(way, folder, **options, BENCH_WAY=mode))
                    print(f"{name} {rows:,} {way}: {runs[way][-1]}", file=sys.stderr, flush=True)
    expected = runs["plain"][0]
    for result in (result for results in runs.values() for result in results):
        same = abs(result["total"] - expected["total"]) <= 1e-9 * abs(expected["total"])
        if result["rows"] != rows or not same:
            raise SystemExit(f"{name}: {result} differs from {expected}")
    return [line(name, rows, way, runs) for way in ways], version


def line(name: str, rows: int, way: str, runs: dict[str, list[dict[str, Any]]]) -> str:
    """Return a row of the table."""

    def median(of: str, what: str) -> float:
        return float(statistics.median(result[what] for result in runs[of]))

    seconds, megabytes = median(way, "seconds"), median(way, "memory")
    each = ", ".join(f"{result['seconds']:.1f}" for result in runs[way])
    if way == "statement" or way == "sql":
        each += f"; statement {median(way, 'statement'):.2f}"
    return (
        f"| {name} | {rows:,} | {way} | {seconds:.2f} | {median('plain', 'seconds') / seconds:.2f} "
        f"| {megabytes:,.0f} | {megabytes / median('plain', 'memory'):.2f} | {each} |"
    )


HEAD = """| database | rows | way | s | times as fast as plain | MB | of plain's | each run, s |
| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |"""


def main() -> None:
    """Measure and print; or do one run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", default="0.5,5", help="millions")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--way", default="python")
    parser.add_argument("--model", choices=ESTIMATORS, default="linear")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--databases", default="sqlite,postgres17,mariadb,mysql9")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        # Joining the heartbeat's thread would make every run last a whole number of seconds.
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            print(LAST + json.dumps(run(given.run, given.folder)))
        return
    from prefect.testing.utilities import prefect_test_harness

    lines: list[str] = []
    versions: list[str] = []
    with prefect_test_harness(server_startup_timeout=180):
        from prefect.settings import PREFECT_API_URL

        os.environ["PREFECT_API_URL"] = str(PREFECT_API_URL.value())
        for name in given.databases.split(","):
            for millions in given.rows.split(","):
                more, version = compare(name, round(float(millions) * 1e6), given)
                lines += more
                versions += [version] if version not in versions else []
    text = report(given, versions, lines)
    print(f"\n{text}")
    if given.output:
        given.output.write_text(text)


def report(given: argparse.Namespace, versions: Sequence[str], lines: Sequence[str]) -> str:
    """Return the results as Markdown."""
    about = (
        f"`benchmarks/scoring.py`, {dt.date.today()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, model `{given.model}`, {given.parts} parts, medians of "
        f"{given.repeats} runs in turns. {'; '.join(versions)}."
    )
    return "\n".join(["# Whole scoring runs", "", about, "", HEAD, *lines, ""])


if __name__ == "__main__":
    main()

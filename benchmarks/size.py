"""How many bytes a score, a session and a model take in each database.

    .venv/bin/python benchmarks/size.py [--url URL] [--scores 1000000] [--sessions 100]

Loads scores as one large session and as sessions of 10,000, trainings with figures of 20
variables, and models of 1 MB, and reads after each what `store.size()` says. Prints a table.
Without --url: on SQLite, PostgreSQL and MariaDB. An emulated Teradata would tell of SQLite.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

import mfprefect
from mfprefect_dev.servers import server_for

MODEL = "benchmark"
SMALL = 10_000
MODELS, MEGABYTE = 10, 1_000_000
VARIABLES = 20
LARGE = {"scores", "artifact_chunks"}


class Bytes(NamedTuple):
    """Bytes of one of each, indexes included."""

    large: float
    small: float
    session: float
    model: float
    version: str


def measure(url: str, scores: int, sessions: int) -> Bytes:
    """Return what one of each takes in an empty database."""
    rng = np.random.default_rng(1)
    with mfprefect.connect(url, heartbeat_seconds=600) as store:
        store.create_schema()
        store.add_model(MODEL)
        sizes = [_sizes(store)]
        small = max(scores // SMALL // 5, 10)
        writes: list[tuple[Callable[[], None], int]] = [
            (lambda: _score(store, rng, scores), 1),
            (lambda: _score(store, rng, SMALL), small),
            (lambda: _train(store, rng), sessions),
            (lambda: _save(store, rng), MODELS),
        ]
        for write, times in writes:
            for _ in range(times):
                write()
            sizes.append(_sizes(store))
        grown = [after - before for before, after in itertools.pairwise(sizes)]
        return Bytes(
            grown[0]["scores"] / scores,
            grown[1]["scores"] / (small * SMALL),
            grown[2].drop(list(LARGE)).sum() / sessions,
            grown[3]["artifact_chunks"] / MODELS,
            _version(store),
        )


def _sizes(store: mfprefect.Store) -> pd.Series:
    if store.database.backend.name == "mysql":
        with store.database.engine.connect() as connection:
            for table in store.database.schema.tables.values():
                connection.exec_driver_sql(f"ANALYZE TABLE {table.name}")
    listed = store.size().tables
    return pd.Series(listed["bytes"].to_numpy(float), index=list(store.database.schema.tables))


def _score(store: mfprefect.Store, rng: np.random.Generator, count: int) -> None:
    ids = [f"{number:010}" for number in range(count)]
    frame = pd.DataFrame({"customer_id": ids, "score": rng.random(count)})
    with store.session(MODEL, "score") as session:
        session.write_scores(frame, entity_id="customer_id")


def _train(store: mfprefect.Store, rng: np.random.Generator) -> None:
    """Record what a training records: input, checks, metrics, curve, importance."""
    frame = pd.DataFrame(
        {f"variable_{number}": rng.normal(size=2000) for number in range(VARIABLES)}
    )
    actual = rng.integers(0, 2, 2000)
    importance = pd.DataFrame({"variable": frame.columns, "importance": rng.random(VARIABLES)})
    with store.session(MODEL, "train", params={"depth": 6}) as session:
        session.log_input("warehouse", query="SELECT * FROM customers", rows=len(frame))
        session.log_input_summary(frame)
        session.log_checks(frame, lambda checked: len(checked) == 2000)
        session.log_test_results(actual, rng.random(2000))
        session.log_variable_importance(importance, kind="permutation")


def _save(store: mfprefect.Store, rng: np.random.Generator) -> None:
    with store.session(MODEL, "train") as session:
        session.save_model(rng.bytes(MEGABYTE))


def _version(store: mfprefect.Store) -> str:
    with store.database.engine.connect() as connection:
        info = connection.dialect.server_version_info or ()
        mariadb = getattr(connection.dialect, "is_mariadb", False)
        name = "MariaDB" if mariadb else connection.dialect.name
        if name == "sqlite":
            return f"SQLite {connection.scalar(sa.select(sa.func.sqlite_version()))}"
    names = {"postgresql": "PostgreSQL", "mysql": "MySQL", "teradatasql": "Teradata"}
    numbers = [str(part) for part in info if isinstance(part, int)][:3]
    return f"{names.get(name, name)} {'.'.join(numbers)}"


def places(stack: ExitStack, given: str | None) -> Iterator[Callable[[], str]]:
    """Yield what makes an empty database, one of each kind."""
    if given is not None:
        yield lambda: given
        return
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mfp-size-"))
    yield lambda: f"sqlite:///{Path(folder) / 'size.db'}"
    for name in ("postgres", "mysql"):
        yield stack.enter_context(server_for(name)).new_database


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", help="an empty database")
    parser.add_argument("--scores", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=100)
    arguments = parser.parse_args()
    print(f"Measured on {dt.date.today():%d %B %Y} with mfprefect {mfprefect.__version__}.\n")
    print(
        "| database | a score, large session | a score, small sessions | a training session |"
        " a model of 1 MB |\n| --- | --- | --- | --- | --- |"
    )
    with ExitStack() as stack:
        for made in places(stack, arguments.url):
            one = measure(made(), arguments.scores, arguments.sessions)
            print(
                f"| {one.version} | {one.large:.0f} | {one.small:.0f} | {one.session:,.0f} "
                f"| {one.model:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

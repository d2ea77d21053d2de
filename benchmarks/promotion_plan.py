"""How long a plan of a promotion takes: both models score today's data, in SQL and in Python.

    .venv/bin/python benchmarks/promotion_plan.py [--rows 50000,500000] [--repeats 3]
        [--databases sqlite,postgres17,mariadb,mysql9] [--models linear,forest] [--sample ROWS]

The rows are those of `benchmarks/scoring.py`: 20 numbers and 2 texts, in a table of the database
that the store is in; one of the texts is a segment. The model in production and the candidate have
the same kind, and were fitted on different rows. Everything is in one process; the ways take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import mfprefect
import scoring
from mfprefect.inputs.reader import Reader
from mfprefect.lifecycle.promotion_plan import plan_on_data
from mfprefect.lifecycle.sql_proof import prove_training
from mfprefect.store import Store


class Planned(scoring.Customers):
    """The model; `scoring` and the estimator are set for each plan."""

    segments = ("region",)
    checks: ClassVar[Any] = scoring.Customers.checks
    query = f"SELECT * FROM {scoring.TABLE}"  # noqa: S608 - names of ours

    def scoring_data(self, as_of: Any, part: int) -> Any:
        """Return all rows."""
        return self.read(self.query)


Planned.scoring = "auto"


def trained(store: Store, kind: str, seed: int) -> str:
    """Store a model in a training session; return its id."""
    frame = scoring.customers(20_000, 10**9 + seed)
    odds = frame["n01"] + frame["n05"] / 5 + (frame["plan"] == "pro") - 3
    target = (np.random.default_rng(seed).normal(odds, 1) > 0).astype(int)
    names = [*scoring.NUMBERS, *scoring.TEXTS]
    columns = make_column_transformer(
        (StandardScaler(), scoring.NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(scoring.TEXTS)),
    )
    estimator = make_pipeline(columns, scoring.ESTIMATORS[kind]()).fit(frame[names], target)
    with store.session(Planned.model_id, purpose="train") as session:
        session.log_metrics({"auc": 0.9})
        session.log_input_summary(frame[names])
        session.log_metadata({"features": names}, group="model")
        session.save_model(estimator)
        model = Planned(Reader(store.database.settings))
        prove_training(store, model, session, estimator, frame[names].head(500))
        session.log_gates([mfprefect.Gate("auc", at_least=0.5)])
    return session.session_id


def measure(url: str, kind: str, given: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of each run, by way."""
    seconds: dict[str, list[float]] = {"sql": [], "python": []}
    with mfprefect.connect(url) as store:
        store.add_model(Planned.model_id)
        store.promote(Planned.model_id, trained(store, kind, 1))
        candidate = trained(store, kind, 2)
        for number in range(given.repeats):
            for way in ("sql", "python") if number % 2 else ("python", "sql"):
                Planned.scoring = way
                began = time.perf_counter()
                plan = plan_on_data(
                    store, Planned, candidate, sample=given.sample, seconds=given.seconds
                )
                seconds[way].append(time.perf_counter() - began)
                print(
                    f"{way}: {seconds[way][-1]:.1f} s, {plan.basis} {plan.notes}", file=sys.stderr
                )
        store.retire(Planned.model_id)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", default="50000,500000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--databases", default="sqlite,postgres17,mariadb,mysql9")
    parser.add_argument("--models", default="linear,forest")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args()
    print("| database | model | rows | SQL, s | Python, s |\n| --- | --- | ---: | ---: | ---: |")
    for name in given.databases.split(","):
        for rows in map(int, given.rows.split(",")):
            compare(name, rows, given)


def compare(name: str, rows: int, given: argparse.Namespace) -> None:
    """Print the rows of the table for one database and number of rows."""
    with (
        tempfile.TemporaryDirectory(prefix="mfp-plan-") as folder,
        scoring.database(name, Path(folder)) as (url, _),
    ):
        os.environ["MFPREFECT_SOURCES__WAREHOUSE__URL"] = url
        os.environ["MFPREFECT_DEFAULT_SOURCE"] = "warehouse"
        with mfprefect.connect(url) as store:
            store.create_schema()
        scoring.fill(url, rows)
        for kind in given.models.split(","):
            ways = measure(url, kind, given)
            texts = " | ".join(f"{statistics.median(runs):.1f}" for runs in ways.values())
            print(f"| {name} | {kind} | {rows:,} | {texts} |", flush=True)


if __name__ == "__main__":
    main()

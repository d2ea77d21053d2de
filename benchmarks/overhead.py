"""What mfprefect adds to a Prefect flow run of the same tasks, side by side in one run.

    .venv/bin/python benchmarks/overhead.py [--repeats 7] [--rows 569] [--url URL] [--heartbeat]

Both flows read, check, split, fit, test (AUC, permutation importance) and save the same model, as
the same number of Prefect tasks, on one temporary Prefect server; the plain one keeps its results
in files. They take turns, so that what slows the machine down slows both. Printed are medians, the
share that mfprefect adds by medians and by means, and the middle half of the pairs' shares. The
machine should have nothing else to do: the mean is that of whatever else ran.

Prefect's flow heartbeat is off for both: joining its thread at a run's end makes every run last
a whole number of seconds, which would hide what is measured, or blow it up to a second.
`--heartbeat` leaves it on, as Prefect has it by default.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

import numpy as np
import pandas as pd
import pandera.pandas as pa
import skops.io
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

import mfprefect
from mfprefect.lifecycle.split import split

FOLDER = Path(tempfile.mkdtemp(prefix="mfp-overhead-"))


class Tumour(mfprefect.Model):
    """Random forest on scikit-learn's breast cancer data, drawn anew to the wanted size."""

    model_id = "overhead"
    entity_id = "patient_id"
    target = "malignant"
    rows = 569
    checks = pa.DataFrameSchema(
        {
            "patient_id": pa.Column(str, unique=True),
            "malignant": pa.Column(int, pa.Check.isin([0, 1])),
            "mean radius": pa.Column(float, pa.Check.in_range(-50, 100)),
        }
    )

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        """Return patients, with a little noise where they were drawn more than once."""
        data = load_breast_cancer(as_frame=True)
        rng = np.random.default_rng(1)
        drawn = rng.integers(0, len(data.data), self.rows)
        frame: pd.DataFrame = data.data.iloc[drawn].reset_index(drop=True)
        frame *= rng.normal(1, 0.05, frame.shape)
        frame.insert(0, "patient_id", [f"patient-{number:07d}" for number in range(self.rows)])
        frame["malignant"] = (data.target.iloc[drawn].to_numpy() == 0).astype(int)
        return frame

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> RandomForestClassifier:
        """Return a forest of 50 trees."""
        return RandomForestClassifier(50, random_state=0).fit(features, target)


@task(name="read training data", cache_policy=NO_CACHE)
def read_training_data(model: Tumour) -> pd.DataFrame:
    """Read and check."""
    frame = model.training_data(dt.date.today())
    model.checks.validate(frame)
    return frame


@task(name="fit", cache_policy=NO_CACHE)
def fit(model: Tumour, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
    """Fit."""
    return model.fit(features, target)


@task(name="test", cache_policy=NO_CACHE)
def test(model: Tumour, estimator: Any, features: pd.DataFrame, actual: pd.Series[Any]) -> None:
    """Compute what a careful data scientist would, with scikit-learn."""
    score = estimator.predict_proba(features)[:, 1]
    figures = {
        "auc": roc_auc_score(actual, score),
        "brier": brier_score_loss(actual, score),
        "log_loss": log_loss(actual, score),
    }
    (FOLDER / "metrics.json").write_text(str(figures))
    # The model's own, on both sides: it is most of the run, and no part of what is compared.
    importances = model.importance(estimator, features, actual)
    (FOLDER / "importance.json").write_text(
        str({kind: f.to_json() for kind, f in importances.items()})
    )


@task(name="save model", cache_policy=NO_CACHE)
def save(estimator: Any) -> None:
    """Save, as skops does; mfprefect writes the same without indentation, in half the time."""
    skops.io.dump(estimator, FOLDER / "model.skops")


@flow(name="plain-train")
def plain() -> None:
    """Do the same work without a store."""
    model = Tumour()
    frame = read_training_data(model)
    learn, held_out = split(frame, model.entity_id, model.test_share)
    features = [name for name in frame.columns if name not in (model.entity_id, model.target)]
    estimator = fit(model, learn[features], learn[model.target])
    test(model, estimator, held_out[features], held_out[model.target])
    save(estimator)


def seconds(work: Callable[[], Any]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(repeats: int) -> str:
    """Return a row of the table: both flows in turns, in both orders."""
    train = Tumour.flows().train
    plain()
    train()
    pairs = []
    for number in range(repeats):
        if number % 2:
            first = seconds(train)
            pairs.append((seconds(plain), first))
        else:
            pairs.append((seconds(plain), seconds(train)))
    bare, ours = ([pair[place] for pair in pairs] for place in (0, 1))
    added = [of(ours) / of(bare) - 1 for of in (statistics.median, statistics.mean)]
    middle = statistics.quantiles([b / a - 1 for a, b in pairs], n=4)
    return (
        f"| {Tumour.rows:,} | {statistics.median(bare):.2f} | {statistics.median(ours):.2f} | "
        f"{added[0]:+.1%} | {added[1]:+.1%} | {middle[0]:+.1%} to {middle[2]:+.1%} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rows", default="569,20000,100000")
    parser.add_argument("--url", default=f"sqlite:///{FOLDER / 'overhead.db'}")
    parser.add_argument("--heartbeat", action="store_true")
    given = parser.parse_args()
    os.environ["MFPREFECT_URL"] = given.url
    with mfprefect.connect() as store:
        store.create_schema()
        place = store.database.backend.name
    with (
        prefect_test_harness(server_startup_timeout=180),
        nullcontext()
        if given.heartbeat
        else temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        print(f"\nmfprefect on {place}, {dt.date.today()}, {given.repeats} repeats\n")
        print("| rows | plain flow, s | with mfprefect, s | added, medians | means | middle half |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: |")
        for rows in given.rows.split(","):
            Tumour.rows = int(rows)
            print(compare(given.repeats), flush=True)


if __name__ == "__main__":
    main()

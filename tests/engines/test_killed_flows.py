"""The process of a flow is killed while workers or executors score; a retry resumes its session."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from faultkit import flows

from mfprefect import Store

LONGEST = 200
# Two parts pass; the others wait while the file `hold` is there, wherever they are scored.
FILE = """
import contextlib
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import mfprefect

FOLDER, ENGINE, PARTS = Path({folder!r}), {engine!r}, 4


def customers() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"])
    frame.insert(0, "customer_id", [f"c{{number:03}}" for number in range(400)])
    return frame


def spark_frame():
    from pyspark.sql import SparkSession

    customers().to_parquet(FOLDER / "customers.parquet")
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.adaptive.coalescePartitions.enabled", "false")
        .getOrCreate()
    )
    frame = spark.read.parquet(str(FOLDER / "customers.parquet"))
    return frame.repartitionByRange(PARTS, "customer_id").sortWithinPartitions("customer_id")


def wait() -> None:
    ticket, hold = 0, FOLDER / "hold"
    while hold.exists():
        with contextlib.suppress(FileExistsError):
            (FOLDER / f"ticket-{{ticket}}").touch(exist_ok=False)
            break
        ticket += 1
    while ticket > 1 and hold.exists():
        time.sleep(0.05)


class Held(mfprefect.Model):
    model_id = "held"
    entity_id = "customer_id"
    target = "left"

    def training_data(self, as_of):
        frame = customers()
        frame["left"] = (frame["a"] > 0).astype(int)
        return frame

    def fit(self, features, target):
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of, part):
        return spark_frame() if ENGINE == "spark" else customers().iloc[part - 1 :: PARTS]

    def score_class(self, score):
        wait()
        return ["scored"] * len(score)


if ENGINE != "spark":
    Held.parts = PARTS
if ENGINE == "dask":
    from prefect_dask import DaskTaskRunner

    options = {{"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}}
    Held.task_runner = DaskTaskRunner(cluster_kwargs=options | {{"processes": True}})
if ENGINE == "ray":
    from prefect_ray import RayTaskRunner

    Held.task_runner = RayTaskRunner(init_kwargs={{"num_cpus": 2, "include_dashboard": False}})

train, score, monitor = Held.flows()
"""


def execute(run_id: UUID, folder: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that executes a flow run, as a worker does."""
    with (folder / "runs.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect.engine", str(run_id)],
            cwd=folder,
            env=os.environ | env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def session_of(store: Store, run_id: UUID) -> Any:
    sessions = store.sessions("held")
    rows = sessions[sessions["flow_run_id"] == str(run_id)]
    return None if rows.empty else rows.iloc[0]


def await_parts(store: Store, run_id: UUID, process: subprocess.Popen[bytes]) -> Any:
    """Wait until the run's session has two parts; return the session."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline and process.poll() is None:
        row = session_of(store, run_id)
        if row is not None and len(store.score_parts(row["session_id"])) == 2:
            return row
        time.sleep(0.2)
    raise AssertionError("the flow has no two parts")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("engine", ["dask", "ray", "spark"])
def test_a_retry_resumes_the_session(
    flow_store: Store,
    prefect_api: str,
    spark_env: dict[str, str],
    load_file: Callable[..., ModuleType],
    tmp_path: Path,
    engine: str,
) -> None:
    env = spark_env | {"PREFECT_API_URL": prefect_api, "RAY_AUTH_MODE": "disabled"}
    text = FILE.format(folder=str(tmp_path), engine=engine)
    held = load_file(text)
    (tmp_path / "held.py").write_text(text)
    deployed = {name: flows.deploy(tmp_path, name, engine) for name in ("train", "score")}
    log = tmp_path / "runs.log"
    trained = flows.new_run(deployed["train"])
    assert execute(trained, tmp_path, env).wait(LONGEST) == 0, log.read_text()
    (tmp_path / "hold").touch()
    run_id = flows.new_run(deployed["score"])
    process = execute(run_id, tmp_path, env)
    try:
        row = await_parts(flow_store, run_id, process)
        written = flow_store.score_parts(row["session_id"]).set_index("part_no")
        assert flow_store.scores(row["session_id"]).empty
    finally:
        process.kill()
        process.wait()
        (tmp_path / "hold").unlink()
    flows.schedule(run_id)
    assert execute(run_id, tmp_path, env).wait(LONGEST) == 0, log.read_text()
    row = session_of(flow_store, run_id)
    assert (row["status"], row["attempt"]) == ("succeeded", 2)
    parts = flow_store.score_parts(row["session_id"]).set_index("part_no")
    assert parts.index.tolist() == [1, 2, 3, 4]
    # The others may be of workers that outlived the flow's process.
    first_parts = parts.loc[written.index]
    assert first_parts["attempt"].tolist() == [1, 1]
    assert first_parts["written_at"].equals(written["written_at"])
    scores = flow_store.scores(row["session_id"]).set_index("entity_id")["score"]
    features = held.customers().set_index("customer_id")
    estimator = flow_store.load_model(session_of(flow_store, trained)["session_id"])
    expected = estimator.predict_proba(features)[:, 1]
    assert len(scores) == len(features)
    # The last bit depends on how many rows are multiplied at once.
    assert scores[features.index].tolist() == pytest.approx(expected.tolist(), rel=1e-12)

"""Scoring runs that are SIGKILLed at a random moment, then retried, on each database.

`MFPREFECT_TEST_KILLS` says how often each database's runs are killed (`make faults`: 14 times) and
`MFPREFECT_TEST_SEED` when; without them PostgreSQL's are, twice. What was done and seen is printed,
and shown where a test fails.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from prefect.client.orchestration import get_client
from prefect.states import Scheduled

import mfprefect
from mfprefect import Store
from mfprefect.testing.contract.helpers import orphans

KILLS = int(os.environ.get("MFPREFECT_TEST_KILLS", "2"))
ALL = "MFPREFECT_TEST_KILLS" in os.environ
DATABASES = ["sqlite", "postgres", "mysql"] if ALL else ["postgres"]
SEED = int(os.environ.get("MFPREFECT_TEST_SEED", "20261124"))
LONGEST = 120
BEAT = 0.5

FILE = """
import time

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import mfprefect


class Killed(mfprefect.Model):
    model_id = "killed"
    entity_id = "customer_id"
    target = "left"
    parts = 5

    def training_data(self, as_of):
        rng = np.random.default_rng(7)
        frame = pd.DataFrame(rng.normal(size=(5_000, 2)), columns=["a", "b"])
        frame.insert(0, "customer_id", [f"c{number}" for number in range(5_000)])
        frame["left"] = (frame["a"] > 0).astype(int)
        return frame

    def fit(self, features, target):
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of, part):
        time.sleep(0.2)  # a moment that can be met
        return self.training_data(as_of).drop(columns="left").iloc[part - 1 :: self.parts]

    def importance(self, estimator, features, target):
        return {}


train, score, monitor = Killed.flows()
"""


@dataclass
class Runs:
    """Flow runs of a deployment, each executed in a process of its own, as a worker does."""

    folder: Path
    store: Store
    env: dict[str, str]
    deployment_id: UUID

    def create(self) -> UUID:
        with get_client(sync_client=True) as client:
            return client.create_flow_run_from_deployment(self.deployment_id).id

    def execute(self, run_id: UUID) -> subprocess.Popen[bytes]:
        with (self.folder / "runs.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "prefect.engine", str(run_id)],
                cwd=self.folder,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def retry(self, run_id: UUID) -> None:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run_id, Scheduled(), force=True)

    def sessions(self, run_id: UUID) -> pd.DataFrame:
        found = self.store.sessions("killed", limit=None)
        return found[found["flow_run_id"] == str(run_id)]

    def await_session(self, run_id: UUID, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + LONGEST
        while self.sessions(run_id).empty and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def runs(flow_store: Store, prefect_api: str, database_url: str, tmp_path: Path) -> Iterator[Runs]:
    (tmp_path / "killed.py").write_text(FILE)
    env = os.environ | {
        "PREFECT_API_URL": prefect_api,
        "MFPREFECT_URL": database_url,
        "MFPREFECT_HEARTBEAT_SECONDS": str(BEAT),
    }
    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(tmp_path)}}
    with get_client(sync_client=True) as client:
        deployment_id = client.create_deployment(
            flow_id=client.create_flow_from_name("killed-score"),
            name=tmp_path.name,
            entrypoint="killed.py:score",
            pull_steps=[step],
            parameter_openapi_schema={"type": "object", "properties": {}},
        )
    with mfprefect.connect(heartbeat_seconds=BEAT) as store:
        yield Runs(tmp_path, store, env, deployment_id)


@pytest.mark.timeout(300 + 60 * KILLS)
@pytest.mark.parametrize("database_url", DATABASES, indirect=True)
def test_no_kill_leaves_a_lie(runs: Runs, database_url: str) -> None:
    train = [sys.executable, "-c", "import killed; killed.train()"]
    subprocess.run(train, cwd=runs.folder, env=runs.env, check=True, stdout=subprocess.DEVNULL)
    undisturbed = runs.create()
    process = runs.execute(undisturbed)
    runs.await_session(undisturbed, process)
    assert process.wait() == 0, (runs.folder / "runs.log").read_text()
    row = runs.sessions(undisturbed).iloc[0]
    lasted = (row["ended_at"] - row["started_at"]).total_seconds()
    expected = runs.store.scores(row["session_id"])
    assert (row["status"], len(expected)) == ("succeeded", 5_000)

    seed = f"{SEED}-{database_url.partition(':')[0]}"
    moments = random.Random(seed)  # noqa: S311 - it chooses moments
    print(f"seed {seed}; an undisturbed session takes {lasted:.2f} s")
    seen: Counter[str] = Counter()
    for number in range(KILLS):
        # From the session's row on, until a little after its end.
        seen[kill_and_retry(runs, moments.uniform(0, 1.1 * lasted), number, expected)] += 1
    print(dict(seen))
    assert orphans(runs.store) == {}
    assert set(runs.store.sessions("killed", limit=None)["status"]) <= {"succeeded", "crashed"}


def kill_and_retry(runs: Runs, moment: float, number: int, expected: pd.DataFrame) -> str:
    """Kill a run so many seconds after its session opened; hold everything against the truth."""
    run_id = runs.create()
    process = runs.execute(run_id)
    runs.await_session(run_id, process)
    time.sleep(moment)
    process.kill()
    ended_by_itself = process.wait() == 0

    row = only(runs.sessions(run_id))
    session_id, status = row["session_id"], row["status"]
    print(f"kill {number} after {moment:.2f} s: {status}, attempt {row['attempt']}")
    assert status in ("running", "succeeded")
    assert status == "succeeded" or not ended_by_itself
    check_scores(runs.store, session_id, expected if status == "succeeded" else None)

    time.sleep(2 * BEAT)
    runs.store.reconcile(wait=True)
    after = only(runs.sessions(run_id))["status"]
    assert after == ("succeeded" if status == "succeeded" else "crashed")
    if status == "succeeded":
        return "had succeeded"

    kept = len(runs.store.score_parts(session_id))
    runs.retry(run_id)
    assert runs.execute(run_id).wait() == 0, (runs.folder / "runs.log").read_text()
    row = only(runs.sessions(run_id))
    assert (row["session_id"], row["status"], row["attempt"]) == (session_id, "succeeded", 2)
    check_scores(runs.store, session_id, expected)
    assert runs.store.score_parts(session_id)["part_no"].tolist() == [1, 2, 3, 4, 5]
    return f"crashed with {kept} parts written"


def only(rows: pd.DataFrame) -> Any:
    assert len(rows) == 1
    return rows.iloc[0]


def check_scores(store: Store, session_id: str, expected: pd.DataFrame | None) -> None:
    found = store.scores(session_id)
    if expected is None:
        assert found.empty
    else:
        pd.testing.assert_frame_equal(found, expected)

"""Parts mapped over worker processes of Ray and of Dask, on a cluster of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from mfprefect import Store

FILE = """
import contextlib
import os
import signal

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect.checks import NullShare

PARTS = 6


def customers() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    frame.insert(0, "customer_id", [f"c{number}" for number in range(600)])
    return frame


class Parted(mfprefect.Model):
    model_id = "parted"
    entity_id = "customer_id"
    target = "left"
    parts = PARTS
    retry_delay_seconds = 0.0
    checks = [lambda frame: len(frame) > 0, NullShare("a", at_most=0.1)]

    def training_data(self, as_of):
        frame = customers()
        frame["left"] = (frame["a"] > 0).astype(int)
        return frame

    def fit(self, features, target):
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of, part):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{FOLDER}/break-{part}")  # once
            raise RuntimeError(f"no data for part {part}")
        return customers().iloc[part - 1 :: PARTS]

    def score_class(self, score):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{FOLDER}/kill")  # by one process only
            os.kill(os.getpid(), signal.SIGKILL)
        return [f"process {os.getpid()}"] * len(score)
"""

pytestmark = [
    # Their own: sockets and processes that they forget, a port that another cluster has.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Port "),
]


def dask_runner() -> Any:
    from prefect_dask.task_runners import DaskTaskRunner

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    return DaskTaskRunner(cluster_kwargs=options | {"processes": True})


def ray_runner() -> Any:
    from prefect_ray import RayTaskRunner

    return RayTaskRunner(init_kwargs={"num_cpus": 2, "include_dashboard": False})


@pytest.fixture
def parted(
    load_file: Callable[..., ModuleType],
    tmp_path: Any,
    prefect_api: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    # Ray would write a token into the home of whoever runs the tests.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    # For the worker processes, which would start a temporary server each.
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    return load_file(f"FOLDER = {str(tmp_path)!r}\n{FILE}").Parted


on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
on_each_engine = pytest.mark.parametrize("runner", [dask_runner, ray_runner])


def require_scores(store: Store, parted: Any, trained: str, scored: str) -> set[str]:
    """Hold what was stored against the estimator; return who scored."""
    scores = store.scores(scored)
    assert len(scores) == 600
    assert scores["entity_id"].nunique() == 600
    features = parted().training_data(None).set_index("customer_id")[["a", "b"]]
    expected = store.load_model(trained).predict_proba(features)[:, 1]
    stored = scores.set_index("entity_id")["score"].loc[features.index]
    # The last bit depends on how many rows are multiplied at once.
    assert stored.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    # What the workers read and checked is on record, in the order of the parts.
    assert store.inputs(scored)["source"].tolist() == [
        f"scoring_data part {part}" for part in range(1, 7)
    ]
    checks = store.checks(scored)
    assert checks["passed"].tolist() == [True] * 7
    assert checks["message"].iloc[-1] == "0 of 600 rows are NULL, 0; at most 0.1 (in all 6 parts)"
    scorers = set(scores["score_class"])
    assert f"process {os.getpid()}" not in scorers
    return scorers


@on_postgres
@on_each_engine
def test_the_parts_of_a_session_in_processes_of_a_cluster(
    flow_store: Store, parted: Any, tmp_path: Any, runner: Callable[[], Any]
) -> None:
    parted.task_runner = runner()
    flows = parted.flows()
    trained = flows.train()
    # A part that fails leaves the others, as with threads.
    (tmp_path / "break-4").touch()
    state = flows.score(return_state=True)
    assert state.is_failed()
    row = flow_store.sessions("parted").iloc[0]
    assert (row["status"], row["failure_text"]) == ("failed", "no data for part 4")
    assert set(flow_store.score_parts(row["session_id"])["part_no"]) == {1, 2, 3, 5, 6}
    assert flow_store.scores(row["session_id"]).empty
    assert len(require_scores(flow_store, parted, trained, flows.score())) == 2


@on_postgres
@on_each_engine
def test_a_retry_scores_the_part_that_is_missing(
    flow_store: Store, parted: Any, tmp_path: Any, runner: Callable[[], Any]
) -> None:
    parted.task_runner = runner()
    flows = parted.flows()
    trained = flows.train()
    (tmp_path / "break-4").touch()
    scored = flows.score.with_options(retries=1, retry_delay_seconds=0)()
    require_scores(flow_store, parted, trained, scored)
    parts = flow_store.score_parts(scored)
    assert parts["attempt"].tolist() == [1, 1, 1, 2, 1, 1]
    assert flow_store.show(scored)["attempt"][0] == 2


@on_postgres
@on_each_engine
def test_another_process_scores_the_part_of_a_killed_one(
    flow_store: Store, parted: Any, tmp_path: Any, runner: Callable[[], Any]
) -> None:
    parted.task_runner = runner()
    flows = parted.flows()
    trained = flows.train()
    (tmp_path / "kill").touch()
    scored = flows.score()
    assert not (tmp_path / "kill").exists()
    require_scores(flow_store, parted, trained, scored)
    assert flow_store.score_parts(scored)["attempt"].tolist() == [1] * 6

"""Parts mapped over task runners: each worker writes its parts over a connection of its own."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from mfprefect import Store

# A model in a file of its own, as Prefect loads it: no worker process can import it by name.
FILE = """
import os

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
        if os.path.exists(f"break-{part}"):
            raise RuntimeError(f"no data for part {part}")
        return customers().iloc[part - 1 :: PARTS]

    def score_class(self, score):
        return [f"process {os.getpid()}"] * len(score)
"""


@pytest.fixture
def parted(tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    # For Dask's processes, which would start a temporary server each.
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    path = tmp_path / "parted_model.py"
    path.write_text(FILE)
    spec = importlib.util.spec_from_file_location("__prefect_loader__parted", path)
    if spec is None or spec.loader is None:
        raise AssertionError(path)
    module = importlib.util.module_from_spec(spec)
    # As Prefect's loader does: known here, and to no other process.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module.Parted
    del sys.modules[spec.name]


def check(flow_store: Store, parted: Any) -> set[str]:
    """Train, score, hold all that was stored against the model; return who scored."""
    flows = parted.flows()
    trained = flows.train()
    scored = flows.score()
    scores = flow_store.scores(scored)
    assert len(scores) == 600
    assert scores["entity_id"].nunique() == 600
    features = parted().training_data(None).set_index("customer_id")[["a", "b"]]
    expected = flow_store.load_model(trained).predict_proba(features)[:, 1]
    stored = scores.set_index("entity_id")["score"].loc[features.index]
    # The last bit depends on how many rows are multiplied at once.
    assert stored.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    # What the workers read and checked is on record, in the order of the parts.
    assert flow_store.inputs(scored)["source"].tolist() == [
        f"scoring_data part {part}" for part in range(1, 7)
    ]
    checks = flow_store.checks(scored)
    assert checks["passed"].tolist() == [True] * 7
    assert checks["message"].iloc[-1] == ("0 of 600 rows are NULL, 0; at most 0.1 (in all 6 parts)")
    assert len(flow_store.input_summary(scored)) == 2
    return set(scores["score_class"])


def test_the_parts_of_a_session_in_threads(flow_store: Store, parted: Any) -> None:
    assert check(flow_store, parted) == {f"process {os.getpid()}"}


# Dask's own: a socket that it forgets, a port that another cluster has.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Port ")
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_the_parts_of_a_session_in_processes_of_a_dask_cluster(
    flow_store: Store, parted: Any
) -> None:
    from prefect_dask.task_runners import DaskTaskRunner

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    parted.task_runner = DaskTaskRunner(cluster_kwargs=options | {"processes": True})
    scorers = check(flow_store, parted)
    assert len(scorers) == 2
    assert f"process {os.getpid()}" not in scorers


def test_a_part_that_fails_leaves_the_others(flow_store: Store, parted: Any) -> None:
    flows = parted.flows()
    flows.train()
    broken = Path("break-4")
    broken.touch()
    state = flows.score(return_state=True)
    assert state.is_failed()
    row = flow_store.sessions("parted").iloc[0]
    assert (row["status"], row["failure_text"]) == ("failed", "no data for part 4")
    assert set(flow_store.score_parts(row["session_id"])["part_no"]) == {1, 2, 3, 5, 6}
    assert flow_store.scores(row["session_id"]).empty


def _of_run(flow_run_id: Any) -> ArtifactFilter:
    return ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_page_of_a_run(flow_store: Store, parted: Any) -> None:
    flows = parted.flows()
    flows.train()
    scored = flows.score()
    parted.checks = [lambda frame: frame["a"] < 1.0]
    assert flows.score(return_state=True).is_failed()
    failed = flow_store.sessions("parted")["session_id"][0]
    with get_client(sync_client=True) as client:
        runs = {
            session_id: client.read_flow_run(flow_store.show(session_id)["flow_run_id"][0])
            for session_id in (scored, failed)
        }
        pages: dict[str, dict[str, Any]] = {
            session_id: {
                str(artifact.key): artifact.data
                for artifact in client.read_artifacts(
                    artifact_filter=ArtifactFilter(
                        flow_run_id=ArtifactFilterFlowRunId(any_=[run.id])
                    )
                )
            }
            for session_id, run in runs.items()
        }
    assert {"parted", "score", scored} <= set(runs[scored].tags)
    assert set(pages[scored]) == {"parted-score", "parted-score-progress"}
    text = pages[scored]["parted-score"]
    assert scored in text
    assert "| rows\\_scored | 600 |" in text
    assert pages[scored]["parted-score-progress"] == 100.0
    text = pages[failed]["parted-score"]
    assert "**ChecksFailed**" in text
    table = pages[failed]["parted-score-failed-checks"]
    assert '"severity": "error"' in table
    assert "failing_rows" in table

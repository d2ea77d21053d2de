"""prefect.yaml as a team would use it: deployed to a server, run by a worker in its processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

from mfprefect import Store

ROOT = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))
POOL = "local-process"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def worker(prefect_api: str, flow_store: Store, tmp_path: Path) -> Iterator[None]:
    env = os.environ | {
        "PREFECT_API_URL": prefect_api,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PWD": str(ROOT),
    }

    def prefect(*arguments: str) -> None:
        done = subprocess.run(
            [PREFECT, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
    prefect("--no-prompt", "deploy", "--all")
    with (tmp_path / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [PREFECT, "worker", "start", "--pool", POOL],
            cwd=tmp_path,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        yield
        process.kill()
        process.wait()


def run(name: str, **parameters: object) -> FlowRun:
    found = run_deployment(name, parameters=dict(parameters), timeout=180, poll_interval=0.5)
    assert isinstance(found, FlowRun)
    return found


@pytest.mark.usefixtures("worker")
def test_the_deployments_run(flow_store: Store) -> None:
    trained = run("breast_cancer-train/local", as_of="2026-01-31")
    scored = run("breast_cancer-score/local")
    for flow_run in (trained, scored):
        assert flow_run.state is not None
        assert flow_run.state.is_completed(), flow_run.state
    sessions = flow_store.sessions("breast_cancer")
    assert sessions["status"].tolist() == ["succeeded", "succeeded"]
    assert sessions["purpose"].tolist() == ["score", "train"]
    assert sessions["flow_run_id"].tolist() == [str(scored.id), str(trained.id)]
    assert sessions["deployment"].tolist() == [
        "breast_cancer-score/local",
        "breast_cancer-train/local",
    ]
    assert len(set(sessions["git_commit"])) == 1
    assert str(sessions["as_of"][1]) == "2026-01-31"
    assert len(flow_store.scores(sessions["session_id"][0])) == 569
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment(str(trained.deployment_id))
    assert [getattr(s.schedule, "timezone", None) for s in deployment.schedules] == [
        "Europe/Berlin"
    ]


@pytest.mark.usefixtures("worker")
def test_scoring_before_any_training_fails_and_leaves_no_session(flow_store: Store) -> None:
    failed = run("breast_cancer-score/local")
    assert failed.state is not None
    assert failed.state.is_failed()
    assert "train flow" in str(failed.state.message)
    assert len(flow_store.sessions()) == 0

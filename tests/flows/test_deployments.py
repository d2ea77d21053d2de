"""prefect.yaml as a team would use it: deployed to a server, run by a worker in its processes."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import SCHEDULE_TYPES, RRuleSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_URL, temporary_settings

import mfprefect
from mfprefect import Store
from mfprefect.store.trace.origins import SCHEDULED

ROOT = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))
POOL = "local-process"
LONGEST = 180
SCHEDULER = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "3"}
"""By default it comes by once a minute."""


@pytest.fixture(scope="module")
def api(
    prefect_server: Callable[..., AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """A server as people start it: that of the other tests runs no schedules."""
    with (
        prefect_server(tmp_path_factory.mktemp("server"), **SCHEDULER) as url,
        temporary_settings({PREFECT_API_URL: url}),
    ):
        yield url


@pytest.fixture(scope="module")
def store(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that a worker serves, which runs what `prefect.yaml` deploys without git."""
    folder = tmp_path_factory.mktemp("worker")
    url = f"sqlite:///{folder / 'store.db'}"
    env = os.environ | {
        "PREFECT_API_URL": api,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "MFPREFECT_URL": url,
    }

    def prefect(*arguments: str) -> None:
        done = subprocess.run(
            [PREFECT, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    prefect("--no-prompt", "deploy", "--name", "local")
    with (folder / "worker.log").open("w") as log, mfprefect.connect(url) as store:
        store.create_schema()
        process = subprocess.Popen(
            [PREFECT, "worker", "start", "--pool", POOL],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        yield store
        process.kill()
        process.wait()


def start(name: str, **parameters: object) -> FlowRun:
    run = run_deployment(name, parameters=dict(parameters), timeout=0)
    assert isinstance(run, FlowRun)
    return run


def ended(run: FlowRun) -> FlowRun:
    with get_client(sync_client=True) as client:
        for _ in range(2 * LONGEST):
            state_now = client.read_flow_run(run.id)
            if state_now.state is not None and state_now.state.is_final():
                return state_now
            time.sleep(0.5)
    raise AssertionError(state_now.state)


def completed(run: FlowRun) -> str:
    final = ended(run)
    assert final.state is not None
    assert final.state.is_completed(), final.state
    return str(final.id)


def test_the_deployments_run(store: Store) -> None:
    maintained = start("maintain/local", digest=True)
    trained = completed(start("breast_cancer-train/local", as_of="2026-01-31"))
    scored = completed(start("breast_cancer-score/local"))
    monitored = completed(start("breast_cancer-monitor/local"))
    completed(maintained)
    sessions = store.sessions("breast_cancer")
    assert sessions["purpose"].tolist() == ["monitor", "score", "train"]
    assert sessions["status"].tolist() == ["succeeded"] * 3
    assert sessions["flow_run_id"].tolist() == [monitored, scored, trained]
    assert sessions["deployment"].tolist() == [
        f"breast_cancer-{purpose}/local" for purpose in sessions["purpose"]
    ]
    assert sessions["git_commit"].str.len().tolist() == [40] * 3
    assert str(sessions["as_of"][2]) == "2026-01-31"
    scores = store.scores(sessions["session_id"][1])
    assert len(scores) == 569
    (score,) = store.trace("breast_cancer", scores["entity_id"][0]).scores
    assert (score.score, score.flow_run_id) == (scores["score"][0], scored)
    assert (score.deployment, score.scheduled) == ("breast_cancer-score/local", False)
    assert score.model is not None
    assert score.model.session_id == sessions["session_id"][2]
    assert score.run.author == score.model.run.author
    assert score.run.author is not None
    assert score.inputs[0].digest is not None


def test_a_scheduled_run(store: Store) -> None:
    """Nobody starts it: the schedule does."""
    # More than one: the scheduler plans nothing that is past when it comes by.
    first = f"{dt.datetime.now(dt.UTC) + dt.timedelta(seconds=8):%Y%m%dT%H%M%SZ}"
    rule = f"DTSTART:{first}\nRRULE:FREQ=SECONDLY;INTERVAL=20;COUNT=6"
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("breast_cancer-train/local")
        schedule: tuple[SCHEDULE_TYPES, bool] = (RRuleSchedule(rrule=rule), True)
        (made,) = client.create_deployment_schedules(deployment.id, [schedule])
        run = scheduled_run(client, deployment.id)
        run_id = completed(run)
        client.delete_deployment_schedule(deployment.id, made.id)  # and the runs that wait
    assert run.auto_scheduled
    sessions = store.sessions("breast_cancer").set_index("flow_run_id")
    assert sessions["purpose"][run_id] == "train"
    assert sessions["status"][run_id] == "succeeded"
    assert sessions["deployment"][run_id] == "breast_cancer-train/local"
    assert SCHEDULED in json.loads(sessions["tags"][run_id])  # by which a trace says so


def scheduled_run(client: SyncPrefectClient, deployment_id: UUID) -> FlowRun:
    """Return the first run that the scheduler has planned."""
    of_deployment = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]))
    for _ in range(2 * LONGEST):
        runs = client.read_flow_runs(
            flow_run_filter=of_deployment, sort=FlowRunSort.EXPECTED_START_TIME_ASC
        )
        if planned := [run for run in runs if run.auto_scheduled]:
            return planned[0]
        time.sleep(0.5)
    raise AssertionError(runs)


def variants() -> dict[str, dict[str, dict[str, Any]]]:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    by_entrypoint: dict[str, dict[str, dict[str, Any]]] = {}
    for item in deployments:
        by_entrypoint.setdefault(item["entrypoint"], {})[item["name"]] = item
    return by_entrypoint


def test_development_and_production_differ_by_branch_pool_profile_and_schedules() -> None:
    for entrypoint, deployments in variants().items():
        assert set(deployments) == {"local", "development", "production"}, entrypoint
        texts = {}
        for variant, branch in (("development", "develop"), ("production", "main")):
            item = dict(deployments[variant])
            assert bool(item.pop("schedules", None)) == (variant == "production")
            text = yaml.safe_dump(item, default_flow_style=True, width=10_000)
            assert f"branch: {branch}" in text
            texts[variant] = text.replace(f"branch: {branch}", "branch: X").replace(variant, "V")
        assert texts["development"] == texts["production"]


def test_every_schedule_has_a_time_zone_and_every_deployment_its_tags() -> None:
    for entrypoint, deployments in variants().items():
        script, flow = entrypoint.removeprefix("flows/").split(".py:")
        for variant, item in deployments.items():
            names = [flow] if script == "maintenance" else [script, flow]
            assert item["tags"] == [*names, variant]
            assert item["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
            schedules = item.get("schedules", [])
            assert all({"cron", "timezone", "slug"} <= set(schedule) for schedule in schedules)


@pytest.mark.parametrize(
    ("remote", "deployed"),
    [
        ("https://host.example/a/b.git", "https://host.example/a/b.git"),
        ("https://token@host.example:8443/a/b@c.git", "https://host.example:8443/a/b@c.git"),
        ("https://user:p@ss:word@host.example/a/b.git", "https://host.example/a/b.git"),
        ("git@host.example:a/b.git", "git@host.example:a/b.git"),
        ("ssh://git@host.example:22/a/b.git", "ssh://git@host.example:22/a/b.git"),
        ("/srv/git/a b.git", "/srv/git/a b.git"),
    ],
)
def test_a_clone_needs_no_url_and_tells_no_token(
    tmp_path: Path, remote: str, deployed: str
) -> None:
    """Everybody who sees Prefect can read what is deployed."""
    item = variants()["flows/maintenance.py:maintain"]["production"]
    ((_, step),) = item["build"][0].items()

    def shell(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False)

    shell("git", "init", "--quiet")
    assert shell("sh", "-c", step["script"]).returncode != 0
    shell("git", "remote", "add", "origin", remote)
    assert shell("sh", "-c", step["script"]).stdout == deployed + "\n"

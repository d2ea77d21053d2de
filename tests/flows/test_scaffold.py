"""What `mfprefect new` writes, in an empty git repository: its tests, deployed, to production."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectAlreadyExists

import mfprefect
from mfprefect import Store

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
POOLS = ("local-process", "development", "production")
LONGEST = 180


@dataclass(frozen=True)
class Team:
    """A team's repository, with a remote, workers and a database a profile."""

    folder: Path
    stores: dict[str, Store]

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=team", "-c", "user.email=team@example.com"]
        return shell(["git", *identity, *arguments], self.folder)

    def change(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert text.count(old) == 1
        (self.folder / path).write_text(text.replace(old, new))


def shell(command: list[str | Path], folder: Path, **env: str) -> str:
    # The person's own git settings, such as signing, are no business of the tests.
    git_env = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | git_env | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("team")
    shell(["git", "init", "--quiet", "--initial-branch", "main"], folder)
    shell([BIN / "mfprefect", "new", "churn"], folder)
    return folder


@pytest.fixture(scope="module")
def team(
    prefect_api: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Team]:
    place = tmp_path_factory.mktemp("place")
    urls = {f"FACTORY_{pool.upper()}_URL": f"sqlite:///{place / pool}.db" for pool in POOLS[1:]}
    env = {"PREFECT_API_URL": prefect_api, "PREFECT_WORKER_QUERY_SECONDS": "1", **urls}
    stores = {pool: mfprefect.connect(urls[f"FACTORY_{pool.upper()}_URL"]) for pool in POOLS[1:]}
    team = Team(folder, stores)
    shell(["git", "init", "--quiet", "--bare", place / "team.git"], place)
    team.git("remote", "add", "origin", str(place / "team.git"))
    team.git("add", "--all")
    team.git("commit", "--quiet", "--message", "a model factory")
    team.git("push", "--quiet", "origin", "main", "main:develop")
    create_pools()
    shell([BIN / "prefect", "--no-prompt", "deploy", "--all"], folder, **env)
    with ExitStack() as stack:
        for pool, store in stores.items():
            stack.enter_context(store)
            store.create_schema()
            log = stack.enter_context((place / f"{pool}.log").open("w"))
            process = subprocess.Popen(
                [BIN / "prefect", "worker", "start", "--pool", pool],
                cwd=place,
                env=os.environ | env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield team


def create_pools() -> None:
    with get_client(sync_client=True) as client:
        for pool in POOLS:
            with suppress(ObjectAlreadyExists):
                client.create_work_pool(WorkPoolCreate(name=pool, type="process"))


def train(*variants: str) -> list[FlowRun]:
    """Return the flow runs of these deployments, run at the same time."""
    started: list[Any] = [run_deployment(f"churn-train/{v}", timeout=0) for v in variants]
    with get_client(sync_client=True) as client:
        for _ in range(2 * LONGEST):
            runs = [client.read_flow_run(run.id) for run in started]
            if all(run.state is not None and run.state.is_final() for run in runs):
                break
            time.sleep(0.5)
    for run in runs:
        assert run.state is not None
        assert run.state.is_completed(), run.state
    return runs


def session(store: Store, run: FlowRun) -> dict[str, Any]:
    """Return the session of a flow run, with the share of rows that it was tested on."""
    sessions = store.sessions("churn").set_index("flow_run_id")
    row = {str(name): value for name, value in sessions.loc[str(run.id)].items()}
    metadata = store.metadata(str(row["session_id"])).set_index("meta_name")["value"]
    return row | {"test_share": float(str(metadata["test_share"]))}


def test_going_to_production_is_a_merge(team: Team) -> None:
    development, production = team.stores["development"], team.stores["production"]
    before = team.git("rev-parse", "main").strip()

    # A change on develop: development's run has it, production's has not.
    team.git("checkout", "--quiet", "-B", "develop", "origin/develop")
    team.change("flows/churn.py", 'target = "gone"\n', 'target = "gone"\n    test_share = 0.5\n')
    team.git("commit", "--quiet", "--all", "--message", "test on half of the customers")
    team.git("push", "--quiet", "origin", "develop")
    runs = train("development", "production")
    changed, old = session(development, runs[0]), session(production, runs[1])
    assert (changed["git_branch"], changed["test_share"]) == ("develop", 0.5)
    assert (old["git_branch"], old["test_share"]) == ("main", 0.3)
    assert old["git_commit"] == before != changed["git_commit"]

    # Merged, and nothing else: no deployment, no edit.
    team.git("checkout", "--quiet", "main")
    team.git("merge", "--quiet", "--no-ff", "--message", "to production", "develop")
    team.git("push", "--quiet", "origin", "main")
    new = session(production, train("production")[0])
    assert (new["git_branch"], new["test_share"]) == ("main", 0.5)
    assert new["git_commit"] == team.git("rev-parse", "main").strip()
    assert not new["git_dirty"]
    # Each environment has its own database.
    assert (len(development.sessions()), len(production.sessions())) == (1, 2)
    statuses = {*development.sessions()["status"], *production.sessions()["status"]}
    assert statuses == {"succeeded"}


def test_prefect_explains_the_parameters_of_every_deployment(team: Team) -> None:
    with get_client(sync_client=True) as client:
        deployments = client.read_deployments()
    parameters: dict[str, set[str]] = {}
    for item in deployments:
        fields = (item.parameter_openapi_schema or {}).get("properties", {})
        parameters[f"{item.entrypoint}"] = set(fields)
        short = [name for name, field in fields.items() if len(field.get("description", "")) < 30]
        assert not short, f"{item.entrypoint} does not explain {short}"
    flows = ["flows/maintenance.py:maintain"]
    flows += [f"flows/churn.py:{name}" for name in ("train", "score", "monitor")]
    assert all(parameters[name] for name in flows)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with mfprefect from a wheel; all else is as installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    shell([BIN / "python", "-m", "hatchling", "build", "-t", "wheel", "-d", folder], ROOT)
    shell([BIN / "python", "-m", "venv", "--without-pip", folder / "venv"], folder)
    programs = folder / "venv" / "bin"
    (packages,) = (folder / "venv").glob("lib/*/site-packages")
    installed = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "installed.pth").write_text("\n".join(installed))
    for program in ("pip", "pytest"):
        text = f'#!/bin/sh\nexec {programs / "python"} -m {program} "$@"\n'
        (programs / program).write_text(text)
        (programs / program).chmod(0o755)
    (wheel,) = folder.glob("*.whl")
    shell([programs / "pip", "install", "--no-index", "--no-deps", wheel], folder)
    return programs


def test_the_steps_of_its_ci_pass(environment: Path, tmp_path: Path) -> None:
    """As written, offline, with the model reading SQL: the tests read the sample."""
    shell([environment / "mfprefect", "new", "churn"], tmp_path)
    shell([environment / "pip", "uninstall", "--yes", "mfprefect"], tmp_path)
    read_sql(tmp_path / "flows" / "churn.py")
    document = yaml.safe_load((tmp_path / ".github" / "workflows" / "test.yml").read_text())
    steps = [step["run"] for step in document["jobs"]["test"]["steps"] if "run" in step]
    assert steps == ["pip install -r requirements.txt", "pytest"]
    env = {"PATH": f"{environment}:{os.environ['PATH']}", "PIP_NO_INDEX": "1", "CI": "true"}
    outputs = [shell(["bash", "-ec", step], tmp_path, **env) for step in steps]
    assert "Successfully installed mfprefect-" in outputs[0]
    assert "10 passed" in outputs[1]


def read_sql(path: Path) -> None:
    """Let the model read a table of the warehouse, as its file proposes."""
    text = path.read_text()
    rows = 'self.read("select {} from customer_history where day <= :day", "warehouse", day=as_of)'
    features = "customer_id, tenure, complaints, spend"
    for old, columns in (
        ("self.read(made_up_customers())", f"{features}, gone"),
        ('self.read(made_up_customers().drop(columns="gone"))', features),
        ('self.read(actual[["customer_id", "actual"]])', "customer_id, gone as actual"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, rows.format(columns))
    path.write_text(text)

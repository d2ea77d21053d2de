"""Many flow runs at once: one Prefect server, one worker, one database.

Part of `make faults`: twenty on each database.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from faultkit.sampling import ALL
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings

import mfprefect
from mfprefect import Store
from mfprefect.testing.contract.helpers import orphans
from mfprefect_dev.servers import Server

BIN = Path(sys.executable).parent
POOL = "many"
RUNS = 20
pytestmark = pytest.mark.skipif(not ALL, reason="part of `make faults`: MFPREFECT_TEST_FAULTS set")

FILE = """
import pandas as pd
from prefect import flow

import mfprefect


@flow(name="many")
def many(number: int) -> None:
    with mfprefect.connect() as store, store.session("many", params={"number": number}) as session:
        session.log_metrics({"number": number})
        session.write_scores(
            pd.DataFrame({"id": range(1_000), "score": [number / 100] * 1_000}), entity_id="id"
        )
"""


@pytest.fixture
def api(
    prefect_server: Callable[..., AbstractContextManager[str]],
    postgres_server: Server,
    tmp_path: Path,
) -> Iterator[str]:
    """A server that keeps its own things in PostgreSQL: in SQLite they lock under such a load."""
    url = postgres_server.new_database()
    prefect_url = sa.make_url(url).set(drivername="postgresql+asyncpg")
    connection = prefect_url.render_as_string(hide_password=False)
    with (
        prefect_server(tmp_path, PREFECT_API_DATABASE_CONNECTION_URL=connection) as api,
        temporary_settings({PREFECT_API_URL: api}),
    ):
        yield api
    postgres_server.drop_database(url)


@pytest.fixture
def store(api: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MFPREFECT_URL", database_url)
    with mfprefect.connect() as store:
        store.create_schema()
        yield store


@pytest.fixture
def deployment(api: str, store: Store, tmp_path: Path) -> Iterator[UUID]:
    (tmp_path / "many.py").write_text(FILE)
    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(tmp_path)}}
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"), overwrite=True)
        deployment_id = client.create_deployment(
            flow_id=client.create_flow_from_name("many"),
            name=tmp_path.name,
            work_pool_name=POOL,
            entrypoint="many.py:many",
            pull_steps=[step],
            parameter_openapi_schema={"type": "object", "properties": {}},
        )
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(
            [BIN / "prefect", "worker", "start", "--pool", POOL],
            env=os.environ | {"PREFECT_API_URL": api, "PREFECT_WORKER_QUERY_SECONDS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield deployment_id
    worker.kill()
    worker.wait()


@pytest.mark.timeout(600)
def test_runs_at_once(store: Store, deployment: UUID) -> None:
    store.add_model("many")
    with get_client(sync_client=True) as client:
        runs = {
            str(client.create_flow_run_from_deployment(deployment, parameters={"number": n}).id): n
            for n in range(RUNS)
        }
        deadline = time.monotonic() + 500
        while time.monotonic() < deadline:
            states = [client.read_flow_run(UUID(run)).state for run in runs]
            if all(state is not None and state.is_final() for state in states):
                break
            time.sleep(1)
    assert [state.type.value for state in states if state] == ["COMPLETED"] * RUNS
    sessions = store.sessions("many")
    assert sessions["status"].tolist() == ["succeeded"] * RUNS
    assert sessions["session_no"].tolist() == list(range(RUNS, 0, -1))
    assert sessions["attempt"].tolist() == [1] * RUNS
    assert set(sessions["flow_run_id"]) == set(runs)
    began, ended = sorted(sessions["started_at"]), sorted(sessions["ended_at"])
    assert any(later < earlier for later, earlier in zip(began[1:], ended, strict=False))
    for session_id, run in zip(sessions["session_id"], sessions["flow_run_id"], strict=True):
        number = runs[run]
        assert store.metrics(session_id)["value"].tolist() == [number]
        scores = store.scores(session_id)
        assert (len(scores), set(scores["score"])) == (1_000, {number / 100})
    assert orphans(store) == {}

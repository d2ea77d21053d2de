"""A model whose flows are disturbed, and their runs: by a worker, or by a process of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import State
from prefect.states import Scheduled

__all__ = ["MODEL_ID", "PARTS", "deploy", "end", "new_run", "schedule", "state_of", "write_model"]

MODEL_ID, PARTS = "held", 4

# Scoring waits in part 3 while the file `hold` is there, and fails while `fail` is. `publish` is a
# flow of one's own, which exports what it wrote.
FILE = """
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from prefect import flow
from sklearn.linear_model import LogisticRegression

import mfprefect

HERE = Path(__file__).parent


class Held(mfprefect.Model):
    model_id = "held"
    entity_id = "customer_id"
    target = "left"
    parts = 4
    gates = (mfprefect.Gate("auc", at_least=0.5),)
    auto_promote = True

    def training_data(self, as_of):
        rng = np.random.default_rng(7)
        frame = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"])
        frame.insert(0, "customer_id", [f"c{number}" for number in range(400)])
        frame["left"] = (frame["a"] > 0).astype(int)
        return frame

    def fit(self, features, target):
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of, part):
        if part == 3 and (HERE / "fail").exists():
            raise RuntimeError("no data for part 3")
        while part == 3 and (HERE / "hold").exists():
            time.sleep(0.05)
        return self.training_data(as_of).drop(columns="left").iloc[part - 1 :: self.parts]

    def outcomes(self, as_of):
        frame = self.training_data(as_of)
        return frame.rename(columns={"left": "actual"})[["customer_id", "actual"]]

    def importance(self, estimator, features, target):
        return {}


train, score, monitor = Held.flows()


@flow
def publish():
    with mfprefect.connect() as store:
        try:
            with store.session("held", purpose="adhoc") as session:
                scores = pd.DataFrame({"id": [f"c{n}" for n in range(400)], "score": 0.5})
                session.write_scores(scores, entity_id="id")
            session_id = session.session_id
        except mfprefect.SessionClosed as closed:
            if closed.done is None:
                raise
            session_id = closed.session_id
        store.export(session_id, "crm")
    return session_id
"""


def write_model(folder: Path) -> None:
    """Write held.py."""
    (folder / "held.py").write_text(FILE)


def deploy(folder: Path, purpose: str, name: str, pool: str | None = None) -> UUID:
    """Deploy one of the model's flows, for a work pool or for whoever executes its runs."""
    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}
    with get_client(sync_client=True) as client:
        if pool is not None:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
        return client.create_deployment(
            flow_id=client.create_flow_from_name(f"{MODEL_ID}-{purpose}"),
            name=name,
            work_pool_name=pool,
            entrypoint=f"held.py:{purpose}",
            pull_steps=[step],
            parameter_openapi_schema={"type": "object", "properties": {}},
        )


def new_run(deployment_id: UUID) -> UUID:
    """Create a flow run."""
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(deployment_id).id


def schedule(run_id: UUID) -> None:
    """Have a flow run executed again, as a retry by hand does."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Scheduled(), force=True)


def end(run_id: UUID, state: State[Any]) -> None:
    """Tell Prefect that a flow run ended, as whoever watches its workers does."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, state, force=True)


def state_of(run_id: UUID) -> str:
    """Return the type of a flow run's state, such as COMPLETED."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    return "" if state is None else state.type.value

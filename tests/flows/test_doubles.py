"""A flow run is one session, also when its process dies between the session's end and Prefect's.

Each run is killed at a request to Prefect's API, or at a statement, after its session succeeded;
its retry must end well, do nothing twice, and make up for what was left. `make faults` has more
of these places, and the servers.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from faultkit import flows
from faultkit.child import start_engine
from faultkit.journal import Journal
from faultkit.mailbox import Mailbox
from faultkit.seams import NO_SEAMS, ApiAt, At, Seams
from prefect.states import Failed

import mfprefect
from mfprefect import Store

LONGEST = 120
COMPLETED = ApiAt("POST /flow_runs/ID/set_state COMPLETED")
PAGE = "POST /artifacts/"


@dataclass
class Factory:
    """A model's flows on SQLite, and whoever is told of them."""

    folder: Path
    url: str
    env: dict[str, str]
    store: Store
    mailbox: Mailbox

    def execute(self, run_id: UUID, seams: Seams = NO_SEAMS) -> int | None:
        """Execute a flow run as a worker's child does; return the exit code."""
        journal = self.folder / f"{run_id}.journal"
        log = self.folder / "runs.log"
        process = start_engine(str(run_id), self.folder, self.env, log, seams, journal)
        process.join(LONGEST)
        return process.exitcode

    def killed(self, purpose: str, seams: Seams) -> UUID:
        """Return a flow run whose process was killed after its session had succeeded."""
        run_id = self.new(purpose)
        assert self.execute(run_id, seams) == -signal.SIGKILL, self.log
        assert [row["status"] for row in self.sessions(run_id)] == ["succeeded"], self.log
        return run_id

    def new(self, purpose: str) -> UUID:
        return flows.new_run(self.deployed[purpose])

    @property
    def log(self) -> str:
        return (self.folder / "runs.log").read_text()[-3000:]

    def retry(self, run_id: UUID) -> str:
        """Retry a flow run; return its one session."""
        flows.schedule(run_id)
        assert self.execute(run_id) == 0, self.log
        assert flows.state_of(run_id) == "COMPLETED", self.log
        (row,) = self.sessions(run_id)
        assert (row["status"], row["attempt"]) == ("succeeded", 1)
        assert f"session {row['session_id']} succeeded in an earlier attempt" in self.log
        return str(row["session_id"])

    def sessions(self, run_id: UUID) -> list[Any]:
        sessions = self.store.sessions("held", limit=None)
        return sessions[sessions["flow_run_id"] == str(run_id)].to_dict("records")

    def pages(self, run_id: UUID) -> Counter[str]:
        """Return how often each text of a page was written by a flow run."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        with get_client(sync_client=True) as client:
            pages = client.read_artifacts(artifact_filter=of_run)
        return Counter(str(page.data) for page in pages if page.type == "markdown")

    deployed: dict[str, UUID] = field(default_factory=dict)


@pytest.fixture(scope="module")
def factory(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    folder = tmp_path_factory.mktemp("doubles")
    flows.write_model(folder)
    mailbox = Mailbox()
    url = f"sqlite:///{folder / 'store.db'}"
    env = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    env |= {
        "PREFECT_API_URL": prefect_api,
        "MFPREFECT_URL": url,
        "MFPREFECT_SPOOL": str(folder / "spool"),
        "MFPREFECT_NOTIFY__OPS__URL": mailbox.url,
        "MFPREFECT_NOTIFY__OPS__EVENTS": '["succeeded", "promoted"]',
        "MFPREFECT_EXPORTS__CRM__TABLE": "crm_scores",
    }
    with mfprefect.connect(url) as store:
        store.create_schema()
        made = Factory(folder, url, env, store, mailbox)
        for purpose in ("train", "score", "monitor", "publish"):
            made.deployed[purpose] = flows.deploy(folder, purpose, "doubles")
        for purpose in ("train", "score"):
            assert made.execute(made.new(purpose)) == 0, made.log
        yield made
    mailbox.close()


def test_a_training_that_prefect_never_saw_end(factory: Factory) -> None:
    """Before its promotion, between promotion and page, and at the very end."""
    run_id = factory.new("train")
    assert factory.execute(run_id, Seams(trace=True)) == 0, factory.log
    lines = Journal(factory.folder / f"{run_id}.journal").lines()
    sql = [line for line in lines if line.startswith("sql ")]
    promoted = next(n for n, line in enumerate(sql) if "INSERT INTO model_stages" in line)
    places = {
        "promotion": Seams(at=At(promoted, "kill")),
        "page of the promotion": Seams(api_at=ApiAt(PAGE, 1)),
        "end": Seams(api_at=COMPLETED),
    }
    for place, seams in places.items():
        run_id = factory.killed("train", seams)
        session_id = factory.retry(run_id)
        assert factory.store.production("held") == session_id, place
        stages = factory.store.stages("held")
        assert (stages["session_id"] == session_id).sum() == 1, place
        pages = factory.pages(run_id)
        assert set(pages.values()) == {1}, (place, pages)
        assert any("production since" in page for page in pages), place
        titles = Counter(factory.mailbox.about(session_id))
        assert max(titles.values()) == 1, (place, titles)
        assert len(titles) == 2, (place, titles)


def test_a_training_is_not_promoted_over_a_later_decision(factory: Factory) -> None:
    run_id = factory.killed("train", Seams(api_at=ApiAt(PAGE)))
    assert factory.execute(factory.new("train")) == 0
    later = factory.store.production("held")
    session_id = factory.retry(run_id)
    assert later not in (None, session_id)
    assert factory.store.production("held") == later
    assert session_id not in set(factory.store.stages("held")["session_id"])


def test_a_scoring_that_prefect_never_saw_end(factory: Factory) -> None:
    run_id = factory.killed("score", Seams(api_at=COMPLETED))
    published = factory.sessions(run_id)[0]["published_at"]
    session_id = factory.retry(run_id)
    assert factory.sessions(run_id)[0]["published_at"] == published
    assert set(factory.pages(run_id).values()) == {1}
    titles = Counter(factory.mailbox.about(session_id))
    assert list(titles.values()) == [1]
    # Prefect knows that it has ended: whoever runs it again wants another one.
    flows.schedule(run_id)
    assert factory.execute(run_id) == 0, factory.log
    rows = factory.sessions(run_id)
    assert [(row["status"], row["attempt"]) for row in rows] == [("succeeded", 1)] * 2


def test_a_run_that_its_first_process_completed_after_all(factory: Factory) -> None:
    """A worker executes it again that was told so before: when it was declared dead, in error."""
    run_id = factory.new("score")
    assert factory.execute(run_id) == 0, factory.log
    assert flows.state_of(run_id) == "COMPLETED", factory.log
    assert factory.execute(run_id) == 0, factory.log
    (row,) = factory.sessions(run_id)
    assert (row["status"], row["attempt"]) == ("succeeded", 1)


def test_a_run_that_another_process_failed_after_its_end(factory: Factory) -> None:
    """Its first process comes back, is refused, and tells Prefect so: a retry repeats nothing."""
    run_id = factory.new("score")
    assert factory.execute(run_id) == 0, factory.log
    flows.end(run_id, Failed())
    factory.retry(run_id)


def test_a_monitoring_that_never_wrote_its_page(factory: Factory) -> None:
    run_id = factory.killed("monitor", Seams(api_at=ApiAt(PAGE)))
    session_id = factory.retry(run_id)
    (page,) = factory.pages(run_id)
    assert session_id in page


def test_an_export_that_prefect_never_saw_end(factory: Factory) -> None:
    """In a flow of one's own, which continues with the session that the error names."""
    run_id = factory.new("publish")
    assert factory.execute(run_id, Seams(api_at=COMPLETED)) == -signal.SIGKILL, factory.log
    flows.schedule(run_id)
    assert factory.execute(run_id) == 0, factory.log
    (row,) = factory.sessions(run_id)
    with factory.store.database.engine.connect() as connection:
        select = sa.text("SELECT COUNT(*) FROM crm_scores WHERE session_id = :id")
        assert connection.scalar(select, {"id": row["session_id"]}) == 400


def test_a_flow_of_ones_own_does_not_repeat_its_block(prefect_api: str, tmp_path: Path) -> None:
    from prefect import flow

    blocks, closed = [], []
    with mfprefect.connect(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.create_schema()
        store.add_model("churn")

        @flow(retries=1, retry_delay_seconds=0)
        def work() -> None:
            for number in range(2):  # a deliberate second session
                try:
                    with store.session("churn") as session:
                        blocks.append((number, session.session_id, session.attempt))
                        if number == 1 and session.attempt == 1:
                            raise ConnectionError("link down")
                except mfprefect.SessionClosed as exc:
                    closed.append((exc.session_id, exc.done))

        work()
        assert [(number, attempt) for number, _, attempt in blocks] == [(0, 1), (1, 1), (1, 2)]
        assert closed == [(blocks[0][1], "succeeded")]
        assert blocks[1][1] == blocks[2][1]
        assert store.sessions()["status"].tolist() == ["succeeded"] * 2

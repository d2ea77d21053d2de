"""Processes that are killed, cancelled or told to end, under a real worker and without one."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pandas as pd
import pytest
from faultkit import flows
from prefect import Flow

import mfprefect
from mfprefect import Store

BIN = Path(sys.executable).parent
LONGEST = 120
POOL = "crashes"
T = TypeVar("T")


@dataclass
class Factory:
    """A model's file, its store, and a worker."""

    folder: Path
    store: Store
    env: dict[str, str]
    expected: pd.DataFrame
    """The scores of a run that nothing disturbed."""
    deployment: UUID
    worker: subprocess.Popen[bytes] | None = None

    def start(self) -> UUID:
        return flows.new_run(self.deployment)

    @property
    def hold(self) -> Path:
        return self.folder / "hold"

    def start_worker(self) -> subprocess.Popen[bytes]:
        with (self.folder / "worker.log").open("a") as log:
            self.worker = subprocess.Popen(
                [BIN / "prefect", "worker", "start", "--pool", POOL],
                cwd=self.folder,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.worker

    def prefect(self, *arguments: str) -> None:
        done = subprocess.run(
            [BIN / "prefect", *arguments],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def session(self, run: UUID) -> dict[str, Any] | None:
        """Return the row of the flow run's session."""
        sessions = self.store.sessions("held")
        sessions = sessions[sessions["flow_run_id"] == str(run)]
        return None if sessions.empty else {str(k): v for k, v in sessions.iloc[0].items()}

    def until_held(self, run: UUID) -> dict[str, Any]:
        """Wait until the run is in the middle: some parts are written, part 3 waits."""

        def look() -> dict[str, Any] | None:
            row = self.session(run)
            if row is None or row["status"] != "running":
                return None
            return row if len(self.store.score_parts(row["session_id"])) >= 2 else None

        return until(look)

    def until_status(self, run: UUID, status: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            row = self.session(run)
            return row if row is not None and row["status"] == status else None

        return until(look)

    def complete(self, run: UUID, attempt: int) -> None:
        """The run ended well, in one session, with the scores of an undisturbed one."""
        row = self.until_status(run, "succeeded")
        assert row["attempt"] == attempt
        assert len(self.store.score_parts(row["session_id"])) == 4
        pd.testing.assert_frame_equal(self.store.scores(row["session_id"]), self.expected)
        until(lambda: flows.state_of(run) == "COMPLETED")


def until(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        if value := look():
            return value
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def environment(url: str, api: str) -> dict[str, str]:
    return os.environ | {
        "PREFECT_API_URL": api,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "MFPREFECT_URL": url,
        "MFPREFECT_HEARTBEAT_SECONDS": "1",
        "MFPREFECT_HEARTBEAT_TIMEOUT": "4",
    }


def python(folder: Path, env: dict[str, str], text: str) -> subprocess.Popen[bytes]:
    with (folder / "local.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-c", text], cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT
        )


@pytest.fixture(scope="module")
def factory(
    prefect_api: str, postgres_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Factory]:
    folder = tmp_path_factory.mktemp("factory")
    flows.write_model(folder)
    url = postgres_server.new_database()
    env = environment(url, prefect_api)
    with mfprefect.connect(url, heartbeat_seconds=1, heartbeat_timeout=4) as store:
        store.create_schema()
        done = python(folder, env, "import held; held.train(); held.score()").wait()
        assert done == 0, (folder / "local.log").read_text()
        expected = store.scores(store.sessions("held")["session_id"][0])
        assert len(expected) == 400
        deployed = flows.deploy(folder, "score", "crashes", POOL)
        made = Factory(folder, store, env, expected, deployed)
        made.start_worker()
        yield made
        if made.worker is not None:
            made.worker.kill()
            made.worker.wait()
    postgres_server.drop_database(url)


@pytest.fixture
def held(factory: Factory) -> Iterator[UUID]:
    """A scoring run under the worker that has written some parts and waits in another."""
    factory.hold.touch()
    run = factory.start()
    factory.until_held(run)
    yield run
    factory.hold.unlink(missing_ok=True)


def test_a_failed_run_that_is_retried_by_hand_resumes_its_session(factory: Factory) -> None:
    broken = factory.folder / "fail"
    broken.touch()
    run = factory.start()
    row = factory.until_status(run, "failed")
    assert (row["attempt"], row["failure_text"]) == (1, "no data for part 3")
    assert factory.store.scores(row["session_id"]).empty
    until(lambda: flows.state_of(run) == "FAILED")
    written = factory.store.score_parts(row["session_id"]).set_index("part_no")["written_at"]
    assert written.index.tolist() == [1, 2, 4]
    broken.unlink()
    factory.prefect("flow-run", "retry", str(run))
    factory.complete(run, attempt=2)
    # The parts that were complete were not written anew.
    again = factory.store.score_parts(row["session_id"]).set_index("part_no")["written_at"]
    assert again[[1, 2, 4]].equals(written)


def test_a_killed_flow_process_is_told_by_the_worker_and_retried_by_hand(
    factory: Factory, held: UUID
) -> None:
    row = factory.until_held(held)
    os.kill(row["process_id"], signal.SIGKILL)
    # Nobody reconciles: Prefect's hook, in a process of the worker, does it.
    row = factory.until_status(held, "crashed")
    assert factory.store.scores(row["session_id"]).empty
    until(lambda: flows.state_of(held) == "CRASHED")
    factory.hold.unlink()
    factory.prefect("flow-run", "retry", str(held))
    factory.complete(held, attempt=2)
    assert factory.session(held)["session_id"] == row["session_id"]  # type: ignore[index]


def test_a_cancelled_run_ends_cancelled(factory: Factory, held: UUID) -> None:
    factory.prefect("flow-run", "cancel", str(held))
    row = factory.until_status(held, "cancelled")
    assert factory.store.scores(row["session_id"]).empty
    until(lambda: flows.state_of(held) == "CANCELLED")


def test_a_run_outlives_its_killed_worker(factory: Factory, held: UUID) -> None:
    worker = factory.worker
    assert worker is not None
    worker.kill()
    worker.wait()
    time.sleep(2)  # two heartbeats
    assert factory.store.reconcile(wait=True).empty
    factory.hold.unlink()
    factory.complete(held, attempt=1)
    factory.start_worker()


def test_a_stopped_process_is_not_declared_dead(factory: Factory, held: UUID) -> None:
    row = factory.until_held(held)
    os.kill(row["process_id"], signal.SIGSTOP)
    try:
        time.sleep(5)  # more than heartbeat_timeout
        assert factory.store.reconcile(wait=True).empty
        with factory.store.session("held"):
            pass  # opening one looks as well
    finally:
        os.kill(row["process_id"], signal.SIGCONT)
    factory.hold.unlink()
    factory.complete(held, attempt=1)


def test_what_a_stopped_worker_took_down_is_reconciled(factory: Factory, held: UUID) -> None:
    """Prefect goes on saying Running, and calls no hook."""
    worker = factory.worker
    assert worker is not None
    row = factory.until_held(held)
    worker.terminate()
    worker.wait()
    until(lambda: gone(row["process_id"]))
    time.sleep(1.6)
    factory.store.reconcile(wait=True)
    row = factory.session(held) or {}
    assert row["status"] in ("crashed", "cancelled")
    assert factory.store.scores(row["session_id"]).empty
    factory.start_worker()


def gone(process_id: int) -> bool:
    from mfprefect.util.processes import find_process

    return find_process(process_id, dt.datetime.now(dt.UTC)) == "gone"


@pytest.mark.parametrize("how", ["opening", "reconcile", "maintain"])
def test_a_killed_local_run_is_found(factory: Factory, how: str) -> None:
    """Prefect says Running for ever: there is no worker that would notice."""
    factory.hold.touch()
    process = python(factory.folder, factory.env, "import held; held.score()")
    before = set(factory.store.sessions("held")["session_id"])

    def look() -> dict[str, Any] | None:
        rows = factory.store.sessions("held", status="running")
        rows = rows[~rows["session_id"].isin(before)]
        if rows.empty or len(factory.store.score_parts(rows["session_id"].iloc[0])) < 2:
            return None
        return {str(k): v for k, v in rows.iloc[0].items()}

    row = until(look)
    process.kill()
    process.wait()
    factory.hold.unlink()
    time.sleep(1.6)  # a heartbeat is missed
    if how == "opening":
        with factory.store.session("held"):
            pass
    elif how == "reconcile":
        done = subprocess.run(
            [BIN / "mfprefect", "reconcile"],
            env=factory.env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert row["session_id"] in done.stdout
        assert "is gone" in done.stdout
    else:
        from mfprefect.lifecycle.maintenance import maintain

        flow: Flow[..., str] = maintain
        with pytest.MonkeyPatch.context() as patch:
            for name, value in factory.env.items():
                if name.startswith("MFPREFECT_"):
                    patch.setenv(name, value)
            assert "1 sessions without a process ended" in flow()
    session = factory.store.show(row["session_id"]).iloc[0]
    assert session["status"] == "crashed"
    assert factory.store.scores(row["session_id"]).empty

"""Which running sessions count as dead: by evidence, and never a living one."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.store import reconcile
from mfprefect.store.reconcile import find_crashed
from mfprefect.util import processes

BEAT = 20.0  # the settings' heartbeat_seconds: dead_after is 80, detached_timeout a day
ELSEWHERE = {"host": "another-machine", "process_key": "another-boot/1/1/1"}


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url, heartbeat_seconds=BEAT) as opened:
        opened.add_model("churn")
        yield opened


def gone() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def orphan(store: Store, silent: float, **changes: Any) -> str:
    """Open a session, let go of it as a killed process would, and move its last sign of life."""
    session = store.session("churn")
    session.detach_process()
    beat = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=silent)
    row = {"heartbeat_at": beat, "started_at": beat, "process_id": gone(), **changes}
    change(store, session.session_id, **row)
    return session.session_id


def change(store: Store, session_id: str, **changes: Any) -> None:
    s = store.database.schema.sessions

    def work(connection: sa.Connection, _: bool) -> None:
        connection.execute(s.update().where(s.c.session_id == session_id), changes)

    store.database.write_transaction(work)


def status(store: Store, session_id: str) -> str:
    return str(store.show(session_id)["status"][0])


def knows(**states: str) -> Any:
    def ask(ids: Collection[str]) -> dict[str, str]:
        return {key: value for key, value in states.items() if key in ids}

    return ask


def nobody(_: Collection[str]) -> None:
    return None


def test_a_process_that_is_gone(store: Store) -> None:
    dead = orphan(store, silent=1.6 * BEAT)
    verdicts = store.reconcile()
    assert verdicts["session_id"].tolist() == [dead]
    assert verdicts["verdict"].tolist() == ["crashed"]
    row = store.show(dead).iloc[0]
    assert (row["status"], row["failure_kind"]) == ("crashed", "Crashed")
    assert "is gone; its last sign of life was at 20" in row["failure_text"]
    assert row["ended_at"] >= row["heartbeat_at"]
    assert store.reconcile().empty


def test_a_process_that_is_there_is_left_alone_however_long_it_is_silent(database_url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process.send_signal(signal.SIGSTOP)  # silent, and alive
    try:
        with mfprefect.connect(database_url, heartbeat_seconds=0.1) as store:
            store.create_schema()
            store.add_model("churn")
            key = processes.key_of(process.pid)
            session = orphan(store, silent=0, process_id=process.pid, process_key=key)
            time.sleep(1)
            assert store.reconcile(wait=True).empty
            assert status(store, session) == "running"
            process.kill()
            process.wait()
            assert store.reconcile()["verdict"].tolist() == ["crashed"]
    finally:
        process.kill()
        process.wait()


def test_who_beats_is_alive_whatever_anybody_says(store: Store) -> None:
    orphan(store, silent=0.5 * BEAT)
    orphan(store, silent=1.4 * BEAT, flow_run_id="f1", **ELSEWHERE)
    assert find_crashed(store.database, states=knows(f1="CRASHED")) == []


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("CRASHED", "crashed"),
        ("FAILED", "crashed"),
        ("COMPLETED", "crashed"),
        ("CANCELLED", "cancelled"),
        ("RUNNING", None),
        ("CANCELLING", None),
        ("SCHEDULED", None),
    ],
)
def test_prefect_knows_what_became_of_a_run_elsewhere(
    store: Store, state: str, ended: str | None
) -> None:
    session = orphan(store, silent=2 * 80, flow_run_id="f1", **ELSEWHERE)
    for _ in range(2):
        verdicts = find_crashed(store.database, states=knows(f1=state))
    assert status(store, session) == (ended or "running")
    if ended:
        assert state in str(store.show(session)["failure_text"][0])
        assert verdicts == []


def test_a_cancelled_run_of_this_machine_is_not_called_crashed(store: Store) -> None:
    session = orphan(store, silent=2 * BEAT, flow_run_id="f1")
    find_crashed(store.database, states=knows(f1="CANCELLED"))
    assert status(store, session) == "cancelled"


@pytest.mark.parametrize("run", [None, "unknown to Prefect"])
def test_silence_elsewhere_is_watched_before_it_counts(store: Store, run: str | None) -> None:
    session = orphan(store, silent=10 * 80, **ELSEWHERE, flow_run_id=run)

    def look() -> list[str]:
        return [x.verdict for x in find_crashed(store.database, states=knows())]

    # The database may have been away: a first look only suspects.
    assert look() == ["watched"]
    assert look() == ["watched"]
    early = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=39)
    change(store, session, suspected_at=early)
    assert look() == ["watched"]
    assert status(store, session) == "running"
    change(store, session, suspected_at=early - dt.timedelta(seconds=2))
    assert look() == ["crashed"]
    assert "no sign of life for 80" in str(store.show(session)["failure_text"][0])


def test_a_sign_of_life_ends_the_suspicion(store: Store) -> None:
    with store.session("churn") as session:
        late = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=50)
        change(store, session.session_id, **ELSEWHERE, heartbeat_at=late)
        assert [x.verdict for x in find_crashed(store.database)] == ["watched"]
        assert store.show(session.session_id)["suspected_at"].notna().all()
        session.flush()
        assert store.show(session.session_id)["suspected_at"].isna().all()
        assert find_crashed(store.database) == []


def test_a_run_is_patiently_waited_for_while_prefect_is_away(store: Store) -> None:
    session = orphan(store, silent=10 * 80, flow_run_id="f1", **ELSEWHERE)
    change(store, session, suspected_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=600))
    assert [x.verdict for x in find_crashed(store.database, states=nobody)] == ["watched"]
    assert status(store, session) == "running"


def test_a_sign_of_life_of_the_future_keeps_nobody_running(store: Store) -> None:
    """A clock that was set back by an hour, after the process died here or elsewhere."""
    here, there = orphan(store, -3600), orphan(store, -3600, **ELSEWHERE)
    find_crashed(store.database)
    assert (status(store, here), status(store, there)) == ("crashed", "running")
    change(store, there, suspected_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=4 * BEAT + 1))
    find_crashed(store.database)
    assert status(store, there) == "crashed"


def test_the_next_opening_ends_it(store: Store) -> None:
    dead = orphan(store, silent=2 * BEAT)
    with store.session("churn"):
        assert status(store, dead) == "crashed"


def test_a_session_left_to_a_script_has_a_day(store: Store) -> None:
    session = store.session("churn")
    session.leave_open()
    late = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=86_000)
    change(store, session.session_id, heartbeat_at=late)
    assert store.reconcile().empty
    change(store, session.session_id, heartbeat_at=late - dt.timedelta(seconds=500))
    assert store.reconcile()["verdict"].tolist() == ["crashed"]


def test_a_sign_of_life_between_look_and_verdict_wins(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = orphan(store, silent=2 * BEAT)
    judge = reconcile._judge

    def late(*arguments: Any) -> Any:
        change(store, session, heartbeat_at=dt.datetime.now(dt.UTC))
        return judge(*arguments)

    monkeypatch.setattr(reconcile, "_judge", late)
    assert store.reconcile().empty
    assert status(store, session) == "running"


def test_waiting_makes_certain(database_url: str) -> None:
    with mfprefect.connect(database_url, heartbeat_seconds=0.5, heartbeat_timeout=2) as store:
        store.create_schema()
        store.add_model("churn")
        dead = orphan(store, silent=60, **ELSEWHERE)
        alive = store.session("churn")
        change(store, alive.session_id, **ELSEWHERE)
        verdicts = store.reconcile(wait=True).set_index("session_id")["verdict"].to_dict()
        assert verdicts == {dead: "crashed"}
        alive.close()


def test_a_process_that_took_over_the_number_is_another() -> None:
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=3650)
    assert processes.find_process(os.getpid(), long_ago) == "other"
    assert processes.find_process(os.getpid(), dt.datetime.now(dt.UTC)) == "same"
    assert processes.find_process(gone(), dt.datetime.now(dt.UTC)) == "gone"
    unreaped = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 30
    while processes.find_process(unreaped.pid, dt.datetime.now(dt.UTC)) != "gone":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    unreaped.wait()


def test_ps_tells_the_same_as_proc() -> None:
    _, age = processes._state_and_age(os.getpid())
    state, asked = processes._ask_ps(os.getpid())
    assert state in "RS"
    assert age is not None
    assert asked == pytest.approx(age, abs=3)
    assert processes._ask_ps(gone()) == ("", None)


def test_a_crash_is_told_once_whoever_finds_it(database_url: str, hooks: Any) -> None:
    notify = {"ops": {"url": hooks.url()}}
    with mfprefect.connect(database_url, heartbeat_seconds=BEAT, notify=notify) as store:
        store.create_schema()
        store.add_model("churn")
        dead = orphan(store, silent=2 * BEAT)
        threads = [threading.Thread(target=store.reconcile) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.reconcile()
        assert status(store, dead) == "crashed"
        assert len(hooks.posts) == 1
        assert "churn" in hooks.titles[0]
        assert "crashed" in hooks.titles[0]
        assert store.notifications(dead)["delivered"].tolist() == [True]


def test_a_failure_whose_retry_never_came_is_told_when_its_flow_run_is_cancelled(
    database_url: str, hooks: Any
) -> None:
    from mfprefect.store.notifications import send

    notify = {"ops": {"url": hooks.url()}}
    with mfprefect.connect(database_url, notify=notify) as store:
        store.create_schema()
        store.add_model("churn")
        session = store.session("churn")
        change(store, session.session_id, status="failed", failure_kind="OSError", flow_run_id="f1")
        session.detach_process()
        send.session_ended(store.database, session.session_no, final=False)
        assert hooks.posts == []
        for _ in range(2):
            store.end_flow_run("f1", "CANCELLED")
        assert len(hooks.posts) == 1
        assert "failed" in hooks.titles[0]

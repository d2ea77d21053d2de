"""The maintenance flow: crashed sessions, stale scores, notices."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from mfprefect import Store
from mfprefect.lifecycle.maintenance import maintain
from mfprefect.store.database import Database
from mfprefect.util.processes import _state_and_age


def age(store: Store, session_id: str, seconds: float, **changes: object) -> None:
    db: Database = store.database
    s = db.schema.sessions
    then = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)
    row = {"started_at": then, "heartbeat_at": then, **changes}

    def work(connection: sa.Connection, _: bool) -> None:
        connection.execute(s.update().where(s.c.session_id == session_id), row)

    db.write_transaction(work)


def test_it_ends_what_crashed_and_leaves_what_runs(flow_store: Store) -> None:
    flow_store.add_model("churn")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead, alive = flow_store.session("churn"), flow_store.session("churn")
    dead.detach_process()
    age(flow_store, dead.session_id, 100, process_id=process.pid)
    # Seen before this process began, it would be another's, and watched for half a minute.
    age(flow_store, alive.session_id, min(100, _state_and_age(os.getpid())[1] or 100))
    assert "1 sessions without a process ended, 0 watched" in maintain()
    assert flow_store.show(dead.session_id)["status"].tolist() == ["crashed"]
    assert flow_store.show(alive.session_id)["status"].tolist() == ["running"]
    alive.close()


def test_a_step_that_fails_does_not_keep_the_others_from_being_done(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("cannot look")

    flow_store.add_model("churn", max_age=dt.timedelta(hours=1))
    with flow_store.session("churn", purpose="score") as session:
        pass
    age(flow_store, session.session_id, 7_200)
    monkeypatch.setattr(Store, "reconcile", broken)
    quick = maintain.with_options(retries=0)
    state = quick(return_state=True)
    assert state.is_failed()
    assert "cannot look" in str(state.message)
    assert flow_store.freshness()["model_id"].tolist() == ["churn"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_deletes_what_the_settings_let_go_and_nothing_without_them(
    flow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_store.add_model("churn")
    for _ in range(2):
        with flow_store.session("churn") as session:
            pass
    old = flow_store.sessions()["session_id"][1]
    age(flow_store, old, 0, ended_at=dt.datetime.now(dt.UTC) - dt.timedelta(days=40))
    assert "0 interrupted deletions finished" in maintain()
    monkeypatch.setenv("MFPREFECT_RETENTION__KEEP_DAYS", "30")
    assert "1 sessions deleted" in maintain()
    assert flow_store.sessions()["session_id"].tolist() == [session.session_id]

"""Attempts: a retried flow run resumes its session."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import mfprefect
from mfprefect import Store
from mfprefect.audit import environment_digest
from mfprefect.provenance import Environment, capture, environment
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.store.sessions.opening import SessionRequest, _resume, open_session
from mfprefect.testing.contract.helpers import fill, orphans


def _request(run: FlowRun, **changes: Any) -> SessionRequest:
    fields: dict[str, Any] = {
        "model_id": "churn",
        "purpose": "train",
        "params": "{}",
        "as_of": None,
        "parent_session_id": None,
        "provenance": capture(),
        "environment": environment(),
        "flow_run": run,
    }
    return SessionRequest(**(fields | changes))


def test_a_flow_run_resumes_its_session(store: Store) -> None:
    run = FlowRun("run-1", "1", None)
    first = open_session(store.database, _request(run))
    session = mfprefect.Session(store.database, first)
    fill(session)
    session.log_metrics({"only_first": 1})
    session.log_params({"only_first": 1, "C": 0.5})
    session.fail(OSError("link down"))
    second = open_session(store.database, _request(FlowRun("run-1", "2", None)))
    assert (second.session_id, second.attempt) == (first.session_id, 2)
    row = store.show(first.session_id).iloc[0]
    assert row["status"] == "running"
    assert row[["failure_kind", "failure_text", "ended_at"]].isna().all()
    again = mfprefect.Session(store.database, second)
    again.log_metrics({"second": 2})
    again.log_params({"C": 1.5})
    again.log_params({"depth": None})
    assert again.keep_part(1) == 2
    again.close()
    metrics = store.metrics(first.session_id)
    assert list(metrics["metric_name"]) == ["second"]
    params = json.loads(store.show(first.session_id)["params"][0])
    assert params == {"C": 1.5, "depth": None}
    store.verify()
    assert list(metrics["value"]) == [2.0]
    assert list(store.scores(first.session_id)["entity_id"]) == ["a", "b"]
    assert len(store.sessions()) == 1


@pytest.mark.parametrize("large", [1, 100_000])
def test_a_part_that_the_last_attempt_did_not_keep_is_deleted(
    store: Store, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr("mfprefect.store.scores.write.LARGE_PART", large)
    run = FlowRun("run-1", "1", None)
    first = mfprefect.Session(store.database, open_session(store.database, _request(run)))
    for part in (1, 2, 3):
        frame = pd.DataFrame({"id": [f"{part}"], "score": [part]})
        first.write_scores(frame, entity_id="id", part=part)
    first.fail(OSError("link down"))
    handle = open_session(store.database, _request(FlowRun("run-1", "2", None)))
    second = mfprefect.Session(store.database, handle)
    second.write_scores(pd.DataFrame({"id": ["1"], "score": [7]}), entity_id="id", part=1)
    assert second.keep_part(2) == 1
    assert second.keep_part(9) is None
    second.close()
    scores = store.scores(second.session_id)
    assert scores[["entity_id", "score"]].to_numpy().tolist() == [["1", 7.0], ["2", 2.0]]


def test_a_superseded_attempt_cannot_write(store: Store) -> None:
    first = mfprefect.Session(
        store.database, open_session(store.database, _request(FlowRun("run-1", "1", None)))
    )
    handle = open_session(store.database, _request(FlowRun("run-1", "2", None)))
    second = mfprefect.Session(store.database, handle)
    assert second.session_id == first.session_id
    scores = pd.DataFrame({"id": ["a"], "score": [1.0]})
    with pytest.raises(mfprefect.SessionClosed, match="attempt 2 took over"):
        first.write_scores(scores, entity_id="id")
    first.log_metrics({"late": 1})
    with pytest.raises(mfprefect.SessionClosed, match="attempt 2 took over"):
        first.close()
    first.detach_process()
    second.close()
    assert len(store.metrics(second.session_id)) == 0
    assert len(store.scores(second.session_id)) == 0


def test_a_flow_run_may_hold_several_sessions(store: Store) -> None:
    run = FlowRun("run-1", "1", None)
    first = open_session(store.database, _request(run))
    sibling = open_session(store.database, _request(run, siblings=frozenset({first.session_id})))
    scoring = open_session(store.database, _request(run, purpose="score"))
    ids = {first.session_id, sibling.session_id, scoring.session_id}
    assert len(ids) == 3
    for handle in (first, sibling, scoring):
        mfprefect.Session(store.database, handle).close()
    # The next attempt repeats none of them, and has further ones.
    retry = _request(FlowRun("run-1", "2", None))
    with pytest.raises(mfprefect.SessionClosed, match="Catch SessionClosed") as closed:
        open_session(store.database, retry)
    assert (closed.value.session_id, closed.value.done) == (first.session_id, "succeeded")
    passed = {first.session_id}
    with pytest.raises(mfprefect.SessionClosed) as closed:
        open_session(store.database, replace(retry, siblings=frozenset(passed)))
    assert closed.value.session_id == sibling.session_id
    passed.add(sibling.session_id)
    later = open_session(store.database, replace(retry, siblings=frozenset(passed)))
    assert (later.session_id in ids, later.attempt) == (False, 1)
    mfprefect.Session(store.database, later).close()


def test_a_flow_run_that_prefect_has_completed_runs_again(store: Store) -> None:
    first = open_session(store.database, _request(FlowRun("run-1", "1", None)))
    mfprefect.Session(store.database, first).close()
    between = dt.datetime.now(dt.UTC)

    def completed(run: FlowRun) -> dt.datetime:
        assert run.flow_run_id == "run-1"
        return between

    again = _request(FlowRun("run-1", "2", None))
    second = open_session(store.database, again, completed=completed)
    assert (second.session_id != first.session_id, second.attempt) == (True, 1)
    mfprefect.Session(store.database, second).close()
    # The second execution is a session as well.
    with pytest.raises(mfprefect.SessionClosed) as closed:
        third = _request(FlowRun("run-1", "3", None))
        open_session(store.database, third, completed=completed)
    assert closed.value.session_id == second.session_id
    assert len(store.sessions()) == 2


def test_sessions_of_a_flow_run_are_told_apart_by_their_parameters(store: Store) -> None:
    """Tasks may open them in another order when the flow run is retried."""
    countries = [f'{{"country": "{name}"}}' for name in ("DE", "FR", "IT")]
    run, ids = FlowRun("run-1", "1", None), list[str]()
    for params in countries:
        request = _request(run, params=params, siblings=frozenset(ids))
        session = mfprefect.Session(store.database, open_session(store.database, request))
        ids.append(session.session_id)
        session.log_params({"more": 1})
        session.flush()
        if params == countries[1]:
            session.fail(OSError("link down"))
        else:
            session.close()
    retry = _request(FlowRun("run-1", "2", None), params=countries[2])
    with pytest.raises(mfprefect.SessionClosed) as closed:
        open_session(store.database, retry)
    assert closed.value.session_id == ids[2]
    retry = replace(retry, params=countries[1], siblings=frozenset(ids[2:]))
    second = open_session(store.database, retry)
    assert (second.session_id, second.attempt) == (ids[1], 2)
    mfprefect.Session(store.database, second).close()


def test_a_task_of_the_same_attempt_may_open_another_session(store: Store) -> None:
    """In another process, such as a Dask worker, which knows of no sibling."""

    def finish(run_count: str, task: str) -> str:
        run = FlowRun("run-1", run_count, None, began=dt.datetime.now(dt.UTC), task=task)
        session = mfprefect.Session(store.database, open_session(store.database, _request(run)))
        session.close()
        return session.session_id

    first, second = finish("1.1", "a"), finish("1.1", "b")
    assert first != second
    for run_count, task in (("1.2", "b"), ("2.1", "c")):  # a retry of the task, and of the flow
        with pytest.raises(mfprefect.SessionClosed, match="earlier attempt"):
            finish(run_count, task)
    assert len(store.sessions()) == 2


def test_a_succeeded_session_is_not_resumed_by_a_worker_that_thought_it_dead(store: Store) -> None:
    request = _request(FlowRun("run-1", "1", None))
    handle = open_session(store.database, request)
    mfprefect.Session(store.database, handle).close()
    with pytest.raises(mfprefect.SessionClosed, match="another worker"):
        store.database.write_transaction(lambda c, _: _resume(store.database, c, handle, request))
    assert store.sessions()["status"].tolist() == ["succeeded"]
    # Neither by an attempt that began before the session ended, nor by a later one.
    began = store.sessions()["started_at"][0].to_pydatetime()
    for at in (began, dt.datetime.now(dt.UTC)):
        late = FlowRun("run-1", "2", None, began=at)
        with pytest.raises(mfprefect.SessionClosed, match="earlier attempt"):
            open_session(store.database, _request(late))
    assert len(store.sessions()) == 1


def _on(commit: str, **changes: Any) -> dict[str, Any]:
    """Return what an attempt on another commit, machine and environment opens its session with."""
    here = environment()
    origin: dict[str, Any] = {
        **{"vcs": "git", "commit": commit * 40, "branch": f"fix-{commit}", "dirty": False},
        **{"host": f"host-{commit}", "run_by": f"user-{commit}"},
    }
    return {
        "provenance": replace(capture(), **(origin | changes)),
        "environment": replace(here, digest=_digest(here, commit), python=f"CPython {commit}"),
    }


def _digest(here: Environment, python: str) -> str:
    digest = environment_digest(f"CPython {python}", here.platform, here.packages_json)
    assert digest is not None
    return digest


def _frame(part: int) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"e{part}"], "score": [part / 10]})


def test_each_attempt_has_its_own_code_environment_and_machine(store: Store) -> None:
    request = _request(FlowRun("run-1", "1", None), purpose="score", **_on("a", dirty=True))
    first = mfprefect.Session(store.database, open_session(store.database, request))
    for part in (1, 2):
        first.write_scores(_frame(part), entity_id="id", part=part)
    assert store.attempts(first.session_id)["status"].tolist() == ["running"]
    first.fail(OSError("link down"))
    began = store.show(first.session_id)["started_at"][0]
    request = _request(FlowRun("run-1", "2", None), purpose="score", **_on("b"))
    second = mfprefect.Session(store.database, open_session(store.database, request))
    assert store.attempts(first.session_id)["status"].tolist() == ["failed", "running"]
    assert second.keep_part(1) == 1
    for part in (2, 3):  # what it wrote is its own, even if it came out the same
        second.write_scores(_frame(part), entity_id="id", part=part)
    second.close()

    attempts = store.attempts(first.session_id)
    assert attempts["attempt"].tolist() == [1, 2]
    assert attempts["status"].tolist() == ["failed", "succeeded"]
    assert attempts["failure_kind"].fillna("").tolist() == ["OSError", ""]
    assert attempts["git_commit"].tolist() == ["a" * 40, "b" * 40]
    assert attempts["git_branch"].tolist() == ["fix-a", "fix-b"]
    assert attempts["git_dirty"].tolist() == [True, False]
    assert attempts["host"].tolist() == ["host-a", "host-b"]
    assert attempts["run_by"].tolist() == ["user-a", "user-b"]
    assert attempts["started_at"][0] == began
    assert attempts["ended_at"][0] <= attempts["started_at"][1] <= attempts["ended_at"][1]
    # The session shows the attempt that finished.
    row = store.show(first.session_id).iloc[0]
    names = ["attempt", "status", "ended_at", "host", "run_by", "process_id", "git_commit"]
    names += ["git_branch", "git_dirty", "git_remote", "git_diff_digest", "environment_digest"]
    assert row[names].tolist() == attempts[names].iloc[1].tolist()
    assert (row["started_at"], row["attempt_started_at"]) == (began, attempts["started_at"][1])
    assert store.environment(first.session_id)["python"] == "CPython b"
    parts = store.score_parts(first.session_id)
    assert parts["attempt"].tolist() == [1, 2, 2]
    assert parts["kept_by"].fillna(0).tolist() == [2, 0, 0]
    store.verify(session_id=first.session_id)

    _refuses_tampering(store, first.session_no)
    store.delete_session(first.session_id)
    assert orphans(store) == {}
    with pytest.raises(mfprefect.UnknownSession):
        store.attempts(first.session_id)


def _refuses_tampering(store: Store, number: int) -> None:
    """An attempt, and the attempt of a part, cannot be changed unnoticed."""
    a, p = store.database.schema.session_attempts, store.database.schema.score_parts
    of_first = (a.c.session_no == number, a.c.attempt == 1)
    of_part = (p.c.session_no == number, p.c.part_no == 1)
    for table, where, column, forged, true in (
        (a, of_first, "git_commit", "b" * 40, "a" * 40),
        (p, of_part, "attempt", 2, 1),
    ):
        update = table.update().where(*where)
        _execute(store, update.values({column: forged}))
        with pytest.raises(mfprefect.SealBroken, match=rf"{table.name}.*1\) was changed"):
            store.verify()
        _execute(store, update.values({column: true}))
    store.verify()


def _execute(store: Store, statement: Any) -> None:
    store.database.write_transaction(lambda connection, _: connection.execute(statement))


def test_an_attempt_that_died_is_ended_by_whoever_notices(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:  # its number is free afterwards
        process.wait()
    died = _on("a", process_id=process.pid, host=capture().host)
    first = open_session(store.database, _request(FlowRun("run-1", "1", None), **died))
    store.end_flow_run("run-1", "CRASHED")
    assert store.attempts(first.session_id)["status"].tolist() == ["crashed"]
    second = open_session(store.database, _request(FlowRun("run-1", "2", None), **_on("b")))
    # Nobody noticed this one: the next attempt ends it.
    third = open_session(store.database, _request(FlowRun("run-1", "3", None), **_on("c")))
    assert [second.attempt, third.attempt] == [2, 3]
    mfprefect.Session(store.database, third).close()
    attempts = store.attempts(first.session_id)
    assert attempts["status"].tolist() == ["crashed", "crashed", "succeeded"]
    assert attempts["failure_kind"].fillna("").tolist() == ["Crashed", "TakenOver", ""]
    assert attempts["git_commit"].str[0].tolist() == ["a", "b", "c"]
    assert attempts["ended_at"][1] == attempts["started_at"][2]
    assert "attempt 3" in attempts["failure_text"][1]

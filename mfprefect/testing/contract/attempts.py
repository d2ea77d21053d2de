"""Attempts: a retried flow run resumes its session."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

import mfprefect
from mfprefect import Store
from mfprefect.provenance import capture, environment
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.store.sessions.opening import SessionRequest, _resume, open_session
from mfprefect.testing.contract.helpers import fill


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
    session.fail(OSError("link down"))
    second = open_session(store.database, _request(FlowRun("run-1", "2", None)))
    assert (second.session_id, second.attempt) == (first.session_id, 2)
    row = store.show(first.session_id).iloc[0]
    assert row["status"] == "running"
    assert row[["failure_kind", "failure_text", "ended_at"]].isna().all()
    again = mfprefect.Session(store.database, second)
    again.log_metrics({"second": 2})
    assert again.keep_part(1) == 2
    again.close()
    metrics = store.metrics(first.session_id)
    assert list(metrics["metric_name"]) == ["second"]
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
    # Finished sessions are sealed, so the next attempt is a new session.
    later = open_session(store.database, _request(FlowRun("run-1", "2", None)))
    assert later.session_id not in ids
    assert later.attempt == 1
    mfprefect.Session(store.database, later).close()


def test_a_succeeded_session_is_not_resumed_by_a_worker_that_thought_it_dead(store: Store) -> None:
    request = _request(FlowRun("run-1", "1", None))
    handle = open_session(store.database, request)
    mfprefect.Session(store.database, handle).close()
    with pytest.raises(mfprefect.SessionClosed, match="another worker"):
        store.database.write_transaction(lambda c, _: _resume(store.database, c, handle, request))
    assert store.sessions()["status"].tolist() == ["succeeded"]
    # An attempt that began before the session ended is too late; a later one is a new run.
    began = store.sessions()["started_at"][0].to_pydatetime()
    late = FlowRun("run-1", "2", None, began=began)
    with pytest.raises(mfprefect.SessionClosed, match="another worker"):
        open_session(store.database, _request(late))
    later = FlowRun("run-1", "2", None, began=dt.datetime.now(dt.UTC))
    mfprefect.Session(store.database, open_session(store.database, _request(later))).close()
    assert len(store.sessions()) == 2

"""What is in production, on every database."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import Gate, GateFailed, InvalidValue, Store, UnknownModel, UnknownSession
from mfprefect.cli import cli
from mfprefect.quality import Champion
from mfprefect.store.models import stages
from mfprefect.testing.contract.stages import events, trained
from mfprefect.util import values


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url, retry_seconds=30) as store:
        store.add_model("churn")
        yield store


@pytest.fixture
def file_store(tmp_path: Any) -> Iterator[Store]:
    with mfprefect.connect(f"sqlite:///{tmp_path / 'test.db'}") as store:
        store.create_schema()
        store.add_model("churn")
        yield store


def failed_by_gates(store: Store) -> str:
    with pytest.raises(GateFailed), store.session("churn", purpose="train") as session:
        session.log_metrics({"auc": 0.5})
        session.log_gates([Gate("auc", at_least=0.8), Gate("auc", at_most=0.99)])
    return session.session_id


def test_gates_count_what_is_pending_and_what_others_stored(file_store: Store) -> None:
    gates, commits = [Gate("auc", at_least=0.7), Gate.checks()], list[Any]()
    with file_store.session("churn", purpose="train") as session:
        session.log_metrics({"auc": 0.5})
        session.log_checks(pd.DataFrame({"a": [1]}), lambda frame: len(frame) == 1)
        session.flush()
        attached = file_store.attach(session.session_id)
        attached.log_metrics({"auc": 0.8})
        attached.flush()
        sa.event.listen(file_store.database.engine, "commit", commits.append)
        assert [verdict.passed for verdict in session.log_gates(gates)] == [True, True]
        session.log_metrics({"auc": 0.6})
        with pytest.raises(GateFailed, match=r"auc is 0.6"):
            session.log_gates(gates)
        session.log_metrics({"auc": 0.9})
        session.log_gates(gates)
        assert commits == []  # all of it is written when the session ends
    assert file_store.metrics(session.session_id)["value"].tolist() == [0.9]
    assert file_store.gates(session.session_id)["verdict"].tolist() == ["passed", "passed"]


def test_what_is_not_promoted(store: Store) -> None:
    passed, unheld = trained(store), trained(store, gates=None)
    missed = failed_by_gates(store)
    with pytest.raises(GateFailed, match=r"it was held against no gate.*--override") as none:
        store.promote("churn", unheld)
    assert none.value.failures == ("it was held against no gate",)
    with pytest.raises(GateFailed, match=r"auc is 0.5, below the promised minimum of 0.8"):
        store.promote("churn", missed)
    with store.session("churn", purpose="score") as scoring:
        pass
    with pytest.raises(KeyError), store.session("churn", purpose="train") as broken:
        raise KeyError("no such column")
    store.add_model("fraud")
    with store.session("fraud", purpose="train") as others:
        pass
    running = store.session("churn", purpose="train")
    for session, what in (
        (scoring, "succeeded score session of 'churn'"),
        (broken, "failed train session of 'churn'"),
        (others, "succeeded train session of 'fraud'"),
        (running, "running train session of 'churn'"),
    ):
        with pytest.raises(InvalidValue, match=f"cannot be promoted: it is a {what}"):
            store.promote("churn", session.session_id, override="I insist")
    running.close()
    with pytest.raises(UnknownSession):
        store.promote("churn", "nobody", override="I insist")
    with pytest.raises(UnknownModel):
        store.promote("nothing", passed)
    with pytest.raises(InvalidValue, match="nothing in production"):
        store.retire("churn")
    with pytest.raises(InvalidValue, match="never been in production"):
        store.rollback("churn")
    with pytest.raises(InvalidValue, match="the override is empty"):
        store.promote("churn", unheld, override="")
    with pytest.raises(InvalidValue, match="aware datetime"):
        store.production("churn", at=dt.datetime(2026, 1, 1))
    assert store.stages("churn").empty
    assert events(store, "promote") == []

    # An experiment needs no gates, and is none beside a model in production.
    store.promote("churn", unheld, stage="experimental")
    assert store.production("churn") is None
    store.promote("churn", missed, override="the board decided", reason="pilot")
    row = store.stages("churn").iloc[0]
    assert (row["session_id"], row["override"], row["reason"]) == (
        missed, "the board decided", "pilot",
    )  # fmt: skip
    assert [v["verdict"] for v in json.loads(row["gates"])] == ["failed", "passed"]
    assert events(store, "promote")[-1]["override"] == "the board decided"
    with pytest.raises(InvalidValue, match=f"has '{missed}' in production"):
        store.promote("churn", unheld, stage="experimental")


def test_a_clock_that_is_late_changes_nothing(
    file_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = file_store
    a, b = trained(store), trained(store)
    store.promote("churn", a)
    now = values.utc_now()
    monkeypatch.setattr(values, "utc_now", lambda: now - dt.timedelta(hours=1))
    store.promote("churn", b)
    assert store.production("churn") == b
    first, second = store.stages("churn")["set_at"].tolist()[::-1]
    assert second - first == dt.timedelta(microseconds=1)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["a", "b", "c", "rollback", "retire"]), max_size=12))
def test_rollback_is_a_walk_back(steps: list[str]) -> None:
    history: list[stages.Stage] = []
    model: list[str | None] = [None]  # what was in production, step by step

    def add(session_id: str, stage: str, **detail: str) -> None:
        at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(len(history))
        history.append(stages.Stage(1, session_id, stage, at, "me", None, dict(detail)))

    for step in steps:
        if step == "retire":
            if model[-1] is not None:
                add(model[-1], "retired")
                model.append(None)
        elif step == "rollback":
            back = model[:-1]
            while back and back[-1] in (None, model[-1]):
                back.pop()
            if not back:
                with pytest.raises(InvalidValue):
                    stages.one_step("m", history)
                continue
            now, before = stages.one_step("m", history)
            assert before.session_id == back[-1]
            add(before.session_id, "production", rolled_back_from=now.session_id)
            model = back
        else:
            add(step, "production")
            if model[-1] != step:
                model.append(step)


def test_gates_are_kept_with_the_session(store: Store) -> None:
    a = trained(store)
    store.promote("churn", a)
    actual = [0, 0, 0, 1, 1, 1] * 50
    good = [0.1, 0.2, 0.6, 0.4, 0.8, 0.9] * 50
    bad = [0.9, 0.2, 0.6, 0.4, 0.8, 0.1] * 50
    relative = Gate("auc", at_least=0.1, not_worse_than_production_by=0.01)
    gates = [relative, Gate.drift(), Gate.checks()]

    def challenge(score: Any, champion: Any = ..., verdict: str = "ok") -> str:
        if champion is ...:
            champion = Champion(a, actual=actual, score=score, production_score=good)
        with store.session("churn", purpose="train") as session:
            session.log_test_results(actual, score)
            session.log_checks(pd.DataFrame({"x": [1]}), lambda frame: len(frame) == 1)
            session.log_drift(
                [{"variable": "x", "measure": "psi", "value": 0.3, "threshold": 0.25,
                  "verdict": verdict}]
            )  # fmt: skip
            session.log_gates(gates, champion)
        return session.session_id

    b = challenge(good)
    frame = store.gates(b)
    assert frame["verdict"].tolist() == ["passed"] * 3
    assert frame["kind"].tolist() == ["production", "drift", "checks"]
    row = frame.iloc[0]
    assert (row["difference"], row["low"], row["high"]) == (0, 0, 0)
    assert (row["production_session_id"], row["margin"]) == (a, 0.01)
    assert row["method"] == "DeLong, 95 % interval"
    with pytest.raises(GateFailed, match=r"misses 2 of 3 gates: auc is .* worse by more than 0.01"):
        challenge(bad, verdict="alarm")
    worse = store.sessions("churn")["session_id"][0]
    assert store.gates(worse)["verdict"].tolist() == ["failed", "failed", "passed"]
    assert store.gates(b, worse)["session_id"].tolist() == [b] * 3 + [worse] * 3
    with pytest.raises(GateFailed, match="cannot be compared: it was not scored"):
        challenge(good, None)
    with pytest.raises(GateFailed, match="ImportError: gone"):
        challenge(good, Champion(a, problem="ImportError: gone"))
    assert store.gates(a)["kind"].tolist() == ["metric"]
    with store.session("churn") as session:
        pass
    assert store.gates(session.session_id).empty
    with pytest.raises(UnknownSession):
        store.gates("nobody")
    # What it was compared with is in production no more: that says nothing of what is.
    c = trained(store)
    store.promote("churn", c)
    with pytest.raises(GateFailed, match=f"compared with {a}, and {c} is in production now"):
        store.promote("churn", b)
    store.rollback("churn")
    store.promote("churn", b)
    assert store.production("churn") == b


def test_the_command_line(file_store: Store) -> None:
    store = file_store
    url = store.database.settings.url.get_secret_value()

    def run(*args: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli, args, env={"MFPREFECT_URL": url, "COLUMNS": "200"})
        assert done.exit_code == code, done.output
        return str(done.stdout if code == 0 else done.stderr)

    a, b = trained(store), trained(store, gates=None)
    store.session("churn").close()
    (row,) = json.loads(run("promote", "churn", a, "--reason", "go", "--json"))
    assert (row["session_id"], row["reason"], row["until"]) == (a, "go", None)
    assert row["gates"][0]["verdict"] == "passed"
    assert "held against no gate" in run("promote", "churn", b, code=1)
    shown = run("promote", "churn", b, "--override", "we know it")
    assert [line.split()[-1] for line in shown.splitlines()[-1:]] == [a] or a in shown
    assert "we know it" in shown
    assert run("models").splitlines()[1].split()[-1] == b
    rows = json.loads(run("rollback", "churn", "--reason", "odd", "--json"))
    assert [row["session_id"] for row in rows] == [a, b, a]
    assert rows[0]["rolled_back_from"] == b
    assert "nothing to go back to" in run("rollback", "churn", code=1)
    assert "unknown model 'nobody'" in run("rollback", "nobody", code=1)
    assert "Gates" in run("show", a)
    assert "auc at least 0.8" in run("show", a)
    facts = json.loads(run("show", a, "--json"))
    assert facts["gates"][0]["reason"] == "auc is 0.9; promised: at least 0.8"
    assert facts["metadata"] == []
    run("rollback", "churn", code=1)
    assert "no successful training session" in run("promote", "churn", "latest", code=1)
    with store.session("churn", purpose="train") as session:
        session.save_model(b"model")
    shown = json.loads(run("promote", "churn", "latest", "--override", "new", "--json"))
    assert shown[0]["session_id"] == session.session_id
    run("rollback", "churn")
    assert json.loads(run("models", "--json"))[0]["production"] == a


def test_what_a_rollback_would_restore_is_not_pruned(file_store: Store) -> None:
    store = file_store
    a, b, c = (trained(store) for _ in range(3))
    for name in (a, b, c):
        store.promote("churn", name)
    store.rollback("churn")
    s = store.database.schema.sessions
    old = {"ended_at": values.utc_now() - dt.timedelta(days=100)}
    store.database.write_transaction(lambda connection, _: connection.execute(s.update(), old))
    pruned = store.prune(keep_days=1, retired_days=1, dry_run=True).set_index("session_id")
    assert pruned["reason"][b] == "in production"
    assert pruned["reason"][a] == "was in production before, for a rollback"

"""Sessions: what they store, how they end, what they refuse."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.testing.contract.helpers import fill, orphans, rows


def test_a_session_stores_its_results(store: Store) -> None:
    before = dt.datetime.now(dt.UTC)
    params = {"n": 3, "country": "DE", "when": dt.date(2026, 1, 31), "np": np.float64(0.5)}
    with store.session("churn", purpose="train", params=params, as_of="2026-01-31") as session:
        assert store.show(session.session_id)["status"][0] == "running"
        fill(session)
    after = dt.datetime.now(dt.UTC)
    row = store.sessions().iloc[0]
    assert (row["session_id"], row["session_no"]) == (session.session_id, session.session_no)
    assert (row["status"], row["purpose"], row["attempt"]) == ("succeeded", "train", 1)
    given = {"n": 3, "country": "DE", "when": "2026-01-31", "np": 0.5}
    assert json.loads(row["params"]).items() >= given.items()
    assert row["as_of"] == dt.date(2026, 1, 31)
    assert before <= row["started_at"] <= row["ended_at"] == row["published_at"] <= after
    assert row["started_at"].tzinfo is not None
    assert session.session_id.startswith("churn-" + f"{row['started_at']:%Y%m%d-%H%M}")
    environment = store.environment(session.session_id)
    assert environment["packages"]["sqlalchemy"] == sa.__version__
    metrics = store.metrics(session.session_id).set_index("metric_name")["value"]
    assert metrics["own"] == 0.5
    assert metrics["auc"] == pytest.approx(1 - 0.5 / 6)
    metadata = store.metadata(session.session_id).set_index("meta_name")["value"]
    assert metadata["sources"] == "crm.customer"
    assert list(store.inputs(session.session_id)["query"]) == ["select 1"]
    assert list(store.input_summary(session.session_id)["n_na"]) == [1, 1]
    assert list(store.checks(session.session_id)["passed"]) == [True]
    assert list(store.variable_importance(session.session_id)["variable"]) == ["age", "city"]
    assert list(store.backtests(session.session_id)["actual"]) == [2.0]
    assert list(store.artifacts(session.session_id)["bytes"]) == [27]
    assert store.load_model(session.session_id) == b"a model of another language"
    assert list(store.scores(session.session_id)["score"]) == [0.1, 0.2]
    assert store.curve(session.session_id)["tp"].is_monotonic_increasing
    assert store.roc(session.session_id)["tpr"].iloc[-1] == 1
    assert store.lift(session.session_id)["lift"].iloc[-1] == 1
    matrix = store.confusion_matrix(session.session_id, 0.5, "probability")
    assert [matrix[name] for name in ("tp", "fp", "tn", "fn")] == [2, 0, 2, 1]
    assert store.accuracy(session.session_id, 0.5, "probability") == pytest.approx(0.8)
    assert orphans(store) == {}


def test_many_sessions_are_read_at_once(store: Store) -> None:
    ids = []
    for value in (0.1, 0.2, 0.3):
        with store.session("churn") as session:
            session.log_metrics({"auc": value})
        ids.append(session.session_id)
    frame = store.metrics(*ids)
    assert list(zip(frame["session_id"], frame["value"], strict=True)) == list(
        zip(ids, (0.1, 0.2, 0.3), strict=True)
    )
    assert list(store.sessions(limit=2)["session_id"]) == ids[:0:-1]
    assert len(store.sessions("churn", status="succeeded")) == 3
    assert len(store.sessions("churn", status="failed")) == 0
    assert len(store.sessions(purpose="train", since="1d")) == 0
    running = store.session("churn", purpose="train")
    by_end = store.sessions("churn", since=store.sessions()["started_at"].min(), sort="ended")
    assert list(by_end["session_id"]) == [running.session_id, *ids[::-1]]
    running.close()
    with pytest.raises(mfprefect.UnknownSession, match="nope"):
        store.metrics(ids[0], "nope")
    with pytest.raises(mfprefect.InvalidValue, match="succeeded"):
        store.sessions(status="done")


def test_a_run_costs_few_statements_and_commits(store: Store) -> None:
    """10 parameters, 20 metrics and 5 metadata values: at most 8 statements and 3 commits.

    The first run in an environment stores that, too. Where selects see uncommitted rows, opening
    has to lock the environment, closing its session and the end of the audit trail, and from a
    model's second run on the model's last seal.
    """
    store.sessions()  # a store checks the schema's version once, here
    for locks in (2, 3):
        with (
            _counted(store.database.engine) as (statements, commits),
            store.session("churn", params={f"p{i}": i for i in range(10)}) as session,
        ):
            session.log_metrics({f"m{i}": i / 7 for i in range(20)})
            session.log_metadata({f"k{i}": "v" for i in range(5)})
        uncommitted = store.database.backend.reads_uncommitted
        most = 8 + (locks == 2 or uncommitted) + locks * uncommitted
        assert len(statements) <= most, statements
        assert len(commits) <= 3
        assert len(store.metrics(session.session_id)) == 20
        assert len(store.metadata(session.session_id)) == 5


@contextmanager
def _counted(engine: sa.Engine) -> Iterator[tuple[list[str], list[sa.Connection]]]:
    """Collect statements, and connections that commit."""
    statements: list[str] = []
    commits: list[sa.Connection] = []

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    def note(connection: sa.Connection) -> None:
        commits.append(connection)

    sa.event.listen(engine, "before_cursor_execute", count)
    sa.event.listen(engine, "commit", note)
    yield statements, commits
    sa.event.remove(engine, "before_cursor_execute", count)
    sa.event.remove(engine, "commit", note)


def test_an_exception_is_recorded_and_raised(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.session("churn") as session:
        session.log_metrics({"before": 1})
        session.write_scores(pd.DataFrame({"id": ["a"], "score": [1]}), entity_id="id")
        _ = 1 / 0
    row = store.show(session.session_id).iloc[0]
    assert (row["status"], row["failure_kind"]) == ("failed", "ZeroDivisionError")
    assert row["failure_text"] == "division by zero"
    assert row["ended_at"] is not None
    assert list(store.metrics(session.session_id)["value"]) == [1.0]
    assert len(store.scores(session.session_id)) == 0


def test_an_interrupt_cancels(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.session("churn") as session:
        raise KeyboardInterrupt
    assert store.show(session.session_id)["status"][0] == "cancelled"


def test_a_closed_session_refuses_writes(store: Store) -> None:
    with store.session("churn") as session:
        pass
    before = rows(store)
    scores = pd.DataFrame({"id": ["a"], "score": [1.0]})
    for write in (
        lambda: session.log_metrics({"late": 1}),
        lambda: session.log_metadata({"late": "x"}),
        lambda: session.write_scores(scores, entity_id="id"),
        lambda: session.save_model(b"late"),
        session.flush,
        session.close,
    ):
        with pytest.raises(mfprefect.SessionClosed, match="succeeded"):
            write()
    with pytest.raises(mfprefect.SessionClosed, match="succeeded"):
        store.attach(session.session_id)
    assert rows(store) == before


def test_a_session_deleted_elsewhere_refuses_writes(store: Store, database_url: str) -> None:
    session = store.session("churn")
    with mfprefect.connect(database_url) as other:
        with pytest.raises(mfprefect.InvalidValue, match="running"):
            other.delete_session(session.session_id)
        with other.attach(session.session_id) as same:
            same.log_metrics({"from": 2})
        same.cancel("by another process")
        other.delete_session(session.session_id)
    session.log_metrics({"late": 1})
    with pytest.raises(mfprefect.SessionClosed, match="deleted"):
        session.close()
    session.detach_process()
    assert orphans(store) == {}


def test_a_repeated_figure_replaces_the_earlier_one(store: Store, database_url: str) -> None:
    with store.session("churn") as session:
        session.log_metrics({"auc": 0.1, "ks": 0.5})
        session.log_metrics({"auc": 0.2})
        session.flush()
        session.log_metrics({"auc": 0.3}, segment="region=north")
        session.log_metrics({"auc": 0.4})
        session.flush()
        with mfprefect.connect(database_url) as other, other.attach(session.session_id) as attached:
            attached.log_metrics({"auc": 0.9})
    frame = store.metrics(session.session_id).set_index(["metric_name", "segment"])["value"]
    assert frame.to_dict() == {("auc", ""): 0.9, ("auc", "region=north"): 0.3, ("ks", ""): 0.5}


def test_an_unknown_model_or_parent_is_refused(store: Store) -> None:
    before = rows(store)
    with pytest.raises(mfprefect.UnknownModel, match="churn"):
        store.session("chrun")
    with pytest.raises(mfprefect.UnknownSession, match="nobody"):
        store.session("churn", purpose="score", parent="nobody")
    with pytest.raises(mfprefect.InvalidValue, match="train, score, monitor, adhoc"):
        store.session("churn", purpose="testing")
    with pytest.raises(mfprefect.InvalidValue, match="params"):
        store.session("churn", params={"f": object()})
    with pytest.raises(mfprefect.InvalidValue, match="time zone"):
        store.session("churn", as_of=dt.datetime(2026, 1, 1))
    assert rows(store) == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", None, True])
def test_a_metric_is_a_finite_number(store: Store, value: Any) -> None:
    with store.session("churn") as session, pytest.raises(mfprefect.InvalidValue, match="auc"):
        session.log_metrics({"ok": 1, "auc": value})
    assert len(store.metrics(session.session_id)) == 0


def test_failed_checks_stop_the_run_and_stay_on_record(store: Store) -> None:
    frame = pd.DataFrame({"age": [1, 2]})
    with pytest.raises(mfprefect.ChecksFailed) as raised, store.session("churn") as session:
        session.log_checks(frame, [lambda f: len(f) == 2, lambda f: f["age"] > 1])
    assert len(raised.value.failures) == 1
    assert list(store.checks(session.session_id)["passed"]) == [True, False]
    assert store.show(session.session_id)["failure_kind"][0] == "ChecksFailed"


def test_checks_of_several_frames_stand_side_by_side(store: Store) -> None:
    with store.session("churn") as session:
        session.log_checks(pd.DataFrame({"a": [1]}), lambda f: len(f) == 1)
        session.log_checks(pd.DataFrame({"a": [1, 2]}), lambda f: len(f) == 2)
    assert list(store.checks(session.session_id)["check_no"]) == [1, 2]


def test_a_session_draws_none_of_the_runs_random_numbers(store: Store) -> None:
    random.seed(7)
    np.random.seed(7)
    expected = random.random(), np.random.random()
    random.seed(7)
    np.random.seed(7)
    with store.session("churn") as session:
        fill(session)
    assert (random.random(), np.random.random()) == expected


def test_a_session_does_not_inherit_rows_of_no_session(store: Store) -> None:
    """Somebody adds rows under the number that the next session will get."""
    with store.session("churn", purpose="score") as first:
        fill(first)
    number = first.session_no + 1
    planted: dict[str, dict[str, Any]] = {
        "scores": {"entity_id": "ghost", "score": 0.999, "part_no": 77},
        "metrics": {"metric_name": "auc", "segment": "", "value": 0.99},
    }
    present = [name for name, row in planted.items() if _planted(store, name, number, row)]
    assert present[0] == "scores"
    with pytest.raises(mfprefect.SealBroken) as broken:
        store.verify()
    assert {(p.what, p.table, p.key) for p in broken.value.problems} == {
        ("added", name, (number,)) for name in present
    }
    assert all("no session has" in str(problem) for problem in broken.value.problems)
    with store.session("churn", purpose="train") as second:
        pass
    assert second.session_no == number
    assert (len(store.scores(second.session_id)), len(store.metrics(second.session_id))) == (0, 0)
    assert store.scores(first.session_id)["entity_id"].tolist() == ["a", "b"]
    (detail,) = store.audit_log(action="remove_orphans", session_id=second.session_id)["detail"]
    assert detail["session_no"] == number
    assert {name: entry["rows"] for name, entry in detail["tables"].items()} == dict.fromkeys(
        present, 1
    )
    assert all(len(entry["sha256"]) == 64 for entry in detail["tables"].values())


def _planted(store: Store, name: str, number: int, row: dict[str, Any]) -> bool:
    """Add a row; return False if the database refuses it."""
    insert = store.database.schema.tables[name].insert().values(session_no=number, **row)
    try:
        store.database.write_transaction(lambda connection, _: connection.execute(insert))
    except mfprefect.IntegrityError:
        return False
    return True

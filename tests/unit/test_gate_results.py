"""Verdicts of gates and inputs of parts: in their tables, and where older versions had them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Gate, Session, Store
from mfprefect.errors import GateFailed, InvalidValue, UnknownSession
from mfprefect.store.retention.prune import finish
from mfprefect.store.states import (
    DELETING_SESSION,
    GATES_GROUP,
    GATES_NAME,
    LEGACY_DELETION_KINDS,
    LEGACY_PART_INPUTS,
)
from mfprefect.testing.contract.helpers import rows

LOW, HIGH = Gate("auc", at_least=0.5), Gate("auc", at_most=1)
LEGACY = [
    {"gate": "auc at least 0.5", "kind": "metric", "verdict": "passed", "reason": "auc is 0.9"},
    {"gate": "psi", "kind": "drift", "verdict": "passed", "reason": "none", "figure": 0, "low": 1},
]


@pytest.fixture
def store() -> Iterator[Store]:
    with mfprefect.connect("sqlite://", heartbeat_seconds=600) as opened:
        opened.create_schema()
        opened.add_model("churn")
        yield opened
        opened.verify()


def train(store: Store, *gates: Gate, auc: float = 0.9) -> Session:
    with suppress(GateFailed), store.session("churn", "train") as session:
        session.log_metrics({"auc": auc})
        session.save_model(b"a model")
        session.log_gates(gates)
    return session


def legacy_train(store: Store) -> Session:
    with store.session("churn", "train") as session:
        session.save_model(b"a model")
        session.log_metadata({GATES_NAME: LEGACY}, GATES_GROUP)
    return session


def history(store: Store) -> pd.DataFrame:
    return store.database.frame(store.database.schema.views()["gate_history"])


def test_verdicts_are_rows_and_no_metadata(store: Store) -> None:
    session = train(store, LOW, HIGH)
    assert rows(store)["gate_results"] == 2
    assert store.metadata(session.session_id).empty
    frame = store.gates(session.session_id)
    assert frame["gate"].tolist() == ["auc at least 0.5", "auc at most 1"]
    assert frame[["figure", "at_least"]].iloc[0].tolist() == [0.9, 0.5]


@pytest.mark.parametrize("flushed", [False, True])
def test_verdicts_of_a_later_call_replace_all_earlier_ones(store: Store, flushed: bool) -> None:
    with store.session("churn", "train") as session:
        session.log_metrics({"auc": 0.9})
        session.log_gates([LOW, HIGH, LOW])
        if flushed:
            session.flush()
        session.log_gates([HIGH])
    assert store.gates(session.session_id)["gate"].tolist() == ["auc at most 1"]


def test_another_process_replaces_them_as_well(store: Store) -> None:
    session = store.session("churn", "train")
    session.log_metrics({"auc": 0.9})
    session.log_gates([LOW, HIGH])
    session.leave_open()
    attached = store.attach(session.session_id)
    attached.log_gates([HIGH])
    attached.close()
    assert store.gates(session.session_id)["gate"].tolist() == ["auc at most 1"]


def test_what_cannot_be_stored_is_refused(store: Store) -> None:
    class Wordy(Gate):
        def _label(self) -> str:
            return "x" * 2000

    session = store.session("churn", "train")
    session.log_metrics({"auc": 0.9})
    with pytest.raises(InvalidValue, match="at most 1024 fit"):
        session.log_gates([Wordy("auc", at_least=0.1)])
    session.cancel("it is enough")


def test_older_sessions_keep_their_list(store: Store) -> None:
    new, old = train(store, LOW, HIGH), legacy_train(store)
    frame = store.gates(old.session_id, new.session_id)
    assert frame["session_id"].tolist() == [new.session_id] * 2 + [old.session_id] * 2
    assert frame["figure"].tolist()[3] == 0
    assert store.metadata(old.session_id)["meta_name"].tolist() == ["verdicts"]
    store.promote("churn", old.session_id)
    (stage,) = store.stages("churn")["gates"]
    assert [row["gate"] for row in json.loads(stage)] == ["auc at least 0.5", "psi"]


def test_the_view_shows_both(store: Store) -> None:
    new, old, failed = train(store, LOW, HIGH), legacy_train(store), train(store, LOW, auc=0.4)
    running = store.session("churn", "train")
    running.log_metrics({"auc": 0.9})
    running.log_gates([LOW])
    running.flush()
    seen = history(store).sort_values(["started_at", "gate_no"])
    sessions = [*[new.session_id] * 2, *[old.session_id] * 2, failed.session_id]
    assert seen["session_id"].tolist() == sessions
    assert seen["gate_no"].tolist() == [1, 2, 1, 2, 1]
    assert seen["verdict"].tolist() == ["passed"] * 4 + ["failed"]
    assert seen["status"].tolist() == ["succeeded"] * 4 + ["failed"]
    assert seen["interval_low"].tolist()[3] == 1
    running.cancel("it is enough")


def test_a_session_with_both_shows_the_newer_verdicts(store: Store) -> None:
    with store.session("churn", "train") as session:
        session.log_metrics({"auc": 0.9})
        session.log_metadata({GATES_NAME: LEGACY}, GATES_GROUP)
        session.log_gates([HIGH])
    assert store.gates(session.session_id)["gate"].tolist() == ["auc at most 1"]
    assert history(store)["gate"].tolist() == ["auc at most 1"]


def test_gates_cost_one_statement(store: Store) -> None:
    counted: list[int] = []
    for gates in ([], [LOW, HIGH]):
        statements: list[str] = []

        def count(_: Any, __: Any, statement: str, *___: Any, to: list[str] = statements) -> None:
            to.append(statement)

        session = store.session("churn", "train")
        session.log_metrics({"auc": 0.9})
        if gates:
            session.log_gates(gates)
        sa.event.listen(store.database.engine, "before_cursor_execute", count)
        session.close()
        sa.event.remove(store.database.engine, "before_cursor_execute", count)
        counted.append(len(statements))
    assert counted[1] == counted[0] + 1


# What parts read


@pytest.mark.parametrize("legacy", [False, True])
def test_documents_of_parts_go_when_the_session_has_succeeded(store: Store, legacy: bool) -> None:
    session = store.session("churn", "score")
    scores = pd.DataFrame({"id": ["a"], "score": [0.5]})
    session.write_scores(scores, entity_id="id", part=1)
    if legacy:
        session.log_metadata({"1": {"inputs": []}}, LEGACY_PART_INPUTS)
    else:
        session._add("part_inputs", [{"part_no": 1, "document": '{"inputs": []}'}], ("part_no",))
    session.log_metadata({"stays": "here"})
    session.flush()
    assert list(session.part_documents()) == [(1, {"inputs": []})]
    assert store.metadata(session.session_id)["meta_name"].tolist() == ["stays"]
    session.close()
    assert rows(store)["part_inputs"] == 0
    assert rows(store)["session_metadata"] == 1


# Deletions that an older version began


def test_a_deletion_that_an_older_version_began_is_finished() -> None:
    with mfprefect.connect("sqlite://", heartbeat_seconds=600) as store:
        store.create_schema()
        store.add_model("churn")
        with store.session("churn", "score") as session:
            session.write_scores(pd.DataFrame({"id": ["a"], "score": [0.5]}), entity_id="id")
        s, kind = store.database.schema.sessions, LEGACY_DELETION_KINDS[DELETING_SESSION]
        marks = {"status": "cancelled", "failure_kind": kind, "published_at": None}
        store.database.write_transaction(lambda c, _: c.execute(s.update().values(marks)))
        with pytest.raises(UnknownSession):
            store.session("churn", "score", parent=session.session_id)
        assert finish(store.database) == [session.session_id]
        assert store.sessions().empty

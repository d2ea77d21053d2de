"""Parameters and steps of metrics: stored, replaced, found, sealed."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.testing.contract.helpers import bits


def param_rows(store: Store, session_id: str) -> dict[str, tuple[Any, ...]]:
    """Return type, number, text and JSON of a session's parameters, by name."""
    s, p = store.database.schema.sessions.c, store.database.schema.session_params.c
    select = sa.select(p.param_name, p.type, p.number, p.text, p.json)
    select = select.join_from(s.session_no.table, p.session_no.table)
    rows = store.database.fetch_all(select.where(s.session_id == session_id))
    return {row[0]: tuple(row[1:]) for row in rows}


def test_parameters_are_rows_of_their_types(store: Store) -> None:
    given = {
        **{"depth": 6, "rate": 0.1, "kind": "Linear", "warm": False, "none": None},
        **{"layers": [64, 8], "huge": 10**400, "long": "x" * 256, "n" * 256: 1, "": 2},
    }
    with store.session("churn", "train", params=given) as session:
        assert param_rows(store, session.session_id)["depth"] == ("number", 6.0, None, None)
        session.log_params({"depth": 7, "more": "é"})
    rows = param_rows(store, session.session_id)
    assert rows == {
        "depth": ("number", 7.0, None, None),
        "rate": ("number", 0.1, None, None),
        "kind": ("text", None, "Linear", None),
        "warm": ("boolean", 0.0, None, None),
        "none": ("json", None, None, "null"),
        "layers": ("json", None, None, "[64, 8]"),
        "huge": ("json", None, None, str(10**400)),
        "long": ("text", None, None, json.dumps("x" * 256)),
        "more": ("text", None, "é", None),
    }
    stored = json.loads(store.show(session.session_id)["params"][0])
    assert stored == given | {"depth": 7, "more": "é"}


def test_the_whole_curve_is_kept_and_its_last_value_is_the_metric(store: Store) -> None:
    before = dt.datetime.now(dt.UTC)
    with store.session("churn", "train") as session:
        for epoch in range(5):
            session.log_metrics({"loss": 1 / (1 + epoch), "auc": 0.5 + epoch / 10}, step=epoch)
            if epoch == 2:
                session.flush()
        session.log_metrics({"loss": 0.25}, "region=north", step=7)
        session.log_metrics({"loss": 9.0}, step=1)  # once more, after it was written
        session.log_metrics({"auc": 0.1}, step=0)
    steps = store.metric_steps(session.session_id)
    assert list(steps.columns) == [
        *("session_id", "metric_name", "segment", "step", "value", "logged_at")
    ]
    assert steps["logged_at"].between(before, dt.datetime.now(dt.UTC)).all()
    loss = steps[(steps["metric_name"] == "loss") & (steps["segment"] == "")]
    assert loss["step"].tolist() == [0, 1, 2, 3, 4]
    assert bits(loss["value"]) == bits([1.0, 9.0, 1 / 3, 0.25, 0.2])
    metrics = store.metrics(session.session_id).set_index(["metric_name", "segment"])["value"]
    assert metrics.to_dict() == {
        ("auc", ""): 0.9,
        ("loss", ""): 0.2,
        ("loss", "region=north"): 0.25,
    }


def test_steps_of_an_attached_session_replace_those_of_its_opener(store: Store) -> None:
    with store.session("churn", "train") as session:
        session.log_metrics({"loss": 1.0}, step=0)
        session.flush()
        with store.attach(session.session_id) as other:
            for step in range(3):
                other.log_metrics({"loss": 0.5}, step=step)
    assert store.metric_steps(session.session_id)["value"].tolist() == [0.5] * 3


@pytest.mark.parametrize("step", [-1, 2**63, 1.5, "1", True])
def test_a_step_that_is_no_integer_from_0_is_refused(store: Store, step: Any) -> None:
    with store.session("churn") as session, pytest.raises(mfprefect.InvalidValue, match="step"):
        session.log_metrics({"loss": 1.0}, step=step)
    assert len(store.metric_steps(session.session_id)) == 0


@pytest.mark.parametrize("value", [float("nan"), "1", None])
def test_of_a_step_with_a_wrong_value_nothing_is_stored(store: Store, value: Any) -> None:
    with store.session("churn") as session, pytest.raises(mfprefect.InvalidValue, match="loss"):
        session.log_metrics({"auc": 1.0, "loss": value}, step=1)
    assert len(store.metric_steps(session.session_id)) == 0


def test_many_steps_are_sealed_without_holding_them_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mfprefect.session import buffer
    from mfprefect.store.audit import steps

    monkeypatch.setattr(steps, "PAGE", 50)
    monkeypatch.setattr(buffer, "FLUSH_ROWS", 100)
    with store.session("churn", "train") as session:
        for step in range(400):
            session.log_metrics({"loss": step / 7, "Loss": 1.0, "é": 2.0}, step=step)
    assert len(store.metric_steps(session.session_id)) == 1200
    store.verify()
    monkeypatch.setattr(steps, "PAGE", 10_000)  # the seal does not depend on how it is read
    store.verify()


@pytest.mark.parametrize(
    ("table", "change", "expected"),
    [
        ("session_params", {"number": 7.0}, "session_params: the row ('depth') was changed"),
        ("metric_steps", {"value": 7.0}, "metric_steps: the row ('loss', '', 3) was changed"),
        ("session_params", None, "session_params: the row ('depth') is gone"),
        ("metric_steps", None, "metric_steps: the row ('loss', '', 3) is gone"),
    ],
)
def test_forged_rows_are_named(
    store: Store, table: str, change: dict[str, Any] | None, expected: str
) -> None:
    with store.session("churn", "train", params={"depth": 6}) as session:
        session.log_metrics({"loss": 0.5}, step=3)
    forged = store.database.schema.tables[table]
    of_session = forged.c.session_no == session.session_no
    stored = store.database.fetch_all(sa.select(forged).where(of_session))
    rows = [dict(zip(forged.c.keys(), row, strict=True)) for row in stored]
    statement: Any = forged.delete().where(of_session)
    if change is not None:
        statement = forged.update().where(of_session).values(change)
    store.database.write_transaction(lambda c, _: c.execute(statement))
    with pytest.raises(mfprefect.SealBroken) as broken:
        store.verify()
    assert [expected in str(problem) for problem in broken.value.problems] == [True]

    def restore(connection: sa.Connection, _: bool) -> None:
        connection.execute(forged.delete().where(of_session))
        connection.execute(forged.insert(), rows)

    store.database.write_transaction(restore)


def test_a_failed_attempt_leaves_no_parameters_and_no_steps(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.session("churn", params={"depth": 6}) as session:
        session.log_metrics({"loss": 0.5}, step=3)
        raise ZeroDivisionError
    assert store.metric_steps(session.session_id)["value"].tolist() == [0.5]
    assert set(param_rows(store, session.session_id)) == {"depth"}
    store.delete_session(session.session_id)
    for table in ("session_params", "metric_steps"):
        count = sa.select(sa.func.count()).select_from(store.database.schema.tables[table])
        assert store.database.fetch_all(count)[0][0] == 0


def test_sessions_sealed_before_are_found_by_their_parameters(store: Store) -> None:
    """As a version without the table left them: no rows, and no mention in the seal."""
    from mfprefect.store import session_params as params

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(params, "param_rows", lambda *_: [])
        with store.session("churn", "train", params={"depth": 6, "kind": "x"}) as session:
            pass
        with store.session("churn", "train") as other:
            pass
    assert param_rows(store, session.session_id) == {}
    store.verify()
    running = store.session("churn", params={"depth": 9})
    store.create_schema()
    assert set(param_rows(store, session.session_id)) == {"depth", "kind"}
    assert param_rows(store, other.session_id) == {}
    store.verify()
    running.close()
    table = store.database.schema.session_params
    forge = table.insert().values(
        session_no=session.session_no, param_name="more", type="number", number=1.0
    )
    store.database.write_transaction(lambda c, _: c.execute(forge))
    with pytest.raises(mfprefect.SealBroken, match=r"session_params: the row \('more'\) was added"):
        store.verify()
    store.database.write_transaction(
        lambda c, _: c.execute(table.delete().where(table.c.param_name == "more"))
    )
    assert params.add_missing(store.database) == 0


def test_metric_steps_of_several_sessions(store: Store) -> None:
    names = []
    for value in (0.5, 0.25):
        with store.session("churn", "train") as session:
            session.log_metrics({"loss": value}, step=0)
        names.append(session.session_id)
    steps = store.metric_steps(*names)
    assert dict(zip(steps["session_id"], steps["value"], strict=True)) == dict(
        zip(names, [0.5, 0.25], strict=True)
    )
    assert isinstance(steps, pd.DataFrame)
    with pytest.raises(mfprefect.UnknownSession):
        store.metric_steps("nobody")

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


def trials_of(store: Store) -> list[str]:
    """Return the ids of four trials and the training that they belong to, which comes last."""
    with store.session("churn", "train") as search:
        search.log_metrics({"auc": 0.6})
    names = []
    for depth, kind, auc in ((2, "tree", 0.7), (6, "tree", 0.9), (6, "Tree", None), (4, None, 0.8)):
        params = {"depth": depth, "kind": kind, "warm": depth == 6, "rate": depth / 8}
        with store.session("churn", "trial", params=params, parent=search.session_id) as trial:
            if auc is not None:
                trial.log_metrics({"auc": auc})
                trial.log_metrics({"auc": 1 - auc}, "region=north")
        names.append(trial.session_id)
    return [*names, search.session_id]


def test_experiments_are_wide_rows_of_typed_columns(store: Store) -> None:
    *trials, search = trials_of(store)
    frame = store.experiments("churn", sort="-auc")
    assert frame["session_id"].tolist() == [trials[1], trials[3], trials[0], search, trials[2]]
    assert frame["metrics.auc"].tolist()[:4] == [0.9, 0.8, 0.7, 0.6]
    assert frame["metrics.auc"].isna().tolist() == [False] * 4 + [True]
    names = [name for name in map(str, frame) if name.startswith("params.")]
    kinds = {name: str(frame[name].dtype) for name in names}
    assert kinds == {
        **{"params.depth": "Int64", "params.kind": "object"},
        **{"params.rate": "float64", "params.warm": "boolean"},
    }
    some = store.experiments("churn", purpose="trial", sort="depth", limit=3)
    assert str(some["params.depth"].dtype) == "int64"
    assert some["params.depth"].tolist() == [2, 4, 6]
    assert set(some["parent_session_id"]) == {search}
    newest = store.experiments("churn", parent=search)
    assert newest["session_id"].tolist() == trials[::-1]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["depth=6"], {1, 2}),
        (["depth>=4", "auc>0.85"], {1}),
        (["kind=tree"], {0, 1}),
        (["kind!=tree"], {2}),
        (["params.rate<0.5"], {0}),
        (["warm=true"], {1, 2}),
        (["metrics.auc <= 0.8"], {0, 3, 4}),
        (["auc>0.99"], set()),
    ],
)
def test_experiments_are_found_by_conditions(
    store: Store, where: list[str], expected: set[int]
) -> None:
    names = trials_of(store)
    frame = store.experiments("churn", where=where)
    assert {names.index(name) for name in frame["session_id"]} == expected


def test_wrong_conditions_name_the_choices(store: Store) -> None:
    trials_of(store)
    wrong = {
        "depht=6": r"no session of 'churn' has .* 'depht'; it has metrics.auc, params.depth",
        "auc": "is not like depth=6",
        "auc>good": "the metric 'auc' is a number",
        "kind>tree": "compare texts by = or !=",
        "metrics.depth=1": "metrics.depth",
    }
    for condition, expected in wrong.items():
        with pytest.raises(mfprefect.InvalidValue, match=expected):
            store.experiments("churn", where=[condition])
    with pytest.raises(mfprefect.InvalidValue, match="are a list"):
        store.experiments("churn", where="depth=6")
    with pytest.raises(mfprefect.InvalidValue, match="limit is -1"):
        store.experiments("churn", limit=-1)
    with pytest.raises(mfprefect.UnknownModel):
        store.experiments("nobody")
    with store.session("churn", "train", params={"auc": 1}):
        pass
    with pytest.raises(mfprefect.InvalidValue, match=r"say params.auc or metrics.auc"):
        store.experiments("churn", sort="auc")


def test_trials_stay_out_of_listings_unless_asked_for(store: Store) -> None:
    *trials, search = trials_of(store)
    assert store.sessions()["session_id"].tolist() == [search]
    assert store.sessions(purpose="trial")["session_id"].tolist() == trials[::-1]
    assert len(store.sessions("churn", trials=True)) == 5
    assert store.show(trials[0])["purpose"].tolist() == ["trial"]

"""Input checks: the sessions that they compare with, and the registry of input columns."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

import mfprefect
from mfprefect import Store
from mfprefect.checks import Columns, NullShare, Range, RegisteredColumns, RowCount
from mfprefect.testing.contract.helpers import rows

CUSTOMERS = pd.DataFrame(
    {"customer_id": range(10), "age": range(20, 30), "income": [None, 2.0] * 5}
)


def train(store: Store, frame: pd.DataFrame, *checks: Any) -> str:
    with store.session("churn", purpose="train") as session:
        session.log_checks(frame, list(checks), keys=["customer_id"])
        session.log_input_summary(frame.drop(columns="customer_id"))
        session.save_model(b"a model of another language")
    return session.session_id


def failing(session: mfprefect.Session, frame: pd.DataFrame, *checks: Any, **options: Any) -> Any:
    """Return check, column and failing rows of each failed check."""
    try:
        results = session.log_checks(frame, list(checks), **options)
    except mfprefect.ChecksFailed as exc:
        results = list(exc.failures)
    return [(x["check"], x["column"], x["failing_rows"]) for x in results if not x["passed"]]


def test_data_are_checked_against_the_training_session(store: Store) -> None:
    first = train(store, CUSTOMERS)
    train(store, CUSTOMERS.assign(age=range(40, 50)))
    keys = ["customer_id"]
    with store.session("churn", purpose="score", parent=first) as session:
        assert failing(session, CUSTOMERS, Range(), NullShare(), Columns(), keys=keys) == []
    with store.session("churn", purpose="train") as session:  # compared with the last training
        assert failing(session, CUSTOMERS, Range()) == [("range", "age", 10)]
        assert failing(session, CUSTOMERS.assign(income=None), NullShare(rise=0.4)) == [
            ("null_share", "income", 10)
        ]
        changed = CUSTOMERS.drop(columns="income").assign(new=1)
        assert failing(session, changed, Columns(added="error"), keys=keys) == [
            ("columns_missing", "income", 0),
            ("columns_added", "new", 0),
        ]
    stored = store.checks(session.session_id)
    assert list(stored["check_no"]) == list(range(1, len(stored) + 1))


def test_row_counts_are_compared_with_sessions_of_the_same_purpose(store: Store) -> None:
    for _ in range(3):
        train(store, CUSTOMERS)
    with pytest.raises(ValueError, match="x"), store.session("churn", purpose="train") as session:
        session.log_input_summary(pd.concat([CUSTOMERS] * 50))
        raise ValueError("x")  # a failed session is no reference
    with store.session("churn", purpose="train") as session:
        assert failing(session, CUSTOMERS.head(9), RowCount(within=0.1)) == []
        assert failing(session, CUSTOMERS.head(8), RowCount(within=0.1)) == [("row_count", None, 0)]
    with store.session("churn", purpose="monitor") as session:
        (row,) = session.log_checks(CUSTOMERS.head(1), RowCount())
        assert "no earlier session" in row["message"]


def test_a_part_is_compared_with_the_same_part(store: Store) -> None:
    frame = pd.DataFrame({"customer_id": range(30), "score": 0.5})
    for parts in (2, 3):
        with store.session("churn", purpose="score", params={"parts": parts}) as session:
            session.write_scores(frame, "customer_id", part=1)
            session.write_scores(frame.head(10) + 100, "customer_id", part=2)
    check = RowCount(within=0)
    with store.session("churn", purpose="score", params={"parts": 2}) as session:
        assert failing(session, frame, check, part=1) == []
        assert failing(session, frame, check, part=2) == [("row_count", None, 0)]
        assert failing(session, frame.head(10), check, part=2) == []
    with store.session("churn", purpose="score", params={"parts": 7}) as session:
        assert failing(session, frame.head(1), check, part=2) == []


def test_input_columns_are_registered_and_checked(store: Store) -> None:
    store.set_input_column("customer", "Age", schema="crm", note="in years")
    assert (
        store.set_input_columns(
            [
                {"table": "customer", "column": "age", "schema": "crm", "valid": False},
                {"table": "customer", "column": "Age", "schema": "crm", "note": "in years"},
                {"table": "customer", "column": "income", "schema": "crm", "test": True},
                {"table": "orders", "column": "amount"},
            ]
        )
        == 3
    )  # one of the four did not change
    columns = store.input_columns("customer", "crm").set_index("column_name")
    assert sorted(columns.index) == ["Age", "age", "income"]
    assert (bool(columns.loc["age", "valid"]), columns.loc["Age", "note"]) == (False, "in years")
    assert len(store.input_columns()) == 4
    assert list(store.input_columns(schema="")["table_name"]) == ["orders"]
    store.set_input_column("customer", "income", schema="crm", test=False)
    check = RegisteredColumns("customer", schema="crm")
    with store.session("churn", as_of=dt.date(2026, 1, 1)) as session:
        assert failing(session, CUSTOMERS[["income"]].rename(columns={"age": "Age"}), check) == []
        assert failing(session, CUSTOMERS[["age"]], check) == [("registered_columns", "age", 0)]
    events = rows(store)["audit_events"]
    with pytest.raises(mfprefect.InvalidValue, match="valid of column 'x' is 'yes'"):
        store.set_input_columns([{"table": "t", "column": "a"}, _odd_flag()])
    assert rows(store)["audit_events"] == events
    assert store.input_columns("t").empty


def _odd_flag() -> dict[str, Any]:
    return {"table": "t", "column": "x", "valid": "yes"}


def test_a_failed_check_is_accepted_on_record(store: Store) -> None:
    first = train(store, CUSTOMERS)
    today = CUSTOMERS.drop(columns="income")
    failed = refused(store, today)
    accepted = store.accept_check(failed, "columns_missing", column="income", reason="sold: GDPR")
    (row,) = accepted.to_dict("records")
    assert (row["purpose"], row["column"], row["state"]) == ("train", "income", "active")
    assert (row["session_id"], row["training_session_id"]) == (failed, first)

    # Only this check and column, only trainings, only after this training.
    refused(store, today.drop(columns="age"), match=r"1 of 3 .* columns_missing\(age\)")
    with store.session("churn", purpose="score", parent=first) as session:
        assert failing(session, today, Columns(), keys=["customer_id"])
    second = train(store, today, Columns())
    checks = store.checks(second)
    missing = checks[checks["check"] == "columns_missing"].to_dict("records")
    assert [(x["column"], x["severity"], bool(x["passed"])) for x in missing] == [
        ("income", "accepted", False)
    ]
    assert "sold: GDPR (acceptance" in missing[0]["message"]

    # The new training makes it needless.
    (ended,) = store.accepted_checks("churn").to_dict("records")
    assert (ended["state"], second in ended["state_reason"]) == ("ended", True)
    third = train(store, today, Columns())
    assert store.checks(third)["passed"].all()
    events = store.audit_log(session_id=failed, action="accept_check")
    assert events["detail"][0]["message"].startswith("missing: income; compared with")
    store.verify(model_id="churn")


def test_an_acceptance_is_withdrawn_and_follows_a_renamed_model(store: Store) -> None:
    train(store, CUSTOMERS)
    today = CUSTOMERS.drop(columns=["income", "age"])
    failed = refused(store, today)
    numbers = store.accept_check(failed, "columns_missing", reason="on purpose")["acceptance_no"]
    store.rename_model("churn", "leavers")
    store.add_model("churn")  # another one
    assert store.accepted_checks("churn").empty
    assert sorted(store.accepted_checks("leavers")["column"]) == ["age", "income"]
    number = int(numbers.iloc[0])
    store.withdraw_acceptance("leavers", number, reason="by mistake")
    refused(store, today, match="1 of 3", model="leavers")
    states = store.accepted_checks("leavers").set_index("acceptance_no")["state"]
    assert sorted(states) == ["active", "withdrawn"] and states[number] == "withdrawn"
    with pytest.raises(mfprefect.InvalidValue, match=r"withdrawn already: by .*: by mistake"):
        store.withdraw_acceptance("leavers", number, reason="again")
    with pytest.raises(mfprefect.InvalidValue, match=r"failed checks: columns_missing\(age\), "):
        store.accept_check(failed, "unique", reason="x")


def refused(store: Store, frame: pd.DataFrame, *, match: str = ".", model: str = "churn") -> str:
    """Let a training fail its checks; return its session."""
    with (
        pytest.raises(mfprefect.ChecksFailed, match=match),
        store.session(model, purpose="train") as session,
    ):
        session.log_checks(frame, Columns(), keys=["customer_id"])
    return session.session_id

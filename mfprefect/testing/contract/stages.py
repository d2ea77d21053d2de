"""The session in production: its history, and concurrent promotions."""

from __future__ import annotations

import concurrent.futures
import json
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import AlreadyPromoted, Gate, InvalidValue, Store, UnknownModel
from mfprefect.store.views import models_frame
from mfprefect.util import values

GATES = (Gate("auc", at_least=0.8),)


def trained(store: Store, auc: float = 0.9, *, gates: Any = GATES) -> str:
    with store.session("churn", purpose="train") as session:
        session.log_metrics({"auc": auc})
        if gates:
            session.log_gates(gates)
    return session.session_id


def events(store: Store, action: str) -> list[dict[str, Any]]:
    e = store.database.schema.audit_events.c
    rows = store.database.fetch_all(
        sa.select(e.detail).where(e.action == action).order_by(e.event_no)
    )
    details = [json.loads(row.detail) for row in rows]
    # Without `row`, the digest of the row that the event wrote.
    return [{name: value for name, value in x.items() if name != "row"} for x in details]


def test_promote_and_roll_back(store: Store) -> None:
    assert store.production("churn") is None
    a, b, c = (trained(store) for _ in range(3))
    before = values.utc_now()
    store.promote("churn", a, reason="the first")
    store.promote("churn", b)
    between = values.utc_now()
    store.promote("churn", c)
    with pytest.raises(AlreadyPromoted, match="already in production"):
        store.promote("churn", c)
    assert store.production("churn") == c
    assert store.production("churn", at=pd.Timestamp(between)) == b
    assert store.production("churn", at=before) is None
    # Each rollback goes further back, never to a session that was rolled back.
    assert store.rollback("churn", reason="complaints") == b
    assert store.rollback("churn") == a
    with pytest.raises(InvalidValue, match=f"{a}' is the first that model 'churn' had in prod"):
        store.rollback("churn")
    store.promote("churn", c)
    assert store.rollback("churn") == a
    store.retire("churn", reason="no longer sold")
    assert store.production("churn") is None
    assert store.rollback("churn") == a

    frame = store.stages("churn")
    frame = frame.astype(object).where(frame.notna(), None)
    assert frame["session_id"].tolist() == [a, a, a, c, a, b, c, b, a]
    assert frame["stage"].tolist() == ["production", "retired", *["production"] * 7]
    assert frame["rolled_back_from"].tolist() == [a, None, c, None, b, c, None, None, None]
    assert frame["reason"].tolist()[-1] == "the first"
    assert frame["reason"].tolist()[5] == "complaints"
    assert frame["set_at"].tolist() == sorted(set(frame["set_at"]), reverse=True)
    assert frame["until"].tolist()[1:] == frame["set_at"].tolist()[:-1]
    assert frame["until"][0] is None
    (verdict,) = json.loads(frame["gates"].iloc[-1])
    assert (verdict["gate"], verdict["verdict"]) == ("auc at least 0.8", "passed")
    # Nothing was overwritten, and the audit trail has every step.
    assert store.production("churn", at=between) == b
    assert [event["session"] for event in events(store, "promote")] == [a, b, c, c]
    assert events(store, "promote")[2] == {
        "session": c, "stage": "production", "reason": None, "override": None, "instead_of": b,
    }  # fmt: skip
    assert [e["rolled_back_from"] for e in events(store, "rollback")] == [c, b, c, a]
    assert events(store, "retire") == [{"session": a, "reason": "no longer sold"}]
    view = store.database.schema.views()["production_models"]
    assert [(row.session_id, row.description) for row in store.database.fetch_all(view)] == [
        (a, "who leaves")
    ]
    assert models_frame(store.database)[["description", "production"]].to_numpy().tolist() == [
        ["who leaves", a]
    ]
    assert store.models()["production"].tolist() == [a]
    with pytest.raises(InvalidValue, match="was promoted to a stage"):
        store.delete_session(b)
    store.rename_model("churn", "leavers")
    assert store.production("leavers") == a
    store.delete_model("leavers")
    with pytest.raises(UnknownModel):
        store.production("leavers")


def test_concurrent_promotions(store: Store, database_url: str) -> None:
    sessions = [trained(store) for _ in range(6)]

    def promote(session_id: str) -> None:
        with mfprefect.connect(database_url, retry_seconds=60) as other:
            other.promote("churn", session_id)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(promote, sessions))
    frame = store.stages("churn")
    assert sorted(frame["session_id"]) == sorted(sessions)
    assert frame["set_at"].is_unique
    replaced = [event["instead_of"] for event in events(store, "promote")]
    # One after the other: each replaced the one before.
    assert replaced == [None, *frame["session_id"].tolist()[:0:-1]]
    assert store.production("churn") == frame["session_id"][0]

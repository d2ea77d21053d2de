"""Models: registered, renamed, deleted; the audit trail."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store
from mfprefect.testing.contract.helpers import fill, orphans, rows


def test_models_are_registered_renamed_and_deleted(store: Store) -> None:
    with store.session("churn", purpose="train") as training:
        fill(training)
    with store.session("churn", purpose="score", parent=training.session_id) as scoring:
        fill(scoring)
    store.add_model("other")
    with store.session("other") as other:
        fill(other)
    store.set_threshold("churn", 0.4, "probability")
    store.set_threshold("churn", 0.1, "population")
    assert list(store.thresholds("churn")["value"]) == [0.1, 0.4]
    with pytest.raises(mfprefect.InvalidValue, match="already"):
        store.rename_model("churn", "other")
    store.rename_model("churn", "leavers")
    assert list(store.models()["model_id"]) == ["leavers", "other"]
    assert list(store.thresholds("leavers")["kind"]) == ["population", "probability"]
    assert set(store.sessions("leavers")["session_id"]) == {training.session_id, scoring.session_id}
    with pytest.raises(mfprefect.InvalidValue, match=scoring.session_id):
        store.delete_session(training.session_id)
    store.delete_session(scoring.session_id)
    with pytest.raises(mfprefect.UnknownSession):
        store.scores(scoring.session_id)
    assert orphans(store) == {}
    store.delete_model("leavers")
    assert orphans(store) == {}
    assert list(store.models()["model_id"]) == ["other"]
    assert list(store.sessions()["session_id"]) == [other.session_id]
    with pytest.raises(mfprefect.UnknownModel, match="other"):
        store.delete_model("leavers")
    store.delete_model("other")
    counts = rows(store)
    assert counts.pop("audit_events") > 0
    assert counts.pop("seals") == 3  # the seals of deleted sessions remain
    assert set(counts.values()) == {0}


@pytest.mark.parametrize("bad", ["", "x" * 65, "nul\0", None, 7])
def test_a_bad_model_id_is_refused(store: Store, bad: Any) -> None:
    before = rows(store)
    with pytest.raises(mfprefect.InvalidValue, match="model id"):
        store.add_model(bad)
    assert rows(store) == before


def test_the_audit_trail_is_a_chain(store: Store) -> None:
    from mfprefect.audit import event_digest

    store.add_model("second", "one")
    store.add_model("second", "two")
    store.set_threshold("second", 0.5, "probability")
    store.delete_model("second")
    events = store.database.schema.audit_events
    rows = store.database.fetch_all(sa.select(*events.c).order_by(events.c.event_no))
    trail = [dict(zip(events.c.keys(), row, strict=True)) for row in rows]
    assert [event["action"] for event in trail] == [
        "add_model",
        "add_model",
        "change_model",
        "set_threshold",
        "delete_model",
    ]
    previous = None
    for event in trail:
        assert event["previous_digest"] == previous
        assert event_digest(event) == event["digest"]
        previous = event["digest"]

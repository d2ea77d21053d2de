from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Any

import pytest

from mfprefect.audit import event_digest

EVENT: dict[str, Any] = {
    "event_no": 7,
    "at": dt.datetime(2026, 11, 23, 12, 0, 0, 5, tzinfo=dt.UTC),
    "actor": "ann",
    "action": "delete_session",
    "subject": "churn-1",
    "detail": '{"model": "churn"}',
    "previous_digest": "a" * 64,
}
OTHERS: dict[str, Any] = {
    "event_no": 8,
    "at": EVENT["at"] + dt.timedelta(microseconds=1),
    "actor": "bob",
    "action": "delete_model",
    "subject": "churn-2",
    "detail": "{}",
    "previous_digest": None,
}


@pytest.mark.parametrize("field", EVENT)
def test_a_change_of_any_field_changes_the_digest(field: str) -> None:
    assert event_digest(EVENT | {field: OTHERS[field]}) != event_digest(EVENT)


def test_the_digest_is_the_sha256_of_the_sorted_json() -> None:
    plain = EVENT | {"at": "2026-11-23T12:00:00.000005+00:00"}
    text = json.dumps(plain, sort_keys=True)
    assert event_digest(EVENT) == hashlib.sha256(text.encode()).hexdigest()


def test_neither_order_nor_the_digest_column_matters() -> None:
    turned = dict(reversed(EVENT.items())) | {"digest": "b" * 64}
    assert event_digest(turned) == event_digest(EVENT)


@pytest.mark.parametrize("field", EVENT)
def test_an_event_that_lacks_a_field_has_no_digest(field: str) -> None:
    with pytest.raises(KeyError, match=field):
        event_digest({name: value for name, value in EVENT.items() if name != field})

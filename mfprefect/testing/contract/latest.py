"""Which scores are the latest: one order in views and in Python."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from mfprefect import Session, Store

OCTOBER, NOVEMBER = dt.date(2020, 10, 31), dt.date(2020, 11, 30)
Row = tuple[str, str]
"""An entity, and the session that its score is of."""


def _open(store: Store, ids: Sequence[str], as_of: dt.date | None) -> Session:
    session = store.session("churn", purpose="score", as_of=as_of)
    frame = pd.DataFrame({"id": ids, "score": 0.5})
    session.write_scores(frame, entity_id="id")
    return session


def _scored(store: Store, ids: Sequence[str], as_of: dt.date | None = None) -> str:
    session = _open(store, ids, as_of)
    session.close()
    return session.session_id


def _view(store: Store, view: str) -> list[Row]:
    schema = store.database.schema
    columns = [sa.column(name, sa.String) for name in ("entity_id", "session_id")]
    table = sa.table(schema.name(view), *columns, schema=schema.layout.schema)
    return sorted((row[0], row[1]) for row in store.database.fetch_all(sa.select(*columns, table)))


def _pairs(frame: pd.DataFrame) -> list[Row]:
    return list(zip(frame["entity_id"], frame["session_id"], strict=True))


def _expect(store: Store, latest: dict[str, str], current: list[str], session_id: str) -> None:
    """Compare views and methods: `latest` by entity; the entities of the current session."""
    assert _view(store, "latest_scores") == sorted(latest.items())
    assert _pairs(store.latest_scores("churn", *latest, "nobody")) == sorted(latest.items())
    newest = [(id_, session_id) for id_ in sorted(current)]
    assert _view(store, "current_scores") == newest
    assert _pairs(store.current_scores("churn")) == newest
    assert store.current_session("churn") == session_id


def test_a_backfill_replaces_no_newer_scores(store: Store) -> None:
    november = _scored(store, ["a", "b"], NOVEMBER)
    october = _scored(store, ["a", "c"], OCTOBER)
    _expect(store, {"a": november, "b": november, "c": october}, ["a", "b"], november)
    again = _scored(store, ["b"], NOVEMBER)
    _expect(store, {"a": november, "b": again, "c": october}, ["b"], again)
    # Without as_of, the day on which it started counts.
    today = _scored(store, ["c"])
    _expect(store, {"a": november, "b": again, "c": today}, ["c"], today)
    later = _scored(store, ["d"], dt.date(2199, 1, 1))
    latest = {"a": november, "b": again, "c": today, "d": later}
    _expect(store, latest, ["d"], later)
    _scored(store, ["a", "b", "c", "d"])
    store.delete_session(later)
    assert store.current_session("churn") != later


def test_of_one_day_the_last_publication_counts(store: Store) -> None:
    first, second = _open(store, ["a", "b"], NOVEMBER), _open(store, ["a"], NOVEMBER)
    second.close()
    _expect(store, {"a": second.session_id}, ["a"], second.session_id)
    first.close()
    latest = dict.fromkeys(["a", "b"], first.session_id)
    _expect(store, latest, ["a", "b"], first.session_id)


def test_nothing_is_current_before_publication(store: Store) -> None:
    assert store.current_session("churn") is None
    assert store.current_scores("churn").empty
    running = _open(store, ["a"], NOVEMBER)
    assert store.current_session("churn") is None
    running.cancel("enough")
    assert _view(store, "current_scores") == []
    columns = ["entity_id", "score", "score_class", "session_id", "as_of", "published_at"]
    assert list(store.current_scores("churn").columns) == columns
    session_id = _scored(store, ["a", "b", "c"], NOVEMBER)
    frame = store.current_scores("churn", entity_ids=["c", "a", "x"], at_most=0.5)
    assert list(frame.columns) == columns
    assert _pairs(frame) == [("a", session_id), ("c", session_id)]
    assert set(frame["as_of"]) == {NOVEMBER}
    assert list(frame["published_at"]) == list(store.show(session_id)["published_at"]) * 2
    assert store.current_scores("churn", at_least=0.6).empty


def test_entities_of_many_sessions_are_found(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr("mfprefect.store.scores.read.NEWEST", 3)
    monkeypatch.setattr("mfprefect.store.scores.read.KEYS_PER_STATEMENT", 8)
    monkeypatch.setattr("mfprefect.store.scores.read.IDS_PER_STATEMENT", 4)
    days = [OCTOBER + dt.timedelta(days=day) for day in (3, 0, 4, 1, 6, 2, 5)]
    latest: dict[str, tuple[dt.date, str]] = {}
    for place, day in enumerate(days):
        ids = [f"e{n}" for n in range(12) if n % (place + 2) == 0]
        session_id = _scored(store, ids, day)
        for id_ in ids:
            latest[id_] = max(latest.get(id_, (dt.date.min, "")), (day, session_id))
    asked = [f"e{n}" for n in range(14)]
    expected = sorted((id_, session_id) for id_, (_, session_id) in latest.items())
    assert _pairs(store.latest_scores("churn", *asked)) == expected
    assert _view(store, "latest_scores") == expected

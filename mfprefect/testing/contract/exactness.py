"""Text and numbers come back exactly."""

from __future__ import annotations

import json
import math

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import Store
from mfprefect.testing.contract.helpers import bits, rows, unfit

NASTY = [
    "plain",
    "a",
    "A",
    "a ",
    " a",
    "Zoë 😀 𝔘 你好",
    'o\'brien "q" `b` $1 %s %(x)s :x ? {0}',
    "back\\slash \\n \\0 \\.",
    "tab\tnew\nline\r\nreturn",
    "; DROP TABLE sessions; --",
    "NULL",
    "\\N",
    "é",
    "e\u0301",
]
DOUBLES = [0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1 + 0.2]
DOUBLES += [1 / 3, -1e-300, 123456789.123456789, 2**53 + 0.0, math.pi]


@pytest.mark.parametrize("text", NASTY)
def test_text_survives_exactly(store: Store, text: str) -> None:
    if unfit(store, text):
        return _require_refused(store, text)
    store.add_model(text, text, owner=text)
    with store.session(text, params={text: text}) as session:
        session.log_metadata({text: text}, group=text)
        session.log_metrics({text: 1}, segment=text)
    metadata = store.metadata(session.session_id).iloc[0]
    assert (metadata["meta_group"], metadata["meta_name"], metadata["value"]) == (text,) * 3
    metric = store.metrics(session.session_id).iloc[0]
    assert (metric["metric_name"], metric["segment"]) == (text, text)
    models = store.models().set_index("model_id")
    assert models.loc[text, "description"] == text
    row = store.show(session.session_id).iloc[0]
    assert json.loads(row["params"]) == {text: text}
    assert row["session_id"] == session.session_id


def _require_refused(store: Store, text: str) -> None:
    """Assert that every method refuses the text before it writes anything."""
    with store.session("churn") as session:
        before = rows(store)
        scores = pd.DataFrame({"id": [text], "label": ["x"], "score": [1.0]})
        for write in (
            lambda: store.add_model(text),
            lambda: store.add_model("fit", owner=text),
            lambda: session.log_metadata({"name": "a"}, group=text),
            lambda: session.log_metrics({text: 1}),
            lambda: session.write_scores(scores, entity_id="id"),
            lambda: session.write_scores(scores, entity_id="label", score_class="id"),
        ):
            with pytest.raises(mfprefect.InvalidValue):
                write()
        assert rows(store) == before


def test_names_that_differ_by_case_or_blanks_are_different(store: Store) -> None:
    names = [x for x in ("a", "A", "a ", " a", "á", "é", "e\u0301") if not unfit(store, x)]
    with store.session("churn") as session:
        session.log_metrics({name: i for i, name in enumerate(names)})
        frame = pd.DataFrame({"id": names, "score": range(len(names))})
        session.write_scores(frame, entity_id="id")
    metrics = store.metrics(session.session_id).set_index("metric_name")["value"]
    assert metrics.to_dict() == {name: float(i) for i, name in enumerate(names)}
    scores = store.scores(session.session_id).set_index("entity_id")["score"]
    assert scores.to_dict() == {name: float(i) for i, name in enumerate(names)}


def test_doubles_survive_bit_for_bit(store: Store) -> None:
    with store.session("churn") as session:
        session.log_metrics({f"m{i:02}": value for i, value in enumerate(DOUBLES)})
        frame = pd.DataFrame({"id": [f"{i:02}" for i in range(len(DOUBLES))], "score": DOUBLES})
        session.write_scores(frame, entity_id="id")
    assert bits(store.metrics(session.session_id)["value"]) == bits(DOUBLES)
    assert bits(store.scores(session.session_id)["score"]) == bits(DOUBLES)


def test_negative_zero_survives_where_the_database_has_one(store: Store) -> None:
    with store.session("churn") as session:
        session.log_metrics({"zero": -0.0})
        session.write_scores(pd.DataFrame({"id": ["a"], "score": [-0.0]}), entity_id="id")
    keeps = store.database.backend.keeps_negative_zero
    sign = -1 if store.database.read_transaction(keeps) else 1
    assert math.copysign(1, store.metrics(session.session_id)["value"][0]) == sign
    assert math.copysign(1, store.scores(session.session_id)["score"][0]) == sign


SOME_TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)
# + 0.0: negative zero has its own test.
SOME_NUMBER = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.lists(
        st.tuples(SOME_TEXT, SOME_NUMBER, st.none() | SOME_TEXT | st.just("")),
        max_size=30,
        unique_by=lambda row: row[0],
    )
)
def test_any_scores_survive(store: Store, data: list[tuple[str, float, str | None]]) -> None:
    table = pa.table(
        {
            "id": pa.array([row[0] for row in data], pa.string()),
            "p": pa.array([row[1] for row in data], pa.float64()),
            "k": pa.array([row[2] for row in data], pa.string()),
        }
    )
    with store.session("churn") as session:
        if any(unfit(store, name, label) for name, _, label in data):
            with pytest.raises(mfprefect.InvalidScores):
                session.write_scores(table, entity_id="id", score="p", score_class="k")
            return
        session.write_scores(table, entity_id="id", score="p", score_class="k")
    read = [row for batch in store.iter_scores(session.session_id) for row in batch.to_pylist()]
    by_entity = {row["entity_id"]: (bits([row["score"]]), row["score_class"]) for row in read}
    assert by_entity == {name: (bits([value]), label) for name, value, label in data}
    assert [row["entity_id"] for row in read] == sorted(by_entity, key=str.encode)

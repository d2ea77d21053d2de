"""Scores and models: validated, visible once published, read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import InvalidScores, Store
from mfprefect.testing.contract.helpers import rows, unfit


def _visible(store: Store, view: str) -> int:
    schema = store.database.schema
    table = sa.table(schema.name(view), schema=schema.layout.schema)
    return int(store.database.fetch_all(sa.select(sa.func.count()).select_from(table))[0][0])


def test_scores_are_visible_once_the_session_succeeded(store: Store) -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "p": [0.1, 0.2, 0.3], "k": ["x", None, ""]})
    with store.session("churn", purpose="score") as session:
        assert session.write_scores(frame, entity_id="id", score="p", score_class="k") == 3
        assert len(store.scores(session.session_id)) == 0
        assert _visible(store, "published_scores") == _visible(store, "latest_scores") == 0
    published = store.scores(session.session_id)
    assert list(published["entity_id"]) == ["1", "2", "3"]
    assert published["score_class"].tolist()[::2] == ["x", ""]
    assert pd.isna(published["score_class"][1])
    with store.session("churn", purpose="score") as later:
        later.write_scores(frame.head(1), entity_id="id", score="p")
    assert _visible(store, "published_scores") == 4
    assert _visible(store, "latest_scores") == 3


def test_frames_batches_and_files_are_written_alike(store: Store, tmp_path: Any) -> None:
    import pyarrow.parquet as pq

    frame = pd.DataFrame({"id": [f"{i:03}" for i in range(100)], "score": np.arange(100) / 7})
    table = pa.Table.from_pandas(frame)
    pq.write_table(table, tmp_path / "scores.parquet")
    pieces = [table.slice(start, 30) for start in range(0, 100, 30)]
    forms: list[Any] = [frame, table, pieces, (p.to_pandas() for p in pieces)]
    forms += [table.to_batches(max_chunksize=10), tmp_path / "scores.parquet"]
    for form in forms:
        with store.session("churn") as session:
            assert session.write_scores(form, entity_id="id") == 100
        pd.testing.assert_frame_equal(
            store.scores(session.session_id)[["entity_id", "score"]],
            frame.rename(columns={"id": "entity_id"}),
            check_dtype=False,
        )


def test_many_rows_in_any_order_become_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfprefect.scores.PIECE_ROWS", 1_000)
    monkeypatch.setattr("mfprefect.store.scores.write.LARGE_PART", 1_000)
    order = np.random.default_rng(1).permutation(4_500)
    frame = pd.DataFrame({"id": order, "score": order / 7})
    with store.session("churn", purpose="score") as session:
        session.write_scores(frame.head(100), entity_id="id")  # a small part before the large ones
        assert session.write_scores(frame.iloc[100:], entity_id="id") == 4_400
        assert _visible(store, "published_scores") == 0
    parts = store.score_parts(session.session_id)
    assert parts["rows"].tolist() == [100, 1_000, 1_000, 1_000, 1_000, 400]
    stored = store.scores(session.session_id)
    assert stored["entity_id"].tolist() == sorted(map(str, order))
    assert np.array_equal(stored["score"], stored["entity_id"].astype(int) / 7)
    assert _visible(store, "published_scores") == _visible(store, "latest_scores") == 4_500
    store.delete_session(session.session_id)
    assert rows(store)["scores"] == _visible(store, "published_scores") == 0


def test_an_entity_of_two_large_parts_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfprefect.store.scores.write.LARGE_PART", 10)
    frame = pd.DataFrame({"id": range(20), "score": 0.5})
    with pytest.raises(InvalidScores, match="entity"), store.session("churn") as session:
        session.write_scores(frame, entity_id="id")
        session.write_scores(frame.tail(10), entity_id="id")
    assert store.show(session.session_id)["failure_kind"].tolist() == ["InvalidScores"]
    assert _visible(store, "published_scores") == len(store.scores(session.session_id)) == 0


def test_a_reader_may_stop_early(store: Store) -> None:
    frame = pd.DataFrame({"id": range(120_000), "score": np.arange(120_000) / 7})
    with store.session("churn") as session:
        session.write_scores(frame, entity_id="id")
    for _ in range(3):
        batches = store.iter_scores(session.session_id)
        assert next(batches).num_rows > 0
        batches.close()  # type: ignore[attr-defined]
    read = sum(batch.num_rows for batch in store.iter_scores(session.session_id))
    assert read == 120_000


def test_scores_are_chosen_by_entity_and_by_range(store: Store) -> None:
    ids = ["7", "a", "A", "a ", "it's", 'say "x"', "back\\slash", "100%", "%%s", ":x", "é😀\n"]
    ids = [x if not unfit(store, x) else "b" for x in ids]
    scores = [-1e300, -2.5, -5e-324, -0.0, 5e-324, 0.1, 0.1 + 2**-56, 1 / 3, 0.5, 1.0, 1e300]
    with store.session("churn") as session:
        session.write_scores(pd.DataFrame({"id": ids, "score": scores}), entity_id="id")
        assert len(store.scores(session.session_id, entity_ids=ids)) == 0
    for id_, score in zip(ids, scores, strict=True):
        for choice in ({"entity_ids": [id_]}, {"at_least": score, "at_most": score}):
            frame = store.scores(session.session_id, **choice)
            assert list(zip(frame["entity_id"], frame["score"], strict=True)) == [(id_, score)]
        latest = store.latest_scores("churn", id_)
        assert latest["score"].tolist() == [score]
    many = [7, *ids, *range(100, 2_000)]
    assert list(store.scores(session.session_id, entity_ids=many)["entity_id"]) == sorted(ids)


BAD_SCORES: dict[str, tuple[dict[str, list[Any]], str]] = {
    "duplicate ids": ({"id": ["a", "a"], "score": [1.0, 2.0]}, "duplicates"),
    "a NULL id": ({"id": ["a", None], "score": [1.0, 2.0]}, "NULL"),
    "an empty id": ({"id": ["a", ""], "score": [1.0, 2.0]}, "empty"),
    "NaN": ({"id": ["a", "b"], "score": [1.0, float("nan")]}, "NaN"),
    "infinity": ({"id": ["a", "b"], "score": [1.0, float("-inf")]}, "infinite"),
    "a NULL score": ({"id": ["a", "b"], "score": [1.0, None]}, "NULL"),
    "an over-long id": ({"id": ["a", "b" * 256], "score": [1.0, 2.0]}, "longer than 255"),
    "mixed types": ({"id": ["a", 1], "score": [1.0, 2.0]}, "mixes types"),
    "fractions as ids": ({"id": [1.5, 2.5], "score": [1.0, 2.0]}, "text or integers"),
    "text as scores": ({"id": ["a", "b"], "score": ["x", "y"]}, "numbers"),
    "a NUL character": ({"id": ["a", "b\0"], "score": [1.0, 2.0]}, "NUL"),
    "a missing column": ({"id": ["a", "b"]}, "no column 'score'"),
}


@pytest.mark.parametrize("case", BAD_SCORES)
def test_bad_scores_are_refused_before_anything_is_written(store: Store, case: str) -> None:
    data, message = BAD_SCORES[case]
    with store.session("churn") as session:
        before = rows(store)
        with pytest.raises(mfprefect.InvalidScores, match=message):
            session.write_scores(pd.DataFrame(data), entity_id="id")
        assert rows(store) == before


def test_a_part_without_a_number_replaces_no_other(store: Store) -> None:
    def frame(name: str) -> pd.DataFrame:
        return pd.DataFrame({"id": [name], "score": [0.5]})

    with store.session("churn") as session:
        session.write_scores(frame("a"), entity_id="id", part=2)
        session.write_scores(frame("b"), entity_id="id")
        session.write_scores(frame("c"), entity_id="id")
    assert store.score_parts(session.session_id)["part_no"].tolist() == [2, 3, 4]
    assert store.scores(session.session_id)["entity_id"].tolist() == ["a", "b", "c"]


def test_an_entity_has_one_score_a_session(store: Store) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "score": [1.0, 2.0]})
    with store.session("churn") as session:
        session.write_scores(frame, entity_id="id")
        with pytest.raises(mfprefect.InvalidScores, match="part 2"):
            session.write_scores(frame, entity_id="id")
        session.write_scores(frame.assign(score=9), entity_id="id", part=1)
    assert list(store.scores(session.session_id)["score"]) == [9.0, 9.0]


def test_a_large_model_comes_back(store: Store) -> None:
    blob = np.random.default_rng(0).bytes(9 * 1024 * 1024 + 7)
    with store.session("churn", purpose="train") as session:
        session.save_model(blob)
        session.save_model(b"small", name="other")
    assert store.load_model(session.session_id) == blob
    assert store.load_model(session.session_id, "other") == b"small"
    with pytest.raises(mfprefect.InvalidValue, match="model, other"):
        store.load_model(session.session_id, "nope")


def test_an_altered_model_is_not_loaded(store: Store) -> None:
    with store.session("churn", purpose="train") as session:
        session.save_model(b"the model")
    chunks = store.database.schema.artifact_chunks
    store.database.write_transaction(
        lambda c, _: c.execute(chunks.update().values(bytes=b"a model !"))
    )
    with pytest.raises(mfprefect.ArtifactCorrupt):
        store.load_model(session.session_id)
    with pytest.raises(mfprefect.SealBroken, match="artifact_chunks: 'model'"):
        store.verify(session_id=session.session_id)
    store.delete_session(session.session_id)

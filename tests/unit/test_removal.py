from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import mfprefect
from mfprefect import Store
from mfprefect.cli import cli
from mfprefect.store.retention import batches, delete, delete_scores
from mfprefect.testing.contract.helpers import fill, orphans


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url) as opened:
        opened.add_model("churn")
        yield opened


def scored(store: Store, rows: int, model_id: str = "churn") -> str:
    with store.session(model_id, purpose="score") as session:
        ids = pd.RangeIndex(rows)
        session.write_scores(pd.DataFrame({"id": ids, "score": ids / rows}), entity_id="id")
    return session.session_id


def rows_left(store: Store) -> int:
    scores = store.database.schema.scores
    return int(store.database.fetch_all(sa.select(sa.func.count()).select_from(scores))[0][0])


def actions(store: Store) -> list[str]:
    events = store.database.schema.audit_events
    return [row[0] for row in store.database.fetch_all(sa.select(events.c.action))]


def interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delete, "LARGE", 25)
    monkeypatch.setattr(delete_scores, "LARGE", 25)
    monkeypatch.setattr(batches, "BATCH_ROWS", 10)


def test_scores_go_and_figures_stay(store: Store, database_url: str) -> None:
    with store.session("churn", purpose="score") as session:
        fill(session)
    name = session.session_id
    parts, published = store.score_parts(name), store.show(name)["published_at"][0]
    store.delete_scores(name)
    row = store.show(name).iloc[0]
    assert (row["status"], pd.isna(row["published_at"])) == ("succeeded", True)
    assert rows_left(store) == 0
    assert len(store.metrics(name)) > 5
    pd.testing.assert_frame_equal(store.score_parts(name), parts)
    metadata = store.metadata(name)
    note = metadata[metadata["meta_group"] == "retention"].iloc[0]
    detail = json.loads(note["value"])
    assert (note["meta_name"], detail["rows"]) == ("scores_deleted", 2)
    assert pd.Timestamp(detail["published_at"]) == published
    assert actions(store)[-1] == "delete_scores"
    with pytest.raises(mfprefect.InvalidValue, match="has no scores"):
        store.delete_scores(name)
    with store.session("churn") as unfinished:
        unfinished.write_scores(pd.DataFrame({"id": ["a"], "score": [1.0]}), entity_id="id")
        with pytest.raises(mfprefect.InvalidValue, match="is running"):
            store.delete_scores(unfinished.session_id)
    with pytest.raises(mfprefect.InvalidValue, match="deleted"):
        store.score_summary(name)
    answer = CliRunner().invoke(cli, ["scores", name, "--url", database_url])
    assert answer.exit_code == 1
    assert "were deleted" in answer.output


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_interrupted_deletion_of_scores_is_finished(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = scored(store, 95), scored(store, 20)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(time, "sleep", interrupt)
        store.delete_scores(name)
    assert rows_left(store) == 85 + 20
    assert len(store.scores(name)) == 0
    assert delete_scores.finish_score_deletions(store.database) == [name]
    assert rows_left(store) == len(store.scores(other)) == 20
    assert delete_scores.finish_score_deletions(store.database) == []
    assert actions(store).count("delete_scores") == 1


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_interrupted_deletions_are_found_and_finished(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_model("second")
    first, second = scored(store, 95), scored(store, 95, "second")
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.delete_session(first)
        with pytest.raises(KeyboardInterrupt):
            store.delete_model("second")
    shown = store.show(first, second).set_index("session_id")
    assert shown["deletion"].to_dict() == {first: "session", second: "model"}
    assert set(shown["status"]) == {"cancelled"}
    assert shown["failure_kind"].isna().all()
    assert rows_left(store) == 2 * 85
    running = store.session("second")
    assert delete.finish_deletions(store.database) == [first]
    assert rows_left(store) == 85
    running.cancel("the model goes")
    assert delete.finish_deletions(store.database) == ["second"]
    assert store.models()["model_id"].tolist() == ["churn"]
    assert store.sessions().empty
    assert orphans(store) == {}


@pytest.mark.usefixtures("small_is_large")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_that_delete_a_session_do_not_touch_the_next_one_of_its_number(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = scored(store, 95)

    def meanwhile(seconds: float) -> None:
        monkeypatch.setattr(time, "sleep", lambda _: None)
        store.delete_session(name)  # somebody else, who is faster
        later.append(scored(store, 30))

    later: list[str] = []
    number = store.show(name)["session_no"][0]
    monkeypatch.setattr(time, "sleep", meanwhile)
    store.delete_session(name)
    assert store.show(later[0])["session_no"][0] == number
    assert len(store.scores(later[0])) == rows_left(store) == 30

"""`write_scores` of a Spark DataFrame: its executors write each partition as a part."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pyarrow as pa
import pytest
from prefect import flow

import mfprefect
from mfprefect import InvalidScores, InvalidValue, SessionClosed, Store
from mfprefect.session.partitions import Columns, PartitionWriter

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of py4j

DATABASES = ["sqlite", "postgres", "mysql"]
on_each = pytest.mark.parametrize("database_url", DATABASES, indirect=True)


@pytest.fixture
def store(schema_url: str) -> Iterator[Store]:
    with mfprefect.connect(schema_url) as store:
        store.add_model("churn", description="x", entity_type="customer")
        yield store


def frame_of(spark: Any, rows: int, partitions: int) -> Any:
    """Return ids, scores and classes; rows of neighbouring ids are in one partition."""
    ids = spark.range(rows, numPartitions=partitions)
    return ids.selectExpr(
        "concat('c', id) as customer_id",
        "cast(id as double) / 1000 as score",
        "if(id % 2 = 0, 'even', 'odd') as parity",
        "repeat('never read', 100) as text",
    )


@on_each
def test_each_partition_is_a_part(store: Store, spark: Any) -> None:
    frame = frame_of(spark, 1_000, 5)
    with store.session("churn", purpose="score") as session:
        assert session.write_scores(frame, "customer_id", score_class="parity") == 1_000
        assert store.scores(session.session_id).empty  # not published yet
    scores = store.scores(session.session_id).set_index("entity_id")
    expected = frame.drop("text").toArrow().to_pandas().set_index("customer_id")
    assert scores["score"].loc[expected.index].tolist() == expected["score"].tolist()
    assert scores["score_class"].loc[expected.index].tolist() == expected["parity"].tolist()
    parts = store.score_parts(session.session_id)
    assert parts["part_no"].tolist() == [1, 2, 3, 4, 5]
    assert parts["rows"].tolist() == [200] * 5


@on_each
def test_the_driver_collects_no_rows(store: Store, spark: Any) -> None:
    frame = frame_of(spark, 100_000, 4).drop("text")
    # The session's spark.driver.maxResultSize.
    with pytest.raises(Exception, match="maxResultSize"):
        frame.collect()
    with store.session("churn", purpose="score") as session:
        assert session.write_scores(frame, "customer_id", score_class="parity") == 100_000
    assert store.score_parts(session.session_id)["rows"].tolist() == [25_000] * 4


@on_each
def test_frames_of_spark_and_of_pandas_in_one_session(store: Store, spark: Any) -> None:
    ids = pd.DataFrame({"customer_id": ["x", "y"], "score": [0.25, 0.5]})
    with store.session("churn", purpose="score") as session:
        session.write_scores(ids, "customer_id")
        assert session.write_scores(frame_of(spark, 10, 3), "customer_id") == 10
        # Partitions without rows are no parts; a shuffle has others than the frame before it.
        grouped = spark.createDataFrame(
            [("g", 1.0), ("g", 2.0)], "customer_id string, score double"
        )
        session.write_scores(grouped.groupBy("customer_id").avg("score").toDF("id", "s"), "id", "s")
        session.write_scores(ids.assign(customer_id=["v", "w"]), "customer_id")
    scores = store.scores(session.session_id).set_index("entity_id")["score"]
    assert len(scores) == 15
    assert (scores["g"], scores["c9"], scores["w"]) == (1.5, 0.009, 0.5)
    assert store.score_parts(session.session_id)["rows"].sum() == 15


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_frame_without_rows(store: Store, spark: Any) -> None:
    with store.session("churn", purpose="score") as session:
        assert session.write_scores(frame_of(spark, 10, 2).limit(0), "customer_id") == 0
    assert store.score_parts(session.session_id)["rows"].tolist() == [0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_refused(store: Store, spark: Any) -> None:
    frame = frame_of(spark, 100, 4)
    with store.session("churn", purpose="score") as session:
        with pytest.raises(InvalidValue, match="leave `part` out"):
            session.write_scores(frame, "customer_id", part=2)
        with pytest.raises(InvalidScores, match=r"'client'.*customer_id"):
            session.write_scores(frame, "client")
        assert store.score_parts(session.session_id).empty
        wrong = frame.selectExpr("customer_id", "if(customer_id = 'c60', null, score) as score")
        with pytest.raises(InvalidScores, match="c60") as raised:
            session.write_scores(wrong, "customer_id")
        assert raised.value.examples == ("c60",)
        # The other partitions are there, for the next attempt; nobody can read them.
        assert store.score_parts(session.session_id)["rows"].tolist() == [25, 25, 25]
        session.drop_parts()
        twice = frame.union(frame.where("customer_id = 'c7'"))
        with pytest.raises(InvalidScores, match="an entity that another part"):
            session.write_scores(twice, "customer_id")
        session.drop_parts()
        session.write_scores(frame, "customer_id")
    assert len(store.scores(session.session_id)) == 100


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_executors_of_a_session_that_has_ended_write_nothing(store: Store, spark: Any) -> None:
    session = store.session("churn", purpose="score")
    other = store.attach(session.session_id)
    session.cancel("by hand")
    with pytest.raises(SessionClosed, match="cancelled"):
        other.write_scores(frame_of(spark, 100, 4), "customer_id")
    assert store.scores(session.session_id).empty
    assert store.score_parts(session.session_id).empty


@on_each
def test_a_task_that_runs_twice_at_once(store: Store) -> None:
    """As Spark's speculation does. The function is the one that executors run."""
    ids = [f"c{number}" for number in range(5_000)]
    batch = pa.RecordBatch.from_pydict({"customer_id": ids, "score": [0.5] * len(ids)})
    columns = Columns("customer_id", "score", None)
    with store.session("churn", purpose="score") as session:
        writer = PartitionWriter(session.settings, session.handle, columns, 0)
        with ThreadPoolExecutor(2) as pool:
            copies = [cloudpickle.loads(cloudpickle.dumps(writer)) for _ in range(2)]
            tasks = [pool.submit(copy, 2, iter([batch])) for copy in copies]
            first, second = (task.result() for task in tasks)
        assert first == second
    assert len(store.scores(session.session_id)) == 5_000
    assert store.score_parts(session.session_id)["part_no"].tolist() == [3]


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize(("partitions", "same"), [([4, 4], "4 of 4"), ([4, 3], "0 of 3")])
def test_a_retry_writes_what_differs(
    store: Store,
    spark: Any,
    prefect_api: str,
    caplog: pytest.LogCaptureFixture,
    partitions: list[int],
    same: str,
) -> None:
    caplog.set_level("INFO", "mfprefect.session.partitions")
    numbers = list(partitions)

    @flow(retries=1, retry_delay_seconds=0)
    def scoring() -> str:
        with store.session("churn", purpose="score") as session:
            session.write_scores(frame_of(spark, 120, numbers.pop(0)), "customer_id")
            if numbers:
                raise RuntimeError("once")
        return session.session_id

    session_id = scoring()
    assert len(store.scores(session_id)) == 120
    parts = store.score_parts(session_id)
    assert parts["part_no"].tolist() == list(range(1, partitions[1] + 1))
    assert set(parts["attempt"]) == {2}
    assert f"{same} partitions have the scores of an earlier attempt" in caplog.text


PASSWORD = "correct-horse-battery"


def test_spark_shows_no_secret(
    spark: Any,
    spark_events: Path,
    postgres_login: Callable[[str], AbstractContextManager[str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    frame = frame_of(spark, 100, 2)
    with postgres_login(PASSWORD) as url, mfprefect.connect(url) as store:
        store.create_schema()
        store.add_model("churn", description="x", entity_type="customer")
        with store.session("churn", purpose="score") as session:
            session.write_scores(frame, "customer_id")
            with pytest.raises(InvalidScores):
                session.write_scores(frame, "customer_id")
            session.drop_parts()
            session.write_scores(frame, "customer_id")
        assert len(store.scores(session.session_id)) == 100
    events = "".join(file.read_text() for file in spark_events.rglob("*") if file.is_file())
    assert "mapInArrow" in events or "MapInArrow" in events
    assert PASSWORD not in events
    assert PASSWORD not in "".join(capfd.readouterr())
    assert all(PASSWORD not in value for _, value in spark.sparkContext.getConf().getAll())
    assert not any(PASSWORD in value for value in os.environ.values())

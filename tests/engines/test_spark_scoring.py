"""`scoring_data` returns a Spark DataFrame: executors check, score and write its partitions."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mfprefect import Store
from mfprefect.checks import NullShare, RowCount

# A model in a file of its own, as Prefect loads it: no executor can import it by name.
FILE = """
import contextlib
import os
import signal

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect.checks import NullShare, RowCount, Unique

PARTITIONS = [4]
# of each attempt; the last number is that of all others, too


def customers() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    frame.insert(0, "customer_id", [f"c{number:03}" for number in range(600)])
    return frame


class Model(mfprefect.Model):
    model_id = "sparked"
    entity_id = "customer_id"
    target = "left"
    retry_delay_seconds = 0.0
    checks = [NullShare("a", at_most=0.1), RowCount(at_least=500), Unique("b")]

    def training_data(self, as_of):
        frame = customers()
        frame["left"] = (frame["a"] > 0).astype(int)
        return frame

    def fit(self, features, target):
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of, part):
        return self.frame()

    def frame(self):
        path = f"{FOLDER}/customers.parquet"
        if not os.path.exists(path):
            customers().to_parquet(path)
        number = PARTITIONS.pop(0) if len(PARTITIONS) > 1 else PARTITIONS[0]
        frame = SparkSession.builder.getOrCreate().read.parquet(path).where(WHERE)
        if COPIES > 1:
            copies = frame.sparkSession.range(COPIES)
            new_id = "concat(customer_id, '-', id) as customer_id"
            frame = frame.crossJoin(copies).selectExpr(new_id, "a", "b")
        return frame.repartitionByRange(number, "customer_id").sortWithinPartitions("customer_id")

    def score_class(self, score):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{FOLDER}/break")  # by one partition only, once
            raise RuntimeError("no class today")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{FOLDER}/kill")
            os.kill(os.getpid(), signal.SIGKILL)
        return [f"process {os.getpid()}"] * len(score)


WHERE = "true"
COPIES = 1
"""


@pytest.fixture
def sparked(load_file: Callable[..., ModuleType], tmp_path: Path, spark: Any) -> Any:
    module = load_file(f"FOLDER = {str(tmp_path)!r}\n{FILE}")
    spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    return module


def require_scores(store: Store, sparked: Any, trained: str, scored: str) -> None:
    """Hold the scores against those of the estimator."""
    scores = store.scores(scored).set_index("entity_id")
    features = sparked.customers().set_index("customer_id")
    expected = store.load_model(trained).predict_proba(features)[:, 1]
    assert len(scores) == 600
    # The last bit depends on how many rows are multiplied at once.
    stored = scores["score"].loc[features.index]
    assert stored.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    scorers = set(scores["score_class"])
    assert scorers
    assert f"process {os.getpid()}" not in scorers


def drift_from(store: Store, scored: str, trained: str) -> dict[Any, float]:
    """Return the drift of a scoring's input from the training, by variable and measure."""
    drift = store.drift(scored)
    drift = drift[drift["reference_session_id"] == trained]
    values: dict[Any, float] = drift.set_index(["variable", "measure"])["value"].to_dict()
    return values


on_two = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@on_two
@pytest.mark.parametrize("batched", [False, True])
def test_partitions_are_scored_by_executors(
    flow_store: Store, sparked: Any, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparked.Model.batched = batched
    monkeypatch.setenv("MFPREFECT_BATCH_ROWS", "60")
    flows = sparked.Model.flows()
    trained, scored = flows.train(), flows.score()
    require_scores(flow_store, sparked, trained, scored)
    assert flow_store.score_parts(scored)["part_no"].tolist() == [1, 2, 3, 4]
    metadata = flow_store.metadata(scored).set_index("meta_name")["value"]
    assert metadata["partitions"] == "4"
    assert metadata["way"] == "python"
    assert metadata["reason"] == "scoring_data returned a Spark DataFrame, whose executors score"
    reading = "in batches of 60 rows" if batched else "whole: batched = False"
    assert metadata["reading"] == f"by Spark's executors, {reading}"
    # What the executors read and checked is on record, merged over all partitions.
    assert flow_store.inputs(scored)["source"].tolist() == [
        f"scoring_data part {part}" for part in range(1, 5)
    ]
    assert flow_store.inputs(scored)["rows"].sum() == 600
    checks = flow_store.checks(scored)
    assert checks["passed"].all()
    assert checks["message"].iloc[-3:].str.contains("(in all 4 parts)", regex=False).all()
    metrics = flow_store.metrics(scored).set_index("metric_name")["value"]
    assert metrics["rows_scored"] == 600

    # The number of rows is compared with that of an earlier scoring, however many parts it had.
    sparked.PARTITIONS = [3]
    assert len(flow_store.score_parts(flows.score())) == 3

    # The same rows without Spark have the same summary and drift.
    sparked.Model.checks = []
    sparked.Model.frame = lambda self: sparked.customers()
    without = flows.score()
    one, other = (flow_store.input_summary(s).set_index("variable") for s in (scored, without))
    assert one["n"].tolist() == other["n"].tolist() == [600, 600]
    assert one["mean"].tolist() == pytest.approx(other["mean"].tolist(), rel=1e-9)
    drift = drift_from(flow_store, scored, trained)
    assert len(drift) == 6
    assert drift == pytest.approx(drift_from(flow_store, without, trained), rel=1e-9)


@on_two
def test_spark_runs_the_task_of_a_killed_process_again(
    flow_store: Store, sparked: Any, tmp_path: Path
) -> None:
    flows = sparked.Model.flows()
    trained = flows.train()
    (tmp_path / "kill").touch()
    scored = flows.score()
    assert not (tmp_path / "kill").exists()
    require_scores(flow_store, sparked, trained, scored)
    assert flow_store.show(scored)["attempt"][0] == 1


@on_two
@pytest.mark.parametrize("partitions", [[4], [4, 3], [3, 4]])
def test_a_retry_scores_what_is_missing(
    flow_store: Store, sparked: Any, tmp_path: Path, partitions: list[int]
) -> None:
    flows = sparked.Model.flows()
    trained = flows.train()
    (tmp_path / "break").touch()
    sparked.PARTITIONS = list(partitions)
    scored = flows.score.with_options(retries=1, retry_delay_seconds=0)()
    require_scores(flow_store, sparked, trained, scored)
    parts = flow_store.score_parts(scored)
    assert len(parts) == partitions[-1]
    if len(partitions) == 1:
        # Partitions with the rows of the first attempt have its scores.
        assert sorted(parts["attempt"]) == [1, 1, 1, 2]
    else:
        assert set(parts["attempt"]) == {2}
    in_all = f"(in all {partitions[-1]} parts)"
    assert flow_store.checks(scored)["message"].iloc[-1].endswith(in_all)
    assert flow_store.inputs(scored)["rows"].sum() == 600


@on_two
def test_the_driver_collects_no_rows(flow_store: Store, sparked: Any) -> None:
    sparked.COPIES = 200
    sparked.Model.checks = [NullShare("a", at_most=0.1), RowCount(at_least=500)]
    flows = sparked.Model.flows()
    flows.train()
    # The session's spark.driver.maxResultSize.
    with pytest.raises(Exception, match="maxResultSize"):
        sparked.Model().frame().collect()
    scored = flows.score()
    assert flow_store.score_parts(scored)["rows"].sum() == 120_000
    assert len(flow_store.scores(scored)) == 120_000


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_failed_checks_and_few_rows(flow_store: Store, sparked: Any) -> None:
    flows = sparked.Model.flows()
    flows.train()
    # Each partition is right; all of them together have too few rows.
    sparked.WHERE = "customer_id < 'c400'"
    assert flows.score(return_state=True).is_failed()
    row = flow_store.sessions("sparked").iloc[0]
    assert (row["status"], row["failure_kind"]) == ("failed", "ChecksFailed")
    assert "400" in row["failure_text"]
    assert flow_store.score_parts(row["session_id"]).empty
    sparked.Model.checks = []
    sparked.WHERE = "false"
    scored = flows.score()
    assert flow_store.scores(scored).empty
    assert flow_store.score_parts(scored)["rows"].tolist() == [0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_divides_rows_in_another_way_is_refused(flow_store: Store, sparked: Any) -> None:
    flows = sparked.Model.flows()
    flows.train()
    sparked.Model.parts = 3
    assert flows.score(return_state=True).is_failed()
    row = flow_store.sessions("sparked").iloc[0]
    assert "leave parts = 3 out" in row["failure_text"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_class_that_asks_for_sql_is_refused(flow_store: Store, sparked: Any) -> None:
    del sparked.Model.score_class  # only Python can call it
    sparked.Model.scoring, sparked.Model.checks = "sql", []
    flows = sparked.Model.flows()
    flows.train()
    assert flows.score(return_state=True).is_failed()
    row = flow_store.sessions("sparked").iloc[0]
    assert row["failure_kind"] == "ConfigurationError"
    assert "scoring_data returned a Spark DataFrame" in row["failure_text"]
    assert flow_store.score_parts(row["session_id"]).empty

"""What lies between a model and its use, in whole flows: order, empty parts, unmatched outcomes."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import LinearSVC

from mfprefect import InvalidValue, Model, Store
from mfprefect.cli.commands.compare import _params
from mfprefect.cli.readable import Readable

DAY = dt.date(2026, 1, 31)
RNG = np.random.default_rng(0)
DATA = pd.DataFrame({"customer_id": [f"c{k:03d}" for k in range(200)], "x": RNG.normal(size=200)})
DATA["left"] = (DATA["x"] + RNG.normal(size=200) > 0).astype(int)


class Churn(Model):
    model_id, entity_id, target, retries = "churn", "customer_id", "left", 0
    parts = 3
    masked = ("customer_id",)
    C = 1.0

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return DATA.copy()

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return LinearSVC(C=self.C, random_state=0).fit(features, target)

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return pd.Series(super().predict(estimator, features), features.index).sort_values()

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return DATA.drop(columns="left").iloc[(part - 1) * 100 : part * 100]

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        return pd.DataFrame({"customer_id": range(50), "actual": [0, 1] * 25})


class Plain(Churn):
    C = 0.5
    predict = Model.predict
    min_rows = 1

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return DATA.iloc[:0]


def noted(store: Store, session_id: str, group: str) -> dict[str, str]:
    frame = store.metadata(session_id)
    rows = frame[frame["meta_group"] == group]
    return dict(zip(rows["meta_name"], rows["value"], strict=True))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_from_predict_to_monitor(flow_store: Store) -> None:
    store = flow_store
    train, score, monitor = Churn.flows()
    trained, scored = train(DAY), score(DAY)
    expected = pd.Series(
        store.load_model(trained).decision_function(DATA[["x"]]), DATA["customer_id"]
    )
    scores = store.scores(scored).set_index("entity_id")["score"]
    np.testing.assert_allclose(scores, expected.loc[scores.index])
    assert store.score_parts(scored)["rows"].tolist() == [100, 100, 0]
    assert noted(store, trained, "estimator")["C"] == "1.0"
    assert noted(store, trained, "split")["rule"].startswith("SHA-256 of customer_id")
    assert noted(store, scored, "model")["scores"] == "Churn.predict"

    watched = monitor(DAY)
    drift = store.drift(watched).set_index("variable")
    assert drift.loc["outcomes", "verdict"] == "alarm"
    text = noted(store, watched, "outcomes")[scored]
    assert "none of 50 outcomes belongs to one of 200 scores" in text
    assert "***" in text
    assert "c000" not in text

    train, score, _ = Plain.flows()
    again = train(DAY)
    assert noted(store, again, "model")["scores"] == "decision_function"
    metrics = set(store.metrics(again)["metric_name"])
    assert "auc" in metrics
    assert not metrics & {"brier", "log_loss", "ece"}
    assert "not probabilities" in store.report(again)
    sides = [Readable(store, name) for name in (trained, again)]
    # Sessions of earlier versions have them in their metadata only.
    older, newer = ({"session_id": x, "params": {}} for x in (trained, again))
    newer["params"] = json.loads(store.show(again)["params"][0])
    changed = {row["name"]: row for row in _params(sides, [older, newer]) if row["changed"]}
    assert changed.keys() == {"as_of", "estimator.C"}
    assert (changed["estimator.C"]["a"], changed["estimator.C"]["b"]) == (1.0, 0.5)
    with pytest.raises(InvalidValue, match=r"returned 0 rows in 3 parts; Plain has min_rows = 1"):
        score(DAY)

    Plain.min_rows = 0
    empty = score(DAY)
    assert len(store.scores(empty)) == 0
    assert "no rows" in noted(store, empty, "scoring")["empty"]
    watched = monitor(DAY)
    assert store.show(watched).iloc[0]["status"] == "succeeded"

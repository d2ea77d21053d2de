"""Flows of models that are not binary: several classes, and a time series with segments."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score

import mfprefect
from mfprefect import Store


@pytest.fixture
def store(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MFPREFECT_URL", f"sqlite:///{tmp_path / 'flows.db'}")
    with mfprefect.connect() as store:
        store.create_schema()
        yield store


def figures(store: Store, session_id: str, segment: str = "") -> dict[str, float]:
    frame = store.metrics(session_id)
    rows = frame[frame["segment"] == segment]
    return dict(zip(rows["metric_name"], rows["value"], strict=True))


class Iris(mfprefect.Model):
    """Which species an iris is of."""

    model_id = "iris"
    entity_id = "flower"
    target = "species"
    model_type = "multiclass"
    segments = ("garden",)

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        data = load_iris(as_frame=True)
        frame: pd.DataFrame = data.data.round(0)
        frame["garden"] = np.arange(150) % 2
        frame["species"] = data.target_names[data.target]
        frame["flower"] = np.arange(150)
        return frame

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        return LogisticRegression(max_iter=1_000).fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return self.training_data(as_of)

    def outcomes(self, as_of: dt.date) -> pd.DataFrame:
        return self.training_data(as_of)[["flower", "species"]].rename(
            columns={"species": "actual"}
        )


def test_a_model_of_several_classes(store: Store) -> None:
    train, score, monitor = Iris.flows()
    trained, scored, watched = train(), score(), monitor()

    frame = Iris().training_data(dt.date.today())
    from mfprefect.lifecycle.split import is_test

    held_out = frame[[is_test(flower, 0.3) for flower in frame["flower"]]]
    names = json.loads(str(store.metadata(trained).set_index("meta_name").loc["features", "value"]))
    estimator = store.load_model(trained)
    p = estimator.predict_proba(held_out[names])
    metrics = figures(store, trained)
    expected = roc_auc_score(held_out["species"], p, multi_class="ovr")
    assert metrics["auc_ovr"] == pytest.approx(expected, abs=1e-12)
    said = pd.Series(estimator.predict(held_out[names]), held_out.index)
    assert metrics["accuracy"] == accuracy_score(held_out["species"], said)
    even = held_out["garden"] == 0
    here = figures(store, trained, "garden=0")
    assert here["n"] == even.sum()
    assert here["accuracy"] == accuracy_score(held_out["species"][even], said[even])
    assert figures(store, trained, "class=setosa")["recall"] == 1
    importance = store.variable_importance(trained)
    assert set(importance["kind"]) == {"coefficient", "standardised_coefficient", "permutation"}

    published = store.scores(scored).set_index("entity_id")
    ids = frame["flower"].astype(str).tolist()
    every = estimator.predict_proba(frame[names])
    assert published["score"].loc[ids].tolist() == every.max(1).tolist()
    classes = published["score_class"].loc[ids].tolist()
    assert classes == estimator.predict(frame[names]).tolist()
    outcome = figures(store, watched, f"session={scored}")
    assert outcome["accuracy"] == pytest.approx(accuracy_score(frame["species"], classes))
    drift = store.drift(watched).set_index(["variable", "measure"])
    assert drift.loc[("accuracy", "drop"), "verdict"] == "ok"


class Sales(mfprefect.Model):
    """Monthly sales of two shops, with a season of four."""

    model_id = "sales"
    entity_id = "id"
    target = "sold"
    model_type = "time_series"
    period, series, season = "month", "shop", 4
    test_share = 0.25
    segments = ("shop",)

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        rng = np.random.default_rng(1)
        month = pd.date_range("2020-01-01", periods=40, freq="MS")
        rows = [
            pd.DataFrame({"shop": shop, "month": month, "t": np.arange(40), "s": np.arange(40) % 4})
            for shop in ("north", "south")
        ]
        frame = pd.concat(rows, ignore_index=True)
        frame["sold"] = 50 + frame["t"] + 10 * frame["s"] + rng.normal(0, 3, len(frame))
        frame["id"] = frame["shop"] + frame["month"].astype(str)
        return frame.sample(frac=1, random_state=2)  # the order of rows is no order of time

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        return LinearRegression().fit(features[["t", "s"]], target)

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        return estimator.predict(features[["t", "s"]])


def test_a_time_series_is_tested_on_its_last_periods(store: Store) -> None:
    trained = Sales.flows().train()
    frame = Sales().training_data(dt.date.today()).sort_values("month")
    model = LinearRegression().fit(frame[frame["t"] < 30][["t", "s"]], frame[frame["t"] < 30].sold)
    scaled, naive, errors = [], [], []
    for _, shop in frame.groupby("shop"):
        past, ahead = shop["sold"].to_numpy()[:30], shop[shop["t"] >= 30]
        error = np.abs(model.predict(ahead[["t", "s"]]) - ahead["sold"].to_numpy())
        scaled.append(error / np.abs(past[4:] - past[:-4]).mean())
        naive.append(np.abs(np.resize(past[-4:], 10) - ahead["sold"].to_numpy()))
        errors.append(error)
    metrics = figures(store, trained)
    assert metrics["n"] == 20
    assert metrics["mase"] == pytest.approx(np.concatenate(scaled).mean())
    skill = 1 - np.concatenate(errors).mean() / np.concatenate(naive).mean()
    assert metrics["skill"] == pytest.approx(skill)
    assert figures(store, trained, "shop=south")["mase"] == pytest.approx(scaled[1].mean())
    tested = store.backtests(trained)
    importance = store.variable_importance(trained)
    permuted = importance[importance["kind"] == "permutation"].set_index("variable")["importance"]
    assert permuted["month"] == 0 < permuted["s"]
    assert set(tested["series"]) == {"north", "south"}
    assert len(tested) == 20
    assert (tested["predicted"] - tested["actual"]).abs().mean() == pytest.approx(metrics["mae"])

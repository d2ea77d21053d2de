"""The models of flows/, by the tests that every model has to pass."""

from __future__ import annotations

import datetime as dt
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfprefect import Store
from mfprefect.testing import (
    ModelTests,
    TrainedModel,
    assert_decreasing,
    assert_flows_run,
    assert_increasing,
    assert_invariant,
)


def load(name: str) -> Any:
    file = Path(__file__).parents[2] / "flows" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


AIR = load("air_passengers")


class TestBreastCancer(ModelTests):
    model = load("breast_cancer").BreastCancer
    broken = {"patient_id": "patient-000", "malignant": 2, "mean radius": 0.5}
    # It is run on each database in test_lifecycle.py.
    test_it_trains_scores_and_is_monitored = None  # type: ignore[assignment]

    def test_a_larger_nucleus_is_not_better(self, mf_model: TrainedModel) -> None:
        assert_increasing(mf_model, "worst radius")


class TestDiabetes(ModelTests):
    model = load("diabetes").Diabetes
    broken = {"patient_id": "patient-000", "age": 130.0, "sex": 3.0, "bmi": None}

    def test_what_is_known_of_the_disease(self, mf_model: TrainedModel) -> None:
        for column in ("bmi", "bp", "s5"):
            assert_increasing(mf_model, column)
        assert_decreasing(mf_model, "s3")  # the good cholesterol


class TestAirPassengers(ModelTests):
    model = AIR.AirPassengers
    as_of = dt.date(1959, 12, 31)
    broken = {"month": "1950", "first_day": "1950-01-01", "passengers": 0.0, "year_ago": None}

    def test_growth_goes_on(self, mf_model: TrainedModel) -> None:
        assert_increasing(mf_model, "year_ago")
        assert_increasing(mf_model, "months_since_1949")
        assert_invariant(mf_model, "first_day")

    def test_it_trains_scores_and_is_monitored(
        self, mf_model: TrainedModel, mf_store: Store, mf_server: str
    ) -> None:
        trained, _, monitored = assert_flows_run(mf_model, mf_store)
        held_out = mf_store.backtests(trained)
        assert held_out["period"].tolist() == [f"1959-{month:02}-01" for month in range(1, 13)]
        forecasts = mf_store.backtests(monitored)
        assert forecasts["actual"].tolist() == list(AIR.PASSENGERS[-12:])
        error = np.abs(forecasts["predicted"] / forecasts["actual"] - 1).mean()
        metrics = mf_store.metrics(monitored)
        mape = metrics[(metrics["metric_name"] == "mape") & (metrics["segment"] == "")]["value"]
        assert float(mape.iloc[0]) == pytest.approx(error)
        assert error < 0.06
        assert "alarm" not in set(mf_store.drift(monitored)["verdict"])


def test_the_series_is_the_published_one() -> None:
    assert (len(AIR.PASSENGERS), sum(AIR.PASSENGERS)) == (144, 40_363)

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from mfprefect import Model
from mfprefect.errors import ConfigurationError
from mfprefect.inputs.reader import Reader

FEATURES = pd.DataFrame({"x": np.arange(10.0)})
TARGET = pd.Series([0, 0, 0, 1, 0, 1, 0, 1, 1, 1])
TODAY = dt.date(2026, 11, 23)


class Churn(Model):
    model_id = "churn/monthly"
    description = "Who leaves."
    entity_id = "customer_id"
    target = "left"


def variant(**changes: Any) -> type[Model]:
    return type("Variant", (Churn,), changes)


def test_a_model_gives_its_flows() -> None:
    train, score, monitor = Churn.flows()
    assert [train.name, score.name, monitor.name] == [
        "churn-monthly-train",
        "churn-monthly-score",
        "churn-monthly-monitor",
    ]
    assert train.description == score.description == "Who leaves."
    assert set(train.parameters.properties) == {"as_of", "params"}
    assert set(score.parameters.properties) == {"as_of", "training_session_id", "shadow"}


@pytest.mark.parametrize("name", ["model_id", "entity_id", "target"])
def test_what_the_flows_need_is_asked_for(name: str) -> None:
    rest = {"model_id": "m", "entity_id": "e", "target": "t"}
    del rest[name]
    bare: type[Model] = type("Bare", (Model,), rest)
    with pytest.raises(
        ConfigurationError, match=f'^Bare has no {name}; set it in the class: {name} = ".."'
    ):
        bare.flows()
    with pytest.raises(ConfigurationError, match=f"^Variant has no {name}"):
        variant(**{name: None}).flows()


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": 0},
        {"parts": -1},
        {"parts": 1.5},
        {"parts": "2"},
        {"test_share": 0},
        {"test_share": 1},
        {"test_share": 1.5},
        {"test_share": -0.1},
    ],
)
def test_parts_and_share_are_checked(changes: dict[str, Any]) -> None:
    ((name, value),) = changes.items()
    with pytest.raises(
        ConfigurationError, match=f"{name} = {value}.*parts must be an integer, 1 or more"
    ):
        variant(**changes).flows()


def test_methods_that_are_not_written_are_named() -> None:
    model = Churn()
    calls: dict[str, Callable[[], Any]] = {
        "training_data": lambda: model.training_data(TODAY),
        "fit": lambda: model.fit(FEATURES, TARGET),
        "scoring_data": lambda: model.scoring_data(TODAY, 1),
    }
    for name, call in calls.items():
        with pytest.raises(ConfigurationError, match=f"^Churn does not define {name}"):
            call()


def test_a_classifier_is_asked_for_probabilities() -> None:
    estimator = LogisticRegression().fit(FEATURES, TARGET)
    predicted = Churn().predict(estimator, FEATURES)
    np.testing.assert_array_equal(predicted, estimator.predict_proba(FEATURES)[:, 1])


def test_any_other_estimator_is_asked_for_predictions() -> None:
    estimator = LinearRegression().fit(FEATURES, TARGET)
    np.testing.assert_array_equal(Churn().predict(estimator, FEATURES), estimator.predict(FEATURES))


def test_there_are_no_classes_by_default() -> None:
    assert Churn().score_class(np.array([0.5])) is None


def test_importances_are_of_the_features() -> None:
    estimator = LogisticRegression().fit(FEATURES, TARGET)
    importances = Churn().importance(estimator, FEATURES, TARGET)
    assert importances
    assert all(list(frame["variable"]) == ["x"] for frame in importances.values())


def test_a_model_reads_through_its_reader() -> None:
    reads: list[Any] = []
    model = Churn(Reader(on_read=reads.append))
    assert model.read(FEATURES) is FEATURES
    assert [read.rows for read in reads] == [10]
    assert Churn().read(FEATURES) is FEATURES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "pickel"}, "has format = 'pickel'; choose one of skops, .* pickle, or None"),
        ({"save_model": lambda *_: None}, "defines save_model only; define both"),
        ({"load_model": lambda *_: None}, "defines load_model only; define both"),
        (
            {"format": "bytes", "save_model": lambda *_: 1, "load_model": lambda *_: 1},
            "has format = 'bytes' and its own save_model; remove one",
        ),
    ],
)
def test_how_a_model_is_stored_is_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        variant(**changes).flows()

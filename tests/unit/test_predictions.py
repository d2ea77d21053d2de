"""Between `predict` and its use: order, length, finiteness, labels, and what is on record of it."""

from __future__ import annotations

import datetime as dt
import json
import traceback
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import all_estimators

from mfprefect import InvalidScores, InvalidValue, Model, scores
from mfprefect.errors import ConfigurationError
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.estimator import described, source_of_scores
from mfprefect.lifecycle.outcomes import read_outcomes
from mfprefect.quality.metrics.evaluation import evaluate
from mfprefect.quality.predictions import predictions, with_classes_of

RNG = np.random.default_rng(0)
FEATURES = pd.DataFrame({"x": RNG.normal(size=20)}, index=[f"r{k}" for k in range(20)])
TARGET = pd.Series((FEATURES["x"] > 0).astype(int), FEATURES.index)
EXPECTED = np.arange(20.0)


class Churn(Model):
    model_id, entity_id, target = "churn", "customer_id", "left"


def returning(result: Any, **members: Any) -> Model:
    members["predict"] = lambda self, estimator, features: result
    model: Model = type("Case", (Churn,), members)()
    return model


def variant(**members: Any) -> type[Model]:
    return type("Case", (Churn,), members)


ORDERED = pd.Series(EXPECTED, FEATURES.index)


@pytest.mark.parametrize(
    "result",
    [
        EXPECTED,
        EXPECTED.tolist(),
        EXPECTED.reshape(-1, 1),
        ORDERED,
        ORDERED.iloc[::-1],
        ORDERED.sample(frac=1, random_state=1).to_frame(),
        ORDERED.astype("Float64"),
        ORDERED.astype(object),
    ],
)
def test_predictions_are_in_the_order_of_the_rows(result: Any) -> None:
    np.testing.assert_array_equal(predictions(returning(result), None, FEATURES), EXPECTED)


def test_classes_are_in_the_order_of_the_rows() -> None:
    result = pd.DataFrame({"a": EXPECTED, "b": -EXPECTED}, FEATURES.index)
    model = returning(result.iloc[::-1], model_type="multiclass")
    pd.testing.assert_frame_equal(predictions(model, None, FEATURES), result)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "Case.predict returned None"),
        (EXPECTED[:-1], r"returned 19 scores of shape \(19,\) for 20 rows"),
        (0.5, "returned a float"),
        (pd.Series(EXPECTED), r"whose index is not that of the features: \[0, 1, 2, ..\]"),
        (ORDERED.rename({"r3": "r4"}), "whose index is not that of the features"),
        (np.eye(20), r"returned shape \(20, 20\); return one score per row"),
        (ORDERED.mask(ORDERED == 3), r"no finite number for 1 of 20 rows: nan in row 3"),
        (np.r_[np.inf, EXPECTED[1:]], "no finite number"),
        (["high"] * 20, "returned what is not a number"),
        (ORDERED > 3, "booleans, which are labels"),
    ],
)
def test_what_cannot_be_used_is_refused(result: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        predictions(returning(result), None, FEATURES)


def test_a_counted_index_says_nothing_about_shuffled_rows() -> None:
    rows = FEATURES.reset_index(drop=True).sample(frac=1, random_state=1)
    with pytest.raises(InvalidValue, match=r"pass index=features\.index"):
        predictions(returning(pd.Series(EXPECTED)), None, rows)


@pytest.mark.parametrize("estimator", [LinearSVC(), RidgeClassifier()])
def test_a_decision_function_stands_in_for_probabilities(estimator: Any) -> None:
    estimator.fit(FEATURES, TARGET)
    scores_ = predictions(Churn(), estimator, FEATURES)
    np.testing.assert_array_equal(scores_, estimator.decision_function(FEATURES))
    assert source_of_scores(Churn(), estimator, scores_) == "decision_function"


def test_labels_are_no_scores() -> None:
    class Labels:
        classes_ = (0, 1)

        def predict(self, features: Any) -> Any:
            return np.zeros(len(features))

    with pytest.raises(InvalidValue, match="neither predict_proba nor decision_function"):
        predictions(Churn(), Labels(), FEATURES)
    with pytest.raises(InvalidValue, match="needs a score for each class"):
        predictions(type("M", (Churn,), {"model_type": "multiclass"})(), Labels(), FEATURES)
    source = source_of_scores(returning(EXPECTED > 3), None, (EXPECTED > 3) * 1.0)
    assert source == "Case.predict: 0 and 1 only"
    assert source_of_scores(returning(EXPECTED), None, EXPECTED) == "Case.predict"
    line = LinearRegression().fit(FEATURES, TARGET)
    assert source_of_scores(Churn(), line, line.predict(FEATURES)) == "predict"


def test_an_estimator_of_other_classes_is_named() -> None:
    one = RandomForestClassifier(2).fit(FEATURES, TARGET * 0)
    with pytest.raises(InvalidValue, match=r"RandomForestClassifier has learned the classes \[.*0"):
        predictions(Churn(), one, FEATURES)
    three = RandomForestClassifier(2).fit(FEATURES, np.arange(20) % 3)
    with pytest.raises(InvalidValue, match='model_type = "multiclass"'):
        predictions(Churn(), three, FEATURES)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_class_that_was_not_learned_is_never_predicted(sign: int) -> None:
    result = pd.DataFrame({"a": [0.2, 0.9], "b": [0.8, 0.1]}) * sign
    extended = with_classes_of(result, ["a", "rare"])
    assert list(extended.columns) == ["a", "b", "rare"]
    assert (extended.to_numpy().argmax(axis=1) < 2).all()
    assert with_classes_of(result, ["a", "b", None]) is result
    assert evaluate(["a", "rare"], extended, "multiclass").metrics[""]["n"] == 2


def test_scores_that_are_no_probabilities_have_no_metrics_of_probabilities() -> None:
    actual, score = [0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]
    whole = evaluate(actual, score, "binary")
    without = evaluate(actual, score, "binary", probabilities=False)
    assert whole.metrics[""].keys() - without.metrics[""].keys() == {"brier", "log_loss", "ece"}
    assert "ece_bins" not in without.notes


IDS = [f"c{k}" for k in range(4)]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1.0, 2.0, 3.0, 4.0], "column 'customer_id' is of type double"),
        ([*IDS[:3], None], "1 of 4 values in 'customer_id' are NULL"),
        ([*IDS[:3], "c0"], "1 of 4 values in 'customer_id' are duplicates"),
        ([*IDS[:3], "c" * 300], "1 of 4 values in 'customer_id' are longer than 255"),
        ([*IDS[:3], ""], "1 of 4 values in 'customer_id' are empty"),
        ([True, False, True, False], "column 'customer_id' is of type bool"),
    ],
)
def test_ids_that_scores_refuse(ids: list[Any], message: str) -> None:
    with pytest.raises(InvalidScores, match=f"^training_data: {message}") as refusal:
        tasks.require_ids(pd.DataFrame({"customer_id": ids}), "customer_id", "training_data")
    assert "written" not in str(refusal.value)
    assert ("several snapshots" in str(refusal.value)) == ("duplicates" in message)
    assert "".join(traceback.format_exception(refusal.value)).count("values in") <= 1


def test_ids_as_they_are_stored() -> None:
    assert scores.entity_ids(pd.Series([20, 3]), "id") == ["20", "3"]
    assert scores.entity_ids(pd.Series(["b", "a"]), "id") == ["b", "a"]
    assert scores.entity_ids(pd.Series([], dtype=object), "id") == []


def rows_of(*target: Any) -> pd.DataFrame:
    return pd.DataFrame({"left": target})


@pytest.mark.parametrize(
    ("learn", "test", "message"),
    [
        ((0, 0), (0, 1), "each of the 2 rows to learn from has left = 0"),
        ((0, 1), (1, 1), "each of the 2 rows to test on has left = 1"),
        ((0, 1), (0, 2), "the column 'left' of training_data: 1 of 2 values are not 0, 1"),
    ],
)
def test_a_target_that_cannot_be_learned(learn: Any, test: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        tasks.require_target(Churn(), rows_of(*learn), rows_of(*test))


def test_a_target_that_can_be_learned() -> None:
    tasks.require_target(Churn(), rows_of(0, 1), rows_of(1, 0))
    many = type("Many", (Churn,), {"model_type": "multiclass"})()
    tasks.require_target(many, rows_of("a", "b"), rows_of("c"))
    number = type("Number", (Churn,), {"model_type": "regression"})()
    tasks.require_target(number, rows_of(1.5), rows_of(1.5))


@pytest.mark.parametrize("rows", [-1, True, 1.5, None])
def test_min_rows_is_checked(rows: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"min_rows = {rows!r}"):
        variant(min_rows=rows).flows()


def test_the_parameters_of_an_estimator_are_on_record() -> None:
    pipeline = make_pipeline(
        StandardScaler(), FunctionTransformer(np.log1p), LogisticRegression(C=0.5)
    )
    facts = described(pipeline)
    assert facts["class"] == "sklearn.pipeline.Pipeline"
    assert facts["logisticregression__C"] == 0.5
    assert facts["functiontransformer"].endswith(".FunctionTransformer")
    assert "0x" not in json.dumps(facts)
    assert facts == described(pipeline)


def test_parameters_that_are_no_plain_values() -> None:
    class Estimator:
        def get_params(self) -> Any:
            return {
                "missing": np.nan,
                "weights": {np.int64(0): np.float32(1), 1: 2},
                "array": np.zeros((2, 3)),
                "long": "x" * 5_000,
                "items": list(range(1_000)),
                **{f"z{k}": k for k in range(1_000)},
            }

    facts = described(Estimator())
    assert facts["missing"] == "nan"
    assert facts["weights"] == {"0": 1.0, "1": 2}
    assert facts["array"] == "numpy.ndarray of shape (2, 3)"
    assert len(facts["long"]) <= 1_000
    assert len(facts) <= 201
    assert described({"not": "an estimator"}) == {"class": "builtins.dict"}


class Strange:
    """What libraries have among their parameters: lazy shapes, comparisons that fail."""

    shape = property(lambda self: 1 / 0)


class Unsorted:
    __hash__ = object.__hash__

    def __str__(self) -> str:
        raise ValueError("no text")


def test_no_parameter_ends_a_training() -> None:
    class Estimator:
        def get_params(self) -> Any:
            values = [np.float64, np.ndarray, pd.DataFrame, Strange, Strange(), {Unsorted(), 1}]
            values += [Fraction(10**400), Decimal("NaN"), np.shape, np.ndarray.shape]
            return dict(zip("abcdefghij", values, strict=True))

    facts = described(Estimator())
    assert json.loads(json.dumps(facts)) == facts
    assert facts["a"] == "numpy.float64"
    assert facts["e"].endswith("Strange")
    assert len(facts) == 11
    encoder = make_column_transformer((OneHotEncoder(), ["plan"]))
    assert described(encoder)["onehotencoder__dtype"] == "numpy.float64"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_parameters_of_every_estimator_of_sklearn_can_be_recorded() -> None:
    for name, kind in all_estimators():
        with suppress(TypeError):  # it needs another estimator
            assert described(kind())["class"].endswith(name)


def test_what_a_search_has_chosen() -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1]}, cv=2).fit(FEATURES, TARGET)
    assert described(search)["best_params_.C"] == 0.1


def outcomes(ids: list[Any], **members: Any) -> Any:
    column = members.get("entity_id", "customer_id")
    frame = pd.DataFrame({column: ids, "actual": [0, 1]})
    model = variant(outcomes=lambda self, as_of: frame, **members)()
    return read_outcomes(model, dt.date(2026, 1, 31))


@pytest.mark.parametrize(
    ("ids", "message"), [([1.0, 2.0], "of type double"), (["c0", None], "'customer_id' are NULL")]
)
def test_outcomes_have_ids_as_scores_have(ids: list[Any], message: str) -> None:
    with pytest.raises(InvalidValue, match=rf"outcomes\(2026-01-31\) of model 'churn'.*{message}"):
        outcomes(ids)


def test_outcomes_of_a_series_whose_period_is_its_entity() -> None:
    days = ["2026-01-01", "2026-01-02"]
    series = outcomes(days, model_type="time_series", entity_id="day", period="day")
    assert series.rows["period"].tolist() == days

"""What cannot be scored in SQL says why; nothing is scored in another way than asked."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC
from xgboost import XGBRegressor

from mfprefect.sql_scoring import NotCompilable, compile_scoring, probe_rows

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
TWO = (ROWS["a"] > 0).astype(int)
THREE = np.digitize(ROWS["b"], [-0.5, 0.5])


def reason(estimator: Any, model_type: str = "binary", features: str = "abc", **other: Any) -> str:
    rows = sa.table("customers", *(sa.column(name) for name in ["id", *features]))
    with pytest.raises(NotCompilable) as refused:
        compile_scoring(
            estimator, rows, entity_id="id", features=list(features), model_type=model_type, **other
        )
    return str(refused.value)


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (KNeighborsClassifier(), "sklearn.neighbors._classification.KNeighborsClassifier is not"),
        (GaussianNB(), "GaussianNB is not supported"),
        (SVC(), "SVC is not supported"),
        (make_pipeline(PowerTransformer(), LogisticRegression()), "PowerTransformer is not"),
        (
            make_pipeline(FunctionTransformer(np.cbrt), LogisticRegression()),
            "FunctionTransformer applies cbrt; supported are NumPy's log1p, log, sqrt",
        ),
        (
            make_pipeline(FunctionTransformer(lambda x: x), LogisticRegression()),
            "FunctionTransformer applies <lambda>",
        ),
        (
            make_pipeline(PolynomialFeatures(5), LogisticRegression(max_iter=5000)),
            "PolynomialFeatures has 56 products of degree up to 5",
        ),
        (VotingClassifier([("a", LogisticRegression())]), "voting='hard', not 'soft'"),
        (
            GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()),
            "GradientBoostingClassifier starts from a LogisticRegression",
        ),
        (CalibratedClassifierCV(GaussianNB(), cv=2), "GaussianNB is not supported"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_the_reason_names_class_and_option(estimator: Any, words: str) -> None:
    assert words in reason(estimator.fit(ROWS, TWO))


def test_models_without_scores_of_their_type() -> None:
    labels = reason(LogisticRegression().fit(ROWS, TWO), "regression")
    assert labels == "LogisticRegression predicts classes; they are no scores of a regression model"
    several = reason(LinearSVC().fit(ROWS, THREE), "multiclass")
    assert several == "LinearSVC has no probabilities, the scores of a multiclass model"
    assert "a binary model has two" in reason(LogisticRegression().fit(ROWS, THREE))
    assert reason(KMeans(2).fit(ROWS), "unsupervised").startswith("models of type unsupervised")
    assert "predicts 2 targets" in reason(
        LinearRegression().fit(ROWS, ROWS[["a", "b"]]), "regression"
    )


def test_other_columns_than_it_was_fitted_on() -> None:
    estimator = LogisticRegression().fit(ROWS, TWO)
    assert reason(estimator, features="acb") == (
        "LogisticRegression was fitted on the columns a, b, c, and gets a, c, b"
    )
    assert "was fitted on 3 columns and gets 2" in reason(
        LogisticRegression().fit(ROWS.to_numpy(), TWO), features="ab"
    )
    rows = sa.table("customers", sa.column("id"), sa.column("a"))
    with pytest.raises(NotCompilable, match="the rows have no column 'b', 'c'"):
        compile_scoring(estimator, rows, entity_id="id", features=list("abc"), model_type="binary")


def test_an_estimator_that_is_not_fitted() -> None:
    assert re.search(
        "LogisticRegression cannot be read: .*; is it fitted", reason(LogisticRegression())
    )
    assert "is it fitted" in reason(make_pipeline(StandardScaler(), Ridge()), "regression")


def test_categories_that_are_one_value_in_a_database() -> None:
    rows = pd.DataFrame(
        {"a": pd.Series(["x", None, np.nan, "y"] * 5, dtype=object), "b": range(20)}
    )
    encoder = make_column_transformer((OneHotEncoder(), ["a"]), remainder="passthrough")
    estimator = make_pipeline(encoder, LogisticRegression()).fit(rows, [0, 1] * 10)
    assert "distinguishes None and NaN" in reason(estimator, features="ab")


def test_xgboost_with_another_missing_value() -> None:
    estimator = XGBRegressor(n_estimators=2, missing=-1).fit(ROWS, ROWS["a"])
    assert "XGBoost takes -1 for missing" in reason(estimator, "regression")


def test_probes_of_what_is_not_supported() -> None:
    with pytest.raises(NotCompilable, match="GaussianNB"):
        probe_rows(GaussianNB().fit(ROWS, TWO), ROWS, list("abc"))

"""Pipelines that hypothesis builds, on data that it draws: SQL scores as the estimator does."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from mfprefect.sql_scoring import probe_rows
from mfprefect_dev.sql_forms import create_rows, difference_of, expected

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False) | st.integers(-3, 3).map(float)
CATEGORIES = ["a", "A", "a ", "it's", "back\\slash", "100%", ":x", "\U0001f600", "é"]


@st.composite
def pipelines(draw: Any) -> tuple[Any, str]:
    """Return an estimator, not fitted, of the columns x, y (with NULL), k; and its model type."""
    filled: list[Any] = [
        SimpleImputer(
            strategy=draw(st.sampled_from(["mean", "median", "most_frequent"])),
            add_indicator=draw(st.booleans()),
        )
    ]
    steps = {
        "standard": lambda: StandardScaler(with_mean=draw(st.booleans())),
        "range": lambda: MinMaxScaler(clip=draw(st.booleans())),
        "robust": lambda: RobustScaler(),
        "absolute": lambda: MaxAbsScaler(),
        "bins": lambda: KBinsDiscretizer(3, strategy="uniform", encode="ordinal"),
        "products": lambda: make_pipeline(MaxAbsScaler(), PolynomialFeatures(2)),
    }
    names = draw(st.lists(st.sampled_from(sorted(steps)), max_size=2))
    filled += [steps[name]() for name in names]
    encoder = draw(
        st.sampled_from(
            [
                OneHotEncoder(handle_unknown="ignore"),
                OneHotEncoder(drop="first", handle_unknown="ignore"),
                OneHotEncoder(max_categories=3, handle_unknown="infrequent_if_exist"),
                OrdinalEncoder(
                    handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
                ),
                TargetEncoder(random_state=0, target_type="continuous"),
            ]
        )
    )
    columns = ColumnTransformer(
        [("numbers", make_pipeline(*filled), ["x", "y"]), ("texts", encoder, ["k"])]
    )
    estimator, model_type = draw(
        st.sampled_from(
            [
                (Ridge(), "regression"),
                (RandomForestRegressor(3, random_state=0), "regression"),
                (GradientBoostingRegressor(n_estimators=3, random_state=0), "regression"),
                (HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=2), "regression"),
                (LogisticRegression(max_iter=50), "binary"),
                (LogisticRegression(max_iter=50), "multiclass"),
                (DecisionTreeClassifier(random_state=0), "multiclass"),
            ]
        )
    )
    return make_pipeline(columns, estimator), model_type


@st.composite
def frames(draw: Any) -> pd.DataFrame:
    count = draw(st.integers(12, 30))
    pool = draw(st.lists(NUMBERS, min_size=3, max_size=12, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    frame = pd.DataFrame(
        {
            "x": rng.choice(pool, count),
            "y": np.where(rng.random(count) < 0.3, np.nan, rng.choice(pool, count)),
            "k": rng.choice(np.array(CATEGORIES, dtype=object), count),
        }
    )
    frame.loc[0, "y"] = pool[0]
    frame["k"] = frame["k"].where(rng.random(count) > 0.15, None).astype("str")
    frame.loc[rng.random(count) < 0.1, "k"] = None
    return frame


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(pipelines(), frames(), st.integers(0, 100))
def test_pipelines(pipeline: tuple[Any, str], frame: pd.DataFrame, seed: int) -> None:
    estimator, model_type = pipeline
    rng = np.random.default_rng(seed)
    target = rng.permutation(
        np.arange(len(frame)) % {"binary": 2, "multiclass": 3}.get(model_type, 9)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(frame, target)
        rows = probe_rows(estimator, frame, ["x", "y", "k"])[:400]
    right = expected(estimator, rows, model_type)
    rows.insert(0, "id", range(len(rows)))
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        table = create_rows(connection, rows)
        difference = difference_of(
            connection, table, estimator, ["x", "y", "k"], model_type, rows, right
        )
    engine.dispose()
    # scikit-learn's matrix products add in another order; numbers of 1e6 cost digits.
    wrong = difference.wrong.dropna(subset=["sql", "estimator"], how="all")
    scale = wrong["estimator"].abs().clip(lower=1.0)
    assert wrong[(wrong["sql"] - wrong["estimator"]).abs() > 1e-9 * scale].empty
    assert (wrong["sql"].isna() == wrong["estimator"].isna()).all()


@pytest.mark.parametrize("trees", [500])
def test_a_forest_of_500_trees(trees: int) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    frame.loc[::7, "b"] = np.nan
    estimator = RandomForestRegressor(trees, max_leaf_nodes=25, random_state=0)
    estimator.fit(frame, rng.normal(size=300))
    rows = probe_rows(estimator, frame, list("abcd"))[:500]
    right = expected(estimator, rows, "regression")
    rows.insert(0, "id", range(len(rows)))
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        table = create_rows(connection, rows)
        difference = difference_of(
            connection, table, estimator, list("abcd"), "regression", rows, right
        )
    engine.dispose()
    assert difference.largest == 0
    assert difference.wrong.empty

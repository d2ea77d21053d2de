"""The forms of estimators and pipelines that SQL scores."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
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
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from mfprefect_dev.sql_forms.data import FEATURES, GAPS, NUMBERS, frame, targets

__all__ = ["FORMS", "Form", "trained"]

COUNTS = ["orders"]
TEXTS = ["color", "place"]
WHOLE = [*NUMBERS, *COUNTS]


@dataclass(frozen=True)
class Form:
    """An estimator, not fitted, and its model."""

    name: str
    make: Callable[[], Any]
    model_type: str = "binary"
    features: tuple[str, ...] = tuple(FEATURES)
    target: str = ""
    exact: bool = False
    """Whether SQL gives the same bits."""

    def fit(self, rows: pd.DataFrame, targets: pd.DataFrame) -> Any:
        """Return the estimator, fitted."""
        return self.make().fit(rows[list(self.features)], targets[self.target or self.model_type])


def columns(*extra: Any, remainder: Any = "drop", **options: Any) -> ColumnTransformer:
    """Return a usual preprocessing of all features."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encoder = OneHotEncoder(handle_unknown="ignore", **options)
    return ColumnTransformer(
        [("numbers", numbers, [*WHOLE, *GAPS]), ("texts", encoder, TEXTS), *extra],
        remainder=remainder,
    )


def scaled(estimator: Any) -> Any:
    """Return an estimator after a scaler."""
    return make_pipeline(StandardScaler(), estimator)


def prepared(estimator: Any, **options: Any) -> Any:
    """Return an estimator after the usual preprocessing."""
    return make_pipeline(columns(**options), estimator)


def encoded(encoder: Any, features: list[str], estimator: Any = None) -> Any:
    """Return an estimator after an encoder of some features and a scaler of others."""
    parts = [("encoded", encoder, features), ("scaled", StandardScaler(), WHOLE)]
    return make_pipeline(ColumnTransformer(parts), estimator or LogisticRegression())


def prepared_then(transformer: Any, estimator: Any) -> Any:
    """Return an estimator after the usual preprocessing and another transformer."""
    return make_pipeline(columns(), transformer, estimator)


W = tuple(WHOLE)
NULLS = (*WHOLE, *GAPS)
R = "regression"
M = "multiclass"
LINEAR = [
    Form("LinearRegression", lambda: scaled(LinearRegression()), R, W),
    Form("LinearRegression bare", LinearRegression, R, ("height", "orders")),
    Form("LinearRegression of a boolean", LinearRegression, R, ("height", "member")),
    Form("Ridge", lambda: scaled(Ridge()), R, W),
    Form("Lasso", lambda: scaled(Lasso(alpha=0.1)), R, W),
    Form("ElasticNet", lambda: scaled(ElasticNet(alpha=0.1)), R, W),
    Form("LogisticRegression", lambda: scaled(LogisticRegression()), features=W),
    Form("LogisticRegression multinomial", lambda: scaled(LogisticRegression()), M, W),
    Form("LogisticRegression all columns", lambda: prepared(LogisticRegression())),
    Form("LogisticRegression all, multinomial", lambda: prepared(LogisticRegression()), M),
    Form(
        "SGD log loss", lambda: scaled(SGDClassifier(loss="log_loss", random_state=0)), "binary", W
    ),
    Form(
        "SGD log loss, classes",
        lambda: scaled(SGDClassifier(loss="log_loss", random_state=0)),
        M,
        W,
    ),
    Form(
        "SGD modified Huber",
        lambda: scaled(SGDClassifier(loss="modified_huber", random_state=0)),
        "binary",
        W,
    ),
    Form("SGD hinge", lambda: scaled(SGDClassifier(random_state=0)), "binary", W),
    Form("LinearSVC", lambda: scaled(LinearSVC()), "binary", W),
    Form("RidgeClassifier", lambda: scaled(RidgeClassifier()), "binary", W),
    Form("Poisson", lambda: scaled(PoissonRegressor()), R, W, "count"),
    Form("Gamma", lambda: scaled(GammaRegressor()), R, W, "count"),
    Form("Tweedie log", lambda: scaled(TweedieRegressor(power=1.5)), R, W, "count"),
    Form("Tweedie identity", lambda: scaled(TweedieRegressor(power=0)), R, W, "count"),
]
PREPARED = [
    Form("MinMaxScaler", lambda: make_pipeline(MinMaxScaler(), Ridge()), R, W),
    Form(
        "MinMaxScaler clipped",
        lambda: make_pipeline(MinMaxScaler((-1, 2), clip=True), Ridge()),
        R,
        W,
    ),
    Form("RobustScaler", lambda: make_pipeline(RobustScaler(), Ridge()), R, W),
    Form(
        "RobustScaler plain",
        lambda: make_pipeline(RobustScaler(with_centering=False), Ridge()),
        R,
        W,
    ),
    Form("MaxAbsScaler", lambda: make_pipeline(MaxAbsScaler(), Ridge()), R, W),
    Form(
        "StandardScaler without mean",
        lambda: make_pipeline(StandardScaler(with_mean=False), Ridge()),
        R,
        W,
    ),
    Form("two scalers", lambda: make_pipeline(MinMaxScaler(), StandardScaler(), Ridge()), R, W),
    Form(
        "SimpleImputer with indicator",
        lambda: make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), Ridge()),
        R,
        (*W, *GAPS),
    ),
    Form(
        "SimpleImputer of another value",
        lambda: make_pipeline(
            SimpleImputer(missing_values=0, strategy="constant", fill_value=7), Ridge()
        ),
        R,
        ("orders", "height"),
    ),
    Form(
        "SimpleImputer of texts",
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    (
                        "texts",
                        make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
                        TEXTS,
                    ),
                    (
                        "gaps",
                        SimpleImputer(strategy="constant", fill_value=-1, add_indicator=True),
                        GAPS,
                    ),
                ]
            ),
            LogisticRegression(),
        ),
    ),
    Form(
        "remainder passes",
        lambda: make_pipeline(
            ColumnTransformer([("texts", OneHotEncoder(), ["color"])], remainder="passthrough"),
            Ridge(),
        ),
        R,
        ("height", "color", "orders", "balance"),
    ),
    Form(
        "remainder scaled, text dropped",
        lambda: make_pipeline(
            ColumnTransformer(
                [("texts", OneHotEncoder(), ["color"]), ("no", "drop", ["place"])],
                remainder=StandardScaler(),
            ),
            Ridge(),
        ),
        R,
        ("height", "color", "place", "orders"),
    ),
    Form(
        "columns by place",
        lambda: make_pipeline(
            ColumnTransformer([("a", StandardScaler(), slice(0, 2)), ("b", "passthrough", [3])]),
            Ridge(),
        ),
        R,
        W,
    ),
    Form(
        "FeatureUnion",
        lambda: make_pipeline(
            FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]), Ridge()
        ),
        R,
        W,
    ),
    Form(
        "nested pipelines",
        lambda: Pipeline(
            [("a", Pipeline([("b", StandardScaler())])), ("c", "passthrough"), ("d", Ridge())]
        ),
        R,
        W,
    ),
]
ENCODED = [
    Form("OneHot error", lambda: encoded(OneHotEncoder(), ["color", "grade"])),
    Form(
        "OneHot first dropped",
        lambda: encoded(OneHotEncoder(drop="first", handle_unknown="ignore"), [*TEXTS, "grade"]),
    ),
    Form("OneHot if binary dropped", lambda: encoded(OneHotEncoder(drop="if_binary"), TEXTS)),
    Form(
        "OneHot infrequent",
        lambda: encoded(
            OneHotEncoder(min_frequency=0.15, handle_unknown="infrequent_if_exist"),
            [*TEXTS, "grade"],
        ),
    ),
    Form(
        "OneHot infrequent, dropped",
        lambda: encoded(
            OneHotEncoder(max_categories=3, drop="first", handle_unknown="infrequent_if_exist"),
            TEXTS,
        ),
    ),
    Form(
        "OneHot infrequent, zeros",
        lambda: encoded(OneHotEncoder(max_categories=3, handle_unknown="ignore"), TEXTS),
    ),
    Form(
        "OneHot dense, scaled",
        lambda: make_pipeline(columns(sparse_output=False), StandardScaler(), Ridge()),
        R,
    ),
    Form("Ordinal error", lambda: encoded(OrdinalEncoder(encoded_missing_value=-1), TEXTS)),
    Form(
        "Ordinal unknown",
        lambda: encoded(
            OrdinalEncoder(
                handle_unknown="use_encoded_value", unknown_value=-2, encoded_missing_value=-1
            ),
            [*TEXTS, "grade"],
        ),
    ),
    Form(
        "Ordinal infrequent",
        lambda: encoded(
            OrdinalEncoder(
                handle_unknown="use_encoded_value",
                unknown_value=-2,
                encoded_missing_value=-1,
                max_categories=4,
            ),
            TEXTS,
        ),
    ),
    Form("Target binary", lambda: encoded(TargetEncoder(random_state=0), TEXTS)),
    Form("Target multiclass", lambda: encoded(TargetEncoder(random_state=0), TEXTS), M),
    Form("Target regression", lambda: encoded(TargetEncoder(random_state=0), TEXTS, Ridge()), R),
]
TREES = [
    Form(
        "DecisionTree", lambda: DecisionTreeClassifier(random_state=0), "binary", NULLS, exact=True
    ),
    Form(
        "DecisionTree classes",
        lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
        M,
        NULLS,
        exact=True,
    ),
    Form(
        "DecisionTree regression",
        lambda: DecisionTreeRegressor(random_state=0),
        R,
        NULLS,
        exact=True,
    ),
    Form(
        "RandomForest",
        lambda: RandomForestClassifier(9, random_state=0),
        "binary",
        NULLS,
        exact=True,
    ),
    Form(
        "RandomForest classes",
        lambda: RandomForestClassifier(6, random_state=0),
        M,
        NULLS,
        exact=True,
    ),
    Form(
        "RandomForest regression",
        lambda: RandomForestRegressor(7, random_state=0),
        R,
        NULLS,
        exact=True,
    ),
    Form(
        "RandomForest of 60, shallow",
        lambda: RandomForestRegressor(60, max_depth=3, random_state=0),
        R,
        W,
        exact=True,
    ),
    Form("ExtraTrees", lambda: ExtraTreesClassifier(5, random_state=0), "binary", W, exact=True),
    Form("ExtraTrees regression", lambda: ExtraTreesRegressor(5, random_state=0), R, W, exact=True),
    Form(
        "RandomForest prepared",
        lambda: prepared(RandomForestClassifier(6, random_state=0)),
        exact=True,
    ),
    Form(
        "GradientBoosting",
        lambda: GradientBoostingClassifier(n_estimators=12, random_state=0),
        "binary",
        W,
    ),
    Form(
        "GradientBoosting exponential",
        lambda: GradientBoostingClassifier(n_estimators=6, loss="exponential", random_state=0),
        "binary",
        W,
    ),
    Form(
        "GradientBoosting classes",
        lambda: GradientBoostingClassifier(n_estimators=6, random_state=0),
        M,
        W,
    ),
    Form(
        "GradientBoosting regression",
        lambda: GradientBoostingRegressor(n_estimators=12, random_state=0),
        R,
        W,
        exact=True,
    ),
    Form(
        "GradientBoosting from zero",
        lambda: GradientBoostingRegressor(n_estimators=5, init="zero", random_state=0),
        R,
        W,
        exact=True,
    ),
    Form(
        "HistGradientBoosting", lambda: HistGradientBoostingClassifier(max_iter=8), "binary", NULLS
    ),
    Form(
        "HistGradientBoosting classes", lambda: HistGradientBoostingClassifier(max_iter=5), M, NULLS
    ),
    Form(
        "HistGradientBoosting regression",
        lambda: HistGradientBoostingRegressor(max_iter=8),
        R,
        NULLS,
        exact=True,
    ),
    Form(
        "HistGradientBoosting Poisson",
        lambda: HistGradientBoostingRegressor(loss="poisson", max_iter=5),
        R,
        NULLS,
        "count",
    ),
    Form(
        "HistGradientBoosting categories",
        lambda: HistGradientBoostingClassifier(
            max_iter=8, categorical_features=["color", "place", "grade"]
        ),
    ),
]
COMPUTED = [
    Form(
        "log1p",
        lambda: make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), Ridge()),
        R,
        ("income", "Age in years"),
    ),
    Form(
        "log of some",
        lambda: make_pipeline(
            ColumnTransformer(
                [("log", FunctionTransformer(np.log), ["income"])], remainder=StandardScaler()
            ),
            Ridge(),
        ),
        R,
        W,
    ),
    Form(
        "sqrt",
        lambda: make_pipeline(FunctionTransformer(np.sqrt), Ridge()),
        R,
        ("income", "height"),
    ),
    Form(
        "sqrt and NULL",
        lambda: make_pipeline(
            FunctionTransformer(np.sqrt), HistGradientBoostingRegressor(max_iter=5)
        ),
        R,
        NULLS,
        exact=True,
    ),
    Form(
        "KBins one-hot",
        lambda: make_pipeline(
            KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"), Ridge()
        ),
        R,
        W,
    ),
    Form(
        "KBins ordinal",
        lambda: make_pipeline(KBinsDiscretizer(3, encode="ordinal", strategy="uniform"), Ridge()),
        R,
        W,
    ),
    Form(
        "polynomial", lambda: make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge()), R, W
    ),
    Form(
        "interactions",
        lambda: make_pipeline(
            StandardScaler(),
            PolynomialFeatures(3, interaction_only=True, include_bias=False),
            LogisticRegression(),
        ),
        "binary",
        W,
    ),
    Form("PCA", lambda: make_pipeline(StandardScaler(), PCA(3), LogisticRegression()), "binary", W),
    Form(
        "PCA whitened",
        lambda: make_pipeline(
            StandardScaler(), PCA(3, whiten=True), RandomForestClassifier(5, random_state=0)
        ),
        "binary",
        W,
    ),
    Form("TruncatedSVD", lambda: prepared_then(TruncatedSVD(4, random_state=0), Ridge()), R),
]


def light(kind: Any, **options: Any) -> Any:
    """Return an estimator of LightGBM."""
    return kind(verbose=-1, n_jobs=1, **{"n_estimators": 7, **options})


def extreme(kind: Any, **options: Any) -> Any:
    """Return an estimator of XGBoost."""
    return kind(n_jobs=1, **{"n_estimators": 7, **options})


BOOSTED = [
    Form("LightGBM", lambda: light(LGBMClassifier), "binary", NULLS),
    Form("LightGBM classes", lambda: light(LGBMClassifier, n_estimators=6), M, NULLS),
    Form(
        "LightGBM one versus all",
        lambda: light(LGBMClassifier, n_estimators=6, objective="multiclassova"),
        M,
        NULLS,
    ),
    Form("LightGBM regression", lambda: light(LGBMRegressor), R, NULLS, exact=True),
    Form("LightGBM Poisson", lambda: light(LGBMRegressor, objective="poisson"), R, NULLS, "count"),
    Form("LightGBM zero is missing", lambda: light(LGBMRegressor, zero_as_missing=True), R, NULLS),
    Form(
        "LightGBM forest",
        lambda: light(LGBMRegressor, boosting_type="rf", subsample=0.7, subsample_freq=1),
        R,
        NULLS,
    ),
    Form("LightGBM prepared", lambda: prepared(light(LGBMClassifier))),
    Form("XGBoost", lambda: extreme(XGBClassifier), "binary", NULLS),
    Form("XGBoost classes", lambda: extreme(XGBClassifier, n_estimators=6), M, NULLS, "codes"),
    Form("XGBoost regression", lambda: extreme(XGBRegressor), R, NULLS),
    Form("XGBoost gamma", lambda: extreme(XGBRegressor, objective="reg:gamma"), R, NULLS, "count"),
    Form("XGBoost DART", lambda: extreme(XGBRegressor, booster="dart", rate_drop=0.3), R, NULLS),
    Form("XGBoost forest", lambda: extreme(XGBRFClassifier), "binary", NULLS),
]
COMBINED = [
    Form(
        "calibrated sigmoid", lambda: CalibratedClassifierCV(scaled(LinearSVC()), cv=2), "binary", W
    ),
    Form(
        "calibrated isotonic",
        lambda: CalibratedClassifierCV(
            RandomForestClassifier(5, random_state=0), cv=2, method="isotonic"
        ),
        "binary",
        W,
    ),
    Form(
        "calibrated sigmoid, classes",
        lambda: CalibratedClassifierCV(scaled(LogisticRegression()), cv=2),
        M,
        W,
    ),
    Form(
        "calibrated isotonic, classes",
        lambda: CalibratedClassifierCV(
            RandomForestClassifier(5, random_state=0), cv=2, method="isotonic"
        ),
        M,
        W,
    ),
    Form(
        "calibrated boosting",
        lambda: CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=5), cv=2),
        "binary",
        NULLS,
    ),
    Form(
        "voting",
        lambda: VotingClassifier(
            [("a", scaled(LogisticRegression())), ("b", RandomForestClassifier(5, random_state=0))],
            voting="soft",
        ),
        "binary",
        W,
    ),
    Form(
        "voting by weight, classes",
        lambda: VotingClassifier(
            [("a", scaled(LogisticRegression())), ("b", DecisionTreeClassifier(max_depth=4))],
            voting="soft",
            weights=[2, 1],
        ),
        M,
        W,
    ),
    Form(
        "voting regressors",
        lambda: VotingRegressor(
            [("a", scaled(Ridge())), ("b", DecisionTreeRegressor(max_depth=3))]
        ),
        R,
        W,
    ),
    Form(
        "grid search", lambda: GridSearchCV(scaled(Ridge()), {"ridge__alpha": [1, 10]}, cv=2), R, W
    ),
]
FORMS = [*LINEAR, *PREPARED, *ENCODED, *TREES, *COMPUTED, *BOOSTED, *COMBINED]


@functools.cache
def trained(form: Form) -> Any:
    """Return the estimator of a form, fitted on 400 rows, once for each process."""
    rows = frame(400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, about few iterations
        return form.fit(rows, targets(rows))

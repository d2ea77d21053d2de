from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.quality import coefficients, impurity, permutation
from mfprefect.quality.importance import available

compose = import_module("sklearn.compose")
datasets = import_module("sklearn.datasets")
ensemble = import_module("sklearn.ensemble")
feature_selection = import_module("sklearn.feature_selection")
inspection = import_module("sklearn.inspection")
linear_model = import_module("sklearn.linear_model")
model_selection = import_module("sklearn.model_selection")
pipeline = import_module("sklearn.pipeline")
preprocessing = import_module("sklearn.preprocessing")

COLUMNS = ["variable", "importance", "std", "coefficient"]


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, pd.Series[int]]:
    data = datasets.load_breast_cancer(as_frame=True)
    return data.data, data.target


def logistic() -> Any:
    return linear_model.LogisticRegression(max_iter=1000)


def test_coefficients_through_a_pipeline(cancer: tuple[pd.DataFrame, pd.Series[int]]) -> None:
    features, target = cancer
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), logistic())
    model.fit(features, target)
    frame = coefficients(model, list(features.columns))
    assert frame.columns.tolist() == COLUMNS
    raw = dict(zip(features.columns, model[-1].coef_[0], strict=True))
    assert dict(zip(frame["variable"], frame["coefficient"], strict=True)) == raw
    assert frame["importance"].tolist() == sorted((abs(x) for x in raw.values()), reverse=True)
    assert frame["std"].tolist() == [None] * 30
    assert frame.attrs == {"kind": "coefficient"}


def test_names_are_those_that_reach_the_last_step(
    cancer: tuple[pd.DataFrame, pd.Series[int]],
) -> None:
    features, target = cancer
    chosen = feature_selection.SelectKBest(k=4)
    inner = pipeline.make_pipeline(preprocessing.StandardScaler(), logistic())
    model = pipeline.make_pipeline(chosen, inner).fit(features, target)
    names = set(coefficients(model, list(features.columns))["variable"])
    assert names == set(chosen.get_feature_names_out())
    split = compose.ColumnTransformer(
        [("scaled", preprocessing.StandardScaler(), ["mean radius"])], remainder="passthrough"
    )
    model = pipeline.make_pipeline(split, logistic())
    model.fit(features[["mean area", "mean radius"]] / 1000, target)
    names = set(coefficients(model, ["mean area", "mean radius"])["variable"])
    assert names == {"scaled__mean radius", "remainder__mean area"}


def test_a_step_without_names_keeps_the_given_ones(
    cancer: tuple[pd.DataFrame, pd.Series[int]],
) -> None:
    features, target = cancer
    model = pipeline.make_pipeline(preprocessing.FunctionTransformer(np.log1p), logistic())
    model.fit(features, target)
    assert set(coefficients(model, list(features.columns))["variable"]) == set(features.columns)


def test_a_search_and_sparse_coefficients(cancer: tuple[pd.DataFrame, pd.Series[int]]) -> None:
    features, target = cancer
    scaled = preprocessing.StandardScaler().fit_transform(features)
    search = model_selection.GridSearchCV(logistic(), {"C": [0.1, 1]}, cv=2).fit(scaled, target)
    frame = coefficients(search, list(features.columns))
    best = np.abs(search.best_estimator_.coef_).max()
    assert frame["importance"].iloc[0] == best
    search.best_estimator_.sparsify()
    pd.testing.assert_frame_equal(coefficients(search, list(features.columns)), frame)


def test_impurity_of_a_forest_and_of_boosting(cancer: tuple[pd.DataFrame, pd.Series[int]]) -> None:
    features, target = cancer
    names = list(features.columns)
    forest = ensemble.RandomForestClassifier(20, random_state=1).fit(features, target)
    frame = impurity(pipeline.Pipeline([("forest", forest)]), names).set_index("variable")
    assert frame.index[0] == names[int(forest.feature_importances_.argmax())]
    assert frame["importance"].sum() == pytest.approx(1)
    trees = np.array([tree.feature_importances_ for tree in forest.estimators_])
    for number, name in enumerate(names):
        assert frame.loc[name, "importance"] == forest.feature_importances_[number]
        assert frame.loc[name, "std"] == pytest.approx(trees[:, number].std())
    assert frame["coefficient"].tolist() == [None] * 30
    for kind in (ensemble.GradientBoostingClassifier, ensemble.AdaBoostClassifier):
        boosted = kind(n_estimators=5, random_state=1).fit(features, target)
        assert impurity(boosted, names)["std"].tolist() == [None] * 30


def test_permutation_is_that_of_scikit_learn(cancer: tuple[pd.DataFrame, pd.Series[int]]) -> None:
    features, target = cancer
    features = features.iloc[:, :6]
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), logistic())
    model.fit(features[:300], target[:300])
    before = features.copy()
    frame = permutation(model, features[300:], target[300:], repeats=4, seed=3)
    pd.testing.assert_frame_equal(features, before)
    oracle = inspection.permutation_importance(
        model, features[300:], target[300:], scoring="roc_auc", n_repeats=4, random_state=3
    )
    ordered = frame.set_index("variable").loc[list(features.columns)]
    assert (ordered["importance"] == oracle.importances_mean).all()
    assert (ordered["std"] == oracle.importances_std).all()
    assert frame["importance"].is_monotonic_decreasing
    assert frame["coefficient"].tolist() == [None] * 6
    how = {"kind": "permutation", "scorer": "roc_auc", "repeats": 4, "seed": 3}
    assert frame.attrs == how | {"rows": len(features) - 300}
    again = permutation(model, features[300:], target[300:], repeats=4, seed=3)
    pd.testing.assert_frame_equal(again, frame)


def constant(estimator: Any, features: Any, target: Any) -> float:
    return 0.5


def test_permutation_takes_a_scorer_of_the_team(
    cancer: tuple[pd.DataFrame, pd.Series[int]],
) -> None:
    features, target = cancer
    frame = permutation(logistic(), features.iloc[:, :3], target, scorer=constant, repeats=1)
    assert frame["importance"].tolist() == [0, 0, 0]
    assert frame.attrs["scorer"] == "constant"


def test_permutation_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.inspection", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mfprefect\[sklearn\]'"):
        permutation(None, pd.DataFrame({"x": [1]}), [1])


def test_what_permutation_refuses() -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    with pytest.raises(ConfigurationError, match=r"'auc'; pass a callable or one of: .*roc_auc"):
        permutation(None, frame, [0, 1], scorer="auc")
    with pytest.raises(InvalidValue, match="2 rows of features and 1 targets"):
        permutation(None, frame, [0])
    with pytest.raises(InvalidValue, match="0 rows of features"):
        permutation(None, frame.head(0), [])
    with pytest.raises(InvalidValue, match="repeats is 0"):
        permutation(None, frame, [0, 1], repeats=0)


def test_models_without_the_figures(cancer: tuple[pd.DataFrame, pd.Series[int]]) -> None:
    features, target = cancer
    names = list(features.columns)
    with pytest.raises(InvalidValue, match="LogisticRegression has no coef_: it is not fitted"):
        coefficients(logistic(), names)
    with pytest.raises(InvalidValue, match=r"has no coef_.*permutation"):
        coefficients(pipeline.make_pipeline(preprocessing.StandardScaler(), logistic()), names)
    linear = linear_model.LogisticRegression(max_iter=10_000).fit(features / 1000, target)
    with pytest.raises(InvalidValue, match="has no feature_importances_"):
        impurity(linear, names)
    with pytest.raises(InvalidValue, match="30 figures in coef_, but there are 2 names"):
        coefficients(linear, names[:2])
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), logistic())
    model.fit(features, target)
    with pytest.raises(InvalidValue, match="was not fitted on columns"):
        coefficients(model, names[::-1])


def test_coefficients_of_several_classes_are_averaged(
    cancer: tuple[pd.DataFrame, pd.Series[int]],
) -> None:
    features = cancer[0].iloc[:, :2]
    several = logistic().fit(features, cancer[1] + features.index % 2)
    frame = coefficients(several, ["a", "b"]).set_index("variable")
    assert frame.loc["a", "importance"] == pytest.approx(np.abs(several.coef_[:, 0]).mean())
    assert frame["coefficient"].tolist() == [None, None]


def test_standardised_coefficients_do_not_depend_on_units(
    cancer: tuple[pd.DataFrame, pd.Series[int]],
) -> None:
    features, target = cancer
    names = ["mean radius", "mean area"]
    plain = linear_model.LinearRegression().fit(features[names], target)
    frame = coefficients(plain, names, features[names]).set_index("variable")
    for place, name in enumerate(names):
        assert frame.loc[name, "coefficient"] == plain.coef_[place]
        expected = abs(plain.coef_[place]) * features[name].std()
        assert frame.loc[name, "importance"] == pytest.approx(expected)
    assert frame.attrs == {"kind": "standardised_coefficient"}
    # In square metres, and through a scaler: the same.
    other = features[names].assign(**{"mean area": features["mean area"] / 1e6})
    for model in (
        linear_model.LinearRegression(),
        pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LinearRegression()),
    ):
        again = coefficients(model.fit(other, target), names, other).set_index("variable")
        assert again["importance"].to_dict() == pytest.approx(frame["importance"].to_dict())
    with pytest.raises(InvalidValue, match="1 rows have no standard deviation"):
        coefficients(plain, names, features[names].head(1))


def mixed() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "plan": rng.choice(["s", "m", "l"], 300).astype(object),
            "age": rng.normal(40, 9, 300),
            "shoe": rng.normal(42, 2, 300),
            "idle": rng.integers(0, 2, 300),
        }
    )
    frame.loc[::20, "plan"] = None
    frame.loc[::30, "age"] = np.nan
    return frame, (frame["age"].fillna(40) + 12 * (frame["plan"] == "l") > 44).astype(int)


@pytest.mark.parametrize("sparse", [True, False])
def test_a_column_transformer_tells_columns_from_what_it_makes_of_them(sparse: bool) -> None:
    features, target = mixed()
    numbers = pipeline.make_pipeline(
        import_module("sklearn.impute").SimpleImputer(), preprocessing.StandardScaler()
    )
    columns = compose.ColumnTransformer(
        [
            ("levels", preprocessing.OneHotEncoder(sparse_output=sparse), ["plan"]),
            ("numbers", numbers, ["age", "shoe"]),
        ],
        sparse_threshold=1.0 if sparse else 0.0,
    )
    names = list(features.columns)
    made = {
        "levels__plan_l", "levels__plan_m", "levels__plan_s", "levels__plan_nan",
        "numbers__age", "numbers__shoe",
    }  # fmt: skip
    linear = pipeline.make_pipeline(columns, logistic()).fit(features, target)
    importances = available(
        linear, features, target, "binary", lambda m, x: m.predict_proba(x)[:, 1]
    )
    assert set(importances) == {"coefficient", "standardised_coefficient", "permutation"}
    assert set(importances["coefficient"]["variable"]) == made
    scale = np.std(np.asarray(columns.transform(features[names]).todense() if sparse
        else columns.transform(features)), axis=0, ddof=1)  # fmt: skip
    expected = np.abs(linear[-1].coef_[0]) * scale
    standard = importances["standardised_coefficient"].set_index("variable")["importance"]
    assert standard[columns.get_feature_names_out()].tolist() == pytest.approx(expected.tolist())
    # Shuffled are the columns that came in, those that nothing uses as well.
    shuffled = importances["permutation"].set_index("variable")
    assert set(shuffled.index) == set(names)
    assert shuffled.loc["idle", "importance"] == 0
    oracle = inspection.permutation_importance(
        linear, features, target, scoring="roc_auc", n_repeats=5, random_state=0
    )
    assert shuffled.loc[names, "importance"].tolist() == pytest.approx(oracle.importances_mean)
    forest = ensemble.RandomForestClassifier(5, random_state=0)
    trees = pipeline.make_pipeline(columns, forest).fit(features, target)
    assert set(impurity(trees, names)["variable"]) == made


def test_each_type_of_model_has_its_scorer() -> None:
    features, target = mixed()
    features = features[["shoe", "idle"]]
    tree = import_module("sklearn.tree")
    for kind, estimator, label in (
        ("regression", tree.DecisionTreeRegressor(max_depth=3), "neg_root_mean_squared_error"),
        ("multiclass", tree.DecisionTreeClassifier(max_depth=3), "accuracy"),
    ):
        fitted = estimator.fit(features, target)

        def predict(model: Any, rows: Any, kind: str = kind) -> Any:
            if kind == "regression":
                return model.predict(rows)
            return pd.DataFrame(model.predict_proba(rows), columns=model.classes_)

        importances = available(fitted, features, target, kind, predict)
        oracle = inspection.permutation_importance(
            fitted, features, target, scoring=label, n_repeats=5, random_state=0
        )
        frame = importances["permutation"].set_index("variable")
        assert frame.loc["shoe", "importance"] == pytest.approx(oracle.importances_mean[0])
        assert frame.attrs["scorer"] == label
        assert "impurity" in importances


def test_one_class_only_has_no_permutation_by_auc() -> None:
    features, target = mixed()
    features = features[["shoe", "idle"]]
    model = logistic().fit(features, target)
    with (
        pytest.raises(InvalidValue, match="'roc_auc' returned no finite number for 4 rows"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        permutation(model, features.head(4), [0] * 4)
    importances = available(model, features.head(4), [0] * 4, "binary", lambda m, x: x["shoe"])
    assert "permutation" not in importances
    assert "coefficient" in importances

# mypy: disable-error-code="import-untyped"
"""Which models work out of the box: stored and loaded again, they predict the same."""

from __future__ import annotations

import functools
import importlib
import io
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.base
from scipy import sparse
from sklearn import (
    calibration,
    compose,
    decomposition,
    ensemble,
    feature_extraction,
    feature_selection,
    frozen,
    impute,
    isotonic,
    linear_model,
    model_selection,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import all_estimators

from mfprefect.artifacts import SKLEARN_TYPES, dump, load
from mfprefect.artifacts.boosters import BOOSTED_TYPES
from mfprefect.errors import ConfigurationError
from mfprefect.lifecycle.estimator import at_default

CANCER = load_breast_cancer(as_frame=True)
X = CANCER.data
Y = CANCER.target.to_numpy()
THREE = np.arange(len(Y)) % 3
MIXED = X.iloc[:, :4].assign(
    size=pd.cut(X["mean radius"], 3, labels=["s", "m", "l"]),
    site=np.where(X["mean texture"] > 18, "left", "right"),
)
MIXED.iloc[::50, 0] = np.nan


def round_trip(model: Any) -> Any:
    file = io.BytesIO()
    return load(file, dump(model, file))


def needs(model: Any) -> set[str]:
    """Return the types that skops itself does not trust."""
    skops = importlib.import_module("skops.io")
    return set(skops.get_untrusted_types(data=skops.dumps(model)))


def predict(model: Any, data: Any) -> Any:
    for method in ("predict_proba", "decision_function", "predict", "transform"):
        if hasattr(model, method):
            prediction = getattr(model, method)(data)
            return prediction.toarray() if sparse.issparse(prediction) else np.asarray(prediction)
    raise AssertionError(model)


def columns(*, categories: Any = ("size", "site"), numbers: Any = None) -> Any:
    number = pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler())
    category = pipeline.make_pipeline(
        impute.SimpleImputer(strategy="most_frequent"),
        preprocessing.OneHotEncoder(handle_unknown="ignore"),
    )
    numbers = numbers or list(X.columns[:4])
    categories = list(categories) if isinstance(categories, tuple) else categories
    return compose.ColumnTransformer([("n", number, numbers), ("c", category, categories)])


def selected(**options: Any) -> Any:
    return compose.make_column_selector(**options)


def piped(*steps: Any) -> Any:
    return pipeline.make_pipeline(*steps, linear_model.LogisticRegression())


SMALL = X.to_numpy()[:, :4]
SPARSE = sparse.csr_matrix(SMALL)
POSITIVE = Y + 1.0
TEXT = np.array(["good day", "bad night", "no day"])[THREE]
LOGIT = linear_model.LogisticRegression(max_iter=5000)
FOREST = ensemble.RandomForestClassifier(5, random_state=0)
ROC = {"param_grid": {"C": [1, 2]}, "cv": 3}

CASES: dict[str, tuple[Any, Any, Any]] = {
    "logistic": (LOGIT, SMALL, Y),
    "text classes": (LOGIT, SMALL, np.where(Y, "yes", "no")),
    "logistic cv": (
        linear_model.LogisticRegressionCV(
            Cs=2, cv=model_selection.StratifiedKFold(3), max_iter=5000,
            use_legacy_attributes=False, l1_ratios=(0,), scoring="neg_log_loss"
        ), preprocessing.scale(SMALL), Y,
    ),
    "ridge cv": (linear_model.RidgeCV(), SMALL, Y),
    "lasso": (linear_model.LassoCV(cv=3), SMALL, Y),
    "bayesian ridge": (linear_model.BayesianRidge(), SMALL, Y),
    "huber": (linear_model.HuberRegressor(max_iter=1000), preprocessing.scale(SMALL), Y),
    "poisson": (linear_model.PoissonRegressor(), preprocessing.scale(SMALL), Y),
    "gamma": (linear_model.GammaRegressor(), preprocessing.scale(SMALL), POSITIVE),
    "tweedie": (linear_model.TweedieRegressor(power=1.5), preprocessing.scale(SMALL), POSITIVE),
    "tweedie identity": (linear_model.TweedieRegressor(), preprocessing.scale(SMALL), POSITIVE),
    "sgd": (linear_model.SGDClassifier(random_state=0), SMALL, Y),
    "tree": (tree.DecisionTreeClassifier(), SMALL, Y),
    "forest": (ensemble.RandomForestClassifier(100, random_state=0), X, Y),
    "forest regression": (ensemble.RandomForestRegressor(5), SMALL, Y),
    "extra trees": (ensemble.ExtraTreesClassifier(5), SMALL, Y),
    "gradient boosting": (ensemble.GradientBoostingClassifier(), X, Y),
    "gradient boosting exponential": (
        ensemble.GradientBoostingClassifier(n_estimators=5, loss="exponential"), SMALL, Y
    ),
    "gradient boosting three": (
        ensemble.GradientBoostingClassifier(
            n_estimators=5, init=LOGIT, random_state=np.random.RandomState(0)
        ), preprocessing.scale(SMALL), THREE,
    ),
    "gradient boosting huber": (ensemble.GradientBoostingRegressor(loss="huber"), SMALL, Y),
    "histogram boosting": (ensemble.HistGradientBoostingClassifier(), X, Y),
    "histogram boosting three": (
        ensemble.HistGradientBoostingClassifier(max_iter=5), SMALL, THREE
    ),
    "histogram boosting categories": (
        ensemble.HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"),
        MIXED.drop(columns="site"), Y,
    ),
    **{
        f"histogram boosting {loss}": (
            ensemble.HistGradientBoostingRegressor(max_iter=5, loss=loss, quantile=0.5),
            SMALL, POSITIVE,
        ) for loss in ("squared_error", "absolute_error", "gamma", "poisson", "quantile")
    },
    "ada boost": (ensemble.AdaBoostClassifier(n_estimators=3), SMALL, Y),
    "bagging": (ensemble.BaggingClassifier(n_estimators=3), SMALL, Y),
    "voting": (ensemble.VotingClassifier([("a", LOGIT), ("b", FOREST)]), SMALL, Y),
    "stacking": (ensemble.StackingClassifier([("a", LOGIT), ("b", FOREST)], cv=3), SMALL, Y),
    "isolation forest": (ensemble.IsolationForest(n_estimators=5), SMALL, None),
    "svm": (svm.SVC(), SMALL, Y),
    "svm sparse": (svm.SVC(), SPARSE, Y),
    "svm linear": (svm.LinearSVC(), preprocessing.scale(SMALL), Y),
    "svm regression": (svm.SVR(), SMALL, Y),
    "neighbours": (neighbors.KNeighborsClassifier(), SMALL, Y),
    "neighbours 32 bit": (neighbors.KNeighborsClassifier(), SMALL.astype("f4"), Y),
    "neighbours sparse": (neighbors.KNeighborsClassifier(), SPARSE, Y),
    "neighbours ball": (neighbors.KNeighborsClassifier(algorithm="ball_tree"), SMALL, Y),
    "neighbours places": (
        neighbors.KNeighborsClassifier(metric="haversine", algorithm="ball_tree"),
        SMALL[:, :2] / 100, Y,
    ),
    **{
        f"neighbours {metric}": (neighbors.KNeighborsRegressor(metric=metric), SMALL, Y)
        for metric in ("manhattan", "chebyshev")
    },
    "neighbours minkowski": (neighbors.KNeighborsRegressor(p=3), SMALL, Y),
    "naive bayes": (naive_bayes.GaussianNB(), SMALL, Y),
    "naive bayes binary": (naive_bayes.BernoulliNB(), SMALL, Y),
    "isotonic": (isotonic.IsotonicRegression(out_of_bounds="clip"), SMALL[:, 0], Y),
    "one against the rest": (
        multiclass.OneVsRestClassifier(LOGIT), SMALL, np.column_stack([Y, 1 - Y])
    ),
    "perceptron": (
        neural_network.MLPClassifier((3,), max_iter=20, tol=1, n_iter_no_change=2), SMALL, Y
    ),
    "perceptron sgd": (
        neural_network.MLPClassifier((3,), solver="sgd", max_iter=20, tol=1, n_iter_no_change=2),
        SMALL, Y,
    ),
    **{
        f"calibrated {method}": (
            calibration.CalibratedClassifierCV(FOREST, method=method, cv=3), SMALL, Y
        ) for method in ("sigmoid", "isotonic", "temperature")
    },
    "columns": (piped(columns()), MIXED, Y),
    "columns forest": (pipeline.make_pipeline(columns(), FOREST), MIXED, Y),
    "columns by type": (
        piped(columns(
            numbers=selected(dtype_include=np.number),
            categories=selected(dtype_include="category"),
        )), MIXED, Y,
    ),
    "columns by name": (piped(columns(numbers=selected(pattern="mean"))), MIXED, Y),
    "encoders": (
        piped(preprocessing.OrdinalEncoder()), MIXED[["size", "site"]].astype(object), Y
    ),
    "target encoder": (piped(preprocessing.TargetEncoder(cv=3)), MIXED[["site"]], Y),
    "bins": (
        piped(preprocessing.KBinsDiscretizer(quantile_method="averaged_inverted_cdf")), SMALL, Y
    ),
    "logarithm": (piped(preprocessing.FunctionTransformer(np.log1p)), SMALL[:, :2], Y),
    "words": (piped(feature_extraction.text.TfidfVectorizer()), TEXT, Y),
    "words svm": (
        pipeline.make_pipeline(feature_extraction.text.CountVectorizer(), svm.SVC()), TEXT, THREE
    ),
    **{
        f"best columns {score.__name__}": (
            piped(feature_selection.SelectKBest(score, k=2)), SMALL, Y
        ) for score in (
            feature_selection.chi2, feature_selection.f_classif, feature_selection.f_regression
        )
    },
    "columns of a forest": (piped(feature_selection.SelectFromModel(FOREST)), SMALL, Y),
    "search": (model_selection.GridSearchCV(LOGIT, **ROC), SMALL, Y),
    "search over time": (
        model_selection.RandomizedSearchCV(
            tree.DecisionTreeClassifier(), {"max_depth": [1, 2]}, n_iter=2,
            cv=model_selection.TimeSeriesSplit(3),
        ), SMALL, Y,
    ),
    "search regression": (
        model_selection.GridSearchCV(linear_model.Ridge(), {"alpha": [1, 2]}, cv=3), SMALL, Y
    ),
    **{
        f"search {name}": (model_selection.GridSearchCV(LOGIT, scoring=name, **ROC), SMALL, Y)
        for name in (
            "accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision", "neg_log_loss",
            "neg_brier_score", "r2", "neg_mean_squared_error", "neg_root_mean_squared_error",
            "neg_mean_absolute_error",
        )
    },
    "tuned threshold": (
        model_selection.TunedThresholdClassifierCV(LOGIT, cv=3, scoring="f1"), SMALL, Y
    ),
    "halving search": (
        model_selection.HalvingGridSearchCV(LOGIT, cv=2, param_grid={"C": [1, 2]}), SMALL, Y
    ),
    "halving random search": (
        model_selection.HalvingRandomSearchCV(
            LOGIT, {"C": [1, 2]}, cv=2, n_candidates=2, min_resources=200, random_state=0
        ), SMALL, Y,
    ),
    "imputed by models": (piped(impute.IterativeImputer(max_iter=2)), MIXED.iloc[:, :4], Y),
    "fixed threshold": (
        model_selection.FixedThresholdClassifier(LOGIT, threshold=0.3), SMALL, Y
    ),
}  # fmt: skip


# One worker of the tests fits them all, once.
@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@functools.cache
def fitted(case: str) -> Any:
    model, data, target = CASES[case]
    return sklearn.base.clone(model).fit(data, target)


@pytest.mark.xdist_group("estimators")
def test_common_estimators_predict_the_same_bits(case: str) -> None:
    model, data = fitted(case), CASES[case][1]
    again = round_trip(model)
    assert type(again) is type(model)
    before, after = predict(model, data), predict(again, data)
    assert before.dtype == after.dtype
    assert before.tobytes() == after.tobytes()


# What an estimator needs where its defaults do not fit these data, or take long.
OPTIONS: dict[str, dict[str, Any]] = {
    "CCA": {"n_components": 1},
    "ClassifierChain": {"estimator": LOGIT},
    "DictionaryLearning": {"max_iter": 1},
    "FixedThresholdClassifier": {"estimator": LOGIT},
    "GaussianRandomProjection": {"n_components": 2},
    "LatentDirichletAllocation": {"max_iter": 1},
    "MiniBatchDictionaryLearning": {"max_iter": 1},
    "NuSVC": {"nu": 0.1},
    "PLSCanonical": {"n_components": 1},
    "PLSSVD": {"n_components": 1},
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
    "SelfTrainingClassifier": {"estimator": LOGIT},
    "SparseRandomProjection": {"n_components": 2},
    "TSNE": {"max_iter": 250, "perplexity": 5},
    "TunedThresholdClassifierCV": {"estimator": LOGIT, "cv": 2},
}
TWO_TARGETS = ("Chain", "MultiOutput", "MultiTask")
# Tried above with what they hold, or below, because they do not take tables of numbers.
ELSEWHERE = {
    *("ColumnTransformer", "Pipeline", "GridSearchCV", "RandomizedSearchCV", "FeatureUnion"),
    *("HalvingGridSearchCV", "HalvingRandomSearchCV"),
    *("StackingClassifier", "StackingRegressor", "VotingClassifier", "VotingRegressor"),
    *("CountVectorizer", "DictVectorizer", "FeatureHasher", "HashingVectorizer"),
    *("TfidfVectorizer", "PatchExtractor", "IsotonicRegression", "LabelBinarizer"),
    *("LabelEncoder", "MultiLabelBinarizer", "KernelCenterer", "SparseCoder", "FrozenEstimator"),
}


QUICK = {"random_state": 0, "n_estimators": 5}


@functools.cache
def all_fitted() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of data that suits none of them, and of old classes
        return {n: _fitted(n, kind) for n, kind in all_estimators() if n not in ELSEWHERE}


def _fitted(name: str, kind: Any) -> Any:
    options = OPTIONS.get(name, {})
    try:
        model = kind(**options)
    except TypeError:  # it needs another estimator
        model = kind(estimator=LOGIT)
    given = model.get_params(deep=False)
    model.set_params(**{k: v for k, v in QUICK.items() if k in given and k not in options})
    target = 1.0 + Y[:60]
    if any(word in name for word in TWO_TARGETS):
        target = np.column_stack([target, 3 - target])
    return model.fit(preprocessing.minmax_scale(SMALL[:60]), target)


@pytest.mark.xdist_group("estimators")
@pytest.mark.filterwarnings("ignore")  # of data that suits none of them
def test_every_estimator_of_scikit_learn_works_out_of_the_box() -> None:
    data, refused, done = preprocessing.minmax_scale(SMALL[:60]), set(), 0
    for name, model in all_fitted().items():
        try:
            again = round_trip(model)
        except ConfigurationError:
            refused.add(name)
            continue
        done += 1
        if hasattr(model, "predict") or hasattr(model, "transform"):
            # Arrays come back in another order of memory, which can change the last bit of sums.
            np.testing.assert_allclose(
                predict(again, data).astype(float), predict(model, data).astype(float), rtol=1e-9
            )
    assert refused == documented() == {"Birch"}
    assert done > 165


def documented() -> set[str]:
    """Return the estimators that docs/models.md says cannot be stored."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    table = page.split("These are not:")[1].split("A type that is not on the list")[0]
    return {row.split("`")[1] for row in table.splitlines() if row.startswith("| `")}


def others() -> dict[str, Any]:
    """Return fitted estimators that take something else than a table of numbers and a target."""
    text = feature_extraction.text
    members = [("a", linear_model.Ridge()), ("b", linear_model.LinearRegression())]
    scaled = preprocessing.MinMaxScaler()
    fitted = {
        "DictVectorizer": feature_extraction.DictVectorizer().fit([{"a": 1, "b": "x"}]),
        "FeatureHasher": feature_extraction.FeatureHasher(8),
        "FeatureUnion": pipeline.FeatureUnion([("scaled", scaled)]).fit(SMALL),
        "FrozenEstimator": frozen.FrozenEstimator(fitted_tree()),
        "HashingVectorizer": text.HashingVectorizer(n_features=8),
        "KernelCenterer": preprocessing.KernelCenterer().fit(np.eye(3)),
        "LabelBinarizer": preprocessing.LabelBinarizer().fit(["a", "b", "c"]),
        "LabelEncoder": preprocessing.LabelEncoder().fit(["a", "b"]),
        "MultiLabelBinarizer": preprocessing.MultiLabelBinarizer().fit([["a"], ["b", "c"]]),
        "PatchExtractor": feature_extraction.image.PatchExtractor().fit(np.zeros((2, 4, 4))),
        "SparseCoder": decomposition.SparseCoder(np.eye(2)),
        "StackingRegressor": ensemble.StackingRegressor(members, cv=2).fit(SMALL, Y),
        "VotingRegressor": ensemble.VotingRegressor(members).fit(SMALL, Y),
    }
    return fitted


def fitted_tree() -> Any:
    return tree.DecisionTreeClassifier(random_state=0).fit(SMALL, Y)


def names_in(model: Any) -> set[str]:
    """Return the names of an estimator's class and of those that it holds."""
    parts = model.get_params().values() if hasattr(model, "get_params") else ()
    return {type(part).__name__ for part in (model, *parts)}


@pytest.mark.xdist_group("estimators")
def test_no_estimator_of_scikit_learn_is_left_out() -> None:
    remaining = others()
    for name, model in remaining.items():
        assert names_in(round_trip(model)) == names_in(model), name
    cases = set().union(*(names_in(model) for model, _, _ in CASES.values()))
    tried = cases | set(all_fitted()) | set(remaining)
    assert {name for name, _ in all_estimators()} - tried == set()


FOLDS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("GroupKFold", "GroupShuffleSplit", "KFold", "LeaveOneGroupOut"), ()),
    **dict.fromkeys(("LeaveOneOut", "RepeatedKFold", "RepeatedStratifiedKFold"), ()),
    **dict.fromkeys(("ShuffleSplit", "StratifiedGroupKFold", "StratifiedKFold"), ()),
    **dict.fromkeys(("StratifiedShuffleSplit", "TimeSeriesSplit"), ()),
    **dict.fromkeys(("LeavePGroupsOut", "LeavePOut"), (2,)),
    "PredefinedSplit": ([0, 1],),
}
COLUMN_SCORES = "chi2 f_classif f_oneway f_regression mutual_info_classif mutual_info_regression"


@functools.cache
def holders() -> dict[str, Any]:
    """Return unfitted estimators with each splitter, scorer and score of columns."""
    search = functools.partial(model_selection.GridSearchCV, LOGIT, {"C": [1]})
    folds = {n: search(cv=getattr(model_selection, n)(*given)) for n, given in FOLDS.items()}
    scorers = {name: search(scoring=get_scorer(name)) for name in get_scorer_names()}
    names = [*COLUMN_SCORES.split(), "r_regression"]
    best = {n: feature_selection.SelectKBest(getattr(feature_selection, n)) for n in names}
    return folds | scorers | best


def test_every_splitter_scorer_and_score_of_columns_works() -> None:
    shipped = {
        name
        for name, value in vars(model_selection).items()
        if isinstance(value, type) and hasattr(value, "split") and not name.startswith("Base")
    }
    assert shipped == set(FOLDS)
    for name, estimator in holders().items():
        assert type(round_trip(estimator)) is type(estimator), name


FRESH = """
import io, json, sys
from mfprefect.artifacts import Artifact, load
document = json.load(sys.stdin)
for content, record in document:
    print(type(load(io.BytesIO(bytes.fromhex(content)), Artifact(**record))).__name__)
"""


@pytest.mark.xdist_group("estimators")
def test_experimental_estimators_load_where_nobody_enabled_them() -> None:
    stored = []
    for case in ("halving search", "halving random search", "imputed by models"):
        file = io.BytesIO()
        artifact = dump(fitted(case), file)
        stored.append((file.getvalue().hex(), vars(artifact)))
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH],
        input=json.dumps(stored), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert fresh.stdout.split() == ["HalvingGridSearchCV", "HalvingRandomSearchCV", "Pipeline"]


# skops trusts them itself where `enable_..` ran before it was imported.
EXPERIMENTAL = {
    "sklearn.impute._iterative.IterativeImputer",
    *(
        f"sklearn.model_selection._search_successive_halving.{name}"
        for name in ("HalvingGridSearchCV", "HalvingRandomSearchCV")
    ),
}


@pytest.mark.xdist_group("estimators")
def test_every_listed_type_is_needed() -> None:
    listed = SKLEARN_TYPES - BOOSTED_TYPES - {"collections.OrderedDict"}  # of LightGBM
    needed = set().union(*(needs(fitted(case)) for case in CASES)) | EXPERIMENTAL
    needed |= set().union(*(needs(m) for n, m in all_fitted().items() if n != "Birch"))
    needed |= set().union(*map(needs, holders().values()))
    assert needed - listed == set()
    assert {name for name in listed - needed if ".kernels." not in name} == set()


HARMLESS = {"numpy.mean", "scipy._lib.array_api_compat.numpy._aliases.asarray"}


def test_the_list_holds_no_way_out() -> None:
    for name in SKLEARN_TYPES - BOOSTED_TYPES:
        module, _, attribute = name.rpartition(".")
        root = module.split(".")[0]
        assert root in {"sklearn", "scipy", "numpy", "functools", "collections"}, name
        # functions of packages at large can read files or run code
        if root != "sklearn" and name not in HARMLESS:
            assert isinstance(getattr(importlib.import_module(module), attribute), type), name


def test_which_parameters_are_at_their_default() -> None:
    assert at_default(linear_model.LogisticRegression(C=0.5)) == sorted(
        set(linear_model.LogisticRegression().get_params()) - {"C"}
    )
    steps = pipeline.make_pipeline(
        preprocessing.StandardScaler(with_mean=False), linear_model.LogisticRegression(C=0.5)
    )
    names = at_default(steps)
    assert "standardscaler__with_std" in names and "logisticregression__tol" in names
    assert not {"steps", "standardscaler__with_mean", "logisticregression__C"} & set(names)
    # What somebody wrote and what is the default anyway look the same, and NaN is one value.
    assert "missing_values" in at_default(impute.SimpleImputer(missing_values=float("nan")))
    assert at_default(object()) == at_default(linear_model.LogisticRegression) == []


class Passing(linear_model.LogisticRegression):  # type: ignore[misc]  # untyped
    """Passes keywords on, as XGBoost's estimators do."""

    def __init__(self, objective: str = "bad", **rest: Any) -> None:
        self.objective = objective
        super().__init__(**rest)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"objective": self.objective, "C": self.C, "tol": self.tol}


def test_defaults_of_classes_that_pass_keywords_on() -> None:
    assert at_default(Passing(C=2.0)) == ["objective", "tol"]
    assert at_default(Passing("good")) == ["C", "tol"]

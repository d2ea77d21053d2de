"""scikit-learn models in the format of skops, which rebuilds only types from an allow-list.

Two files of the same model are the same, byte for byte: arrays and objects are numbered in their
order, where skops itself names them by their addresses in memory.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Collection
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, BinaryIO
from zipfile import ZipFile, ZipInfo

from mfprefect.artifacts.boosters import BOOSTED_TYPES
from mfprefect.artifacts.skops_inspection import SCHEMA, check_file, nodes
from mfprefect.errors import ArtifactUntrusted, ConfigurationError

__all__ = ["SKLEARN_TYPES", "dump_skops", "load_skops", "type_name"]

_PROTOCOL = 2
"""The version of skops' format whose making and reading `_inner` knows."""

_METRICS = {
    "_classification": "accuracy_score balanced_accuracy_score brier_score_loss f1_score log_loss",
    "_ranking": "average_precision_score roc_auc_score",
    "_regression": "mean_absolute_error mean_squared_error r2_score root_mean_squared_error",
}

_KERNELS = (
    "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Hyperparameter Matern "
    "PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel"
)

# skops itself trusts the public estimators, numpy arrays and ufuncs. Added here is what the common
# estimators hold besides (tried with scikit-learn 1.9.1 and skops 0.16.0). A file can have a listed
# class made with any state and a listed function called with any arguments: no function is listed
# that does more than compute on its arguments, and no class whose making runs code of the file.
SKLEARN_TYPES = frozenset({
    # Compiled code over stored arrays. A forged array could read outside of its memory, not run
    # code; the digest (and signature) shows that the arrays are those that the team stored.
    "sklearn.tree._tree.Tree",  # every tree, forest and GradientBoosting
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # HistGradientBoosting
    "sklearn.neighbors._kd_tree.KDTree",  # nearest neighbours
    "sklearn.neighbors._ball_tree.BallTree",  # nearest neighbours with algorithm="ball_tree"
    "scipy.sparse._csr.csr_matrix",  # SVM and nearest neighbours that were fitted on sparse data
    # Distances of those neighbours: numbers only. PyFuncDistance64 calls a function: not listed.
    *(f"sklearn.metrics._dist_metrics.{name}Distance64"
      for name in ("Chebyshev", "Euclidean", "Haversine", "Manhattan", "Minkowski")),
    # Plain Python objects that hold parameters and other listed objects.
    "sklearn.utils._bunch.Bunch",  # Voting and Stacking: a dictionary of the named estimators
    "sklearn.calibration._CalibratedClassifier",  # CalibratedClassifierCV: one fold
    "sklearn.calibration._SigmoidCalibration",  # its method="sigmoid"
    "sklearn.calibration._TemperatureScaling",  # its method="temperature"
    "sklearn._loss.loss.HalfTweedieLoss",  # TweedieRegressor
    "sklearn._loss.loss.HalfTweedieLossIdentity",  # TweedieRegressor with the identity link
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",  # MLP, default solver
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",  # MLP, solver="sgd"
    "sklearn.compose._column_transformer.make_column_selector",  # ColumnTransformer: by type
    "numpy.number",  # the abstract type in make_column_selector(dtype_include=np.number)
    "numpy.dtype",  # SimpleImputer, KBinsDiscretizer: the type of the fitted data
    # HistGradientBoosting with categorical features: partial(check_array, ..) of a listed function.
    "functools.partial",
    "sklearn.utils.validation.check_array",  # converts and checks an array
    # Feature selection: scores of columns, computed from arrays.
    *(f"sklearn.feature_selection._univariate_selection.{name}"
      for name in ("chi2", "f_classif", "f_regression")),
    # Gaussian processes: kernels, which hold numbers and other kernels.
    *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS.split()),
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    # What single estimators hold: nodes of numbers, and functions that compute on arrays.
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",  # BisectingKMeans as well
    "sklearn.multiclass._ConstantPredictor",  # OneVsRest, OutputCode: a class that is always there
    "scipy.interpolate._bsplines.BSpline",  # SplineTransformer
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # its splines
    "numpy.mean",  # FeatureAgglomeration
    # Searches over parameters and tuned thresholds: their folds, scorers and figures.
    *(f"sklearn.model_selection._split.{name}"
      for name in ("KFold", "StratifiedKFold", "TimeSeriesSplit")),
    *(f"sklearn.metrics._scorer.{name}"
      for name in ("_CurveScorer", "_PassthroughScorer", "_Scorer")),
    *(f"sklearn.metrics.{module}.{name}"
      for module, names in _METRICS.items() for name in names.split()),
    # TunedThresholdClassifierCV: which arguments its scorer asks for; names only.
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    # XGBoost and LightGBM inside of pipelines, searches and the like; see BOOSTERS.
    *BOOSTED_TYPES,
    "collections.OrderedDict",  # LightGBM: the figures of the training
})  # fmt: skip


def type_name(value: Any) -> str:
    """Return the full name of a value's type."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _skops() -> Any:
    try:
        return importlib.import_module("skops.io")
    except ImportError as exc:
        raise ConfigurationError(
            f"scikit-learn models need scikit-learn and skops ({exc}): "
            "pip install 'mfprefect[sklearn]'"
        ) from exc


def dump_skops(estimator: Any, file: BinaryIO, allowed: Collection[str]) -> None:
    """Write an estimator to an empty file.

    Raises:
        ArtifactUntrusted: it holds types that are not in `allowed`, so that it could not be loaded.
        ConfigurationError: skops is not installed, or cannot hold this estimator.
    """
    skops = _skops()
    try:
        if (inner := _inner()) is None:
            skops.dump(estimator, file)
            schema, found = None, skops.get_untrusted_types(file=file)
        else:
            schema = _dump(inner, estimator, file)
            found = _untrusted(inner, schema)
    except (TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise ConfigurationError(
            f"skops cannot hold this {type_name(estimator)} ({type(exc).__name__}: {exc}). "
            'Choices: store a part that it can hold, such as best_estimator_; format="pickle", '
            "which can be loaded only with trusted=True or a signature; or bytes."
        ) from exc
    _check_types(found, allowed)
    check_file(file, schema)  # what could not be loaded is not stored


def _dump(inner: Any, estimator: Any, file: BinaryIO) -> dict[str, Any]:
    """Write what `skops.dump` writes, numbered and without indenting it; return its schema.

    Indentation takes it half of its time, and is 40 % of the bytes of a forest. It takes as much
    memory as the largest array; skops would keep the whole file.
    """
    with ZipFile(file, "w") as archive:
        members = _Members(archive)
        saving = inner.SaveContext(zip_file=members)
        state: dict[str, Any] = inner.get_state(estimator, saving)
        saving.clear_memo()
        _number(state, members.names)
        version = importlib.import_module("skops").__version__
        state |= {"protocol": saving.protocol, "_skops_version": version}
        archive.writestr(ZipInfo(SCHEMA), json.dumps(state))
    return state


class _Members:
    """The part of a ZipFile that skops uses; members are named in their order, without a date."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self.names: dict[str, str] = {}
        """The names in the file by those that skops gave."""

    def namelist(self) -> Collection[str]:
        return self.names.keys()

    def writestr(self, name: str, content: Any) -> None:
        self.names[name] = f"{len(self.names)}{PurePosixPath(name).suffix}"
        self._archive.writestr(ZipInfo(self.names[name]), content)


def _number(state: Any, names: dict[str, str]) -> None:
    """Replace the addresses and names of objects by numbers in the order of the tree."""
    numbers: dict[int, int] = {}
    for node in nodes(state):
        if node.get("__loader__") == "JsonNode":
            # Whether equal texts and numbers are one object is for the interpreter to say.
            node.pop("__id__", None)
        if isinstance(address := node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(address, len(numbers) + 1)
        if isinstance(name := node.get("file"), str):
            node["file"] = names[name]


def _check_types(found: Collection[str], allowed: Collection[str]) -> None:
    refused = sorted(set(found).difference(allowed))
    if refused:
        raise ArtifactUntrusted(
            f"the model holds types that are not on the allow-list: {', '.join(refused)}. If you "
            f"trust their code, add them: MFPREFECT_TRUSTED_TYPES={json.dumps(refused)} or "
            f"trusted_types={refused!r}.",
            types=refused,
        )


def load_skops(file: BinaryIO, allowed: Collection[str] | None) -> Any:
    """Rebuild the estimator in a file; `allowed` None allows every type.

    Raises:
        ArtifactCorrupt: it is no skops file, or would unpack to far more than its size.
        ArtifactUntrusted: it holds types that are not in `allowed`.
        Exception: what skops or the types themselves raise.
    """
    skops = _skops()
    check_file(file)
    if (inner := _inner()) is None:
        found = skops.get_untrusted_types(file=file)
        if allowed is not None:
            _check_types(found, allowed)
        return skops.load(file, trusted=found)
    with ZipFile(file) as archive:
        # As `skops.load` does it, but for the arrays, which it would hold twice and more.
        schema, loading = inner.read_schema(_Reader(archive))
        found = _untrusted(inner, schema)
        if allowed is not None:
            _check_types(found, allowed)
        uses = Counter(node.get("__id__") for node in nodes(schema))
        tree = inner.get_tree(schema, loading, trusted=found)
        inner.audit_tree(tree, trusted=found)
        for number, node in loading.memo.items():
            if isinstance(node, inner.NdArrayNode) and node.type == "numpy":
                node.buffer = archive.open(node.buffer.read().decode())
            # What only one other object asks for need not be kept until all is made.
            if uses[number] == 1 and isinstance(node, inner.NdArrayNode | inner.DictNode):
                node.construct = node._construct
        return tree.construct()


class _Reader:
    """The part of a ZipFile that skops reads from; of an array it gives the member's name."""

    def __init__(self, archive: ZipFile | None) -> None:
        self._archive = archive

    def read(self, name: str) -> bytes:
        if self._archive is None or name.endswith(".npy"):
            return name.encode()
        return self._archive.read(name)


def _untrusted(inner: Any, schema: dict[str, Any]) -> list[str]:
    """Return the types in a schema that skops does not trust by itself."""
    loading = inner.LoadContext(src=_Reader(None), protocol=schema["protocol"])
    return sorted(inner.get_tree(schema, loading, trusted=None).get_unsafe_set())


def _inner() -> SimpleNamespace | None:
    """Return what `skops.dump` and `skops.load` are made of; None of versions made otherwise."""
    places = {
        "_audit": "audit_tree get_tree",
        "_general": "DictNode",
        "_numpy": "NdArrayNode",
        "_utils": "PROTOCOL LoadContext SaveContext get_state read_schema",
    }
    try:
        found = {
            name: getattr(importlib.import_module(f"skops.io.{module}"), name)
            for module, names in places.items()
            for name in names.split()
        }
    except (ImportError, AttributeError):
        return None
    return SimpleNamespace(**found) if found["PROTOCOL"] == _PROTOCOL else None

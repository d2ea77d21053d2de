"""scikit-learn models in the skops format, which rebuilds only types on an allow-list.

Files of the same model are identical byte for byte: arrays and objects are numbered in order,
whereas skops names them by their memory addresses.
"""

from __future__ import annotations

import importlib
import json
import sys
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
"""The version of the skops format that `_internals` supports."""

_METRICS = {
    "_classification": (
        "accuracy_score balanced_accuracy_score brier_score_loss d2_brier_score d2_log_loss_score "
        "f1_score jaccard_score log_loss matthews_corrcoef precision_score recall_score"
    ),
    "_ranking": "average_precision_score roc_auc_score top_k_accuracy_score",
    "_regression": (
        "d2_absolute_error_score explained_variance_score max_error mean_absolute_error "
        "mean_absolute_percentage_error mean_gamma_deviance mean_poisson_deviance "
        "mean_squared_error mean_squared_log_error median_absolute_error r2_score "
        "root_mean_squared_error root_mean_squared_log_error"
    ),
    "_scorer": "negative_likelihood_ratio positive_likelihood_ratio",
    "cluster._supervised": (
        "adjusted_mutual_info_score adjusted_rand_score completeness_score fowlkes_mallows_score "
        "homogeneity_score mutual_info_score normalized_mutual_info_score rand_score "
        "v_measure_score"
    ),
}
"""The functions that scikit-learn's named scorers compute."""

_KERNELS = (
    "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Hyperparameter Matern "
    "PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel"
)

_SPLITTERS = (
    "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut LeavePOut "
    "PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold "
    "StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit"
)

# skops itself trusts the public estimators, numpy arrays and ufuncs. This list adds what the common
# estimators hold besides (tested with scikit-learn 1.9.1 and skops 0.16.0). A file can create a
# listed class with any state and call a listed function with any arguments. So list only functions
# that just compute on their arguments, and classes whose creation runs no code from the file.
SKLEARN_TYPES = frozenset({
    # Compiled code over stored arrays. A forged array could read outside its memory, but not run
    # code; the digest (and signature) proves that the team stored these arrays.
    "sklearn.tree._tree.Tree",  # every tree, forest and GradientBoosting
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",  # HistGradientBoosting
    "sklearn.neighbors._kd_tree.KDTree",  # nearest neighbours
    "sklearn.neighbors._ball_tree.BallTree",  # nearest neighbours with algorithm="ball_tree"
    "scipy.sparse._csr.csr_matrix",  # SVM and nearest neighbours fitted on sparse data
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
    # IterativeImputer: a named tuple of two arrays of column numbers and an estimator.
    "sklearn.impute._iterative._ImputerTriplet",
    # Experimental estimators, which skops trusts only where `enable_..` ran before its import.
    "sklearn.impute._iterative.IterativeImputer",
    *(f"sklearn.model_selection._search_successive_halving.{name}"
      for name in ("HalvingGridSearchCV", "HalvingRandomSearchCV")),
    # Feature selection: scores of columns, computed from arrays.
    *(f"sklearn.feature_selection._univariate_selection.{name}"
      for name in ("chi2", "f_classif", "f_oneway", "f_regression", "r_regression")),
    *(f"sklearn.feature_selection._mutual_info.mutual_info_{kind}"
      for kind in ("classif", "regression")),
    # Gaussian processes: kernels, which hold numbers and other kernels.
    *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS.split()),
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    # Parts of single estimators: nodes of numbers, and functions that compute on arrays.
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",  # BisectingKMeans as well
    "sklearn.multiclass._ConstantPredictor",  # OneVsRest, OutputCode: a constant class
    "scipy.interpolate._bsplines.BSpline",  # SplineTransformer
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # its splines
    "numpy.mean",  # FeatureAgglomeration
    # Searches over parameters and tuned thresholds: their folds, scorers and figures.
    *(f"sklearn.model_selection._split.{name}"
      for name in _SPLITTERS.split()),
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
        ArtifactUntrusted: the estimator holds types outside `allowed`, or types that no other
            program finds by their name; `load_skops` would refuse or miss them.
        ConfigurationError: skops is not installed, or cannot hold this estimator.
    """
    skops = _skops()
    try:
        if (internals := _internals()) is None:
            skops.dump(estimator, file)
            schema, types = None, skops.get_untrusted_types(file=file)
        else:
            schema = _dump(internals, estimator, file)
            types = _untrusted(internals, schema)
    except (TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise ConfigurationError(
            f"skops cannot hold this {type_name(estimator)} ({type(exc).__name__}: {exc}). "
            'Choices: store a part that it can hold, such as best_estimator_; format="pickle", '
            "which loads only with trusted=True or a signature; or bytes."
        ) from exc
    _require_importable(set(types) - SKLEARN_TYPES, type_name(estimator))
    _check_types(types, allowed)
    check_file(file, schema)  # never store a model that cannot be loaded


def _dump(internals: Any, estimator: Any, file: BinaryIO) -> dict[str, Any]:
    """Write the same as `skops.dump`, but numbered and without indentation; return the schema.

    Indentation takes half of the time, and 40 % of the bytes of a forest. This needs as much memory
    as the largest array; skops keeps the whole file in memory.
    """
    with ZipFile(file, "w") as archive:
        members = _Members(archive)
        saving = internals.SaveContext(zip_file=members)
        state: dict[str, Any] = internals.get_state(estimator, saving)
        saving.clear_memo()
        _number(state, members.names)
        version = importlib.import_module("skops").__version__
        state |= {"protocol": saving.protocol, "_skops_version": version}
        archive.writestr(ZipInfo(SCHEMA), json.dumps(state))
    return state


class _Members:
    """The part of ZipFile that skops writes to; number the members and omit their dates."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self.names: dict[str, str] = {}
        """The names in the file, by skops' names."""

    def namelist(self) -> Collection[str]:
        return self.names.keys()

    def writestr(self, name: str, content: Any) -> None:
        self.names[name] = f"{len(self.names)}{PurePosixPath(name).suffix}"
        self._archive.writestr(ZipInfo(self.names[name]), content)


def _number(state: Any, names: dict[str, str]) -> None:
    """Replace the addresses and names of objects by numbers in tree order."""
    numbers: dict[int, int] = {}
    for node in nodes(state):
        if node.get("__loader__") == "JsonNode":
            # Whether equal texts or numbers are one object depends on the interpreter.
            node.pop("__id__", None)
        if isinstance(address := node.get("__id__"), int):
            node["__id__"] = numbers.setdefault(address, len(numbers) + 1)
        if isinstance(name := node.get("file"), str):
            node["file"] = names[name]


def _check_types(types: Collection[str], allowed: Collection[str]) -> None:
    refused = sorted(set(types).difference(allowed))
    if refused:
        raise ArtifactUntrusted(
            f"the model holds types that are not on the allow-list: {', '.join(refused)}. If you "
            f"trust their code, add them: MFPREFECT_TRUSTED_TYPES={json.dumps(refused)} or "
            f"trusted_types={refused!r}. If not, write save_model and load_model in the model's "
            "class, or leave them out of the model.",
            types=refused,
        )


def _require_importable(types: Collection[str], estimator: str) -> None:
    """Refuse types that another program cannot import by name, whatever the settings trust."""
    lost = sorted(name for name in types if not _is_importable(name))
    if lost:
        raise ArtifactUntrusted(
            f"the {estimator} holds {', '.join(map(_description, lost))}, which no other program "
            "can load: a stored model holds only the names of functions and classes. Move each to "
            "the top level of a module, as a def or a class, import it from there, and train "
            "again.",
            types=lost,
        )


def _is_importable(name: str) -> bool:
    module_name, _, attribute = name.rpartition(".")
    # `__main__`, and the names that Prefect gives to flow files that it loads by path.
    if module_name.startswith("__"):
        return False
    # A type in use has its module imported, unless its name is wrong, as of a nested class.
    return hasattr(sys.modules.get(module_name), attribute)


def _description(name: str) -> str:
    module_name, _, attribute = name.rpartition(".")
    if attribute == "<lambda>":
        return f"a lambda of {module_name}" if module_name != "__main__" else "a lambda"
    if module_name.startswith("__"):
        return f"{attribute!r} of a script"
    return f"{attribute!r}, which is not at the top level of {module_name}"


def load_skops(file: BinaryIO, allowed: Collection[str] | None) -> Any:
    """Rebuild the estimator in a file; `allowed` None allows every type.

    Raises:
        ArtifactCorrupt: it is not a skops file, or would unpack to far more than its size.
        ArtifactUntrusted: it holds types outside `allowed`.
        Exception: any error of skops or of the types.
    """
    skops = _skops()
    check_file(file)
    if (internals := _internals()) is None:
        types = skops.get_untrusted_types(file=file)
        if allowed is not None:
            _check_types(types, allowed)
        return skops.load(file, trusted=types)
    with ZipFile(file) as archive:
        # Same as `skops.load`, except that it would hold each array at least twice.
        schema, loading = internals.read_schema(_Reader(archive))
        types = _untrusted(internals, schema)
        if allowed is not None:
            _check_types(types, allowed)
        uses = Counter(node.get("__id__") for node in nodes(schema))
        tree = internals.get_tree(schema, loading, trusted=types)
        internals.audit_tree(tree, trusted=types)
        for number, node in loading.memo.items():
            if isinstance(node, internals.NdArrayNode) and node.type == "numpy":
                node.buffer = archive.open(node.buffer.read().decode())
            # Do not keep an object that is used only once.
            if uses[number] == 1 and isinstance(node, internals.NdArrayNode | internals.DictNode):
                node.construct = node._construct
        return tree.construct()


class _Reader:
    """The part of ZipFile that skops reads from; for an array it returns the member's name."""

    def __init__(self, archive: ZipFile | None) -> None:
        self._archive = archive

    def read(self, name: str) -> bytes:
        if self._archive is None or name.endswith(".npy"):
            return name.encode()
        return self._archive.read(name)


def _untrusted(internals: Any, schema: dict[str, Any]) -> list[str]:
    """Return the types in a schema that skops does not trust by default."""
    loading = internals.LoadContext(src=_Reader(None), protocol=schema["protocol"])
    return sorted(internals.get_tree(schema, loading, trusted=None).get_unsafe_set())


def _internals() -> SimpleNamespace | None:
    """Return the internals of `skops.dump` and `skops.load`, None in an unsupported version."""
    names_by_module = {
        "_audit": "audit_tree get_tree",
        "_general": "DictNode",
        "_numpy": "NdArrayNode",
        "_utils": "PROTOCOL LoadContext SaveContext get_state read_schema",
    }
    try:
        internals = {
            name: getattr(importlib.import_module(f"skops.io.{module}"), name)
            for module, names in names_by_module.items()
            for name in names.split()
        }
    except (ImportError, AttributeError):
        return None
    return SimpleNamespace(**internals) if internals["PROTOCOL"] == _PROTOCOL else None

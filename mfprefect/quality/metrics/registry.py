"""All metrics by name: built-in ones, and custom metrics that a team registers.

Every process that computes a custom metric or looks up its version needs the definition: flows,
cluster workers, the command line. The setting `metrics` names the modules that define custom
metrics; each process imports them before first use. A metric registered in a flow file exists only
in processes that run that file.

`python -m mfprefect.quality.metrics.registry` prints the tables of docs/metrics.md.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.quality.metrics.binary import METRICS
from mfprefect.quality.metrics.definitions import MODEL_TYPES, Metric, MetricRegistry, formula
from mfprefect.quality.metrics.multiclass import CLASS_METRICS, MULTICLASS_METRICS
from mfprefect.quality.metrics.regression import REGRESSION_METRICS
from mfprefect.quality.metrics.time_series import INTERVAL_METRICS, SERIES_METRICS
from mfprefect.quality.metrics.unsupervised import UNSUPERVISED_METRICS
from mfprefect.util.ownership import other_writers

__all__ = [
    "BUILT_IN",
    "CUSTOM",
    "custom_metrics",
    "definition_version",
    "load_metrics",
    "metric",
    "table",
]

F = TypeVar("F", bound=Callable[..., float | None])
BUILT_IN: Mapping[str, Mapping[str, Metric]] = {
    "binary": METRICS,
    "multiclass": MULTICLASS_METRICS,
    "multiclass, of each class": CLASS_METRICS,
    "regression and time series": REGRESSION_METRICS,
    "time series": SERIES_METRICS,
    "prediction intervals": INTERVAL_METRICS,
    "unsupervised": UNSUPERVISED_METRICS,
}
"""Definitions by kind of model."""
CUSTOM = MetricRegistry()
"""Registered custom metrics, by name."""
_loaded: set[str] = set()


def table(kind: str) -> str:
    """Return the Markdown table of a kind in `BUILT_IN`."""
    rows = [
        f"| `{m.name}` | {m.version} | {m.formula.replace('|', '&#124;')} | {m.source} |"
        for m in BUILT_IN[kind].values()
    ]
    return "\n".join(
        ["| metric | version | formula | source |", "| --- | --- | --- | --- |", *rows]
    )


def definition_version(name: str) -> int | None:
    """Return the version of a metric's definition, None for an unknown name."""
    definition = next(
        (table[name] for table in (*BUILT_IN.values(), CUSTOM) if name in table), None
    )
    return None if definition is None else definition.version


def metric(
    name: str, *, version: int = 1, model_type: str | Sequence[str] = "binary", source: str = ""
) -> Callable[[F], F]:
    """Register a function as a metric for all models of a type; its docstring is the formula.

    The function takes (actual, predicted) and returns a finite number, or None if the metric is
    not defined for these rows. Binary models pass doubles of shape (n,), 0/1 and score, sorted by
    score and then by actual. Multiclass models pass the labels as text and a DataFrame of scores
    with a column per class. Unsupervised models pass their clusters as text, or None if they have
    none, and the scores. Other models pass doubles of shape (n,).

    Args:
        name: at most 128 characters, and not the name of a built-in metric.
        version: increase it when the formula changes.
        model_type: one or several of `binary`, `multiclass`, `regression`, `time_series`,
            `unsupervised`.
        source: where the definition comes from: a paper, a document, a person.

    Raises:
        ConfigurationError: the name is taken, an argument is invalid, or the docstring is missing.
    """
    types = (model_type,) if isinstance(model_type, str) else tuple(model_type)
    _check(name, version, types)

    def register(function: F) -> F:
        text = formula(function)
        if not text:
            raise ConfigurationError(
                f"the metric {name!r} has no docstring; write its formula in one: reports and "
                "documentation show it."
            )
        _refuse_clash(name, function)
        CUSTOM[name] = Metric(
            name, version, text, source, function, model_types=types, home=_home(function)
        )
        return function

    return register


def _check(name: Any, version: Any, types: tuple[str, ...]) -> None:
    from mfprefect.schema import NAME_LENGTH

    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH:
        raise ConfigurationError(
            f"a metric has the name {name!r}; choose a text of 1 to {NAME_LENGTH} characters."
        )
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigurationError(
            f"the metric {name!r} has version = {version!r}; choose an integer, 1 or more."
        )
    wrong = [kind for kind in types if kind not in MODEL_TYPES]
    if wrong or not types:
        raise ConfigurationError(
            f"the metric {name!r} has model_type = {wrong[0] if wrong else types!r}; choose from "
            f"{', '.join(MODEL_TYPES)}."
        )


def _home(function: Callable[..., Any]) -> str:
    # Prefect loads a flow file under a generated name, and the cells of a notebook have no file.
    code = getattr(function, "__code__", None)
    file = "__main__" if function.__module__ == "__main__" or code is None else code.co_filename
    return f"{file}:{function.__qualname__}"


def _refuse_clash(name: str, function: Callable[..., Any]) -> None:
    kinds = [kind for kind, table in BUILT_IN.items() if name in table]
    if kinds:
        raise ConfigurationError(
            f"{name!r} is a built-in metric ({kinds[0]}); choose another name, such as "
            f"'our_{name}'."
        )
    other = CUSTOM.get(name)
    if other is not None and other.home != _home(function):
        raise ConfigurationError(
            f"two metrics have the name {name!r}: {other.home} and {_home(function)}; rename one."
        )


def load_metrics(modules: Sequence[str]) -> None:
    """Import the modules that register metrics, each once: dotted names, or paths of .py files.

    Raises:
        ConfigurationError: a module cannot be imported.
    """
    for module in modules:
        if module in _loaded:
            continue
        try:
            _check_writers(module)
            _run(Path(module)) if module.endswith(".py") else import_module(module)
        except ConfigurationError:
            raise
        except Exception as exc:
            raise ConfigurationError(
                f"the setting metrics names {module!r}, which cannot be imported: "
                f"{type(exc).__name__}: {exc}; name an installed module, or a .py file relative to "
                "the folder of mfprefect.toml."
            ) from exc
        _loaded.add(module)


def _check_writers(module: str) -> None:
    """Refuse code that another user could have put there."""
    if module.endswith(".py"):
        file = Path(module)
    else:
        spec = importlib.util.find_spec(module.partition(".")[0])
        if spec is None or spec.origin is None or not spec.has_location:
            return
        file = Path(spec.origin)
    for path in (file, file.absolute().parent):
        if path.exists() and (reason := other_writers(path)):
            raise ConfigurationError(
                f"the setting metrics names {module!r}, which is not imported, because {path} "
                f"{reason}; move it to a folder that only you can write, or chmod go-w {path}."
            )


def _run(path: Path) -> None:
    name = f"mfprefect_metrics_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look it up here
    spec.loader.exec_module(module)


def custom_metrics(model_type: str, rows: Callable[[], tuple[Any, Any]]) -> dict[str, float]:
    """Compute the registered metrics of a model type that are defined for the rows.

    Args:
        model_type: one of `MODEL_TYPES`.
        rows: returns actual and predicted; called only if the model type has a custom metric.

    Raises:
        InvalidValue: a metric returned NaN, an infinite value, or something other than a number.
    """
    metrics = [m for m in CUSTOM.values() if model_type in m.model_types]
    if not metrics:
        return {}
    actual, predicted = rows()
    figures = {m.name: _compute(m, actual, predicted) for m in metrics}
    return {name: value for name, value in figures.items() if value is not None}


def _compute(metric: Metric, actual: Any, predicted: Any) -> float | None:
    value = metric.compute(actual, predicted)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, str):
        raise InvalidValue(
            f"the metric {metric.name!r}, version {metric.version} ({metric.home}), returned "
            f"{value!r} for {len(predicted)} rows; return a finite number, or None if it is "
            "undefined"
        )
    return number


if __name__ == "__main__":
    for name in BUILT_IN:
        print(f"## {name[0].upper()}{name[1:]}\n\n{table(name)}\n")  # noqa: T201

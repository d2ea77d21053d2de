"""Every metric that has a name: the built-in ones, and those that a team registers.

A metric must be known to every process that computes it or looks its version up: flows, the
workers of a cluster, the command line. The setting `metrics` names the modules that define them;
each process imports these before it needs one. Registering in a flow's own file works in the
processes that run this file, and only there.

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
}
"""The definitions by what they are of."""
CUSTOM = MetricRegistry()
"""The metrics that were registered, by name."""
_loaded: set[str] = set()


def table(kind: str) -> str:
    """Return the Markdown table of one kind."""
    rows = [
        f"| `{m.name}` | {m.version} | {m.formula.replace('|', '&#124;')} | {m.source} |"
        for m in BUILT_IN[kind].values()
    ]
    return "\n".join(
        ["| metric | version | formula | source |", "| --- | --- | --- | --- |", *rows]
    )


def definition_version(name: str) -> int | None:
    """Return the version of a metric's definition, None for a name that nobody defined."""
    definition = next(
        (table[name] for table in (*BUILT_IN.values(), CUSTOM) if name in table), None
    )
    return None if definition is None else definition.version


def metric(
    name: str, *, version: int = 1, model_type: str | Sequence[str] = "binary", source: str = ""
) -> Callable[[F], F]:
    """Register a function as a metric of every model of a type; its docstring is the formula.

    The function takes (actual, predicted) and returns a finite number, or None where the metric is
    not defined for these rows. Of a binary model, the two are doubles of shape (n,), 0/1 and score,
    in order of score and then of actual whatever the order of the rows; of a multiclass model,
    the labels as texts and a DataFrame of scores with a column a class; else doubles of shape (n,).

    Args:
        name: at most 128 characters; no built-in metric's.
        version: raise it when the formula changes.
        model_type: one or several of `binary`, `multiclass`, `regression`, `time_series`.
        source: who agreed upon it, or where it is written.

    Raises:
        ConfigurationError: the name is taken, or an argument or the docstring is not as above.
    """
    types = (model_type,) if isinstance(model_type, str) else tuple(model_type)
    _check(name, version, types)

    def register(function: F) -> F:
        text = formula(function)
        if not text:
            raise ConfigurationError(
                f"the metric {name!r} has no docstring; say its formula in one: it is documented "
                "by it."
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
            f"a metric has the name {name!r}; it is a text of 1 to {NAME_LENGTH} characters."
        )
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigurationError(
            f"the metric {name!r} has version = {version!r}; it is an integer, 1 or more."
        )
    wrong = [kind for kind in types if kind not in MODEL_TYPES]
    if wrong or not types:
        raise ConfigurationError(
            f"the metric {name!r} is of the model type {wrong[0] if wrong else types!r}; choose "
            f"of {', '.join(MODEL_TYPES)}."
        )


def _home(function: Callable[..., Any]) -> str:
    # Prefect loads a flow's file under a name of its own, and a notebook's cells have none.
    code = getattr(function, "__code__", None)
    file = "__main__" if function.__module__ == "__main__" or code is None else code.co_filename
    return f"{file}:{function.__qualname__}"


def _refuse_clash(name: str, function: Callable[..., Any]) -> None:
    kinds = [kind for kind, table in BUILT_IN.items() if name in table]
    if kinds:
        raise ConfigurationError(
            f"{name!r} is a metric of mfprefect's own ({kinds[0]}); give yours another name, such "
            f"as 'our_{name}'."
        )
    other = CUSTOM.get(name)
    if other is not None and other.home != _home(function):
        raise ConfigurationError(
            f"two metrics have the name {name!r}: {other.home} and {_home(function)}; rename one."
        )


def load_metrics(modules: Sequence[str]) -> None:
    """Import the modules that register metrics, each once: dotted names, or paths of .py files.

    Raises:
        ConfigurationError: one of them cannot be imported.
    """
    for module in modules:
        if module in _loaded:
            continue
        try:
            _run(Path(module)) if module.endswith(".py") else import_module(module)
        except ConfigurationError:
            raise
        except Exception as exc:
            raise ConfigurationError(
                f"the setting metrics names {module!r}, which cannot be imported: "
                f"{type(exc).__name__}: {exc}; name a module that is installed, or the path of a "
                ".py file from the folder of mfprefect.toml."
            ) from exc
        _loaded.add(module)


def _run(path: Path) -> None:
    name = f"mfprefect_metrics_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses and pickle look for it
    spec.loader.exec_module(module)


def custom_metrics(model_type: str, rows: Callable[[], tuple[Any, Any]]) -> dict[str, float]:
    """Compute the registered metrics of a type of model that are defined.

    Args:
        model_type: one of `MODEL_TYPES`.
        rows: returns actual and predicted; called only where there is a metric.

    Raises:
        InvalidValue: a metric returned NaN, an infinite value, or no number.
    """
    wanted = [m for m in CUSTOM.values() if model_type in m.model_types]
    if not wanted:
        return {}
    actual, predicted = rows()
    figures = {m.name: _computed(m, actual, predicted) for m in wanted}
    return {name: value for name, value in figures.items() if value is not None}


def _computed(wanted: Metric, actual: Any, predicted: Any) -> float | None:
    value = wanted.compute(actual, predicted)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, str):
        raise InvalidValue(
            f"the metric {wanted.name!r}, version {wanted.version} ({wanted.home}), gave {value!r} "
            f"for {len(actual)} rows; return a finite number, or None where it is not defined"
        )
    return number


if __name__ == "__main__":
    for name in BUILT_IN:
        print(f"## {name[0].upper()}{name[1:]}\n\n{table(name)}\n")  # noqa: T201

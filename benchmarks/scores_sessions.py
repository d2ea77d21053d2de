"""What recording a run costs: a session of mfprefect beside a run of MLflow."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import mfprefect

__all__ = ["have_mlflow", "record"]

MODEL = "benchmark"
PARAMS = {f"param_{number}": number for number in range(10)}
METRICS = {f"metric_{number}": number / 7 for number in range(20)}
METADATA = {f"note_{number}": f"text {number}" for number in range(5)}


def have_mlflow() -> bool:
    """Tell whether MLflow is installed; it is no dependency of mfprefect."""
    return importlib.util.find_spec("mlflow") is not None


def record(url: str, mlflow_url: str | None, repeats: int) -> dict[str, list[float]]:
    """Return the milliseconds of recording 10 parameters, 20 metrics and 5 texts.

    Both record a first time before the clock runs, and then take turns.

    Args:
        url: the database of a store.
        mlflow_url: another database, for MLflow; None leaves it out.
        repeats: how often.
    """
    with mfprefect.connect(url) as store:
        contenders: dict[str, Callable[[], None]] = {"mfprefect": lambda: _session(store)}
        if mlflow_url is not None:
            contenders["mlflow"] = _mlflow(mlflow_url)
        for work in contenders.values():
            work()
        took: dict[str, list[float]] = {"mfprefect": [], "mlflow": []}
        for _ in range(repeats):
            for name, work in contenders.items():
                began = time.perf_counter()
                work()
                took[name].append(1000 * (time.perf_counter() - began))
    return took


def _session(store: mfprefect.Store) -> None:
    with store.session(MODEL, params=PARAMS) as session:
        session.log_metrics(METRICS)
        session.log_metadata(METADATA)


def _mlflow(url: str) -> Callable[[], None]:
    import mlflow

    mlflow.set_tracking_uri(url)
    mlflow.set_experiment(MODEL)

    def run() -> None:
        with mlflow.start_run():
            mlflow.log_params(PARAMS)
            mlflow.log_metrics(METRICS)
            mlflow.set_tags(METADATA)

    return run

"""The steps of a run, as Prefect tasks; only what is transient is tried again."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from mfprefect.errors import DatabaseError, InvalidValue
from mfprefect.lifecycle.split import split
from mfprefect.quality.checks import without_column

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = [
    "Runner",
    "fit",
    "is_transient",
    "load",
    "log",
    "read_training_data",
    "save",
    "score_part",
    "split_rows",
    "test",
]

P = ParamSpec("P")
R = TypeVar("R")
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def log() -> logging.Logger | logging.LoggerAdapter[Any]:
    """Return the run's logger, so that what is logged shows in Prefect."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("mfprefect")


def is_transient(error: BaseException) -> bool:
    """Return whether the same step may succeed later: links and databases that were away.

    A failed check or gate, a missing file or a programming error would only fail again.
    """
    if isinstance(error, DatabaseError):
        return error.transient
    return isinstance(error, OSError) and not isinstance(error, _FINAL)


def _retry(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    error = state.data if isinstance(state.data, BaseException) else None
    if error is None:
        found = state.result(raise_on_failure=False)
        error = found if isinstance(found, BaseException) else None
    return error is not None and is_transient(error)


class Runner:
    """Runs tasks with the number of retries that a model wants."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, step: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a task in the current flow and return its result."""
        task_with_retries: Any = step.with_options(
            retries=self._model.retries,
            retry_delay_seconds=self._model.retry_delay_seconds,
            retry_condition_fn=_retry,
        )
        result: R = task_with_retries(*args, **kwargs)
        return result


# Frames and estimators are no cache keys: hashing them would cost more than most steps.
@task(name="read training data", cache_policy=NO_CACHE, persist_result=False)
def read_training_data(model: Model, as_of: dt.date) -> pd.DataFrame:
    """Return the model's training data, read and recorded."""
    frame = model.reader.take(lambda: model.training_data(as_of), "training_data")
    _require_columns(frame, [model.entity_id, model.target], "training_data")
    return frame


def _require_columns(frame: pd.DataFrame, names: list[str], what: str) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InvalidValue(
            f"{what} lacks the column {missing[0]!r}; it has: {', '.join(map(str, frame.columns))}."
        )


def split_rows(model: Model, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows to learn from and those to test on; an entity stands in one of them."""
    return split(frame, model.entity_id, model.test_share)


@task(name="fit", cache_policy=NO_CACHE, persist_result=False)
def fit(model: Model, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
    """Return the fitted estimator."""
    return model.fit(features, target)


@task(name="test", cache_policy=NO_CACHE, persist_result=False)
def test(
    model: Model, session: Session, estimator: Any, features: pd.DataFrame, actual: pd.Series[Any]
) -> dict[str, float]:
    """Store curve, metrics and importances on the rows that were held out; return the metrics."""
    metrics = session.log_test_results(actual, model.predict(estimator, features))
    for kind, frame in model.importance(estimator, features, actual).items():
        session.log_variable_importance(frame, kind)
    return metrics


@task(name="save model", cache_policy=NO_CACHE, persist_result=False)
def save(session: Session, estimator: Any) -> None:
    """Store the model under the session."""
    session.save_model(estimator)


@task(name="load model", cache_policy=NO_CACHE, persist_result=False)
def load(store: Store, session_id: str) -> Any:
    """Return the model of a training session, verified."""
    return store.load_model(session_id)


@task(name="score part", cache_policy=NO_CACHE, persist_result=False)
def score_part(
    model: Model, session: Session, estimator: Any, features: list[str], as_of: dt.date, part: int
) -> int:
    """Read, check, score and store one part; return its rows."""
    import pandas as pd

    frame = model.reader.take(lambda: model.scoring_data(as_of, part), f"scoring_data part {part}")
    _require_columns(frame, [model.entity_id, *features], "scoring_data")
    session.log_checks(frame, without_column(model.checks, model.target))
    if part == 1:
        session.log_input_summary(frame[features])
    score = model.predict(estimator, frame[features])
    classes = model.score_class(score)
    scored = pd.DataFrame({"entity_id": frame[model.entity_id].to_numpy(), "score": score})
    if classes is not None:
        scored["score_class"] = classes
    return session.write_scores(
        scored,
        entity_id="entity_id",
        score_class=None if classes is None else "score_class",
        part=part,
    )

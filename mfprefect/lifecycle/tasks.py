"""The steps of a run as Prefect tasks; only transient errors are retried."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import MissingContextError
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger

from mfprefect.errors import CommandFailed, DatabaseError, InvalidScores, InvalidValue
from mfprefect.inputs.reader import Read, Reader
from mfprefect.lifecycle.error_redaction import redacted_errors
from mfprefect.lifecycle.estimator import SCORES, source_of_scores
from mfprefect.lifecycle.fitting import Trained, fitted, load_trained, weights_of
from mfprefect.lifecycle.split import split_rows
from mfprefect.lifecycle.unsupervised import log_test_rows
from mfprefect.quality._arrays import labels
from mfprefect.quality.learning import key_columns, require_declared_classes
from mfprefect.quality.predictions import DECISION, predictions, with_classes_of
from mfprefect.session.results import TEST

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.session.recorder import Recorder
    from mfprefect.settings import Settings
    from mfprefect.store import Store

__all__ = [
    "Runner",
    "check",
    "fit",
    "is_transient",
    "load",
    "log",
    "read_training_data",
    "reader",
    "require_columns",
    "require_ids",
    "require_target",
    "required_columns",
    "save",
    "split_rows",
    "test",
    "test_options",
]

P = ParamSpec("P")
R = TypeVar("R")
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def log() -> logging.Logger | logging.LoggerAdapter[Any]:
    """Return the run's logger, whose messages appear in Prefect."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("mfprefect")


def is_transient(error: BaseException) -> bool:
    """Return whether the step may succeed later, as when a link or a database was away.

    A failed check or gate, a missing file or a programming error would only fail again. A command
    says so by its exit code.
    """
    if isinstance(error, (DatabaseError, CommandFailed)):
        return error.transient
    return isinstance(error, OSError) and not isinstance(error, _FINAL)


def _retry(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    error = state.data if isinstance(state.data, BaseException) else None
    if error is None:
        outcome = state.result(raise_on_failure=False)
        error = outcome if isinstance(outcome, BaseException) else None
    return error is not None and is_transient(error)


class Runner:
    """Runs tasks with a model's number of retries."""

    def __init__(self, model: Model | type[Model]) -> None:
        self._model = model

    def __call__(self, step: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a task in the current flow and return its result."""
        result: R = self._with_retries(step)(*args, **kwargs)
        return result

    def submit(self, step: Task[P, R], *args: P.args, **kwargs: P.kwargs) -> PrefectFuture[R]:
        """Submit a task to the flow's task runner."""
        future: PrefectFuture[R] = self._with_retries(step).submit(*args, **kwargs)
        return future

    def _with_retries(self, step: Task[P, R]) -> Any:
        return step.with_options(
            retries=self._model.retries,
            retry_delay_seconds=self._model.retry_delay_seconds,
            retry_condition_fn=_retry,
        )


# Frames and estimators are not cache keys: hashing them would cost more than most steps.
@task(name="read training data", cache_policy=NO_CACHE, persist_result=False)
def read_training_data(model: Model, as_of: dt.date) -> pd.DataFrame:
    """Return the model's training data, read and recorded."""
    with redacted_errors():
        frame = model.reader.load(lambda: model.training_data(as_of), "training_data")
        require_columns(frame, required_columns(model), "training_data")
        require_ids(frame, model.entity_id, "training_data")
    return frame


def required_columns(model: Model | type[Model]) -> list[str]:
    """Return the columns that training data must have besides features."""
    columns = (model.entity_id, model.target, model.weight)
    return [name for name in columns if name is not None]


def reader(
    settings: Settings, recorder: Recorder, model_class: type[Model], part: int | None = None
) -> Reader:
    """Return a model's reader, which records each read and each check of a source."""

    def record(read: Read) -> None:
        recorder.log_input(**vars(read))

    def judge(ask: Any, checks: Any) -> None:
        # The source's columns are not known yet: of `features`, checks see all others as new.
        keys = key_columns(model_class, ())
        recorder.log_source_checks(ask, checks, keys=keys, masked=model_class.masked, part=part)

    return Reader(settings, record, judge)


def check(
    recorder: Recorder, model: Model, frame: pd.DataFrame, checks: Any, part: int | None = None
) -> pd.DataFrame:
    """Run the model's checks on data; return what the model gets: the rows as schemas make them."""
    changed: pd.DataFrame = recorder.checked_frame(
        frame,
        checks,
        keys=key_columns(type(model), frame.columns),
        masked=model.masked,
        most_rows=model.checked_rows,
        part=part,
    )
    return changed


def require_columns(frame: pd.DataFrame, names: list[str], what: str) -> None:
    """Raise InvalidValue if a frame lacks a column."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InvalidValue(
            f"{what} lacks the column {missing[0]!r}; it has: {', '.join(map(str, frame.columns))}."
        )


_ONE_ROW = (
    "an entity has one row; of several snapshots, select one, such as the newest whose target is "
    "known"
)


def require_ids(frame: pd.DataFrame, entity_id: str, what: str) -> None:
    """Raise InvalidScores if the ids of a frame are none that scores may have."""
    from mfprefect import scores

    try:
        scores.entity_ids(frame[entity_id], entity_id, _ONE_ROW)
    except InvalidScores as exc:
        raise InvalidScores(f"{what}: {exc}", examples=exc.examples) from None


def require_target(model: Model, learn: pd.DataFrame, test: pd.DataFrame) -> None:
    """Refuse a target that no classifier can learn or be tested on, before `fit` takes its time.

    Raises:
        InvalidValue: the rows to learn from, or the test rows of a binary model, have one class; a
            test row of a binary model is neither 0 nor 1; a value is none of the declared classes;
            or a weight is NULL, infinite or negative, or all weights of either are 0.
    """
    for rows in (learn, test):
        weights_of(model, rows)
    if model.model_type not in ("binary", "multiclass"):
        return
    for rows in (learn, test):
        require_declared_classes(type(model), rows[model.target])
    _require_classes(model, learn, "rows to learn from", "learn from")
    if model.model_type == "binary":
        try:
            labels(test[model.target])
        except InvalidValue as exc:
            raise InvalidValue(f"the column {model.target!r} of training_data: {exc}.") from exc
        _require_classes(model, test, "rows to test on", "test on")


def _require_classes(model: Model, rows: pd.DataFrame, name: str, use: str) -> None:
    classes = rows[model.target].dropna().unique().tolist()
    if len(classes) < 2:
        only = f"{model.target} = {classes[0]!r}" if classes else f"no {model.target}"
        raise InvalidValue(
            f"each of the {len(rows)} {name} has {only}; a {model.model_type} model needs rows "
            f"of two classes to {use}. Return more rows from training_data, or check its column "
            f"{model.target!r}."
        )


@task(name="fit", cache_policy=NO_CACHE, persist_result=False)
def fit(model: Model, learn: pd.DataFrame, features: list[Any]) -> Trained:
    """Return the fitted estimator, and what `fit` returned beside it.

    Args:
        model: the model, which has these extras from then on.
        learn: the rows to learn from, with all columns.
        features: the columns to learn from.
    """
    with redacted_errors():
        return fitted(model, learn, features)


@task(name="test", cache_policy=NO_CACHE, persist_result=False)
def test(
    model: Model,
    session: Session,
    estimator: Any,
    features: pd.DataFrame,
    actual: pd.Series[Any] | None,
    learned: pd.DataFrame | None = None,
    columns: pd.DataFrame | None = None,
) -> dict[str, float]:
    """Store metrics, curve and importances on the held-out rows; return the metrics.

    Args:
        model: the model.
        session: the session that stores them.
        estimator: the fitted estimator.
        features: the held-out rows.
        actual: their target; None for a model without one.
        learned: the rows it was fitted on; for a time series, the history.
        columns: the held-out rows with all columns: `segments`, `period` and `series` are among
            them. None: the features.
    """
    rows = features if columns is None else columns
    with redacted_errors():
        if actual is None:
            return log_test_rows(model, session, estimator, features, _segments(model, rows))
        return _store_test_results(model, session, estimator, features, actual, learned, rows)


def _store_test_results(
    model: Model,
    session: Session,
    estimator: Any,
    features: pd.DataFrame,
    actual: pd.Series[Any],
    learned: pd.DataFrame | None,
    columns: pd.DataFrame,
) -> dict[str, float]:
    prediction = predictions(model, estimator, features)
    predicted = with_classes_of(prediction, actual, model.classes)
    source = source_of_scores(model, estimator, predicted)
    metrics = session.log_test_results(
        actual, predicted, probabilities=source != DECISION, **test_options(model, columns, learned)
    )
    session.log_metadata({SCORES[1]: source}, group=SCORES[0])
    if model.model_type == "multiclass":
        _note_new_classes(session, prediction, predicted)
    if model.model_type == "time_series" and model.period is not None:
        rows = columns[[model.period]].rename(columns={model.period: "period"})
        rows = rows.assign(predicted=predicted, actual=actual)
        if model.series is not None:
            rows["series"] = columns[model.series]
        session.log_backtest(rows)
    for kind, frame in model.importance(estimator, features, actual).items():
        session.log_variable_importance(frame, kind)
    return metrics


def _note_new_classes(session: Session, prediction: Any, tested: Any) -> None:
    if new := list(map(str, tested.columns[len(prediction.columns) :])):
        log().warning("no row to learn from is of class %s; never predicted", ", ".join(new))
        session.log_metadata({"classes_never_predicted": new}, TEST)


def test_options(
    model: Model, columns: pd.DataFrame, learned: pd.DataFrame | None
) -> dict[str, Any]:
    """Return the arguments of `log_test_results` beside actual and predicted values."""
    options: dict[str, Any] = {"model_type": model.model_type}
    if (weight := weights_of(model, columns)) is not None:
        options["weight"] = weight
    if (segments := _segments(model, columns)) is not None:
        options["segments"] = segments
    if model.model_type == "time_series" and model.period is not None and learned is not None:
        actual = learned[model.target]
        options |= {"season": model.season, "history": actual.to_numpy()}
        if model.series is not None:
            options["series"] = columns[model.series].to_numpy()
            by_series = actual.groupby(learned[model.series], observed=True)
            options["history"] = {name: rows.to_numpy() for name, rows in by_series}
    return options


def _segments(model: Model, columns: pd.DataFrame) -> pd.DataFrame | None:
    if not model.segments:
        return None
    require_columns(columns, list(model.segments), "training_data")
    return columns[list(model.segments)]


@task(name="save model", cache_policy=NO_CACHE, persist_result=False)
def save(session: Session, model: Model, trained: Trained) -> None:
    """Store the model under the session, in the format of its class, and its extras."""
    with redacted_errors():
        session.save_model(model.storable(trained.estimator), format=model.format)
        if trained.extras:
            session.save_extras(trained.extras)


@task(name="load model", cache_policy=NO_CACHE, persist_result=False)
def load(store: Store, model: Model, session_id: str) -> Trained:
    """Return a training session's model and extras after verifying them."""
    with redacted_errors():
        return load_trained(store, model, session_id)

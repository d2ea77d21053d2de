"""The model in production, on the data of the training session that may replace it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from mfprefect.errors import InvalidValue
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.error_redaction import redacted_errors
from mfprefect.lifecycle.fitting import load_trained, with_trained
from mfprefect.lifecycle.split import split_rule
from mfprefect.lifecycle.thresholds import thresholds_for
from mfprefect.quality._arrays import _is_null
from mfprefect.quality.drift.features import feature_drift
from mfprefect.quality.gates import Gate
from mfprefect.quality.gates.verdicts import Champion
from mfprefect.quality.predictions import predictions, with_classes_of
from mfprefect.quality.summary import input_summary

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["FEATURES", "features_of", "is_relative", "log_drift", "predicted", "score_champion"]

FEATURES = ("model", "features")
"""Metadata group and name: the columns that a model was fitted on."""


def features_of(store: Store, session_id: str) -> list[str]:
    """Return the columns that a training session fitted its model on.

    Raises:
        InvalidValue: the session did not record them.
    """
    metadata = _metadata(store, session_id)
    if FEATURES not in metadata:
        raise InvalidValue(
            f"session {session_id!r} did not record the features of its model; "
            "score with a session of the train flow."
        )
    return list(json.loads(metadata[FEATURES]))


def _metadata(store: Store, session_id: str) -> dict[tuple[str, str], str]:
    frame = store.metadata(session_id)
    keys = zip(frame["meta_group"], frame["meta_name"], strict=True)
    return dict(zip(keys, frame["value"], strict=True))


def log_drift(
    store: Store,
    model_class: type[Model],
    session: Session,
    production: str,
    features: pd.DataFrame,
) -> None:
    """Store the drift of the training data from what production's model was trained on."""
    reference = store.input_summary(production)
    if not reference.empty:
        current = input_summary(features, reference=reference)
        drift = feature_drift(
            reference, current, thresholds_for(model_class, store.database.settings)
        )
        session.log_drift(drift, reference=production)


@task(name="score with production's model", cache_policy=NO_CACHE, persist_result=False)
def score_champion(
    store: Store, model: Model, production: str, test: pd.DataFrame, score: Any
) -> Champion:
    """Score a training's test rows with the model in production; say why if it cannot.

    Args:
        store: the store.
        model: the model whose class scores, as the score flow would.
        production: the training session in production.
        test: the held-out rows, with all columns.
        score: the new model's predictions for them.
    """
    try:
        with redacted_errors():
            features = features_of(store, production)
            tasks.require_columns(test, features, "the test data")
            trained = load_trained(store, model, production)
            other = with_trained(model, trained)
            actual = test[model.target]
            production_score = predicted(other, trained.estimator, test[features], actual)
    except Exception as exc:
        if tasks.is_transient(exc):
            raise
        # Any error: an unusable old model must not end a training, but must be reported.
        tasks.log().warning("the model in production (%s) cannot score: %s", production, exc)
        problem = " ".join(f"{type(exc).__name__}: {exc}".split())  # a part of a sentence
        return Champion(production, problem=problem)
    return Champion(
        production,
        actual=test[model.target],
        score=score,
        production_score=production_score,
        note=_note(store, model, production),
        rows=_segments(model, test),
        model_type=model.model_type,
    )


def predicted(model: Model, estimator: Any, features: pd.DataFrame, actual: pd.Series[Any]) -> Any:
    """Return a model's predictions; a multiclass model's with a column for each actual class."""
    return with_classes_of(predictions(model, estimator, features), actual, model.classes)


def _note(store: Store, model: Model, production: str) -> str | None:
    split, notes = _metadata(store, production), []
    share, rule = split.get(("split", "test_share")), split.get(("split", "rule"))
    if share is not None and float(share) < model.test_share:
        notes.append(
            f"production's test share was {share}: it has learned some of these rows, which "
            "flatters it"
        )
    elif rule is not None and (rule != split_rule(type(model)) or model.stratify):
        notes.append(
            "production's test rows were chosen among other rows: it may have learned some of "
            "these, which flatters it"
        )
    if model.weight is not None:
        notes.append("each row counts once here, whatever its weight")
    return "; ".join(notes) or None


def _segments(model: Model, test: pd.DataFrame) -> dict[str, Any]:
    """Return the rows of each segment that a gate names, such as `region=north`."""
    masks = {}
    for gate in model.gates:
        name, sign, value = (getattr(gate, "segment", None) or "").partition("=")
        if sign and name in test.columns:
            # The text form that segment metrics use.
            texts = ["<NULL>" if _is_null(x) else str(x) for x in test[name].tolist()]
            masks[f"{name}={value}"] = [text == value for text in texts]
    return masks


def is_relative(gate: Any) -> bool:
    """Return whether a gate needs the model in production on the test rows."""
    return isinstance(gate, Gate) and gate.not_worse_than_production_by is not None

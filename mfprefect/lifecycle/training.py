"""Training: read, check, fit, test, store, apply the gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError, DatabaseError
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.champion import FEATURES, is_relative, log_drift, predicted, score_champion
from mfprefect.lifecycle.fitting import target_of
from mfprefect.lifecycle.hyperparameters import record_hyperparameters
from mfprefect.lifecycle.run import as_of_date
from mfprefect.lifecycle.sql_proof import PROOF, prove_training
from mfprefect.lifecycle.trial import before_fit
from mfprefect.quality.checks.phases import TRAIN, checks_for
from mfprefect.quality.drift.thresholds import require_known_variables
from mfprefect.quality.gates.data import DriftGate
from mfprefect.quality.gates.verdicts import Champion
from mfprefect.quality.learning import feature_names
from mfprefect.store.states import UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["train_model"]


def train_model(
    store: Store,
    model_class: type[Model],
    session: Session,
    params: Mapping[str, Any],
    *,
    apply_gates: bool = True,
) -> None:
    """Train the model, test it, store it and, unless told otherwise, apply its gates.

    `params` are all of the parameters that the class declares.

    Raises:
        ConfigurationError: the model could be stored and not loaded again.
        ChecksFailed: the data failed the checks.
        GateFailed: a gate failed; model, figures and verdicts are kept.
    """
    _require_loadable(store, model_class)
    model = model_class(tasks.reader(store.database.settings, session, model_class))
    model.params = dict(params)
    run = tasks.Runner(model_class)
    frame = run(tasks.read_training_data, model, as_of_date(session))
    frame = tasks.check(session, model, frame, checks_for(model_class.checks, TRAIN))
    what = "training_data after the checks"
    tasks.require_columns(frame, tasks.required_columns(model_class), what)
    features = feature_names(model_class, frame.columns, what)
    require_known_variables(model_class, features)
    session.log_input_summary(frame[features], masked=model_class.masked)
    learn, test = tasks.split_rows(model, frame)
    tasks.require_target(model, learn, test)
    before_fit(store, session, model, learn, features)
    trained = run(tasks.fit, model, learn, features)
    estimator, actual = trained.estimator, target_of(model, test)
    run(tasks.test, model, session, estimator, test[features], actual, learn, test)
    target = {} if model_class.target is None else {"target": model_class.target}
    session.log_metadata({FEATURES[1]: features, **target}, group=FEATURES[0])
    session.log_metadata(_described(model_class), group=PROOF[0])
    record_hyperparameters(session, model_class, estimator, (len(learn), len(test)))
    run(tasks.save, session, model, trained)
    prove_training(store, model, session, estimator, test[features])
    if model_class.gates and apply_gates:
        _apply_gates(store, model, session, estimator, frame[features], test)


def _described(model_class: type[Model]) -> dict[str, Any]:
    """Return what programs need to know that score with the model and without its class."""
    described: dict[str, Any] = {
        "entity_id": model_class.entity_id,
        "model_type": model_class.model_type,
    }
    if model_class.classes is not None:
        described["classes"] = list(model_class.classes)
    return described


def _require_loadable(store: Store, model_class: type[Model]) -> None:
    """Refuse a pickle that no score flow would load, before anything is read or fitted."""
    if model_class.format == "pickle" and store.database.settings.signing_key is None:
        raise ConfigurationError(
            f'{model_class.__name__} has format = "pickle", and no signing key is set: its score '
            "flow could not load the model. Set MFPREFECT_SIGNING_KEY to a secret of the team, or "
            "write save_model and load_model in the class."
        )


def _apply_gates(
    store: Store,
    model: Model,
    session: Session,
    estimator: Any,
    features: pd.DataFrame,
    test: pd.DataFrame,
) -> None:
    """Apply the model's gates, with the model in production scored on the same rows."""
    champion = None
    if any(is_relative(gate) or isinstance(gate, DriftGate) for gate in model.gates):
        try:
            champion = _compare(store, model, session, estimator, features, test)
        except DatabaseError as exc:
            if not exc.transient or store.database.settings.spool_folder is None:
                raise
            # Keep the model: it took long to train. Gates that need the comparison do not pass.
            tasks.log().warning("not compared with the model in production: %s", exc)
            champion = Champion(UNKNOWN, problem="its database is away")
    session.log_gates(model.gates, champion)


def _compare(
    store: Store,
    model: Model,
    session: Session,
    estimator: Any,
    features: pd.DataFrame,
    test: pd.DataFrame,
) -> Champion | None:
    """Store the drift from production's training data and score the test rows with its model."""
    production = store.production(model.model_id)
    if production is None:
        return None
    if any(isinstance(gate, DriftGate) for gate in model.gates):
        log_drift(store, type(model), session, production, features)
    if not any(map(is_relative, model.gates)):
        return None
    score = predicted(model, estimator, test[list(features.columns)], test[model.target])
    run = tasks.Runner(model)
    return run(score_champion, store, model, production, test, score)

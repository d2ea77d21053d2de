"""A trial before `fit` sees all rows: can what it returns be stored, loaded and used?

Nothing but a fitted estimator tells. So `fit` first gets a few rows where it would get many.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from mfprefect.artifacts.extras import Extras
from mfprefect.errors import ConfigurationError, MfprefectError
from mfprefect.inputs.reader import Reader
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.error_redaction import redacted_errors
from mfprefect.lifecycle.fitting import Trained, target_of
from mfprefect.quality.predictions import predictions
from mfprefect.store.artifacts import stored_and_loaded

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["GROUP", "MANY", "before_fit", "trial_sample"]

GROUP = "trial"
"""The metadata group of the trial's result."""
MANY = 20
"""How many times `trial_rows` there must be for a trial."""
FEW = 5
"""How many rows of each class the trial has at least, where there are that many."""
PREDICTED = 100


def before_fit(
    store: Store, session: Session, model: Model, learn: pd.DataFrame, features: list[str]
) -> None:
    """Fit on a few of many rows; refuse a model that could not be stored and loaded.

    A `fit` that fails on the few rows proves nothing: that is noted, and the training goes on.

    Raises:
        ArtifactUntrusted: the model holds what has no safe format.
        ConfigurationError: it cannot be stored in its format, or cannot predict once it is loaded.
    """
    rows = model.trial_rows
    if not rows or len(learn) < MANY * rows:
        return
    sample = trial_sample(model, learn, rows)
    run = tasks.Runner(model)
    result = run(try_storing, store, type(model), sample, features, dict(model.params))
    session.log_metadata({"rows": len(sample), "of": len(learn), "result": result}, GROUP)


def trial_sample(model: Model, learn: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return about `rows` of the rows, always the same ones, in their order.

    Each class has at least 5 rows among them, if it has that many. Of a time series, they are the
    last rows.
    """
    if model.model_type == "time_series":
        return learn.tail(rows)
    chosen = np.zeros(len(learn), np.bool_)
    chosen[np.random.default_rng(0).choice(len(learn), rows, replace=False)] = True
    target = target_of(model, learn)
    if target is not None and model.model_type in ("binary", "multiclass"):
        chosen |= (learn.groupby(target.to_numpy(), observed=True).cumcount() < FEW).to_numpy()
    return learn[chosen]


@task(name="trial", cache_policy=NO_CACHE, persist_result=False)
def try_storing(
    store: Store,
    model_class: type[Model],
    sample: pd.DataFrame,
    features: list[Any],
    params: dict[str, Any],
) -> str:
    """Fit, store, load and predict; return the result in words."""
    # Its own model: `fit` may leave something in it. What it reads is no input of the session.
    model = model_class(Reader(store.database.settings))
    model.params = params
    with redacted_errors(), _unchanged_random_state():
        try:
            trained = tasks.fit.fn(model, sample, features)
        except MfprefectError:
            raise
        except Exception as exc:  # noqa: BLE001 - some models need more rows
            text = f"fit failed on {len(sample)} rows: {type(exc).__name__}: {exc}"
            tasks.log().info("the trial shows nothing: %s", text)
            return text
        _require_storable(store, model, trained, sample[features].head(PREDICTED))
    tasks.log().info("fit on %d rows gives a model that can be stored", len(sample))
    return "stored, loaded and used"


def _require_storable(store: Store, model: Model, trained: Trained, rows: pd.DataFrame) -> None:
    # As the score flow would: what `fit` left in the first one is not there.
    fresh, db = type(model)(model.reader), store.database
    storable = model.storable(trained.estimator)
    loaded = stored_and_loaded(db, storable, format=model.format, model=fresh)
    fresh.params = model.params
    fresh.extras = stored_and_loaded(db, Extras(trained.extras))
    try:
        predictions(model, trained.estimator, rows)
    except Exception:  # noqa: BLE001 - it says nothing about storing
        return
    try:
        predictions(fresh, loaded, rows)
    except Exception as exc:
        raise ConfigurationError(
            f"{type(model).__name__}.predict works with what fit returned, and not once it was "
            f"stored and loaded ({type(exc).__name__}: {exc}). Let fit return all that predict "
            "needs, as estimator or as (estimator, extras), and load_model read all of it; "
            "attributes of the model's class are not stored."
        ) from exc


@contextmanager
def _unchanged_random_state() -> Iterator[None]:
    """Keep the trial from changing what the global generators give the real fit."""
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)

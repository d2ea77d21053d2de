"""A plan of a promotion on today's data: both models score it, and nothing is written."""

from __future__ import annotations

import datetime as dt
import math
import time
from typing import TYPE_CHECKING, Any

from mfprefect.command_model import CommandModel
from mfprefect.errors import InvalidValue
from mfprefect.inputs.reader import Reader
from mfprefect.lifecycle.champion import features_of
from mfprefect.lifecycle.fitting import load_trained, with_trained
from mfprefect.lifecycle.plan_checks import PlanChecks
from mfprefect.lifecycle.plan_in_python import scored_in_python
from mfprefect.lifecycle.plan_in_sql import NeedsPython, scored_in_sql
from mfprefect.lifecycle.plan_job import Contender, PlanJob
from mfprefect.lifecycle.run import today
from mfprefect.store.models import promotion
from mfprefect.store.plan import PromotionPlan, ScoredData, operating_threshold

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.store import Store

__all__ = ["plan_on_data"]


def plan_on_data(
    store: Store,
    model_class: type[Model],
    session_id: str,
    *,
    as_of: dt.date | None = None,
    sample: int | None = None,
    seconds: float | None = None,
) -> PromotionPlan:
    """Plan a promotion on the data that the model would score; write nothing.

    Where both models can be scored in SQL, the database of the source computes their scores, and
    only these and the segments leave it. The checks of a scoring compare with what the candidate's
    next scoring would; those that fail stop nothing. A model of commands scores no data here: its
    stored scores are compared.

    Args:
        store: the store.
        model_class: the model.
        session_id: the candidate, a training session.
        as_of: the date of the data; None: today.
        sample: about how many rows to score, chosen by a hash of their ids; None: all.
        seconds: after this time, no further part is read, and databases that can stop a statement.
            What `scoring_data` does by itself is not stopped. None: no limit.

    Raises:
        InvalidValue: it is not a training session that could be promoted, or `sample` is below 1.
        UnknownSession: the session does not exist.
        AlreadyPromoted: it is in production already.
    """
    if sample is not None and sample < 1:
        raise InvalidValue(f"the sample is {sample} rows; choose 1 or more, or none for all rows.")
    model_id = model_class.model_id
    production, _ = promotion.standing(store.database, model_id, session_id)
    if production is None or issubclass(model_class, CommandModel):
        return store.plan(model_id, session_id)
    day = as_of or today(store.database.settings)
    checks = PlanChecks(store, model_class, session_id, day)
    job = PlanJob(
        store,
        model_class,
        _contender(store, model_class, production, "the model in production"),
        _contender(store, model_class, session_id, "the candidate", checks),
        operating_threshold(store.database, model_id),
        day,
        checks,
        sample,
        seconds,
        math.inf if seconds is None else time.monotonic() + seconds,
    )
    return store.plan(model_id, session_id, _scored(job))


def _contender(
    store: Store,
    model_class: type[Model],
    session_id: str,
    role: str,
    checks: PlanChecks | None = None,
) -> Contender:
    judge = _ignore if checks is None else checks.of_read
    model = model_class(Reader(store.database.settings, judge=judge))
    trained = load_trained(store, model, session_id)
    model = with_trained(model, trained)
    return Contender(session_id, role, model, features_of(store, session_id), trained.estimator)


def _ignore(*_: Any) -> None:
    """Run no check: those of the candidate's reads are enough."""


def _scored(job: PlanJob) -> ScoredData:
    """Let the database of the source score with both models if it can, else Python."""
    try:
        if (data := scored_in_sql(job)) is not None:
            return data
    except NeedsPython as exc:
        return scored_in_python(job, str(exc))
    return scored_in_python(job, None)

"""A model's flows: train, score and monitor. Each run is one session."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from prefect import Flow, flow
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import WithJsonSchema

from mfprefect.command_model import CommandModel
from mfprefect.errors import AlreadyPromoted, InvalidValue
from mfprefect.lifecycle import commands, monitoring, scoring, tasks, training
from mfprefect.lifecycle.ended import Ended
from mfprefect.lifecycle.error_redaction import redacted_errors
from mfprefect.lifecycle.hooks import end_sessions
from mfprefect.lifecycle.prefect_artifacts import show_session
from mfprefect.lifecycle.prefect_defaults import set_prefect_defaults
from mfprefect.lifecycle.run import completed, register, running
from mfprefect.lifecycle.shadow import score_shadow
from mfprefect.store import Store, connect
from mfprefect.store.models.stages import PRODUCTION, RETIRED, stage_now
from mfprefect.store.states import SPOOLED
from mfprefect.util.declared_params import form, recorded, run_params

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session

__all__ = ["Flows", "make_flows", "rerun"]

THREADS = min(4, os.cpu_count() or 1)
"""How many parts are scored at once; each is held in memory."""


class Flows(NamedTuple):
    """The Prefect flows of one model."""

    train: Flow[..., str]
    score: Flow[..., str]
    monitor: Flow[..., str]


def make_flows(model_class: type[Model]) -> Flows:
    """Return the flows of a model class: ordinary Prefect flows that return the session's id."""
    scoring.pickle_by_value(model_class)
    set_prefect_defaults()

    def train(as_of: dt.date | None = None, params: dict[str, Any] | None = None) -> Any:
        """Train the model, test it, store it and check its gates.

        Args:
            as_of: the date of the data, such as 2026-10-31; by default today, in the time zone of
                the settings or of the schedule.
            params: parameters that the model's class declares, by name; by default as declared.
        """
        given = run_params(model_class.__name__, model_class.params, params)
        with redacted_errors(), connect() as store:
            return _train(store, model_class, as_of, given)

    train.__annotations__["params"] = _form(model_class)
    train_flow: Flow[..., str] = flow(**_options(model_class, "train"))(train)

    @flow(task_runner=_runner(model_class), **_options(model_class, "score"))
    def score(
        as_of: dt.date | None = None,
        training_session_id: str | None = None,
        shadow: str | None = None,
    ) -> Any:
        """Score with the model in production, or with the last successful training.

        Args:
            as_of: the date of the data, such as 2026-10-31; by default today, in the time zone of
                the settings or of the schedule.
            training_session_id: the training session whose model scores; by default the one in
                production, else the last successful one.
            shadow: a challenger that scores as well, unpublished: a training session's id, or
                `latest`; by default what the model's class says.
        """
        with redacted_errors(), connect() as store:
            return _score(
                store, model_class, as_of, training_session_id, shadow or model_class.shadow
            )

    @flow(**_options(model_class, "monitor"))
    def monitor(as_of: dt.date | None = None) -> Any:
        """Compare published scores with real outcomes and with earlier scores.

        Args:
            as_of: the date that this run is recorded under, such as 2026-10-31; by default today,
                in the time zone of the settings or of the schedule. It does not choose the scores.
        """
        with redacted_errors(), connect() as store:
            return _monitor(store, model_class, as_of)

    return Flows(train_flow, score, monitor)


def _result(session: Ended) -> Any:
    """Return the session's id; if the session waits in the spool, in a state that says so."""
    if session.status != SPOOLED:
        return session.session_id
    text = f"session {session.session_id} waits in the spool: its database is unavailable"
    return Completed(name="Spooled", message=text, data=session.session_id)


def _form(model_class: type[Model]) -> Any:
    """Return the type of the parameters, by which Prefect shows a field for each."""
    if not model_class.params:
        return dict[str, Any] | None
    return Annotated[dict[str, Any], WithJsonSchema(form(model_class.params))] | None


def _options(model_class: type[Model], work: str) -> dict[str, Any]:
    return {
        # Prefect's names hold no `/ % & < >`.
        "name": re.sub(r"[/%&<>]", "-", f"{model_class.model_id}-{work}"),
        "description": model_class.description or None,
        "on_crashed": [end_sessions],
        "on_cancellation": [end_sessions],
    }


def _runner(model_class: type[Model]) -> Any:
    return model_class.task_runner or ThreadPoolTaskRunner(max_workers=THREADS)


def rerun(
    model_class: type[Model],
    purpose: str,
    *,
    as_of: dt.date,
    params: Mapping[str, Any],
    parent: str,
    opened: Callable[[str], object],
) -> None:
    """Repeat what a train or score flow did, as an adhoc session without consequences.

    It checks no gates, is not published and is never promoted.

    Args:
        model_class: the model.
        purpose: `train` or `score`.
        as_of: the date of the data.
        params: the parameters that the session records.
        parent: the training session whose model scores; for a training, the session to repeat.
        opened: called with the session's id once it is open.
    """
    scoring.pickle_by_value(model_class)
    set_prefect_defaults()

    @flow(task_runner=_runner(model_class), **_options(model_class, "reproduce"))
    def reproduce() -> None:
        """Run a session again to see whether the results are the same."""
        with redacted_errors(), connect() as store:
            recorded = running(
                store, model_class, "adhoc", as_of=as_of, params=params, parent=parent
            )
            with recorded as session:
                opened(session.session_id)
                _work(store, model_class, session, purpose, params)
                session.close(publish=False)

    reproduce()


def _work(
    store: Store,
    model_class: type[Model],
    session: Session,
    purpose: str,
    params: Mapping[str, Any],
) -> None:
    declared = model_class.params
    given = run_params(model_class.__name__, declared, recorded(declared, params))
    if issubclass(model_class, CommandModel):
        if purpose == "train":
            commands.train_command(store, model_class, session, given, apply_gates=False)
        else:
            commands.score_command(store, model_class, session)
    elif purpose == "train":
        training.train_model(store, model_class, session, given, apply_gates=False)
    else:
        scoring.score_model(store, model_class, session)


def _train(
    store: Store, model_class: type[Model], as_of: dt.date | None, params: dict[str, Any]
) -> Any:
    register(store, model_class)

    def work(session: Session) -> None:
        if issubclass(model_class, CommandModel):
            commands.train_command(store, model_class, session, params)
        else:
            training.train_model(store, model_class, session, params)

    promoting = model_class.auto_promote
    session = completed(
        store, model_class, "train", work, promoting=promoting, as_of=as_of, params=params
    )
    if promoting and session.status == SPOOLED:
        tasks.log().warning("not promoted: %s waits in the spool", session.session_id)
    elif promoting and not (session.repeated and _was_decided(store, session)):
        _promote(store, model_class, session)
    return _result(session)


def _was_decided(store: Store, session: Ended) -> bool:
    """Return whether the session was promoted once, or another one after its end."""
    stages = store.stages(session.model_id)
    ended_at = store.get_sessions(session.session_id)["ended_at"].iloc[0]
    since = stages[(stages["session_id"] == session.session_id) | (stages["set_at"] >= ended_at)]
    if since.empty:
        return False
    newest = since.iloc[0]
    text = "session %s is not promoted: %s became %s at %s"
    names = ("session_id", "stage", "set_at")
    tasks.log().info(text, session.session_id, *(newest[name] for name in names))
    return True


def _promote(store: Store, model_class: type[Model], session: Ended) -> None:
    reason = "automatic: it has passed its gates"
    try:
        store.promote(model_class.model_id, session.session_id, reason=reason)
    except AlreadyPromoted as exc:  # somebody was faster, or an attempt that was lost after it
        tasks.log().info("%s", exc)
    else:
        tasks.log().info("session %s is in production", session.session_id)
    show_session(store, session)  # with its new stage


def _score(
    store: Store,
    model_class: type[Model],
    as_of: dt.date | None,
    training_session_id: str | None,
    challenger: str | None,
) -> Any:
    register(store, model_class)
    parent = training_session_id or _model_in_use(store, model_class)
    if parent is not None:
        scoring.require_trained(store, model_class, parent)
    elif not issubclass(model_class, CommandModel) or model_class.train_command is not None:
        raise InvalidValue(
            f"model {model_class.model_id!r} has no training session that succeeded; run its train "
            "flow first, or name one by training_session_id."
        )
    params = {"training_session_id": training_session_id, "parts": model_class.parts}

    def work(session: Session) -> None:
        if issubclass(model_class, CommandModel):
            commands.score_command(store, model_class, session)
            scoring.apply_gates(model_class, session)
        elif scoring.score_model(store, model_class, session):
            scoring.apply_gates(model_class, session)

    # A resumed session keeps the model that it started with.
    session = completed(
        store, model_class, "score", work, as_of=as_of, params=params, parent=parent
    )
    if challenger is not None and session.status != SPOOLED:
        score_shadow(store, model_class, session, challenger)
    return _result(session)


def _model_in_use(store: Store, model_class: type[Model]) -> str | None:
    """Return the training session in production, or the last successful one.

    Raises:
        InvalidValue: the model is retired.
    """
    stage, session_id = stage_now(store.database, model_class.model_id) or (None, None)
    if stage == PRODUCTION:
        return session_id
    if stage == RETIRED:
        raise InvalidValue(
            f"model {model_class.model_id!r} was retired; promote a training session, roll back, "
            "or name one by training_session_id."
        )
    return store.latest_training(model_class.model_id)


def _monitor(store: Store, model_class: type[Model], as_of: dt.date | None) -> Any:
    register(store, model_class)

    def work(session: Session) -> None:
        monitoring.monitor_model(store, model_class, session)

    session = completed(store, model_class, "monitor", work, as_of=as_of, params={})
    return _result(session)

"""A model's flows: training and scoring, each one session."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from prefect import Flow, flow

from mfprefect import values
from mfprefect.errors import GateFailed, InvalidValue
from mfprefect.lifecycle import tasks
from mfprefect.quality.gates import failed_gates
from mfprefect.reading import Read, Reader
from mfprefect.store import Store, connect

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session

__all__ = ["Flows", "make_flows"]

FEATURES = ("model", "features")


class Flows(NamedTuple):
    """The Prefect flows of one model."""

    train: Flow[..., str]
    score: Flow[..., str]


def make_flows(kind: type[Model]) -> Flows:
    """Return the flows of a model class: ordinary Prefect flows that return the session's id."""
    # Prefect's names hold no `/ % & < >`.
    name = re.sub(r"[/%&<>]", "-", kind.model_id)

    @flow(name=f"{name}-train", description=kind.description or None)
    def train(as_of: dt.date | None = None) -> str:
        """Train the model, test it, hold it against its gates and store it."""
        with connect() as store:
            return _train(store, kind, as_of)

    @flow(name=f"{name}-score", description=kind.description or None)
    def score(as_of: dt.date | None = None, training_session_id: str | None = None) -> str:
        """Score with a trained model, by default with the last training that succeeded."""
        with connect() as store:
            return _score(store, kind, as_of, training_session_id)

    return Flows(train, score)


def _source(kind: type[Model]) -> Path | None:
    try:
        return Path(inspect.getfile(kind))
    except (TypeError, OSError):  # defined in a notebook or a console
        return None


def _register(store: Store, kind: type[Model]) -> None:
    store.add_model(
        kind.model_id,
        kind.description,
        entity_type=kind.entity_type or kind.entity_id,
        owner=kind.owner,
    )


def _open(
    store: Store,
    kind: type[Model],
    purpose: str,
    as_of: dt.date | None,
    params: dict[str, Any],
    parent: str | None = None,
) -> Session:
    session = store.session(
        kind.model_id,
        purpose=purpose,
        params={"as_of": as_of, **params},
        as_of=as_of or values.utc_now().date(),
        parent=parent,
        source=_source(kind),
    )
    tasks.log().info("session %s, attempt %d", session.session_id, session.attempt)
    return session


def _as_of(session: Session) -> dt.date:
    # A retry after midnight goes on with the date that the session began with.
    return session.as_of or values.utc_now().date()


def _model(kind: type[Model], store: Store, session: Session) -> Model:
    def record(read: Read) -> None:
        session.log_input(**vars(read))

    return kind(Reader(store.database.settings, record))


def _train(store: Store, kind: type[Model], as_of: dt.date | None) -> str:
    _register(store, kind)
    with _open(store, kind, "train", as_of, {}) as session:
        model = _model(kind, store, session)
        run = tasks.Runner(model)
        frame = run(tasks.read_training_data, model, _as_of(session))
        session.log_checks(frame, kind.checks or [])
        features = [name for name in frame.columns if name not in (kind.entity_id, kind.target)]
        session.log_input_summary(frame[features])
        learn, test = tasks.split_rows(model, frame)
        estimator = run(tasks.fit, model, learn[features], learn[kind.target])
        metrics = run(tasks.test, model, session, estimator, test[features], test[kind.target])
        session.log_metadata({FEATURES[1]: features, "target": kind.target}, group=FEATURES[0])
        session.log_metadata(
            {"rows": len(learn), "test_rows": len(test), "test_share": kind.test_share},
            group="split",
        )
        run(tasks.save, session, estimator)
        if failed := failed_gates(kind.gates, metrics):
            raise GateFailed(
                f"model {kind.model_id!r} misses {len(failed)} of {len(kind.gates)} gates: "
                + "; ".join(failed),
                failures=failed,
            )
        return session.session_id


def _score(
    store: Store, kind: type[Model], as_of: dt.date | None, training_session_id: str | None
) -> str:
    _register(store, kind)
    parent = training_session_id or store.latest_training(kind.model_id)
    if parent is None:
        raise InvalidValue(
            f"model {kind.model_id!r} has no training session that succeeded; run its train "
            "flow first, or name one by training_session_id."
        )
    _require_trained(store, kind, parent)
    params = {"training_session_id": training_session_id, "parts": kind.parts}
    with _open(store, kind, "score", as_of, params, parent) as session:
        # A resumed session goes on with the model that it began with.
        used = session.parent_session_id or parent
        model = _model(kind, store, session)
        run = tasks.Runner(model)
        estimator = run(tasks.load, store, used)
        features = _features(store, used)
        rows = 0
        for part in range(1, kind.parts + 1):
            kept = session.keep_part(part)
            if kept is None:
                kept = run(
                    tasks.score_part, model, session, estimator, features, _as_of(session), part
                )
            else:
                tasks.log().info("part %d of %d was complete", part, kind.parts)
            rows += kept
        session.log_metrics({"rows_scored": rows})
        return session.session_id


def _require_trained(store: Store, kind: type[Model], session_id: str) -> None:
    row = store.show(session_id).iloc[0]
    if (row["model_id"], row["purpose"], row["status"]) != (kind.model_id, "train", "succeeded"):
        raise InvalidValue(
            f"session {session_id!r} cannot be scored with: it is a {row['status']} "
            f"{row['purpose']} session of {row['model_id']!r}; name a training session of "
            f"{kind.model_id!r} that succeeded, or none for the last one."
        )


def _features(store: Store, session_id: str) -> list[str]:
    import json

    known = store.metadata(session_id).set_index(["meta_group", "meta_name"])["value"]
    if FEATURES not in known.index:
        raise InvalidValue(
            f"session {session_id!r} did not record the features of its model; "
            "score with a session of the train flow."
        )
    return list(json.loads(known[FEATURES]))

"""Training: read, check, fit, test, store, hold against the gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfprefect.errors import GateFailed
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.runs import as_of_date
from mfprefect.quality.gates import failed_gates
from mfprefect.reading import Read, Reader

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["FEATURES", "train_model"]

FEATURES = ("model", "features")
"""Group and name of the metadata that lists the columns that a model was fitted on."""


def train_model(store: Store, kind: type[Model], session: Session) -> None:
    """Train the model, test it, store it and hold it against its gates.

    Raises:
        ChecksFailed: the data is not what the model takes.
        GateFailed: a figure is outside what the model promises; model and figures are kept.
    """

    def record(read: Read) -> None:
        session.log_input(**vars(read))

    model, run = kind(Reader(store.database.settings, record)), tasks.Runner(kind)
    frame = run(tasks.read_training_data, model, as_of_date(session))
    tasks.check(session, model, frame, kind.checks or [])
    features = [name for name in frame.columns if name not in (kind.entity_id, kind.target)]
    session.log_input_summary(frame[features], masked=kind.masked)
    learn, test = tasks.split_rows(model, frame)
    estimator = run(tasks.fit, model, learn[features], learn[kind.target])
    metrics = run(tasks.test, model, session, estimator, test[features], test[kind.target])
    session.log_metadata({FEATURES[1]: features, "target": kind.target}, group=FEATURES[0])
    session.log_metadata(
        {"rows": len(learn), "test_rows": len(test), "test_share": kind.test_share}, group="split"
    )
    run(tasks.save, session, estimator)
    if failed := failed_gates(kind.gates, metrics):
        raise GateFailed(
            f"model {kind.model_id!r} misses {len(failed)} of {len(kind.gates)} gates: "
            + "; ".join(failed),
            failures=failed,
        )

"""Proof before use: rows that both the estimator and the database score."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import MfprefectError
from mfprefect.inputs.frame_rows import ROW_ID, FrameRows
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.sql_reasons import class_reason
from mfprefect.quality.metrics.class_scores import top_class
from mfprefect.quality.predictions import predictions
from mfprefect.quality.unsupervised import split_labels
from mfprefect.sql_scoring import (
    CompiledModel,
    Fitted,
    NotCompilable,
    Scoring,
    compile_model,
    probe_rows,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = [
    "PROOF",
    "Proof",
    "PythonScores",
    "compiled_model",
    "no_bug_of_ours",
    "proof_of_training",
    "prove",
    "prove_training",
    "python_scores",
    "require_short",
    "scoring_of",
]

PROOF = ("sql_scoring", "proof")
"""Metadata group and name of a training: what its proof showed, as JSON."""
UNPROVEN = "not_proven"
"""Metadata name in the same group: why a training has no proof."""


class Proof(NamedTuple):
    """How far the scores of SQL are from the estimator's."""

    dialect: str
    """The name of the database's dialect."""
    rows: int
    """How many rows were scored both ways."""
    difference: float
    """The largest |sql - python| / max(1, |python|); infinite if SQL gave no score or another
    class."""
    tolerance: float

    @property
    def reason(self) -> str | None:
        """Return why SQL must not score, None if it may."""
        if self.difference <= self.tolerance:
            return None
        if math.isinf(self.difference):
            return f"of {self.rows:,} rows, some have another class or no score in SQL"
        return (
            f"scores of {self.rows:,} rows differ by up to {self.difference:.2g}, "
            f"more than {self.tolerance:.0e}"
        )


def prove(
    model: Model,
    estimator: Any,
    held_out: pd.DataFrame,
    place: tuple[Any, Any],
    compiled: CompiledModel | None = None,
) -> Proof:
    """Score rows both ways: held-out rows, and rows at thresholds, with NULLs and new categories.

    Args:
        model: the model.
        estimator: its fitted estimator.
        held_out: rows with the features alone; at least one.
        place: a connection to the database that will score, and its backend.
        compiled: the estimator in SQL; None: it is compiled here.

    Raises:
        NotCompilable: the estimator cannot be scored in SQL.
        DatabaseError: or an error of SQLAlchemy: the database refuses the statement.
    """
    features = list(map(str, held_out.columns))
    with no_bug_of_ours():
        rows = probe_rows(estimator, held_out, features)
    connection, backend = place
    bound = FrameRows(connection, backend, rows)
    scoring = scoring_of(
        compiled or compiled_model(type(model), estimator, features), bound.for_model(), ROW_ID
    )
    if model.scoring == "auto":
        require_short(scoring, connection, backend)
    in_sql = bound.scores(scoring.select)
    difference = python_scores(model, estimator, rows).difference(in_sql)
    return Proof(connection.dialect.name, len(rows), difference, scoring.tolerance)


def compiled_model(model_class: type[Model], estimator: Any, features: list[str]) -> CompiledModel:
    """Compile an estimator for any rows that have its features.

    Raises:
        NotCompilable: it cannot be scored in SQL.
    """
    kind, classes = model_class.model_type, model_class.classes
    with no_bug_of_ours():
        return compile_model(Fitted(estimator, features, kind, classes))


def scoring_of(compiled: CompiledModel, rows: Any, entity_id: str) -> Scoring:
    """Return the scores of rows that have an id.

    Raises:
        NotCompilable: the rows lack a column.
    """
    with no_bug_of_ours():
        return compiled.scoring(rows, entity_id)


def require_short(scoring: Scoring, connection: Any, backend: Any) -> None:
    """Refuse a statement that takes the database longer to prepare than Python to score.

    Raises:
        NotCompilable: it is longer than what the backend recommends.
    """
    longest = backend.longest_scoring
    if longest is None:
        return
    size = len(str(scoring.select.compile(connection)))
    if size > longest:
        raise NotCompilable(
            f"its statement has {size:,} characters, and above {longest:,} {backend.name} takes "
            'longer to prepare it than Python to score (scoring = "sql" does it nevertheless)'
        )


@contextmanager
def no_bug_of_ours() -> Iterator[None]:
    """Turn any error into NotCompilable: the estimator can score in Python."""
    try:
        yield
    except NotCompilable:
        raise
    except Exception as exc:
        raise NotCompilable(f"compiling the model raised {type(exc).__name__}: {exc}") from exc


class PythonScores(NamedTuple):
    """What the estimator itself says of some rows."""

    score: NDArray[np.float64]
    classes: NDArray[Any] | None

    def difference(self, in_sql: pa.Table) -> float:
        """Return how far the scores of SQL are: see `Proof.difference`.

        Args:
            in_sql: `score` and `score_class` of the same rows, in their order.
        """
        ours = in_sql["score"].to_numpy()
        with np.errstate(invalid="ignore", over="ignore"):
            gaps = np.abs(ours - self.score) / np.maximum(1.0, np.abs(self.score))
        if np.isnan(gaps).any():
            return math.inf
        if self.classes is not None and in_sql["score_class"].to_pylist() != self.classes.tolist():
            return math.inf
        return float(gaps.max())


def python_scores(model: Model, estimator: Any, rows: pd.DataFrame) -> PythonScores:
    """Return the estimator's scores of rows with its features alone."""
    predicted = predictions(model, estimator, rows)
    if model.model_type == "multiclass":
        score, classes = top_class(predicted)
        return PythonScores(np.asarray(score), np.asarray(classes).astype(str).astype(object))
    return PythonScores(*split_labels(predicted))


def prove_training(
    store: Store, model: Model, session: Session, estimator: Any, held_out: pd.DataFrame
) -> None:
    """Store the proof of a training, or why there is none; never raise."""
    if model.scoring == "python" or not len(held_out):
        return
    try:
        reason = class_reason(type(model), store.database.settings)
        if reason is None:
            _store_proof(store, model, session, estimator, held_out)
            return
    except NotCompilable as exc:
        reason = str(exc)
    except Exception as exc:  # noqa: BLE001 - the model can score in Python
        reason = str(exc) if isinstance(exc, MfprefectError) else type(exc).__name__
        reason = f"scoring in SQL could not be tried: {store.database.without_secrets(reason)}"
    tasks.log().info("scores will be computed in Python: %s", reason)
    session.log_metadata({UNPROVEN: reason}, group=PROOF[0])


def _store_proof(
    store: Store, model: Model, session: Session, estimator: Any, held_out: pd.DataFrame
) -> None:
    def work(place: tuple[Any, Any]) -> Proof | None:
        return prove(model, estimator, held_out, place) if _scores(place[1]) else None

    if (source := model.reader.source or store.database.settings.default_source) is not None:
        with model.reader.connected(source) as place:
            proof = work(place)
    else:
        database = store.database
        proof = database.read_transaction(lambda connection: work((connection, database.backend)))
    if proof is None:
        raise NotCompilable("the database of the source does not score in SQL")
    text = json.dumps(proof._asdict() | {"difference": str(proof.difference)})
    session.log_metadata({PROOF[1]: text}, group=PROOF[0])
    if proof.reason is not None:
        tasks.log().warning("scores will be computed in Python: %s", proof.reason)


def _scores(backend: Any) -> bool:
    return backend is not None and bool(backend.scores_in_sql)


def proof_of_training(store: Store, session_id: str) -> Proof | None:
    """Return what the proof of a training showed, None if it has none."""
    metadata = store.metadata(session_id)
    rows = metadata[(metadata["meta_group"] == PROOF[0]) & (metadata["meta_name"] == PROOF[1])]
    if rows.empty:
        return None
    entry = json.loads(rows["value"].iloc[0])
    return Proof(**entry | {"difference": float(entry["difference"])})

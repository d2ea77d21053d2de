"""Real outcomes joined with predictions; memory grows with the outcomes, not with the scores."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect import scores
from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.quality.drift.score_counts import ScoreCounts
from mfprefect.quality.metrics.definitions import UNSUPERVISED

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mfprefect.model import Model

__all__ = ["JoinedScores", "Outcomes", "compare", "read_outcomes"]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The known outcomes of the entities that were scored as of one date."""

    entity_id: NDArray[Any]
    """Ids as text, the form in which scores store them."""
    entity_column: str
    """The column that they come from."""
    rows: pd.DataFrame
    """`actual` (for a time series also `series` and `period`), in the order of `entity_id`."""

    def __len__(self) -> int:
        return len(self.entity_id)


@dataclass(eq=False)
class JoinedScores:
    """One session's scores: their distribution, and the rows whose outcome is known."""

    rows: pd.DataFrame
    """`actual` and `predicted`, for a time series also `series` and `period`."""
    scored: int = 0
    """All scores of the session."""
    tally: ScoreCounts = field(default_factory=ScoreCounts)
    example: str = ""
    """The id of a scored entity."""


class _NothingYet(Exception):
    """The model has no outcomes for that date."""


def read_outcomes(model: Model, as_of: dt.date) -> Outcomes | None:
    """Return the model's outcomes as of a date, None if it has none yet.

    Raises:
        InvalidValue: a column is missing, an entity (or a period of a series) occurs twice, or an
            actual is not a finite number.
    """

    def produce() -> Any:
        data = model.outcomes(as_of)
        if data is None:
            raise _NothingYet
        return data

    try:
        frame = model.reader.load(produce, f"outcomes {as_of}")
    except _NothingYet:
        return None
    try:
        return _outcomes(model, frame)
    except (InvalidScores, InvalidValue) as exc:
        raise InvalidValue(
            f"outcomes({as_of}) of model {model.model_id!r} cannot be used: {exc}"
        ) from exc


def _outcomes(model: Model, frame: pd.DataFrame) -> Outcomes:
    import pandas as pd

    entity = model.entity_id if model.entity_id in frame.columns else "entity_id"
    periodic = model.model_type == "time_series"
    # Where the period is the entity, one column holds both.
    period = entity if model.period == entity and "period" not in frame.columns else "period"
    required = [entity, "actual", *([period] if periodic else [])]
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise InvalidValue(
            f"the column {missing[0]!r} is missing; the columns are "
            f"{', '.join(map(str, frame.columns))}; required: {', '.join(required)}"
        )
    frame = frame[frame["actual"].notna()]
    repeated = frame[entity][frame[entity].duplicated()]
    if len(repeated):
        raise InvalidValue(
            f"{len(repeated)} rows repeat an entity, such as {repeated.iloc[0]!r}; an entity that "
            "was scored has one outcome"
        )
    scores.entity_ids(frame[entity], entity)
    rows = pd.DataFrame({"actual": _actual(frame["actual"], model.model_type)})
    if periodic:
        rows["period"] = frame[period].map(str).to_numpy()
        rows["series"] = frame["series"].map(str).to_numpy() if "series" in frame.columns else "all"
        _check_periods(rows)
    # The position stands in for the score: sorted with the ids, it gives each id's position.
    positions = pd.DataFrame({entity: frame[entity].to_numpy(), "position": np.arange(len(frame))})
    table = scores.normalise(positions, entity, "position", None)
    order = table["score"].to_numpy().astype(np.int64)
    ids = np.array(table["entity_id"].to_pylist(), dtype=object)
    return Outcomes(ids, entity, rows.iloc[order].reset_index(drop=True))


def _check_periods(rows: pd.DataFrame) -> None:
    repeated = rows[rows.duplicated(["series", "period"])]
    if len(repeated):
        period, series = repeated["period"].iloc[0], repeated["series"].iloc[0]
        raise InvalidValue(
            f"{len(repeated)} rows repeat a period of a series, such as {period!r} of {series!r}; "
            "a period has one actual"
        )


def _actual(column: pd.Series[Any], model_type: str) -> NDArray[Any]:
    from mfprefect.quality._arrays import labels
    from mfprefect.quality.metrics.regression import finite

    values = column.to_numpy()
    if model_type == "multiclass":
        return np.array([str(value) for value in values.tolist()], dtype=object)
    if model_type in ("binary", UNSUPERVISED):
        return labels(values).astype(np.float64)
    return finite(values, "actual")


def compare(
    batches: Iterable[pa.RecordBatch], outcomes: Outcomes | None, predicted_by: str = "score"
) -> JoinedScores:
    """Return the scores whose outcome is known, and the distribution of all scores.

    Args:
        batches: from `Store.iter_scores`.
        outcomes: None for the distribution alone.
        predicted_by: `score_class` if outcomes are classes.
    """
    import pandas as pd

    index = pd.Index([] if outcomes is None else outcomes.entity_id, dtype=object)
    joined = JoinedScores(pd.DataFrame({"actual": [], "predicted": []}))
    positions: list[NDArray[Any]] = [np.empty(0, np.int64)]
    predicted: list[NDArray[Any]] = [np.empty(0, object if predicted_by != "score" else float)]
    for batch in batches:
        score = batch.column("score").to_numpy()
        joined.scored += len(score)
        joined.tally.add(score)
        if not joined.example and len(score):
            joined.example = str(batch.column("entity_id")[0])
        if len(index):
            ids = pd.Index(batch.column("entity_id").to_pylist(), dtype=object)
            position = index.get_indexer(ids)
            positions.append(position[position >= 0])
            prediction = batch.column(predicted_by).to_numpy(zero_copy_only=False)
            predicted.append(prediction[position >= 0])
    if outcomes is not None:
        rows = outcomes.rows.iloc[np.concatenate(positions)].reset_index(drop=True)
        joined.rows = rows.assign(predicted=np.concatenate(predicted))
    return joined

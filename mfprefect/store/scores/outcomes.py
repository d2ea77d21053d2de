"""Compare two sessions' scores with the actual outcomes of the same entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.quality.gates.paired import metric_difference
from mfprefect.store.database import Database
from mfprefect.store.scores.read import iter_scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["on_outcomes"]

METRICS = {"binary": ("auc", "brier", "log_loss"), "regression": ("rmse", "mae")}
"""The metrics to compare: of outcomes that are all 0 or 1, and of others."""


def on_outcomes(
    db: Database, a: str, b: str, frame: pd.DataFrame, entity_id: str, actual: str
) -> dict[str, Any]:
    """Return `rows`, entities with both scores and an outcome, and `metrics` of both sessions.

    Reads scores in batches, so memory grows with the outcomes only.

    Raises:
        InvalidValue: a column is missing, an entity is repeated or none has both scores.
        InvalidScores: no metric takes these scores.
    """
    import pandas as pd

    for name in (entity_id, actual):
        if name not in frame.columns:
            raise InvalidValue(
                f"the outcomes have no column {name!r}; their columns: "
                f"{', '.join(map(str, frame.columns))}. Name it with entity_id=.. or actual=.."
            )
    with_outcome = frame[frame[actual].notna()]
    ids = pd.Index(with_outcome[entity_id].astype(str))
    if not ids.is_unique:
        twice = ids[ids.duplicated()][0]
        raise InvalidValue(f"the outcomes have {twice!r} twice; keep one outcome for each entity.")
    scores = [_scores(db, session_id, ids) for session_id in (a, b)]
    both = np.isfinite(scores[0]) & np.isfinite(scores[1])
    if not both.any():
        raise InvalidValue(
            f"none of the {len(ids)} entities with an outcome has scores in both {a!r} and {b!r}; "
            "entity ids are compared as text."
        )
    happened = with_outcome[actual].to_numpy()[both]
    return {"rows": int(both.sum()), "metrics": _metrics(happened, *(x[both] for x in scores))}


def _scores(db: Database, session_id: str, ids: pd.Index[Any]) -> NDArray[np.float64]:
    scores = np.full(len(ids), np.nan)
    for batch in iter_scores(db, session_id, unpublished=True):
        places = ids.get_indexer(batch.column("entity_id").to_pandas())
        matched = places >= 0
        scores[places[matched]] = batch.column("score").to_numpy(zero_copy_only=False)[matched]
    return scores


def _metrics(
    happened: NDArray[Any], a: NDArray[np.float64], b: NDArray[np.float64]
) -> list[dict[str, Any]]:
    kind = "binary" if set(np.unique(happened)) <= {0, 1} else "regression"
    rows: list[dict[str, Any]] = []
    problem: Exception | None = None
    for metric in METRICS[kind]:
        try:
            # b minus a, as everywhere in a comparison.
            difference = metric_difference(metric, happened, b, a, kind)
        except (InvalidValue, InvalidScores) as exc:  # such as scores that are not probabilities
            problem = exc
            continue
        row = {"metric_name": metric, "a": difference.second, "b": difference.first}
        interval = {"difference": difference.value, "low": difference.low, "high": difference.high}
        rows.append({**row, **interval, "method": difference.method})
    if not rows and problem is not None:
        raise problem
    return rows

"""The scores of rows of a part, as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfprefect.quality.metrics.class_scores import top_class
from mfprefect.quality.predictions import predictions
from mfprefect.quality.score_figures import ScoreFigures
from mfprefect.quality.unsupervised import split_labels

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model

__all__ = ["SCORE", "SCORE_CLASS", "PartScores", "scores_of"]

SCORE, SCORE_CLASS = "the score", "its class"
"""Columns of a part's scores, beside the model's own column of ids."""


class PartScores(NamedTuple):
    """Scores of some rows."""

    frame: pd.DataFrame
    score_class: str | None
    """The column of classes, None if there is none."""
    figures: ScoreFigures


def scores_of(model: Model, estimator: Any, features: pd.DataFrame, ids: Any) -> PartScores:
    """Return what a model predicts for rows.

    Args:
        model: the model, with its extras.
        estimator: the fitted estimator.
        features: the rows.
        ids: their entity ids.

    Raises:
        InvalidValue: `predict` returned another shape, length or index.
        InvalidScores: a score is no finite number.
    """
    import pandas as pd

    score = predictions(model, estimator, features)
    classes: Any = None
    if model.model_type == "multiclass":
        score, classes = top_class(score)
    elif hasattr(score, "columns"):
        score, classes = split_labels(score)
    else:
        classes = model.score_class(score)
    frame = pd.DataFrame({model.entity_id: ids.to_numpy(), SCORE: score})
    if classes is not None:
        frame[SCORE_CLASS] = np.asarray(classes)
    name = None if classes is None else SCORE_CLASS
    return PartScores(frame, name, ScoreFigures.of(score, classes))

"""Which of an estimator's predictions is the score: as `mfprefect.quality.predictions` decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Expression, Label, Sql, joined
from mfprefect.sql_scoring.functions import greatest, shared
from mfprefect.sql_scoring.registry import Output

__all__ = ["MODEL_TYPES", "score_columns"]

MODEL_TYPES = ("binary", "multiclass", "regression")


def score_columns(
    output: Output, estimator: Any, model_type: str, classes: Sequence[Any] | None
) -> dict[str, Expression]:
    """Return the columns `score` and, for several classes, `score_class`.

    Args:
        output: what the estimator predicts.
        estimator: the estimator.
        model_type: one of `MODEL_TYPES`.
        classes: the labels of the probabilities if the estimator has none.

    Raises:
        NotCompilable: the estimator has no such scores.
    """
    name = type(estimator).__name__
    if model_type == "multiclass":
        labels = getattr(estimator, "classes_", classes)
        if not output.probabilities:
            raise NotCompilable(f"{name} has no probabilities, the scores of a multiclass model")
        if labels is None or len(labels) != len(output.probabilities):
            raise NotCompilable(
                f"the classes of the {len(output.probabilities)} scores are unknown"
            )
        return _top_class(output.probabilities, [str(label) for label in labels])
    if model_type == "binary":
        return {"score": _of_two_classes(output, estimator)}
    if output.value is None:
        raise NotCompilable(f"{name} predicts classes; they are no scores of a {model_type} model")
    return {"score": output.value}


def _of_two_classes(output: Output, estimator: Any) -> Expression:
    name = type(estimator).__name__
    if hasattr(estimator, "predict_proba"):
        if len(output.probabilities) != 2:
            raise NotCompilable(
                f"{name} has {len(output.probabilities)} probabilities; a binary model has two"
            )
        return output.probabilities[1]
    if hasattr(estimator, "decision_function"):
        if output.decision is None:
            raise NotCompilable(f"{name} has no single decision")
        return output.decision
    if output.value is None:
        raise NotCompilable(f"{name} has neither probabilities nor a decision")
    return output.value


def _top_class(probabilities: Sequence[Expression], labels: Sequence[str]) -> dict[str, Expression]:
    inputs = [shared(x) for x in probabilities]
    parts: list[Any] = []
    for place, x in enumerate(inputs[:-1]):
        tests = (Sql(x, " >= ", y) for y in inputs[place + 1 :])
        parts += [" WHEN ", *joined(" AND ", tests), " THEN ", Label(labels[place])]
    label = Sql("CASE", *parts, " ELSE ", Label(labels[-1]), " END", text=True)
    return {"score": greatest(inputs), "score_class": label}

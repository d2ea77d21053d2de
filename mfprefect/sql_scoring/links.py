"""From the sums of boosted trees to probabilities and predictions."""

from __future__ import annotations

from collections.abc import Sequence

from mfprefect.sql_scoring.errors import NotCompilable
from mfprefect.sql_scoring.expressions import Expression, Number, Shared, Sql
from mfprefect.sql_scoring.functions import exponential, finite, logistic, shared, softmax
from mfprefect.sql_scoring.registry import Output
from mfprefect.sql_scoring.values import Context

__all__ = ["linked", "two_classes"]


def two_classes(probability: Expression, decision: Expression | None = None) -> Output:
    """Return the output of a classifier of two classes."""
    second = shared(probability)
    return Output(probabilities=(Sql(Number(1.0), " - ", second), second), decision=decision)


def linked(link: str, sums: Sequence[Shared], context: Context) -> Output:
    """Return the output of sums under the inverse of a link of scikit-learn.

    Raises:
        NotCompilable: the link is unknown.
    """
    if link == "IdentityLink":
        return Output(value=sums[0])
    if link == "LogLink":
        value = shared(exponential(sums[0]))
        context.conditions.append(finite(value))
        return Output(value=value)
    if link == "LogitLink":
        return two_classes(logistic(sums[0]), sums[0])
    if link == "HalfLogitLink":
        return two_classes(logistic(shared(Sql(Number(2.0), " * ", sums[0]))), sums[0])
    if link == "MultinomialLogit":
        return Output(probabilities=softmax(sums), decisions=tuple(sums))
    raise NotCompilable(f"the link {link} is not supported")

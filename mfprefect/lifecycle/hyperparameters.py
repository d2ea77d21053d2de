"""What a training records of how it learned: estimator, split, weights and classes.

The same is stored twice: as parameters of the session, with their types, for comparisons; and as
texts in the metadata groups `estimator` and `split`, as earlier versions stored it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mfprefect.errors import PermissionDenied
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.estimator import at_default, described
from mfprefect.lifecycle.split import split_rule
from mfprefect.vocabulary import DEFAULTS, ESTIMATOR, LEARNING, SPLIT

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session

__all__ = ["record_hyperparameters"]


def record_hyperparameters(
    session: Session, model_class: type[Model], estimator: Any, rows: tuple[int, int]
) -> None:
    """Record them as parameters, such as `estimator.C` and `split.test_share`, and as metadata.

    Args:
        session: the training session.
        model_class: the model.
        estimator: the fitted estimator.
        rows: how many rows it learned from, and was tested on.
    """
    parameters = described(estimator)
    learned, tested = rows
    split = {"test_share": model_class.test_share, "rule": split_rule(model_class)}
    counts = {"rows": learned, "test_rows": tested}
    _log_params(
        session,
        {
            **{f"{ESTIMATOR}.{name}": value for name, value in parameters.items()},
            **{f"{SPLIT}.{name}": value for name, value in split.items()},
            **_declared(model_class),
        },
    )
    session.log_metadata(counts | split, group=SPLIT)
    session.log_metadata(parameters, group=ESTIMATOR)
    session.log_metadata({DEFAULTS: at_default(estimator)}, group=LEARNING)


def _log_params(session: Session, params: dict[str, Any]) -> None:
    """Log parameters; a right that an earlier version did not need must not cost a training."""
    try:
        session.log_params(params)
    except PermissionDenied as exc:
        tasks.log().warning("parameters are recorded as metadata only: %s", exc)


def _declared(model_class: type[Model]) -> dict[str, Any]:
    """Return what the class declares besides, if it does."""
    declared = {
        f"{SPLIT}.stratify": model_class.stratify or None,
        f"{LEARNING}.weight": model_class.weight,
        f"{LEARNING}.classes": None
        if model_class.classes is None
        else list(map(str, model_class.classes)),
    }
    return {name: value for name, value in declared.items() if value is not None}

"""The checks of a scoring: those of each part, and those of the rows of all parts together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ChecksFailed
from mfprefect.lifecycle.scoring_inputs import ANSWERS, NUMBERS_A_PART
from mfprefect.quality.checks import without_column
from mfprefect.quality.checks.base import ModelCheck
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.masking import Disclosure
from mfprefect.quality.checks.parts import judge_parts, suffices
from mfprefect.quality.checks.phases import of_parts
from mfprefect.quality.checks.result import checks_failed
from mfprefect.quality.learning import key_columns
from mfprefect.store.results.check_context import check_context

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.settings import Settings
    from mfprefect.store import Store

__all__ = ["JointChecks", "combined", "masked_columns", "scoring_checks"]

SAMPLE = 5
RESULTS = "check_results"
"""Where the document of a part has the results of its checks."""


def masked_columns(model: type[Model], settings: Settings) -> frozenset[str]:
    """Return the columns whose cells must not be stored: those of the model and the settings."""
    return frozenset((*model.masked, *settings.masked_columns))


def scoring_checks(model: type[Model], settings: Settings) -> tuple[list[Any], list[ModelCheck]]:
    """Return the checks of each part, and those of all rows; scoring data lacks the target."""
    masked = masked_columns(model, settings)
    each, joint = of_parts(model.checks, model.parts, masked, model.entity_id)
    return without_column(each, model.target), without_column(joint, model.target)


class JointChecks:
    """The checks of the rows of all parts, judged before a scoring is published."""

    def __init__(self, store: Store, model: type[Model], session: Session) -> None:
        settings = store.database.settings
        _, self._checks = scoring_checks(model, settings)
        self._model, self._session = model, session
        self._disclosure = Disclosure(SAMPLE, masked_columns(model, settings))
        self._answers: dict[int, Mapping[str, Any]] = {}
        self.context = CheckContext()
        """What the checks compare with; read once, so that all parts compare with the same."""
        if self._checks:
            keys = key_columns(model, ())
            self.context = check_context(store.database, session.handle, self._checks, keys)
            self._take_over()

    def _take_over(self) -> None:
        for part, document in self._session.part_documents():
            answers = document.get(ANSWERS)
            if part > self._model.parts or not answers:
                continue  # of an attempt with more parts, or of an older version
            if suffices(answers, self._checks, self.context, self._disclosure):
                self._answers[part] = answers

    def may_keep(self, part: int) -> bool:
        """Return whether a part of an earlier attempt has answered what these checks ask."""
        return not self._checks or part in self._answers

    def restrict(self, parts: Collection[int]) -> None:
        """Judge only these parts; others are of an attempt with more partitions."""
        self._answers = {part: self._answers[part] for part in parts if part in self._answers}

    def add(self, part: int, answers: Mapping[str, Any]) -> None:
        """Take the answers of a part that was scored."""
        self._answers[part] = answers

    def judge(self) -> None:
        """Judge the rows of all parts, and store the results.

        Raises:
            ChecksFailed: an error-level check failed. The scores are dropped, because a retry must
                read the data again, which may have been corrected by then.
        """
        if not self._checks:
            return
        rows = judge_parts(self._checks, self._answers, self.context, self._disclosure)
        try:
            self._session.log_check_results(rows, after=NUMBERS_A_PART * self._model.parts)
        except ChecksFailed as exc:
            every = [*exc.results, *self._results_of_parts()]
            self._session.drop_parts()
            raise checks_failed({1: every}) from None

    def _results_of_parts(self) -> list[dict[str, Any]]:
        documents = (document for _, document in self._session.part_documents())
        return [row for document in documents for row in document.get(RESULTS) or ()]


def combined(errors: Sequence[tuple[int, ChecksFailed]]) -> ChecksFailed:
    """Return the failed checks of several parts as one error, which counts over all of them."""
    if len(errors) == 1:
        return errors[0][1]
    return checks_failed({part: error.results for part, error in errors})

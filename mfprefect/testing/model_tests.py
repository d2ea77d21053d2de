"""The tests that every model should pass."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from mfprefect.testing import models

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.store import Store

__all__ = ["ModelTests"]


class ModelTests:
    """Tests that any model must pass. Subclass it, and pytest runs them on your model.

    class TestChurn(ModelTests):
        model = churn.Churn
        broken = {"tenure": -1}

    Add tests of your own; they take the fixtures `mf_model` and `mf_store`.
    """

    model: ClassVar[type[Model]]
    """The model's class."""
    as_of: ClassVar[dt.date | None] = None
    """The date of the data; None: today."""
    broken: ClassVar[Mapping[str, Any]] = {}
    """A wrong value by column; the model's checks must refuse each."""

    def test_the_checks_accept_the_training_data(self, mf_model: models.TrainedModel) -> None:
        """No error-level check fails."""
        models.assert_checks_accept(mf_model)

    def test_the_checks_refuse_broken_data(self, mf_model: models.TrainedModel) -> None:
        """Each value in `broken` is refused."""
        models.assert_checks_refuse(mf_model, self.broken)

    def test_training_is_reproducible(self, mf_model: models.TrainedModel) -> None:
        """Two trainings give the same metrics and scores."""
        models.assert_reproducible(mf_model)

    def test_a_score_depends_on_its_own_row_alone(self, mf_model: models.TrainedModel) -> None:
        """Neither the order of rows nor the size of a batch matters."""
        models.assert_rows_independent(mf_model)

    def test_a_missing_column_does_not_go_unnoticed(self, mf_model: models.TrainedModel) -> None:
        """A check or the model refuses it."""
        models.assert_missing_column_fails(mf_model)

    def test_the_stored_model_gives_the_same_scores(
        self, mf_model: models.TrainedModel, mf_store: Store
    ) -> None:
        """A stored and loaded model gives the same scores."""
        models.assert_round_trip(mf_model, mf_store)

    def test_it_trains_scores_and_is_monitored(
        self, mf_model: models.TrainedModel, mf_store: Store, mf_server: str
    ) -> None:
        """The three flows run on a real Prefect server."""
        models.assert_flows_run(mf_model, mf_store)

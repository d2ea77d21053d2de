"""What scoring a part needs, in this process or, pickled, in another one."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cloudpickle

from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.fitting import Trained, load_trained
from mfprefect.lifecycle.partitions import FIRST_NUMBER, PartitionRows, require_partitions
from mfprefect.lifecycle.run import as_of_date
from mfprefect.lifecycle.scoring_inputs import (
    PartRecorder,
    PreviousScoring,
    ScoringInputs,
    references_of,
)
from mfprefect.lifecycle.sql_plan import SqlPlan, plan_of_spark, refusal
from mfprefect.lifecycle.sql_proof import compiled_model
from mfprefect.quality.summary.sample import InputSummarizer
from mfprefect.sql_scoring import CompiledModel
from mfprefect.store import Store
from mfprefect.store.database import Database
from mfprefect.util.spark import is_spark

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.model import Model
    from mfprefect.quality.checks.context import CheckContext
    from mfprefect.session import Session
    from mfprefect.settings import Settings
    from mfprefect.store.handle import SessionHandle

__all__ = ["InPartitions", "ScoringJob"]


class InPartitions(Exception):
    """`scoring_data` returned a Spark DataFrame."""

    def __init__(self, frame: Any) -> None:
        super().__init__("scoring_data returned a Spark DataFrame")
        self.frame = frame


class ScoringJob:
    """Everything needed to score a part, in this process or, pickled, in another one."""

    def __init__(
        self,
        model_class: type[Model],
        store: Store,
        session: Session,
        training_session_id: str,
        features: list[str],
        trained: Trained,
        inputs: ScoringInputs,
        context: CheckContext,
    ) -> None:
        self.context = context
        """What the checks of all rows compare with."""
        self.training_session_id = training_session_id
        self.features = features
        self.sql = SqlPlan("python")
        """Whether databases may compute the scores."""
        self._compared: PreviousScoring = inputs.compared
        self._references: dict[str, pd.DataFrame] | None = inputs.references
        self.as_of: dt.date = as_of_date(session)
        self.settings: Settings = store.database.settings
        self._handle: SessionHandle = session.handle
        self._model_class: type[Model] | bytes = model_class
        self._local: tuple[Store, Trained] | None = (store, trained)
        self.elsewhere = False
        """Whether this is a copy in another process than the flow's."""
        self.partition: PartitionRows | None = None
        """The rows to score, if they are a partition of Spark's."""

    def __getstate__(self) -> dict[str, Any]:
        # Connections cannot be pickled; the model is in the store and need not be.
        model_class = self._model_class
        if not isinstance(model_class, bytes):
            model_class = cloudpickle.dumps(model_class)
        sql = replace(self.sql, compiled=None)
        nothing = {"_local": None, "_references": None, "elsewhere": True, "sql": sql}
        return self.__dict__ | {"_model_class": model_class} | nothing

    def _resources(self) -> tuple[Store, Trained]:
        if self._local is None:
            self._local = _process_resources(self)
        return self._local

    @property
    def model_class(self) -> type[Model]:
        """The model's class."""
        # Lazily: an error while unpickling the job would be the cluster's, not the task's.
        if isinstance(self._model_class, bytes):
            self._model_class = cloudpickle.loads(self._model_class)
        return self._model_class  # type: ignore[return-value]  # by now

    @property
    def estimator(self) -> Any:
        """The fitted model."""
        return self._resources()[1].estimator

    def compiled_model(self) -> CompiledModel:
        """Return the estimator in SQL, compiled once in each process.

        Raises:
            NotCompilable: it cannot be scored in SQL.
        """
        key = self.training_session_id
        if (compiled := self.sql.compiled) is None:
            with _lock:
                if key not in _compiled:
                    _compiled.clear()
                    arguments = self.model_class, self.estimator, self.features
                    _compiled[key] = compiled_model(*arguments)
                compiled = _compiled[key]
        return compiled

    def recorder(self, part: int) -> PartRecorder:
        """Return a recorder for one part, which numbers its checks and inputs by part."""
        database = self._resources()[0].database
        if self.partition is None:
            return PartRecorder(database, self._handle, part)
        digest = self.partition.digest
        return PartRecorder(database, self._handle, part, after=FIRST_NUMBER, partition=digest)

    def rows(self, model: Model, part: int) -> Any:
        """Return the rows of a part: what `scoring_data` returns, or those of a partition.

        Raises:
            InPartitions: they are a Spark DataFrame.
            InvalidValue: so they are, of a model that divides its rows in another way.
            ConfigurationError: so they are, of a model that asks for SQL.
        """
        if self.partition is not None:
            return self.partition.reader()
        data = model.scoring_data(self.as_of, part)
        if is_spark(data):
            require_partitions(self.model_class, elsewhere=self.elsewhere)
            plan_of_spark(self.model_class)
            raise InPartitions(data)
        return data

    def summarizer(self) -> InputSummarizer:
        """Return what summarises a part's input, in the bins of the training."""
        return InputSummarizer(self._bins(), self.settings.summary_rows)

    def sample_summarizer(self, sample: pd.DataFrame, rows: int) -> InputSummarizer:
        """Return what summarises the features of a sample as an estimate for so many rows."""
        return InputSummarizer.of_sample(self._bins(), sample, rows)

    def _bins(self) -> dict[str, pd.DataFrame]:
        store, _ = self._resources()
        if self._references is None:
            self._references = references_of(store, self.training_session_id, self._compared)
        return self._references

    def keep_summary(self, recorder: PartRecorder, summarizer: InputSummarizer) -> None:
        """Store what a part's input looks like."""
        recorder.keep_summary(summarizer, self._compared, self.model_class.masked)

    def model(self, recorder: PartRecorder, part: int) -> Model:
        """Return the model with the extras of its training, recording what it reads."""
        model = self.model_class(tasks.reader(self.settings, recorder, self.model_class, part))
        if self.sql.mode == "sql":
            model.reader.refusal = refusal(self.model_class)
        trained = self._resources()[1]
        model.extras, model.params = trained.extras, dict(trained.params)
        return model


_lock = threading.RLock()
_compiled: dict[str, CompiledModel] = {}
_cache: dict[str, tuple[Store, Trained]] = {}


def _process_resources(scoring: ScoringJob) -> tuple[Store, Trained]:
    """Return this process's store and trained model; both are reused for its next part."""
    key = scoring.training_session_id
    with _lock:
        if key not in _cache:
            for store, _ in _cache.values():
                store.close()
            _cache.clear()
            store = Store(Database(scoring.settings))
            _cache[key] = (store, load_trained(store, scoring.model_class(), key))
        return _cache[key]

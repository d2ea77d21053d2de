"""Model: the class that a data scientist writes. The lifecycle runs it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from mfprefect.artifacts import FORMATS
from mfprefect.artifacts.by_class import ByClass
from mfprefect.errors import ConfigurationError
from mfprefect.inputs.reader import Reader
from mfprefect.quality.gates.verdicts import BaseGate
from mfprefect.quality.metrics.definitions import UNSUPERVISED
from mfprefect.quality.without_target import needs_no_target, require_no_target
from mfprefect.util.declared_params import check_declared, run_params

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.lifecycle.flows import Flows

__all__ = ["Model"]

SCORING = ("auto", "python", "sql")


class Model:
    """A model, its training data and the data that it scores.

    Subclass it, set `model_id`, `entity_id` and `target`, write `training_data`, `fit` and
    `scoring_data`, and get the flows: `train, score, monitor = MyModel.flows()`.
    """

    # What it is

    model_id: ClassVar[str]
    """The name of the model in the store, at most 64 characters."""
    description: ClassVar[str] = ""
    """What the model predicts, and for whom."""
    entity_id: ClassVar[str]
    """The column with the id of each scored entity: text or integers, one row per entity."""
    target: ClassVar[str | None] = None
    """The column of the training data to predict: 0/1, a class or a number.

    Leave it out for anomaly scores and clusters: see docs/unsupervised.md.
    """
    features: ClassVar[Sequence[str] | None] = None
    """The columns to learn from; None: all but `entity_id`, `target`, `weight` and `not_features`.

    Other columns, such as segments, dates and keys, reach the checks and the segments' metrics.
    """
    not_features: ClassVar[Collection[str]] = ()
    """Columns not to learn from and not to monitor, instead of a list of `features`."""
    weight: ClassVar[str | None] = None
    """The column of the training data with the weight of each row; see `fit`."""
    entity_type: ClassVar[str] = ""
    """The kind of entity, such as `customer`; by default the name of `entity_id`."""
    owner: ClassVar[str | None] = None
    """The person or team responsible for the model; by default the user who ran it first."""

    # Its data

    checks: ClassVar[Any] = None
    """Input checks: a pandera schema, functions of a frame, `mfprefect.checks`; or a list.

    `mfprefect.checks.on("train", ..)` limits checks to training, `on("score", ..)` to scoring.
    """
    masked: ClassVar[Collection[str]] = ()
    """Columns with personal data; checks and summaries never show or store their cells."""
    checked_rows: ClassVar[int | None] = None
    """Schemas and functions check a random sample of this many rows; None: all rows."""

    # Training and promotion

    params: Mapping[str, Any] = {}
    """Parameters of a training with their defaults, such as `{"depth": 6, "rate": 0.1}`.

    `train(params={"depth": 8})` replaces some, with values of the same types. In the methods of a
    run, `self.params` has all of them: of a scoring, those of the training whose model it uses.
    """
    gates: ClassVar[Sequence[BaseGate]] = ()
    """Conditions of a training; if one fails, the training fails and cannot be promoted."""
    scoring_gates: ClassVar[Sequence[BaseGate]] = ()
    """Conditions of a scoring, such as `Gate.drift()`; if one fails, no score is published."""
    auto_promote: ClassVar[bool] = False
    """Whether to promote a training automatically when it passes its gates."""
    shadow: ClassVar[str | None] = None
    """A challenger that scores beside the model in use: a training session, or `latest`."""

    # Scoring

    scoring: ClassVar[str] = "auto"
    """Where scores are computed: `sql` (by the database that has the rows), `python`, or `auto`.

    `auto` takes SQL where it can, and Python with the reason on record where it cannot.
    """
    parts: ClassVar[int] = 1
    """The number of parts to score in; a retry skips complete parts."""
    batched: ClassVar[bool | None] = None
    """Whether parts are read in batches. None: where the results are those of a part read whole.

    True says that `predict`, `score_class` and functions among the checks take each row alone.
    """
    min_rows: ClassVar[int] = 0
    """The fewest rows of a scoring, over all parts; fewer fail the run. 0: none is a warning."""
    test_share: ClassVar[float] = 0.3
    """The share of entities held out for testing, chosen by a digest of their ids.

    Without a target it may be 0: the model is fitted and tested on all rows.
    """
    stratify: ClassVar[bool] = False
    """Whether to hold out that share of each class, for a target with few rows of a class."""
    classes: ClassVar[Sequence[Any] | None] = None
    """For a multiclass model: all classes that may occur; another one in the target is refused."""
    model_type: ClassVar[str] = "binary"
    """What it predicts: `binary` (0/1), `multiclass`, `regression` or `time_series` (numbers).

    `unsupervised`: anomaly scores or clusters. A class with a `fit` and no `target` is of this type
    unless it names one.
    """
    segments: ClassVar[Sequence[str]] = ()
    """Columns of the training data, such as `region`; each of their levels gets its own metrics."""
    period: ClassVar[str | None] = None
    """For a time series: the column of the time; all series hold out its last `test_share`."""
    series: ClassVar[str | None] = None
    """For a time series: the column that names the series, if there are several."""
    season: ClassVar[int] = 1
    """For a time series: the number of periods in a season, such as 12."""

    # Monitoring

    monitored_sessions: ClassVar[int] = 12
    """How many of the last published scoring sessions `monitor` compares with outcomes."""
    min_outcomes: ClassVar[int] = 30
    """With fewer known outcomes a session's performance is stored but raises no alarm."""
    drift_threshold: ClassVar[float | None] = None
    """The PSI that raises an alarm unless sampling explains it; 0.4 of it is a warning.

    If this threshold or one of the next three is None, it comes from the settings: see
    docs/monitoring.md.
    """
    ks_threshold: ClassVar[float | None] = None
    """The KS drift that raises an alarm."""
    null_share_threshold: ClassVar[float | None] = None
    """The change in the share of NULL that raises an alarm."""
    drift_thresholds: ClassVar[Mapping[str, float | Mapping[str, float]]] = {}
    """Thresholds of single features: a PSI, or any of `psi`, `ks` and `null_share` by name."""
    performance_drop: ClassVar[float | None] = None
    """The drop on real outcomes that raises an alarm: of AUC or accuracy, or of RMSE as a share."""
    max_age: ClassVar[dt.timedelta | None] = None
    """The age of the last scores that raises an alarm; None: no alarm."""

    # Storing and running

    format: ClassVar[str | None] = None
    """The format to store the model in, such as `pickle`; by default the safe one that fits."""
    trial_rows: ClassVar[int] = 500
    """`fit` first gets this many rows if there are 20 times as many, to try storing; 0: never."""
    task_runner: ClassVar[Any] = None
    """The Prefect task runner that scores parts; by default up to 4 threads."""
    tags: ClassVar[Sequence[str]] = ()
    """Tags that notification targets can select, beside the tags of the flow run."""
    retries: ClassVar[int] = 2
    """How often to retry a task after a transient error."""
    retry_delay_seconds: ClassVar[float] = 10
    """The pause before a retry."""

    # Reading

    def __init__(self, reader: Reader | None = None) -> None:
        self.reader = reader or Reader()
        """Reads what `read` is asked for, and records it in the session."""
        self.extras: Mapping[str, Any] = {}
        """What `fit` returned beside the estimator, also in `predict` and `scoring_data`."""
        self.params = run_params(type(self).__name__, type(self).params, None)

    # Methods that you write

    def training_data(self, as_of: dt.date) -> Any:
        """Return the rows to learn from, with the columns `entity_id` and `target`.

        Returns:
            A DataFrame; or SQL text, a path or batches, as for `read`.
        """
        raise self._missing("training_data")

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        """Return a fitted estimator; set its random seed to make the training reproducible.

        `self.params` has the parameters of the run, if the class declares any. `target` is None for
        a model without one. With `weight` in the class, take the weights of the rows as a further
        parameter `weight`: `def fit(self, features, target, weight=None)`.

        Returns:
            The estimator; or the estimator and a dict of what `predict` or `scoring_data` need
            later: values that JSON can hold, frames, arrays and bytes. It is stored with the model
            and comes back as `self.extras`.
        """
        raise self._missing("fit")

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        """Return the rows of one part (1 to `parts`) to score, with the column `entity_id`.

        Returns:
            A DataFrame; or SQL text, a path or batches, as for `read`. Or a Spark DataFrame, which
            Spark's executors score, each partition as a part: docs/engines.md.
        """
        raise self._missing("scoring_data")

    # Methods that you may override

    def outcomes(self, as_of: dt.date) -> Any:
        """Return the real outcomes of the entities that were scored as of a date.

        Override it to let `monitor` compare earlier scores with outcomes.

        Returns:
            None if no outcome is known yet; else anything that `training_data` may return, with
            the columns `entity_id` (or the model's name for it) and `actual`, for a time series
            also `period` and, with several series, `series`. One row per entity; leave out
            entities without a known outcome, or set their `actual` to NULL.
        """
        return None

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        """Return one score per row; for a multiclass model a DataFrame with one column per class.

        An unsupervised model may return a DataFrame with the columns `score` and `score_class`.
        Its default takes anomaly scores, higher for more anomalous rows, or clusters.

        The default takes probabilities. For a binary estimator without `predict_proba` it takes
        the `decision_function`; it never takes labels for scores. A Series or DataFrame with the
        index of `features` may be in any order. Override it for any other estimator.
        """
        from mfprefect.quality.predictions import default_scores

        return default_scores(self.model_type, estimator, features)

    def score_class(self, score: Any) -> Any | None:
        """Return one class per score, such as `high`. Override it to store classes beside scores.

        Not used for a multiclass model, which stores the class with the highest score, nor for
        clusters, whose labels are the classes.
        """
        return None

    def importance(
        self, estimator: Any, features: pd.DataFrame, target: pd.Series[Any]
    ) -> Mapping[str, pd.DataFrame]:
        """Return variable importances by kind, on held-out rows.

        The default permutes each variable five times, on at most 2,000 rows drawn with a fixed
        seed; a model without a target has none. Override it to compute others, or to return {} if
        that takes too long.
        """
        if self.model_type == UNSUPERVISED:
            return {}
        from mfprefect.quality.importance import available
        from mfprefect.quality.predictions import predictions, with_classes_of

        def predict(fitted: Any, rows: pd.DataFrame) -> Any:
            return with_classes_of(predictions(self, fitted, rows), target)

        if len(features) > 2_000:
            features = features.sample(2_000, random_state=0)
            target = target.loc[features.index] if target.index.is_unique else target
        return available(estimator, features, target, self.model_type, predict)

    def save_model(self, estimator: Any, file: BinaryIO) -> None:
        """Write a fitted model that has no safe format to a binary file; leave the file open.

        Override it together with `load_model`. What it writes is stored with its digest, and the
        flows load it with `load_model` of the class.
        """
        raise self._missing("save_model")

    def load_model(self, file: BinaryIO) -> Any:
        """Return the model that `save_model` wrote to a file, whose digest was verified.

        Reading runs your code: without a signing key, whoever can write to the database chooses
        what it reads. So do not unpickle here.
        """
        raise self._missing("load_model")

    # Methods that you call

    def storable(self, estimator: Any) -> Any:
        """Return what `Session.save_model` stores for a fitted model of this class."""
        return ByClass(self, estimator) if self._has_hooks() else estimator

    def read(
        self, what: Any, source: str | None = None, *, checks: Any = None, **params: Any
    ) -> pd.DataFrame:
        """Read a frame and record its origin in the session.

        Args:
            what: SQL text for a named source; the path or URL of a file (docs/models.md lists the
                endings), a folder of Parquet files or a glob; a frame of pandas, polars, pyarrow
                or duckdb; or an iterable of frames or Arrow batches.
            source: the name of a source in the settings (`[sources.warehouse] url = ".."`).
            checks: for SQL text: checks of `mfprefect.checks` that the source's database computes
                before any row is read; their results are stored like those of the model's checks.
            params: values for the SQL's `:name` parameters, a list for `in :name`; for a file,
                keywords of the function of pandas that reads it, such as `dtype=` or `sep=`.

        Raises:
            InvalidValue: it cannot be read, or takes no such keyword or parameter.
            ChecksFailed: an error-level check in `checks` failed; no row was read.
        """
        return self.reader.read(what, source, checks=checks, **params)

    @classmethod
    def flows(cls) -> Flows:
        """Return the model's Prefect flows, `(train, score, monitor)`.

        Raises:
            ConfigurationError: an attribute of the class is missing or wrong.
        """
        from mfprefect.lifecycle.flows import make_flows

        cls._require()
        return make_flows(cls)

    _needed: ClassVar[tuple[str, ...]] = ("model_id", "entity_id", "target")

    @classmethod
    def _require(cls) -> None:
        if needs_no_target(cls, Model):
            cls.model_type = UNSUPERVISED
        unsupervised = cls.model_type == UNSUPERVISED
        for name in cls._needed:
            if name == "target" and unsupervised:
                require_no_target(cls)
            elif not isinstance(getattr(cls, name, None), str):
                hint = f' or model_type = "{UNSUPERVISED}"' if name == "target" else ""
                raise ConfigurationError(
                    f'{cls.__name__} has no {name}; set it in the class: {name} = ".."{hint}.'
                )
        none_held_out = unsupervised and cls.test_share == 0
        share_allowed = 0 < cls.test_share < 1 or none_held_out
        if not isinstance(cls.parts, int) or cls.parts < 1 or not share_allowed:
            raise ConfigurationError(
                f"{cls.__name__} has parts = {cls.parts} and test_share = {cls.test_share}; "
                "parts must be an integer, 1 or more, and test_share between 0 and 1."
            )
        if cls.scoring not in SCORING:
            raise ConfigurationError(
                f"{cls.__name__} has scoring = {cls.scoring!r}; choose one of {', '.join(SCORING)}."
            )
        check_declared(cls.__name__, cls.params)
        cls._check_format()
        cls._check_checks()
        cls._check_tags()
        cls._check_gates()
        cls._check_monitoring()
        cls._check_learning()

    @classmethod
    def _has_hooks(cls) -> bool:
        return cls.save_model is not Model.save_model and cls.load_model is not Model.load_model

    @classmethod
    def _check_format(cls) -> None:
        if cls.format is not None and cls.format not in FORMATS:
            raise ConfigurationError(
                f"{cls.__name__} has format = {cls.format!r}; "
                f"choose one of {', '.join(FORMATS)}, or None."
            )
        hooks = ("save_model", "load_model")
        defined = [name for name in hooks if getattr(cls, name) is not getattr(Model, name)]
        if len(defined) == 1:
            raise ConfigurationError(
                f"{cls.__name__} defines {defined[0]} only; define both "
                "save_model(self, estimator, file) and load_model(self, file)."
            )
        if defined and cls.format is not None:
            raise ConfigurationError(
                f"{cls.__name__} has format = {cls.format!r} and its own save_model; remove one."
            )

    @classmethod
    def _check_learning(cls) -> None:
        # Imported late, so that declaring a model does not load numpy.
        from mfprefect.quality.drift.thresholds import check_thresholds
        from mfprefect.quality.learning import check_declarations

        check_declarations(cls)
        check_thresholds(cls)

    @classmethod
    def _check_checks(cls) -> None:
        if isinstance(cls.masked, str):
            raise ConfigurationError(
                f"{cls.__name__} has masked = {cls.masked!r}; use a list: [{cls.masked!r}]."
            )
        rows = cls.checked_rows
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
            raise ConfigurationError(
                f"{cls.__name__} has checked_rows = {rows!r}; use an integer, 1 or more, or None."
            )

    @classmethod
    def _check_tags(cls) -> None:
        if isinstance(cls.tags, str):
            raise ConfigurationError(
                f"{cls.__name__} has tags = {cls.tags!r}; use a list: [{cls.tags!r}]."
            )

    @classmethod
    def _check_gates(cls) -> None:
        gates = (*cls.gates, *cls.scoring_gates)
        if wrong := [gate for gate in gates if not isinstance(gate, BaseGate)]:
            raise ConfigurationError(
                f"{cls.__name__} has the gate {wrong[0]!r}; use mfprefect.Gate(..), "
                "Gate.drift(..) or Gate.checks(..)."
            )
        for gate in cls.scoring_gates:
            if getattr(gate, "not_worse_than_production_by", None) is not None:
                raise ConfigurationError(
                    f"{cls.__name__} has {gate!r} in scoring_gates; a scoring has no test rows to "
                    "compare with production on. Move it to gates."
                )
        if cls.auto_promote and not cls.gates:
            raise ConfigurationError(
                f"{cls.__name__} has auto_promote = {cls.auto_promote!r} and no gates; a model "
                "without gates is not promoted automatically. Add gates."
            )

    @classmethod
    def _check_monitoring(cls) -> None:
        from mfprefect.quality.metrics.definitions import MODEL_TYPES

        if cls.model_type not in MODEL_TYPES:
            raise ConfigurationError(
                f"{cls.__name__} has model_type = {cls.model_type!r}; "
                f"choose one of {', '.join(MODEL_TYPES)}."
            )
        if isinstance(cls.segments, str):
            raise ConfigurationError(
                f"{cls.__name__} has segments = {cls.segments!r}; use a list of columns: "
                f"[{cls.segments!r}]."
            )
        if both := set(cls.segments) & set(cls.masked):
            raise ConfigurationError(
                f"{cls.__name__} has {min(both)!r} in segments and in masked; the names of "
                "segments would show masked values."
            )
        cls._check_numbers()

    @classmethod
    def _check_numbers(cls) -> None:
        least = {"monitored_sessions": 1, "min_outcomes": 1, "season": 1}
        for name, lowest in {"min_rows": 0, "trial_rows": 0, **least}.items():
            value = getattr(cls, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ConfigurationError(
                    f"{cls.__name__} has {name} = {value!r}; use an integer, {lowest} or more."
                )
        for name in ("drift_threshold", "ks_threshold", "null_share_threshold", "performance_drop"):
            value = getattr(cls, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ConfigurationError(
                    f"{cls.__name__} has {name} = {value!r}; use a number above 0."
                )

    def _missing(self, name: str) -> ConfigurationError:
        return ConfigurationError(f"{type(self).__name__} does not define {name}.")

"""Model: what a data scientist writes. The lifecycle does the rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mfprefect.errors import ConfigurationError
from mfprefect.inputs.reader import Reader
from mfprefect.quality.gates.verdicts import BaseGate

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.lifecycle.flows import Flows

__all__ = ["Model"]


class Model:
    """A model and the data that it is trained on and scores.

    Subclass it, set `model_id`, `entity_id` and `target`, write `training_data`, `fit` and
    `scoring_data`, and take the flows: `train, score, monitor = MyModel.flows()`.
    """

    model_id: ClassVar[str]
    """The name of the model in the store, at most 64 characters."""
    description: ClassVar[str] = ""
    """What the model predicts, for whom."""
    entity_id: ClassVar[str]
    """The column that names what is scored; text or integers, one row each."""
    target: ClassVar[str]
    """The column of the training data that is predicted: 0/1, a class or a number."""
    entity_type: ClassVar[str] = ""
    """What a score is about, such as `customer`; by default the name of `entity_id`."""
    owner: ClassVar[str | None] = None
    """Who answers for the model; by default whoever ran it first."""
    checks: ClassVar[Any] = None
    """Input checks: a pandera schema, functions of a frame, `mfprefect.checks`; or a list."""
    masked: ClassVar[Collection[str]] = ()
    """Columns with personal data: no cell of them is shown or stored by checks and summaries."""
    checked_rows: ClassVar[int | None] = None
    """Of more rows, schemas and functions check a random sample of so many; None: all rows."""
    gates: ClassVar[Sequence[BaseGate]] = ()
    """What a training must reach; it fails otherwise, and only what passed can be promoted."""
    auto_promote: ClassVar[bool] = False
    """Whether a training that has passed its gates goes to production by itself."""
    shadow: ClassVar[str | None] = None
    """A challenger that scores beside the model in use: a training session, or `latest`."""
    parts: ClassVar[int] = 1
    """In how many parts it is scored; a retry skips the parts that are complete."""
    test_share: ClassVar[float] = 0.3
    """The share of entities that is held out for testing, chosen by a digest of their ids."""
    model_type: ClassVar[str] = "binary"
    """What it predicts: `binary` (0/1), `multiclass`, `regression` or `time_series` (numbers)."""
    segments: ClassVar[Sequence[str]] = ()
    """Columns of the training data, such as `region`: each of their levels has its own metrics."""
    period: ClassVar[str | None] = None
    """Of a time series: the column of the time; its last `test_share` is held out, for all."""
    series: ClassVar[str | None] = None
    """Of a time series: the column that tells which one, where there are several."""
    season: ClassVar[int] = 1
    """Of a time series: after how many periods a season comes again, such as 12."""
    monitored_sessions: ClassVar[int] = 12
    """How many of the last published scoring sessions `monitor` holds against outcomes."""
    min_outcomes: ClassVar[int] = 30
    """With fewer known outcomes a session's performance is stored, but not judged."""
    drift_threshold: ClassVar[float | None] = None
    """The PSI that is an alarm, unless sampling explains as much; 0.4 of it is a warning.

    This threshold and the next three are taken from the settings where they are None: see
    docs/monitoring.md.
    """
    ks_threshold: ClassVar[float | None] = None
    """The KS drift that is an alarm."""
    null_share_threshold: ClassVar[float | None] = None
    """The difference of the shares of NULL that is an alarm."""
    performance_drop: ClassVar[float | None] = None
    """The drop on real outcomes that is an alarm: of AUC or accuracy, or of RMSE as a share."""
    max_age: ClassVar[dt.timedelta | None] = None
    """How old its last scores may get before that is an alarm; None: nobody waits for them."""
    task_runner: ClassVar[Any] = None
    """Where parts are scored: a Prefect task runner; by default up to 4 threads."""
    tags: ClassVar[Sequence[str]] = ()
    """What notification targets can ask for, beside the tags of the flow run."""
    retries: ClassVar[int] = 2
    """How often a task is run again after a transient error."""
    retry_delay_seconds: ClassVar[float] = 10
    """The pause before it."""

    def __init__(self, reader: Reader | None = None) -> None:
        self.reader = reader or Reader()

    # What you write

    def training_data(self, as_of: dt.date) -> Any:
        """Return the rows to learn from, with the columns `entity_id` and `target`.

        Returns:
            A DataFrame; or SQL text, a path or batches, which are read as `read` does.
        """
        raise self._missing("training_data")

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        """Return a fitted estimator; fix its random seed, so that a training can be repeated."""
        raise self._missing("fit")

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        """Return the rows to score, with the column `entity_id`: part 1 to `parts`.

        Returns:
            A DataFrame; or SQL text, a path or batches, which are read as `read` does.
        """
        raise self._missing("scoring_data")

    # What you may override

    def outcomes(self, as_of: dt.date) -> Any:
        """Return what really happened to the entities that were scored as of a date.

        Override it, and `monitor` holds earlier scores against what became of them.

        Returns:
            None while nothing is known; or what `training_data` may return, with the columns
            `entity_id` (or the model's own name of it) and `actual`, and of a time series also
            `period` and, where there are several, `series`. One row an entity; those whose outcome
            is not known yet are left out, or their `actual` is NULL.
        """
        return None

    def predict(self, estimator: Any, features: pd.DataFrame) -> Any:
        """Return one score a row; of a multiclass model a DataFrame with a column a class.

        Override for an estimator that has neither `predict_proba` nor `predict`.
        """
        if not hasattr(estimator, "predict_proba"):
            return estimator.predict(features)
        scores = estimator.predict_proba(features)
        if self.model_type != "multiclass":
            return scores[:, 1]
        import pandas as pd

        return pd.DataFrame(scores, features.index, columns=estimator.classes_)

    def score_class(self, score: Any) -> Any | None:
        """Return a class a score, such as `high`. Override to store classes beside the scores.

        Of a multiclass model it is the class with the highest score, which is the one stored.
        """
        return None

    def importance(
        self, estimator: Any, features: pd.DataFrame, target: pd.Series[Any]
    ) -> Mapping[str, pd.DataFrame]:
        """Return variable importances by kind, on held-out rows.

        Override to compute others, or to return {} where the default, which permutes each
        variable of at most 2,000 rows, drawn with a fixed seed, five times, costs too much.
        """
        from mfprefect.quality.importance import available

        if len(features) > 2_000:
            features = features.sample(2_000, random_state=0)
            target = target.loc[features.index] if target.index.is_unique else target
        return available(estimator, features, target, self.model_type, self.predict)

    # What you call

    def read(
        self, what: Any, source: str | None = None, *, checks: Any = None, **params: Any
    ) -> pd.DataFrame:
        """Read a frame and record in the session where it came from.

        Args:
            what: SQL text for a named source; the path or URL of a Parquet or CSV file; a frame;
                or an iterable of frames or Arrow batches.
            source: the name of a source in the settings (`[sources.warehouse] url = ".."`).
            checks: of SQL text: checks of `mfprefect.checks` that the source's database computes
                before a row is read; their results are stored as those of the model's checks.
            params: values for the SQL's `:name` parameters.

        Raises:
            ChecksFailed: an error-level one of `checks` failed; no row was read.
        """
        return self.reader.read(what, source, checks=checks, **params)

    @classmethod
    def flows(cls) -> Flows:
        """Return the model's Prefect flows, `(train, score, monitor)`.

        Raises:
            ConfigurationError: the class lacks something that the flows need.
        """
        from mfprefect.lifecycle.flows import make_flows

        cls._require()
        return make_flows(cls)

    _needed: ClassVar[tuple[str, ...]] = ("model_id", "entity_id", "target")

    @classmethod
    def _require(cls) -> None:
        for name in cls._needed:
            if not isinstance(getattr(cls, name, None), str):
                raise ConfigurationError(
                    f'{cls.__name__} has no {name}; set it in the class: {name} = "..".'
                )
        if not isinstance(cls.parts, int) or cls.parts < 1 or not 0 < cls.test_share < 1:
            raise ConfigurationError(
                f"{cls.__name__} has parts = {cls.parts} and test_share = {cls.test_share}; "
                "parts is an integer, 1 or more, test_share between 0 and 1."
            )
        cls._check_checks()
        cls._check_gates()
        cls._check_monitoring()

    @classmethod
    def _check_checks(cls) -> None:
        if isinstance(cls.masked, str):
            raise ConfigurationError(
                f"{cls.__name__} has masked = {cls.masked!r}; it is a list: [{cls.masked!r}]."
            )
        rows = cls.checked_rows
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
            raise ConfigurationError(
                f"{cls.__name__} has checked_rows = {rows!r}; it is an integer, 1 or more, or None."
            )

    @classmethod
    def _check_gates(cls) -> None:
        if wrong := [gate for gate in cls.gates if not isinstance(gate, BaseGate)]:
            raise ConfigurationError(
                f"{cls.__name__} has the gate {wrong[0]!r}; write mfprefect.Gate(..), "
                "Gate.drift(..) or Gate.checks(..)."
            )
        if cls.auto_promote and not cls.gates:
            raise ConfigurationError(
                f"{cls.__name__} has auto_promote = {cls.auto_promote!r} and no gates; a model of "
                "which nothing was asked is not promoted by itself. Give it gates."
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
                f"{cls.__name__} has segments = {cls.segments!r}; it is a list of columns: "
                f"[{cls.segments!r}]."
            )
        if hidden := set(cls.segments) & set(cls.masked):
            raise ConfigurationError(
                f"{cls.__name__} has {min(hidden)!r} in segments and in masked; the names of "
                "segments would show what is masked."
            )
        for name in ("monitored_sessions", "min_outcomes", "season"):
            value = getattr(cls, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(
                    f"{cls.__name__} has {name} = {value!r}; it is an integer, 1 or more."
                )
        for name in ("drift_threshold", "ks_threshold", "null_share_threshold", "performance_drop"):
            value = getattr(cls, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise ConfigurationError(
                    f"{cls.__name__} has {name} = {value!r}; it is a number above 0."
                )

    def _missing(self, name: str) -> ConfigurationError:
        return ConfigurationError(f"{type(self).__name__} does not define {name}.")

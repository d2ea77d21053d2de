"""What a store shows: models, sessions and what they produced, as DataFrames."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.quality import curve as curves
from mfprefect.store import (
    aggregates,
    artifacts,
    comparison,
    input_columns,
    known_outcomes,
    lift,
    migrate,
    monitoring,
    read_scores,
    reports,
    results,
    stages,
    verdicts,
)
from mfprefect.store.artifacts import MODEL
from mfprefect.store.database import Database

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["Shown"]


class Shown:
    """The reading half of a store; nothing here writes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._checked = False

    @property
    def _db(self) -> Database:
        if not self._checked:
            migrate.check_schema(self.database)
            self._checked = True
        return self.database

    def models(self) -> pd.DataFrame:
        """Return the registered models, each with its number of sessions and what is in production.

        `production` is the id of a training session, NULL where there is none.
        """
        return results.models_frame(self._db)

    def thresholds(self, model_id: str) -> pd.DataFrame:
        """Return a model's operating thresholds, the one in force first."""
        return results.thresholds_frame(self._db, model_id)

    def production(self, model_id: str, at: dt.datetime | None = None) -> str | None:
        """Return the id of the training session in production, None where there is none.

        Args:
            model_id: the model.
            at: the instant to look at, aware; by default now.

        Raises:
            UnknownModel: there is no such model.
            InvalidValue: `at` has no time zone.
        """
        return stages.production(self._db, model_id, at)

    def stages(self, model_id: str) -> pd.DataFrame:
        """Return what was in production when, the newest first.

        Columns: session_id; stage: `production`, `experimental` or, where it was taken out of
        production, `retired`; set_at; until, when the next row took over, NULL of the one in force;
        set_by; reason; override, why it was promoted without passed gates; rolled_back_from, the
        session that it was gone back from; gates, the verdicts at promotion as JSON text.

        Raises:
            UnknownModel: there is no such model.
        """
        return stages.stages_frame(self._db, model_id)

    def sessions(
        self, model_id: str | None = None, status: str | None = None, limit: int | None = 100
    ) -> pd.DataFrame:
        """Return sessions, newest first."""
        return results.sessions_frame(self._db, model_id, status, limit)

    def show(self, *session_ids: str) -> pd.DataFrame:
        """Return the named sessions' rows.

        Raises:
            UnknownSession: one of them is not there.
        """
        frame = results.sessions_frame(self._db, limit=None, session_ids=session_ids)
        results.require_all(session_ids, frame["session_id"])
        return frame

    def metrics(self, *session_ids: str) -> pd.DataFrame:
        """Return metrics: session_id, metric_name, segment ('' is all rows), value."""
        return results.of_sessions(self._db, "metrics", session_ids)

    def metadata(self, *session_ids: str) -> pd.DataFrame:
        """Return key-values: session_id, meta_group, meta_name, value."""
        return results.of_sessions(self._db, "session_metadata", session_ids)

    def inputs(self, *session_ids: str) -> pd.DataFrame:
        """Return what the sessions read: source, query, rows, columns, digest, seconds."""
        return results.of_sessions(self._db, "inputs", session_ids)

    def input_summary(self, *session_ids: str) -> pd.DataFrame:
        """Return the summaries of the input variables."""
        return results.of_sessions(self._db, "input_summary", session_ids)

    def checks(self, *session_ids: str) -> pd.DataFrame:
        """Return the results of the input checks."""
        return results.of_sessions(self._db, "check_results", session_ids)

    def input_columns(self, table: str | None = None, schema: str | None = None) -> pd.DataFrame:
        """Return the registry: schema_name, table_name, column_name, valid, test, note."""
        return input_columns.input_columns(self._db, table, schema)

    def gates(self, *session_ids: str) -> pd.DataFrame:
        """Return what gates said of sessions, in their order.

        Columns: session_id; gate, the promise in words; kind: `metric`, `production`, `drift` or
        `checks`; verdict: `passed`, `failed`, `undecided` (too few rows) or `unknown` (there is no
        figure); reason; figure; at_least, at_most; margin; and of a comparison with the model in
        production: production_session_id, production_figure, difference (figure less production's),
        low and high (its 95 % interval) and method.

        Raises:
            UnknownSession: one of the sessions is not there.
        """
        return verdicts.gates_frame(self._db, session_ids)

    def variable_importance(self, *session_ids: str) -> pd.DataFrame:
        """Return variable importances, by kind, the most important first."""
        frame = results.of_sessions(self._db, "variable_importance", session_ids)
        return frame.sort_values(
            ["session_id", "kind", "importance"], ascending=[True, True, False], kind="stable"
        ).reset_index(drop=True)

    def backtests(self, *session_ids: str) -> pd.DataFrame:
        """Return back-tests: series, period, predicted, actual."""
        return results.of_sessions(self._db, "backtests", session_ids)

    def drift(self, *session_ids: str) -> pd.DataFrame:
        """Return drift: variable, measure, value, threshold, verdict, reference_session_id."""
        return monitoring.drift_frame(self._db, session_ids)

    def freshness(self) -> pd.DataFrame:
        """Return how old the last published scores are of each model that somebody waits for.

        Columns: model_id; last_scored_at, NULL if never; max_age_seconds; age_seconds, since the
        last scores or, without any, since the model was registered; stale; session_id, of those
        scores or else the model's newest session. A model without a session is not stale: nothing
        runs yet. Models whose newest stage is `retired` or `experimental` are left out.
        """
        return monitoring.freshness(self._db)

    def notifications(self, *session_ids: str) -> pd.DataFrame:
        """Return who was told what: event, channel, sent_at, delivered, failure."""
        return results.of_sessions(self._db, "notifications", session_ids)

    def artifacts(self, *session_ids: str) -> pd.DataFrame:
        """Return what blobs there are: artifact_name, format, bytes, sha256."""
        return results.of_sessions(self._db, "artifacts", session_ids)

    def environment(self, session_id: str) -> dict[str, Any]:
        """Return the Python, platform and package versions that a session ran with."""
        return results.environment(self._db, session_id)

    def curve(self, *session_ids: str) -> pd.DataFrame:
        """Return test curves: score, population, target_population, tp, fp, tn, fn."""
        return results.of_sessions(self._db, "test_curve", session_ids)

    def roc(self, session_id: str) -> pd.DataFrame:
        """Return the ROC curve of the test results."""
        return curves.roc(self._one_curve(session_id))

    def lift(self, session_id: str) -> pd.DataFrame:
        """Return lift and capture by share of the population."""
        return curves.lift(self._one_curve(session_id))

    def confusion_matrix(self, session_id: str, value: float, kind: str) -> dict[str, Any]:
        """Return tp, fp, tn, fn at a threshold: a `probability` or a share of `population`."""
        return curves.confusion_matrix(self._one_curve(session_id), value, kind)

    def accuracy(self, session_id: str, value: float, kind: str) -> float:
        """Return the share of test rows that a threshold puts right."""
        return curves.accuracy(self._one_curve(session_id), value, kind)

    def _one_curve(self, session_id: str) -> pd.DataFrame:
        return results.one_curve(self._db, session_id)

    def scores(
        self,
        session_id: str,
        *,
        entity_ids: Iterable[str | int] | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> pd.DataFrame:
        """Return a session's scores: entity_id, score, score_class; none before publication.

        Args:
            session_id: the session.
            entity_ids: only these, any number of them; those without a score are left out.
            at_least: only scores from here on.
            at_most: only scores up to here.

        Raises:
            InvalidValue: an id is neither text nor an integer, or an end of the range is NaN.
            UnknownSession: there is no such session.
        """
        return read_scores.scores_frame(
            self._db, session_id, entity_ids=entity_ids, at_least=at_least, at_most=at_most
        )

    def latest_scores(self, model_id: str, *entity_ids: str | int) -> pd.DataFrame:
        """Return entities' scores of the newest published session of a model that has them.

        Columns: entity_id, score, score_class, session_id, as_of, published_at; a row for each
        entity that was ever scored, by entity id. It takes as long whether there are ten sessions
        or ten thousand, unless an entity is not in the newest ones.

        Raises:
            InvalidValue: no entity is named, or an id is neither text nor an integer.
            UnknownModel: there is no such model.
        """
        return read_scores.latest_frame(self._db, model_id, entity_ids)

    def score_parts(self, *session_ids: str) -> pd.DataFrame:
        """Return which parts of scores are written: part_no, rows, digest, written_at."""
        return results.of_sessions(self._db, "score_parts", session_ids)

    def iter_scores(
        self,
        session_id: str,
        *,
        entity_ids: Iterable[str | int] | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield scores as Arrow batches, by entity id; arguments and errors as in `scores`."""
        return read_scores.iter_scores(
            self._db, session_id, entity_ids=entity_ids, at_least=at_least, at_most=at_most
        )

    def score_summary(self, session_id: str, *, distinct: bool = False) -> dict[str, Any]:
        """Return n, mean, sd (n - 1 in the denominator), min and max of a session's scores.

        As the other figures of scores, computed by the database from what is published. `sd` is
        None of one score. With `distinct`, also how many differ, which costs as much as a sort.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it has no published scores.
        """
        return aggregates.summary(self._db, session_id, distinct)

    def score_histogram(
        self, session_id: str, edges: Sequence[float] | None = None, bins: int = 20
    ) -> pd.DataFrame:
        """Return a histogram of a session's scores: lower, upper, count; empty bins too.

        Args:
            session_id: a published session.
            edges: at most 100 inner edges, ascending. Bins are (-inf, edge 0], (edge 0, edge 1],
                .., (last edge, inf), as those of input summaries and drift.
            bins: without edges, how many bins of equal width between min and max, 1 to 100, as
                numpy.histogram has them: [lower, upper), the last one [lower, upper].

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it has no published scores, or edges or bins are not as above.
        """
        return aggregates.histogram(self._db, session_id, edges, bins)

    def score_quantiles(self, session_id: str, probabilities: Sequence[float]) -> pd.DataFrame:
        """Return probability and value: the ⌈p·n⌉th smallest score, the smallest for 0.

        Exact: numpy.quantile(.., method="inverted_cdf"). One sort in the database for all of them.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it has no published scores, or a probability is outside 0 to 1.
        """
        return aggregates.quantiles(self._db, session_id, probabilities)

    def score_psi(
        self, reference_session_id: str, session_id: str, bins: int = 10
    ) -> dict[str, Any]:
        """Return the PSI of two sessions' scores: value, edges, expected, actual (rows by bin).

        That of `mfprefect.quality.drift.psi`: the edges are the distinct quantiles of the
        reference at 1/bins, 2/bins, .., between two scores by linear interpolation.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: one has no published scores, or `bins` is outside 2 to 100.
        """
        return aggregates.psi(self._db, reference_session_id, session_id, bins)

    def score_lift(
        self,
        session_id: str,
        outcomes: str,
        at: Sequence[float] = (0.01, 0.05, 0.1, 0.2),
        *,
        entity_id: str = "entity_id",
        actual: str = "actual",
    ) -> pd.DataFrame:
        """Return share, rows, threshold, positives, lift and capture of the top shares.

        As the metrics `lift_10` and `capture_10`: of the entities that have a score and an
        outcome, the top ⌈share · n⌉, highest scores first, ties shared pro rata.

        Args:
            session_id: a published session.
            outcomes: a table or view of the same database, `name` or `schema.name`.
            at: at most 50 shares above 0, at most 1.
            entity_id: its column of entity ids, compared as text; an entity is there once.
            actual: its column of 0 and 1, numbers or booleans; NULL is not known yet.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it has no published scores, the table or a column is not there, or the
                outcomes are not as above, of one class only, or of other entities.
        """
        return lift.lift(self._db, session_id, outcomes, at, entity_id, actual)

    def compare_scores(
        self,
        a: str,
        b: str,
        outcomes: pd.DataFrame | None = None,
        *,
        entity_id: str = "entity_id",
        actual: str = "actual",
    ) -> dict[str, Any]:
        """Return how far two sessions agree on the entities that both have scored.

        Computed by the database, of sessions published or not. `rows_a`, `rows_b`, `rows` (of
        entities in both); `spearman`, the rank correlation with mean ranks of ties, None where all
        scores of a side are equal; `mean_difference` (b less a), `mean_abs_difference`,
        `max_abs_difference`. At the operating threshold in force of each session's model:
        `threshold_a`, `threshold_b` (`value` and `kind`), `agreement`, the share of equal
        decisions, and `both`, `only_a`, `only_b`, `neither`, the rows that are acted on; None
        where no threshold was set. `metrics`: of the two models on their own test rows, each with
        metric_name, a, b and difference.

        Args:
            a: a scoring session.
            b: another one.
            outcomes: what really happened. The result then has `outcomes`: `rows`, how many
                entities have both scores and an outcome, and `metrics` of these (auc, brier and
                log_loss of outcomes 0 and 1, else rmse and mae), with the 95 % interval of the
                difference: low, high, method. Read in batches.
            entity_id: the outcomes' column of entities.
            actual: their column of outcomes; NULL is not known yet.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: one did not succeed or has no scores, they share no entity, or outcomes
                are not as above.
        """
        found = comparison.compare_scores(self._db, a, b)
        if outcomes is not None:
            found["outcomes"] = known_outcomes.on_outcomes(
                self._db, a, b, outcomes, entity_id, actual
            )
        return found

    def load_model(self, session_id: str, name: str = MODEL, *, trusted: bool = False) -> Any:
        """Return a model that a session saved; verified before a byte of it is parsed.

        Args:
            session_id: the training session.
            name: the artifact's name.
            trusted: load a pickle-like format, which can run any code.

        Raises:
            ArtifactCorrupt: the blob is not the one that was stored.
            ArtifactUntrusted: loading it could run code that nobody vouched for.
        """
        allowed = self.database.settings.trusted_types
        return artifacts.load_artifact(
            self._db, session_id, name, trusted=trusted, trusted_types=allowed
        )

    def latest_training(self, model_id: str) -> str | None:
        """Return the id of the last training session that succeeded and saved a model."""
        return results.latest_training(self._db, model_id)

    def report(self, session_id: str) -> str:
        """Return the report of a session: one HTML document that needs no network.

        Raises:
            UnknownSession: there is no such session.
            ConfigurationError: the extra `report` is not installed.
        """
        from mfprefect import report

        report.require()
        return report.session_report(reports.session_facts(self._db, session_id))

    def model_report(self, model_id: str) -> str:
        """Return the report of a model: its last sessions, how good it is, what drifted.

        Raises:
            UnknownModel: there is no such model.
            ConfigurationError: the extra `report` is not installed.
        """
        from mfprefect import report

        report.require()
        return report.model_report(reports.model_facts(self._db, model_id))

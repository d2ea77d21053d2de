"""Store methods that read scores, and aggregates that the database computes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.store import artifacts
from mfprefect.store.api.base import Base
from mfprefect.store.database import Database
from mfprefect.store.results import frames
from mfprefect.store.scores import aggregates, comparison, lift, read, scoring_sql
from mfprefect.store.scores import outcomes as known_outcomes
from mfprefect.store.trace import Trace, trace
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["ScoresApi"]


class ScoresApi(Base):
    """Reads, aggregates and compares scores; nothing here writes."""

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
            entity_ids: only these, any number; entities without a score are left out.
            at_least: only scores from here on.
            at_most: only scores up to here.

        Raises:
            InvalidValue: an id is neither text nor an integer, or a bound is NaN.
            UnknownSession: the session does not exist.
        """
        options = {"entity_ids": _ids(entity_ids), "at_least": at_least, "at_most": at_most}
        return self._visible(lambda db: read.scores_frame(db, session_id, **options))

    def scoring_sql(
        self,
        session_id: str,
        dialect: str | None = None,
        *,
        table: str = scoring_sql.TABLE,
        view: str | None = None,
    ) -> str:
        """Return the SELECT that scores rows with a training session's model, without mfprefect.

        Args:
            session_id: the training session, whose model is loaded from a trusted format.
            dialect: `postgresql`, `mysql`, `mariadb`, `sqlite` or `teradata`; by default that of
                this database.
            table: the table or view with the id and the features: `customer`, `crm.customer`.
            view: make it the CREATE VIEW of this name.

        Raises:
            UnknownSession: the session does not exist.
            ArtifactUntrusted: loading its model could run code that no team key signed.
            InvalidValue: the model cannot be scored in SQL, or there is no such dialect.
        """
        settings = self.database.settings
        estimator = artifacts.load_artifact(
            self._db,
            session_id,
            artifacts.MODEL,
            trusted=False,
            trusted_types=settings.trusted_types,
        )
        metadata = frames.of_sessions(self._db, "session_metadata", (session_id,))
        described = metadata[metadata["meta_group"].isin(scoring_sql.GROUPS)]
        return scoring_sql.model_text(
            settings,
            estimator,
            dict(zip(described["meta_name"], described["value"], strict=True)),
            dialect,
            table=table,
            view=view,
        )

    def latest_scores(self, model_id: str, *entity_ids: str | int) -> pd.DataFrame:
        """Return each entity's newest published score, from whichever session of the model has it.

        The newest is that of the newest day of data (`as_of`, or the UTC day of the session's
        start), and of that day the one published last: a backfill of an older day replaces no newer
        score. All rows show the same moment. Same as the view `latest_scores`.

        Columns: entity_id, score, score_class, session_id, as_of, published_at; a row for each
        entity that was ever scored, by entity id. The number of sessions does not matter, as long
        as the newest ones have the entities.

        Raises:
            InvalidValue: no entity, or an id is neither text nor an integer.
            UnknownModel: the model does not exist.
        """
        ids = _ids(entity_ids)
        return self._visible(lambda db: read.latest_frame(db, model_id, ids))

    def current_session(self, model_id: str) -> str | None:
        """Return the id of the session whose scores are current; None without published scores.

        That is the newest with published scores, in the order of `latest_scores`.

        Raises:
            UnknownModel: the model does not exist.
        """
        return self._visible(lambda db: read.current_session(db, model_id))

    def current_scores(
        self,
        model_id: str,
        *,
        entity_ids: Iterable[str | int] | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> pd.DataFrame:
        """Return the scores of the model's current session, and of no other.

        An entity that this session did not score is left out, unlike in `latest_scores`. Same as
        the view `current_scores`.

        Columns: those of `latest_scores`, by entity id. No rows if nothing is published.

        Args:
            model_id: the model.
            entity_ids: only these, any number.
            at_least: only scores from here on.
            at_most: only scores up to here.

        Raises:
            InvalidValue: an id is neither text nor an integer, or a bound is NaN.
            UnknownModel: the model does not exist.
        """
        options = {"entity_ids": _ids(entity_ids), "at_least": at_least, "at_most": at_most}
        return self._visible(lambda db: read.current_frame(db, model_id, **options))

    def trace(self, model_id: str, entity_id: str | int, on: dt.date | str | None = None) -> Trace:
        """Return every score of an entity that readers could see, and where it comes from.

        Of each score: when it was published, from when until when it was the entity's newest
        (`latest_scores`), what replaced it; the session, and the attempt that wrote it, with commit
        and author; who or what started it; what it read, with digests; the model's training session
        with its commit, and who promoted it and why; threshold and decision of that time. It looks
        up keys, and needs the right to read the tables: the role auditor, writer or admin.

        Args:
            model_id: the model.
            entity_id: text or an integer.
            on: only what was the newest then: at an instant (an aware datetime), or at any time of
                a day in UTC (a date); also as ISO 8601 text.

        Returns:
            A `Trace`: its `scores`, the one published last first, and `deleted`: sessions whose
            scores readers saw and nobody can read any more. `dataclasses.asdict` makes it a dict.

        Raises:
            InvalidValue: the id is neither text nor an integer, or `on` is not as above.
            UnknownModel: the model does not exist.
        """
        return trace(self._db, model_id, entity_id, on)

    def score_parts(self, *session_ids: str) -> pd.DataFrame:
        """Return the written parts of scores.

        Columns: session_id, part_no, rows, digest; attempt, which wrote it, and written_at;
        kept_by, the last attempt that kept it as it was, None without one. In a session that an
        earlier version ended, attempt is the one that wrote or kept it.
        """
        return frames.of_sessions(self._db, "score_parts", session_ids)

    def iter_scores(
        self,
        session_id: str,
        *,
        entity_ids: Iterable[str | int] | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield scores as Arrow batches, by entity id; arguments and errors as in `scores`."""
        options = {"entity_ids": _ids(entity_ids), "at_least": at_least, "at_most": at_most}
        return self._visible(lambda db: read.iter_scores(db, session_id, **options))

    def scores_page(
        self, session_id: str, limit: int = 1_000, after: str | None = None
    ) -> pd.DataFrame:
        """Return the first published scores after an entity: entity_id, score, score_class.

        Args:
            session_id: the session.
            limit: the most rows.
            after: the last entity of the page before; None: the first page.

        Raises:
            UnknownSession: the session does not exist.
        """
        return self._visible(lambda db: read.scores_page(db, session_id, limit, after))

    def score_summary(self, session_id: str, *, distinct: bool = False) -> dict[str, Any]:
        """Return n, mean, sd (n - 1 in the denominator), min and max of a session's scores.

        The database computes it, like all aggregates here, from published scores. `sd` is None for
        a single score. `distinct` adds the number of distinct scores, at the cost of a sort.

        Raises:
            UnknownSession: the session does not exist.
            InvalidValue: it has no published scores.
        """
        return self._visible(lambda db: aggregates.summary(db, session_id, distinct))

    def score_histogram(
        self, session_id: str, edges: Sequence[float] | None = None, bins: int = 20
    ) -> pd.DataFrame:
        """Return a histogram of a session's scores: lower, upper, count, also of empty bins.

        Args:
            session_id: a published session.
            edges: at most 100 inner edges, ascending. Bins are (-inf, edge 0], (edge 0, edge 1],
                .., (last edge, inf), as in input summaries and drift.
            bins: without edges, the number of bins of equal width between min and max, 1 to 100,
                as in numpy.histogram: [lower, upper), the last one [lower, upper].

        Raises:
            UnknownSession: the session does not exist.
            InvalidValue: it has no published scores, or edges or bins are not as above.
        """
        return self._visible(lambda db: aggregates.histogram(db, session_id, edges, bins))

    def score_quantiles(self, session_id: str, probabilities: Sequence[float]) -> pd.DataFrame:
        """Return quantiles: probability and value, the ⌈p·n⌉th smallest score (the smallest for 0).

        Exact, as numpy.quantile(.., method="inverted_cdf"), by one sort in the database for all.

        Raises:
            UnknownSession: the session does not exist.
            InvalidValue: it has no published scores, or a probability is outside 0 to 1.
        """
        return self._visible(lambda db: aggregates.quantiles(db, session_id, probabilities))

    def score_psi(
        self, reference_session_id: str, session_id: str, bins: int = 10
    ) -> dict[str, Any]:
        """Return the PSI of two sessions' scores: value, edges, expected, actual (rows by bin).

        Same as `mfprefect.quality.drift.psi`: the edges are the distinct quantiles of the
        reference at 1/bins, 2/bins, .., interpolated linearly between scores.

        Raises:
            UnknownSession: the session does not exist.
            InvalidValue: a session has no published scores, or `bins` is outside 2 to 100.
        """
        return self._visible(lambda db: aggregates.psi(db, reference_session_id, session_id, bins))

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

        Same as the metrics `lift_10` and `capture_10`: the top ⌈share · n⌉ of the n entities with
        a score and an outcome, highest scores first, ties pro rata.

        Args:
            session_id: a published session.
            outcomes: a table or view of the same database, `name` or `schema.name`.
            at: shares above 0 and up to 1, at most 50 of them.
            entity_id: its column of entity ids, unique, compared as text.
            actual: its column of 0 and 1, as numbers or booleans; NULL is not known yet.

        Raises:
            UnknownSession: the session does not exist.
            InvalidValue: it has no published scores; the table or a column does not exist; or the
                outcomes are not as above, have one class only or belong to other entities.
        """
        return self._visible(lambda db: lift.lift(db, session_id, outcomes, at, entity_id, actual))

    def compare_scores(
        self,
        a: str,
        b: str,
        outcomes: pd.DataFrame | None = None,
        *,
        entity_id: str = "entity_id",
        actual: str = "actual",
    ) -> dict[str, Any]:
        """Compare the scores of two sessions, published or not, on the entities of both.

        Computed by the database.

        Args:
            a: a scoring session.
            b: another one.
            outcomes: the actual outcomes, for `outcomes` in the result. Scores are then read in
                batches.
            entity_id: the outcomes' column of entities, unique.
            actual: their column of outcomes; NULL is not known yet.

        Returns:
            `rows_a`, `rows_b`, and `rows`, the entities in both.
            `spearman`: the rank correlation with mean ranks of ties, None if all scores of a
            session are equal.
            `mean_difference` (b minus a), `mean_abs_difference`, `max_abs_difference`.
            `threshold_a`, `threshold_b`: the current operating threshold of each session's model,
            with `value` and `kind`, or None. `agreement`, the share of equal decisions, and
            `both`, `only_a`, `only_b`, `neither`, the numbers of rows acted on, are None unless
            both have one.
            `metrics`: a list with metric_name, a, b and difference, of the models on their own
            test rows.
            `outcomes`, if passed: `rows`, the entities with both scores and an outcome, and
            `metrics` on these (auc, brier and log_loss for outcomes 0 and 1, else rmse and mae)
            with the 95 % interval of the difference: low, high, method.

        Raises:
            UnknownSession: a session does not exist.
            InvalidValue: one did not succeed or has no scores, they share no entity, or the
                outcomes are not as above.
        """

        def compare(moment: Database) -> dict[str, Any]:
            result = comparison.compare_scores(moment, a, b)
            if outcomes is not None:
                result["outcomes"] = known_outcomes.on_outcomes(
                    moment, a, b, outcomes, entity_id, actual
                )
            return result

        return self._db.snapshot(compare)


def _ids(entity_ids: Iterable[str | int] | None) -> Any:
    """Return entity ids as a list, which can be read twice."""
    return None if entity_ids is None else values.entity_ids(entity_ids)

"""What a store shows of scores: rows, and figures that the database computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.store.api.base import Base
from mfprefect.store.results import frames
from mfprefect.store.scores import aggregates, comparison, lift, read
from mfprefect.store.scores import outcomes as known_outcomes

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["ScoresApi"]


class ScoresApi(Base):
    """The half of a store's reading half that is about scores."""

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
        return read.scores_frame(
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
        return read.latest_frame(self._db, model_id, entity_ids)

    def score_parts(self, *session_ids: str) -> pd.DataFrame:
        """Return which parts of scores are written: part_no, rows, digest, written_at."""
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
        return read.iter_scores(
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
        comparison_row = comparison.compare_scores(self._db, a, b)
        if outcomes is not None:
            comparison_row["outcomes"] = known_outcomes.on_outcomes(
                self._db, a, b, outcomes, entity_id, actual
            )
        return comparison_row

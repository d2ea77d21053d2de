"""Monitoring: published scores compared with real outcomes and with earlier scores."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from mfprefect.inputs.reader import Read, Reader
from mfprefect.lifecycle import outcomes, tasks
from mfprefect.lifecycle.error_redaction import redacted_errors
from mfprefect.lifecycle.estimator import score_source_of
from mfprefect.lifecycle.outcomes import JoinedScores, Outcomes
from mfprefect.lifecycle.scoring_inputs import PREVIOUS, with_suffix
from mfprefect.lifecycle.thresholds import thresholds_for
from mfprefect.quality.checks.masking import MASK
from mfprefect.quality.drift import drift_row, score_drift
from mfprefect.quality.drift.features import feature_drift
from mfprefect.quality.drift.score_counts import ScoreCounts
from mfprefect.quality.metrics.definitions import UNSUPERVISED
from mfprefect.quality.metrics.evaluation import UNWEIGHTED
from mfprefect.quality.metrics.performance import performance_drift
from mfprefect.quality.predictions import DECISION
from mfprefect.session.results import TEST
from mfprefect.store.results.monitoring import PublishedScoring, published_scorings
from mfprefect.util.frames import records

if TYPE_CHECKING:
    from mfprefect.model import Model
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["monitor_model", "segment_of"]

GROUP = "monitor"
OUTCOMES = "outcomes"
"""The drift table's variable for outcomes none of which belongs to a score."""
UNMATCHED = 0.99
"""The share of outcomes without a score that raises an alarm: all of them."""


def segment_of(session_id: str) -> str:
    """Return the segment under which a monitoring session stores a scoring session's figures."""
    return f"session={session_id}"


def monitor_model(store: Store, model_class: type[Model], session: Session) -> None:
    """Compare the model's last published scoring sessions with outcomes and earlier scores.

    Each session's performance is stored under its own segment; that of the newest session with
    enough outcomes is also stored for all rows. Drift rows describe the newest scoring session.

    Raises:
        InvalidValue: `outcomes` returned what cannot be joined with scores.
    """

    def record(read: Read) -> None:
        session.log_input(**vars(read))

    count = model_class.monitored_sessions
    # At least two: a single session needs one to be compared with.
    published = published_scorings(store.database, model_class.model_id, max(count, 2))
    scorings, earlier = published[-count:], published[:-count]
    if not scorings:
        tasks.log().info("model %s has no published scores yet", model_class.model_id)
        session.log_metadata({"result": "no published scores yet"}, GROUP)
        return
    session.log_metadata({"sessions": [s.session_id for s in scorings]}, GROUP)
    monitor = _Monitor(store, model_class(Reader(store.database.settings, record)), session)
    for scoring in earlier:
        monitor.set_previous(scoring)
    for scoring in scorings:
        monitor.add(scoring)
    monitor.finish(scorings[-1])


class _Monitor:
    """Adds scoring sessions, oldest first, and keeps what the newest is judged by."""

    def __init__(self, store: Store, model: Model, session: Session) -> None:
        self.store, self.model, self.session = store, model, session
        self.run = tasks.Runner(model)
        self.limits = thresholds_for(model, store.database.settings)
        self.firsts: dict[str, ScoreCounts] = {}
        self.previous: tuple[PublishedScoring, ScoreCounts] | None = None
        self.best: tuple[PublishedScoring, dict[str, float]] | None = None
        self.judged: dict[str | None, tuple[str, dict[str, float]]] = {}
        """By training session: the oldest session with enough outcomes, and its metrics."""
        self.unmatched: PublishedScoring | None = None
        """The newest session with scores and outcomes of which none match."""
        self.sources: dict[str | None, str] = {None: ""}
        """Which method gives the scores, by training session."""
        self.rows: list[tuple[Sequence[dict[str, Any]], str]] = []
        """Drift rows of the last session added, and the session it was compared with."""

    def set_previous(self, scoring: PublishedScoring) -> None:
        """Compare the next session with this one, for which nothing is stored."""
        self.previous = scoring, self.run(read_scores, self.store, scoring.session_id, None).tally

    def add(self, scoring: PublishedScoring) -> None:
        """Store one session's performance and drift under its segment."""
        actual = self.run(read_actual, self.model, scoring.as_of)
        predicted_by = "score_class" if self.model.model_type == "multiclass" else "score"
        compared = self.run(read_scores, self.store, scoring.session_id, actual, predicted_by)
        self._performance(scoring, actual, compared)
        self._drift(scoring, compared.tally)
        self.previous = scoring, compared.tally

    def _performance(
        self, scoring: PublishedScoring, actual: Outcomes | None, compared: JoinedScores
    ) -> None:
        segment, rows = segment_of(scoring.session_id), compared.rows
        n_outcomes = 0 if actual is None else len(actual)
        figures: dict[str, float] = {"n_scored": compared.scored, "n_outcomes": n_outcomes}
        if compared.scored:
            figures["matched_share"] = len(rows) / compared.scored
        self.session.log_metrics(figures, segment)
        self._note_outcomes(
            scoring, f"{len(rows)} of {compared.scored} scores have a known outcome"
        )
        if rows.empty:
            if actual is not None and n_outcomes and compared.scored:
                self._alarm(scoring, actual, compared)
            return
        model_type = self.model.model_type
        metrics = self.session.log_performance(
            rows["actual"].to_numpy(),
            rows["predicted"].to_numpy(),
            segment,
            model_type=model_type,
            probabilities=self._score_source(scoring.training_session_id) != DECISION,
        )
        if model_type == "time_series":
            self.session.log_backtest(rows)
        if model_type in ("binary", UNSUPERVISED) and "auc" not in metrics:
            only = int(rows["actual"].iloc[0])
            self._note_outcomes(
                scoring,
                f"{len(rows)} of {compared.scored} scores have a known outcome, and each of these "
                f"is {only}: the metrics that need both classes are left out",
            )
        elif len(rows) >= self.model.min_outcomes:
            self.best = scoring, metrics
            self.judged.setdefault(scoring.training_session_id, (scoring.session_id, metrics))

    def _score_source(self, training: str | None) -> str:
        if training is not None and training not in self.sources:
            self.sources[training] = score_source_of(self.store, training)
        return self.sources[training]

    def _alarm(self, scoring: PublishedScoring, actual: Outcomes, compared: JoinedScores) -> None:
        """Say that no outcome belongs to a score, with an id of each side unless it is masked."""
        self.unmatched = scoring
        masked = {*self.model.masked, *self.store.database.settings.masked_columns}
        hidden = bool(masked & {self.model.entity_id, actual.entity_column})
        score_id, outcome_id = (
            MASK if hidden else repr(example)
            for example in (compared.example, str(actual.entity_id[0]))
        )
        text = (
            f"none of {len(actual)} outcomes belongs to one of {compared.scored} scores: an id of "
            f"the scores is {score_id}, one of the outcomes {outcome_id} (column "
            f"{actual.entity_column!r}). Ids are compared as text; let outcomes({scoring.as_of}) "
            "return the ids that scoring_data returned."
        )
        tasks.log().warning("session %s: %s", scoring.session_id, text)
        self._note_outcomes(scoring, text)

    def _note_outcomes(self, scoring: PublishedScoring, text: str) -> None:
        self.session.log_metadata({scoring.session_id: text}, "outcomes")

    def _drift(self, scoring: PublishedScoring, tally: ScoreCounts) -> None:
        self.rows = []
        first = scoring.first_session_id
        if first == scoring.session_id:
            self.firsts[first] = tally
        else:
            rows = score_drift(self._first(first), tally, "first", self.limits)
            self.rows.append((rows, first))
        if (training := scoring.training_session_id) is not None:
            if (test_scores := trained_scores(self.store, training)) is not None:
                rows = score_drift(test_scores, tally, "training", self.limits)
                self.rows.append((rows, training))
            self._compare_features(training, scoring, "")
        if self.previous is not None:
            before, reference = self.previous
            rows = score_drift(reference, tally, PREVIOUS, self.limits)
            self.rows.append((rows, before.session_id))
            if before.training_session_id == scoring.training_session_id:
                self._compare_features(before.session_id, scoring, PREVIOUS)
            else:
                self._copy_features(scoring)
        self._log_figures(scoring)

    def _log_figures(self, scoring: PublishedScoring) -> None:
        figures, indices = {}, []
        for row in (row for rows, _ in self.rows for row in rows if row["value"] is not None):
            if row["variable"] == "score" and "_" in row["measure"]:
                figures[f"score_{row['measure']}"] = row["value"]
            elif row["measure"] == "psi":
                indices.append(row["value"])
        if indices:
            figures["feature_psi_max"] = max(indices)
        self.session.log_metrics(figures, segment_of(scoring.session_id))

    def _first(self, session_id: str) -> ScoreCounts:
        if session_id not in self.firsts:
            self.firsts[session_id] = self.run(read_scores, self.store, session_id, None).tally
        return self.firsts[session_id]

    def _compare_features(
        self, reference_id: str, scoring: PublishedScoring, comparison: str
    ) -> None:
        """Compare what was scored with an earlier session's summary."""
        reference = self.store.input_summary(reference_id)
        current = self.store.input_summary(scoring.session_id)
        if not reference.empty and not current.empty:
            drift = feature_drift(reference, current, self.limits, comparison)
            self.rows.append((records(with_suffix(drift)), reference_id))

    def _copy_features(self, scoring: PublishedScoring) -> None:
        """Use the scoring session's own comparison, in the bins of the session before it."""
        drift = self.store.drift(scoring.session_id)
        drift = drift[drift["measure"].str.endswith(f"_{PREVIOUS}")]
        for reference_id, rows in drift.groupby("reference_session_id"):
            self.rows.append((records(rows), str(reference_id)))

    def finish(self, newest: PublishedScoring) -> None:
        """Store the drift of the last session added, and the change in performance."""
        for rows, reference in self.rows:
            self.session.log_drift(rows, reference)
        if (scoring := self.unmatched) is not None:
            row = drift_row(OUTCOMES, "unmatched_share", 1.0, UNMATCHED)
            self.session.log_drift([row], scoring.session_id)
        references = {"drift_of": newest.session_id}
        if self.best is not None:
            scoring, metrics = self.best
            references["performance_of"] = scoring.session_id
            self.session.log_metrics(metrics)
            if (compared := self._performance_reference(scoring)) is not None:
                session_id, before = compared
                row = performance_drift(
                    before, metrics, self.model.model_type, self.limits.performance
                )
                self.session.log_drift([row], session_id)
        self.session.log_metadata(references, GROUP)

    def _performance_reference(
        self, scoring: PublishedScoring
    ) -> tuple[str, dict[str, float]] | None:
        """Return the session that performance is compared with, and its metrics.

        That is the training. One without a target knows no outcome: then it is the oldest of the
        compared sessions with its model.
        """
        training = scoring.training_session_id
        if self.model.model_type == UNSUPERVISED:
            oldest = self.judged[training]
            return None if oldest[0] == scoring.session_id else oldest
        return None if training is None else (training, self._training_metrics(training))

    def _training_metrics(self, session_id: str) -> dict[str, float]:
        """Return the metrics of a training; without weights, which outcomes do not have."""
        metrics = self.store.metrics(session_id)
        unweighted = metrics[metrics["segment"] == UNWEIGHTED]
        whole = metrics[metrics["segment"] == ""] if unweighted.empty else unweighted
        return dict(zip(whole["metric_name"], whole["value"], strict=True))


def trained_scores(store: Store, session_id: str) -> ScoreCounts | None:
    """Return the score distribution of a training's test rows, None if it is unknown.

    It comes from the test curve or the metadata `score_distribution`. At a score that these hold,
    the number of rows at or below it is exact.
    """
    curve = store.curve(session_id)
    if not curve.empty:
        curve = curve.sort_values("score", ascending=False)
        return ScoreCounts.of_points(curve["score"], np.diff(curve["population"], prepend=0))
    notes = store.metadata(session_id)
    scores_note = notes[
        (notes["meta_group"] == TEST) & (notes["meta_name"] == "score_distribution")
    ]
    if scores_note.empty:
        return None
    distribution = json.loads(str(scores_note["value"].iloc[0]))
    return ScoreCounts.of_points(distribution["score"], distribution["rows"])


@task(name="read outcomes", cache_policy=NO_CACHE, persist_result=False)
def read_actual(model: Model, as_of: dt.date) -> Outcomes | None:
    """Return the known outcomes of the entities scored as of a date."""
    with redacted_errors():
        return outcomes.read_outcomes(model, as_of)


@task(name="read scores", cache_policy=NO_CACHE, persist_result=False)
def read_scores(
    store: Store, session_id: str, actual: Outcomes | None, predicted_by: str = "score"
) -> JoinedScores:
    """Join a session's scores with outcomes, batch by batch."""
    return outcomes.compare(store.iter_scores(session_id), actual, predicted_by)

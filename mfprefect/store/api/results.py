"""Store methods that read models, sessions and their results, mostly as DataFrames."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.quality.metrics import curve as curves
from mfprefect.store.api.base import Base
from mfprefect.store.lookup import require_all
from mfprefect.store.models import gate_verdicts, input_columns, stages
from mfprefect.store.plan import PromotionPlan, ScoredData, plan_promotion
from mfprefect.store.results import frames, monitoring, pages
from mfprefect.store.results import report as reports
from mfprefect.store.results.model_report import load_model_report
from mfprefect.store.sessions import attempts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ResultsApi"]


class ResultsApi(Base):
    """Reads models, sessions and their results; nothing here writes."""

    def models(self) -> pd.DataFrame:
        """Return the registered models, by id.

        Columns: model_id, description, entity_type, owner, created_at, max_age_seconds; sessions,
        their number; last_started_at; production, the id of the training session in production, or
        NULL.
        """
        return self._visible(frames.models_frame)

    def thresholds(self, model_id: str) -> pd.DataFrame:
        """Return a model's operating thresholds, newest first: value, kind, set_at, set_by."""
        return frames.thresholds_frame(self._db, model_id)

    def production(self, model_id: str, at: dt.datetime | None = None) -> str | None:
        """Return the id of the training session in production, or None.

        Args:
            model_id: the model.
            at: at which time, with a time zone; by default now.

        Raises:
            UnknownModel: the model does not exist.
            InvalidValue: `at` has no time zone.
        """
        return self._visible(lambda db: stages.production(db, model_id, at))

    def stages(self, model_id: str) -> pd.DataFrame:
        """Return the history of a model's stages, the newest first.

        Columns: session_id; stage: `production`, `experimental`, or `retired` after it left
        production; set_at; until, when the next row took over, NULL for the current one; set_by;
        reason; override, why it was promoted without passed gates; rolled_back_from, the session
        that a rollback replaced; gates, the verdicts at promotion as JSON text.

        Raises:
            UnknownModel: the model does not exist.
        """
        return stages.stages_frame(self._db, model_id)

    def plan(
        self, model_id: str, session_id: str, scores: pd.DataFrame | ScoredData | None = None
    ) -> PromotionPlan:
        """Return what promoting a training session would change; write nothing.

        `mfprefect plan` scores today's data with both models, and passes what it found.

        Args:
            model_id: the model.
            session_id: the candidate, a training session that `promote` takes.
            scores: `production` and `candidate`, the scores of both models for each row of a frame;
                perhaps `production_class` and `candidate_class`; every further column is one of
                segments. None: the stored scores of the newest scorings that both models did of the
                same day, such as a champion's and its shadow's, compared in the database.

        Returns:
            A frozen dataclass with the frames `movement`, `flips`, `segments`, `columns`, `gates`
            and `readers`, `problems` (why `promote` would refuse), and `verdicts`, the plan in
            sentences. PSI is that of `mfprefect.quality.drift.psi`, with production's model as the
            reference; the rank correlation is Spearman's. A decision is `acted on` from the
            operating threshold on; without a threshold, decisions are the classes.

        Raises:
            UnknownModel: the model does not exist.
            UnknownSession: the session does not exist.
            InvalidValue: it is not a successful training session of the model; or the scores lack a
                column, have no rows, or are no finite numbers.
            AlreadyPromoted: it is in production already.
        """
        return self._db.snapshot(
            lambda moment: plan_promotion(moment, model_id, session_id, scores)
        )

    def sessions(
        self,
        model_id: str | None = None,
        status: str | None = None,
        limit: int | None = 100,
        *,
        purpose: str | None = None,
        since: dt.datetime | dt.date | str | None = None,
        sort: str = "started",
        trials: bool = False,
    ) -> pd.DataFrame:
        """Return sessions, newest first, without trials unless they are asked for.

        Columns: those of the table `sessions`, and parent_session_id, the training session used.

        Args:
            model_id: only sessions of this model.
            status: only `running`, `succeeded`, `failed`, `crashed` or `cancelled` ones.
            limit: at most this many; None for all.
            purpose: only `train`, `score`, `monitor`, `adhoc` or `trial` ones.
            since: only those that started then or later: an aware datetime, a date in UTC, or a
                span before now such as `7d` or `12h`.
            sort: `started`: the last one started first; `ended`: running ones, then the last one
                ended.
            trials: whether to include sessions of the purpose `trial`, which only `experiments`
                shows otherwise.

        Raises:
            InvalidValue: an unknown status, purpose or order, or a negative limit.
        """
        options: dict[str, Any] = {"purpose": purpose, "since": since, "sort": sort}
        options["trials"] = trials
        return self._visible(
            lambda db: frames.sessions_frame(db, model_id, status, limit, **options)
        )

    def sessions_page(
        self,
        limit: int = 50,
        after: Sequence[Any] | None = None,
        *,
        model_id: str | None = None,
        status: str | None = None,
        purpose: str | None = None,
        run_by: str | None = None,
        git_commit: str | None = None,
        since: dt.datetime | dt.date | str | None = None,
        trials: bool = False,
    ) -> tuple[pd.DataFrame, list[Any] | None]:
        """Return a page of sessions, newest first, and where the next page begins.

        A page is found by key: the thousandth costs as much as the first.

        Args:
            limit: the most rows.
            after: what the page before returned; None: the first page.
            model_id: only sessions of this model.
            status: only sessions of this status.
            purpose: only sessions of this purpose.
            run_by: only those of this person.
            git_commit: only those of this commit, as a whole hash.
            since: as in `sessions`.
            trials: as in `sessions`.

        Returns:
            the columns of `sessions`, and `after` for the next page, None at the end.

        Raises:
            InvalidValue: an unknown purpose, or `after` is nothing that a page returned.
        """
        equal = {"model_id": model_id, "status": status, "run_by": run_by}
        equal |= {"git_commit": git_commit}
        choices: dict[str, Any] = {"purpose": purpose, "since": since, "trials": trials}
        return self._visible(lambda db: pages.sessions_page(db, limit, after, equal, **choices))

    def get_sessions(self, *session_ids: str) -> pd.DataFrame:
        """Return the named sessions, newest first, with the columns of `sessions`.

        Raises:
            UnknownSession: one of the sessions does not exist.
        """
        frame = self._visible(
            lambda db: frames.sessions_frame(db, limit=None, session_ids=session_ids)
        )
        require_all(session_ids, frame["session_id"])
        return frame

    def show(self, *session_ids: str) -> pd.DataFrame:
        """Return the named sessions: an alias of `get_sessions`."""
        return self.get_sessions(*session_ids)

    def attempts(self, session_id: str) -> pd.DataFrame:
        """Return the attempts of a session, the first one first.

        Each has its own code, environment and machine. `Store.score_parts` says which attempt wrote
        a part of the scores; all other results are those of the last attempt.

        Columns: session_id; attempt; status, how it ended, `running` while it runs; started_at,
        ended_at; failure_kind, failure_text; run_by, host, process_id; vcs, git_commit, git_branch,
        git_remote, git_dirty, git_diff_digest, git_author; environment_digest. A session of an
        earlier version has its last attempt alone: of a retried one, started_at, run_by, code and
        environment were not recorded, and are None.

        Raises:
            UnknownSession: the session does not exist.
        """
        return attempts.attempts_frame(self._db, session_id)

    def metrics(self, *session_ids: str) -> pd.DataFrame:
        """Return metrics: session_id, metric_name, segment ('' is all rows), value."""
        return self._visible(lambda db: frames.of_sessions(db, "metrics", session_ids))

    def metadata(self, *session_ids: str) -> pd.DataFrame:
        """Return metadata: session_id, meta_group, meta_name, value (text)."""
        return frames.of_sessions(self._db, "session_metadata", session_ids)

    def inputs(self, *session_ids: str) -> pd.DataFrame:
        """Return the inputs that sessions read: source, query, rows, columns, digest, seconds."""
        return frames.of_sessions(self._db, "inputs", session_ids)

    def input_summary(self, *session_ids: str) -> pd.DataFrame:
        """Return the summaries of input variables: mean, sd, quantiles, missing values and bins."""
        return frames.of_sessions(self._db, "input_summary", session_ids)

    def checks(self, *session_ids: str) -> pd.DataFrame:
        """Return results of input checks: check, column, severity, passed, failing rows, sample.

        `sample` is JSON text: a list of failing cases, each with `index` and `value`. Dates, times
        and decimals are texts in it.
        """
        return frames.of_sessions(self._db, "check_results", session_ids)

    def input_columns(self, table: str | None = None, schema: str | None = None) -> pd.DataFrame:
        """Return registered input columns: schema_name, table_name, column_name, valid, test, note.

        Args:
            table: only columns of this table.
            schema: only columns of this schema.
        """
        return input_columns.input_columns(self._db, table, schema)

    def gates(self, *session_ids: str) -> pd.DataFrame:
        """Return the results of gates, in the order of sessions and gates.

        Columns: session_id; gate, the condition in words; kind: `metric`, `production`, `drift` or
        `checks`; verdict: `passed`, `failed`, `undecided` (too few rows) or `unknown` (no figure);
        reason; figure; at_least, at_most; margin; and for a comparison with the model in
        production: production_session_id, production_figure, difference (figure minus
        production's), low and high (its 95 % interval) and method.

        Raises:
            UnknownSession: one of the sessions does not exist.
        """
        return self._visible(lambda db: gate_verdicts.gates_frame(db, session_ids))

    def variable_importance(self, *session_ids: str) -> pd.DataFrame:
        """Return variable importances by session and kind, the most important first.

        Columns: session_id, kind, variable, importance, std, coefficient.
        """
        frame = frames.of_sessions(self._db, "variable_importance", session_ids)
        return frame.sort_values(
            ["session_id", "kind", "importance"], ascending=[True, True, False], kind="stable"
        ).reset_index(drop=True)

    def backtests(self, *session_ids: str) -> pd.DataFrame:
        """Return back-tests: series, period, predicted, actual."""
        return frames.of_sessions(self._db, "backtests", session_ids)

    def drift(self, *session_ids: str) -> pd.DataFrame:
        """Return drift: variable, measure, value, threshold, verdict, reference_session_id."""
        return monitoring.drift_frame(self._db, session_ids)

    def freshness(self) -> pd.DataFrame:
        """Return the age of the last published scores of each model with a max_age.

        Columns: model_id; last_scored_at, NULL if never; max_age_seconds; age_seconds, since the
        last scores or, without any, since the model was registered; stale; session_id, of those
        scores or else the model's newest session. A model without sessions is not stale. Leaves
        out models whose newest stage is `retired` or `experimental`.
        """
        return monitoring.freshness(self._db)

    def notifications(self, *session_ids: str) -> pd.DataFrame:
        """Return the notifications of sessions: event, channel, sent_at, delivered, failure."""
        return frames.of_sessions(self._db, "notifications", session_ids)

    def environment(self, session_id: str) -> dict[str, Any]:
        """Return the environment of a session: python, platform, and packages (name to version).

        Raises:
            UnknownSession: the session does not exist.
        """
        return frames.environment(self._db, session_id)

    def curve(self, *session_ids: str) -> pd.DataFrame:
        """Return test curves: score, population, target_population, tp, fp, tn, fn."""
        return frames.of_sessions(self._db, "test_curve", session_ids)

    def roc(self, session_id: str) -> pd.DataFrame:
        """Return the ROC curve of a session's test results.

        Columns: threshold, fpr and tpr, from (0, 0) to (1, 1).

        Raises:
            InvalidValue: the session has no test results.
        """
        return curves.roc(self._one_curve(session_id))

    def lift(self, session_id: str) -> pd.DataFrame:
        """Return the lift chart of a session's test results, highest scores first.

        Columns: threshold; population_share, of rows with at least that score; lift, their positive
        rate divided by that of all rows; capture, their share of all positives.

        Raises:
            InvalidValue: the session has no test results.
        """
        return curves.lift(self._one_curve(session_id))

    def confusion_matrix(self, session_id: str, value: float, kind: str) -> dict[str, Any]:
        """Return tp, fp, tn, fn and the `threshold` used, from a session's test results.

        Args:
            session_id: a training session with test results.
            value: the threshold.
            kind: `probability` acts on scores of at least `value`, `population` on the top
                ⌈value·n⌉ rows.

        Raises:
            InvalidValue: the session has no test results, or the threshold is out of range.
        """
        return curves.confusion_matrix(self._one_curve(session_id), value, kind)

    def accuracy(self, session_id: str, value: float, kind: str) -> float:
        """Return the share of test rows classified correctly; see `confusion_matrix`."""
        return curves.accuracy(self._one_curve(session_id), value, kind)

    def _one_curve(self, session_id: str) -> pd.DataFrame:
        return frames.one_curve(self._db, session_id)

    def latest_training(self, model_id: str) -> str | None:
        """Return the id of the last successful training session with a saved model, or None."""
        return frames.latest_training(self._db, model_id)

    def report(self, session_id: str) -> str:
        """Return the report of a session: one self-contained HTML document.

        Raises:
            UnknownSession: the session does not exist.
            ConfigurationError: the extra `report` is not installed.
        """
        from mfprefect import report

        report.require()
        return report.session_report(reports.load_session_report(self._db, session_id))

    def model_report(self, model_id: str) -> str:
        """Return the report of a model, as HTML: what is in production, the newest candidate, more.

        Raises:
            UnknownModel: the model does not exist.
            ConfigurationError: the extra `report` is not installed.
        """
        from mfprefect import report

        report.require()
        return report.model_report(load_model_report(self._db, model_id))

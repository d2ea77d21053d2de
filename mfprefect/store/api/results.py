"""What a store shows: models, sessions and what they produced, as DataFrames."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.quality.metrics import curve as curves
from mfprefect.store import artifacts
from mfprefect.store.api.base import Base
from mfprefect.store.artifacts import MODEL
from mfprefect.store.lookup import require_all
from mfprefect.store.models import gate_verdicts, input_columns, stages
from mfprefect.store.results import frames, monitoring
from mfprefect.store.results import report as reports
from mfprefect.util.files import atomic_file, check_target

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ResultsApi"]


class ResultsApi(Base):
    """The reading half of a store; nothing here writes."""

    def models(self) -> pd.DataFrame:
        """Return the registered models, each with its number of sessions and what is in production.

        `production` is the id of a training session, NULL where there is none.
        """
        return frames.models_frame(self._db)

    def thresholds(self, model_id: str) -> pd.DataFrame:
        """Return a model's operating thresholds, the one in force first."""
        return frames.thresholds_frame(self._db, model_id)

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
        return frames.sessions_frame(self._db, model_id, status, limit)

    def show(self, *session_ids: str) -> pd.DataFrame:
        """Return the named sessions' rows.

        Raises:
            UnknownSession: one of them is not there.
        """
        frame = frames.sessions_frame(self._db, limit=None, session_ids=session_ids)
        require_all(session_ids, frame["session_id"])
        return frame

    def metrics(self, *session_ids: str) -> pd.DataFrame:
        """Return metrics: session_id, metric_name, segment ('' is all rows), value."""
        return frames.of_sessions(self._db, "metrics", session_ids)

    def metadata(self, *session_ids: str) -> pd.DataFrame:
        """Return key-values: session_id, meta_group, meta_name, value."""
        return frames.of_sessions(self._db, "session_metadata", session_ids)

    def inputs(self, *session_ids: str) -> pd.DataFrame:
        """Return what the sessions read: source, query, rows, columns, digest, seconds."""
        return frames.of_sessions(self._db, "inputs", session_ids)

    def input_summary(self, *session_ids: str) -> pd.DataFrame:
        """Return the summaries of the input variables."""
        return frames.of_sessions(self._db, "input_summary", session_ids)

    def checks(self, *session_ids: str) -> pd.DataFrame:
        """Return the results of the input checks."""
        return frames.of_sessions(self._db, "check_results", session_ids)

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
        return gate_verdicts.gates_frame(self._db, session_ids)

    def variable_importance(self, *session_ids: str) -> pd.DataFrame:
        """Return variable importances, by kind, the most important first."""
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
        """Return how old the last published scores are of each model that somebody waits for.

        Columns: model_id; last_scored_at, NULL if never; max_age_seconds; age_seconds, since the
        last scores or, without any, since the model was registered; stale; session_id, of those
        scores or else the model's newest session. A model without a session is not stale: nothing
        runs yet. Models whose newest stage is `retired` or `experimental` are left out.
        """
        return monitoring.freshness(self._db)

    def notifications(self, *session_ids: str) -> pd.DataFrame:
        """Return who was told what: event, channel, sent_at, delivered, failure."""
        return frames.of_sessions(self._db, "notifications", session_ids)

    def artifacts(self, *session_ids: str) -> pd.DataFrame:
        """Return what blobs there are: artifact_name, format, bytes, sha256."""
        return frames.of_sessions(self._db, "artifacts", session_ids)

    def environment(self, session_id: str) -> dict[str, Any]:
        """Return the Python, platform and package versions that a session ran with."""
        return frames.environment(self._db, session_id)

    def curve(self, *session_ids: str) -> pd.DataFrame:
        """Return test curves: score, population, target_population, tp, fp, tn, fn."""
        return frames.of_sessions(self._db, "test_curve", session_ids)

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
        return frames.one_curve(self._db, session_id)

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

    def copy_model(
        self, session_id: str, to: Path | str, name: str = MODEL, *, force: bool = False
    ) -> dict[str, Any]:
        """Write a model to a file as it was stored, in little memory; return what it is.

        The file takes its name when its size and digest have been found to be those recorded.

        Args:
            session_id: the training session.
            to: the file.
            name: the artifact's name.
            force: overwrite a file that is there.

        Returns:
            format, bytes, sha256.

        Raises:
            InvalidValue: the file exists, or the session has no artifact of that name.
            ArtifactCorrupt: the blob is not the one that was stored.
            ArtifactUntrusted: the team's key did not sign it.
        """
        target = Path(to)
        check_target(target, force)
        with atomic_file(target, force) as file:
            artifact = artifacts.copy_artifact(self._db, session_id, name, file)
        return {"format": artifact.format, "bytes": artifact.size, "sha256": artifact.sha256}

    def latest_training(self, model_id: str) -> str | None:
        """Return the id of the last training session that succeeded and saved a model."""
        return frames.latest_training(self._db, model_id)

    def report(self, session_id: str) -> str:
        """Return the report of a session: one HTML document that needs no network.

        Raises:
            UnknownSession: there is no such session.
            ConfigurationError: the extra `report` is not installed.
        """
        from mfprefect import report

        report.require()
        return report.session_report(reports.load_session_report(self._db, session_id))

    def model_report(self, model_id: str) -> str:
        """Return the report of a model: its last sessions, how good it is, what drifted.

        Raises:
            UnknownModel: there is no such model.
            ConfigurationError: the extra `report` is not installed.
        """
        from mfprefect import report

        report.require()
        return report.model_report(reports.load_model_report(self._db, model_id))

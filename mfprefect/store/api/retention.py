"""Deleting, pruning, restoring and exporting what sessions hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mfprefect import retention
from mfprefect.store.api.base import Base
from mfprefect.store.retention import delete
from mfprefect.store.retention import delete_scores as score_removal

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["RetentionApi"]


class RetentionApi(Base):
    """Deleting, pruning, restoring and exporting what sessions hold."""

    def delete_session(self, session_id: str) -> None:
        """Delete a session and everything it produced; the audit trail tells that it was there.

        It disappears for every reader at once; many scores then go in batches that keep nobody
        waiting. What was interrupted is finished by calling this again, or by `prune`.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it is running, another session used its model, or it was promoted.
        """
        delete.delete_session(self._db, session_id)

    def delete_scores(self, session_id: str) -> None:
        """Delete a session's scores; its figures and its parts' digests stay.

        The session counts as not published from then on, and says why: its metadata has the group
        `retention`.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it has no scores, or did not succeed: then it goes as a whole.
        """
        score_removal.delete_scores(self._db, session_id)

    def prune(
        self,
        model_id: str | None = None,
        *,
        keep_days: float | None = None,
        keep_sessions: int | None = None,
        failed_days: float | None = None,
        scores_days: float | None = None,
        retired_days: float | None = None,
        archive_to: Path | str | None = None,
        only: Iterable[str] | None = None,
        dry_run: bool = False,
    ) -> pd.DataFrame:
        """Delete the sessions that the setting `retention` lets go; tell of each what and why.

        What is in production stays, and what was before it; so do running sessions, the newest
        ones, and every session that one which stays needs. Interrupted deletions are finished.

        Args:
            model_id: only sessions of this model.
            keep_days: in place of the setting: sessions that ended longer ago go.
            keep_sessions: in place of the setting: the newest so many of each purpose stay.
            failed_days: in place of the setting: when failed, crashed and cancelled ones go.
            scores_days: in place of the setting: when scores go from sessions that stay.
            retired_days: in place of the setting: when sessions go that left production.
            archive_to: in place of the setting: a folder that everything is written to first.
            only: of the sessions that go, only these.
            dry_run: change nothing.

        Returns:
            Newest first: session_id, model_id, purpose, status, ended_at, rows (scores), verdict
            (`delete`, `delete scores` or `keep`), reason, archived (a folder).

        Raises:
            InvalidValue: a limit is not above 0.
            ConfigurationError: the folder for archives is not there.
            ArtifactCorrupt: an archive is not sound; nothing was deleted of its session.
            OSError: an archive cannot be written; nothing was deleted of its session.
        """
        import pandas as pd

        from mfprefect.store.retention import prune

        limits = {
            "keep_days": keep_days,
            "keep_sessions": keep_sessions,
            "failed_days": failed_days,
            "scores_days": scores_days,
            "retired_days": retired_days,
        }
        given = limits | {"archive_to": archive_to}
        policy = retention.overridden(self.database.settings.retention, model_id, **given)
        chosen = None if only is None else set(only)
        found = prune.prune(self._db, policy, model_id=model_id, only=chosen, dry_run=dry_run)
        columns = ["session_id", "model_id", "purpose", "status", "ended_at", "rows"]
        rows = [
            [*(getattr(v.session, c) for c in columns), v.verdict, v.reason, v.archived]
            for v in found
        ]
        return pd.DataFrame(rows, columns=[*columns, "verdict", "reason", "archived"])

    def restore(self, folder: Path | str) -> str:
        """Write an archived session back as it was, under its own number; return its id.

        It becomes visible when it is complete. Its stages are not set again.

        Args:
            folder: the folder that `prune` wrote, the one that holds `session.json`.

        Raises:
            ArtifactCorrupt: the archive is not sound; nothing was written.
            InvalidValue: the session is there, or another one has its number.
            UnknownModel: its model is not registered.
        """
        from mfprefect.store.retention import restore as restoring

        return restoring.restore_session(self._db, Path(folder))

    def export(self, session_id: str, to: str) -> int:
        """Publish a session's scores to the table of the setting `exports`; return how many.

        Readers of that table see all of them or none. Done again, also after an interruption, it
        replaces the session's rows. The session tells `last_exported_at`.

        Args:
            session_id: a published session.
            to: which export; its table is made where it is missing.

        Raises:
            ConfigurationError: there is no such export, or its table cannot take scores.
            UnknownSession: there is no such session.
            InvalidValue: it has no published scores.
        """
        from mfprefect.store.scores import export

        return export.export_scores(self._db, session_id, to)

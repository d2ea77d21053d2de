"""Deleting, pruning, restoring and exporting what sessions hold."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from mfprefect import retention
from mfprefect.store.api.base import Base, right_of
from mfprefect.store.retention import delete
from mfprefect.store.retention import delete_scores as score_removal
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.store.retention.size import StoreSize


__all__ = ["RetentionApi"]


class RetentionApi(Base):
    """Deleting, pruning, restoring and exporting what sessions hold."""

    @right_of("admin", "delete a session")
    def delete_session(self, session_id: str) -> None:
        """Delete a session and everything it produced; the audit trail keeps that it existed.

        It disappears for every reader at once; many scores are then deleted in batches, which block
        nobody. Call it again, or `prune`, to finish an interrupted deletion.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it is running, another session used its model, or it was promoted.
        """
        delete.delete_session(self._db, session_id)

    @right_of("admin", "delete scores")
    def delete_scores(self, session_id: str) -> None:
        """Delete a session's scores; its figures and the digests of its parts stay.

        The session is not published any more; its metadata records the deletion in the group
        `retention`.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it has no scores, or did not succeed: then delete the session.
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
        """Delete the sessions that the setting `retention` does not keep; return all decisions.

        The session in production and the one before it stay, and so do running sessions, the
        newest ones, and all sessions that these need. Finishes interrupted deletions.

        Args:
            model_id: only sessions of this model.
            keep_days: overrides the setting: delete sessions that ended more days ago.
            keep_sessions: overrides the setting: keep this many of each purpose.
            failed_days: overrides the setting: the same for failed, crashed and cancelled sessions.
            scores_days: overrides the setting: delete the scores of older sessions that stay.
            retired_days: overrides the setting: when sessions that left production may be deleted.
            archive_to: overrides the setting: a folder that sessions are written to first.
            only: of the sessions to delete, only these.
            dry_run: change nothing.

        Returns:
            Newest first: session_id, model_id, purpose, status, ended_at, rows (scores), verdict
            (`delete`, `delete scores` or `keep`), reason, archived (a folder).

        Raises:
            InvalidValue: a limit is not above 0.
            ConfigurationError: the folder for archives does not exist.
            ArtifactCorrupt: an archive is damaged; nothing of its session was deleted.
            OSError: an archive cannot be written; nothing of its session was deleted.
        """
        import pandas as pd

        from mfprefect.store.retention import prune

        policy = retention.overridden(
            self.database.settings.retention,
            model_id,
            keep_days=keep_days,
            keep_sessions=keep_sessions,
            failed_days=failed_days,
            scores_days=scores_days,
            retired_days=retired_days,
            archive_to=archive_to,
        )
        chosen = None if only is None else set(values.names(only, "the sessions of only"))
        with nullcontext() if dry_run else right_of("admin", "prune"):
            decisions = prune.prune(
                self._db, policy, model_id=model_id, only=chosen, dry_run=dry_run
            )
        columns = ["session_id", "model_id", "purpose", "status", "ended_at", "rows"]
        rows = [
            [*(getattr(d.session, c) for c in columns), d.verdict, d.reason, d.archived]
            for d in decisions
        ]
        return pd.DataFrame(rows, columns=[*columns, "verdict", "reason", "archived"])

    def size(self) -> StoreSize:
        """Return how large the tables are, by table and by model, and what `prune` would free.

        Bytes come from the database's catalog. Counts the rows of all tables but `scores`, which
        are counted by parts. Needs the right to read all tables: the role auditor, writer or admin.

        Returns:
            Two DataFrames. `tables`: table, rows, bytes (with indexes), index_bytes. `models`:
            model_id, sessions, scores and bytes; the same of the last 30 days (`recent_sessions`,
            ..) and of what `prune` would delete under the setting `retention`
            (`prunable_sessions`, ..).
        """
        from mfprefect.store.retention import size

        return size.measure(self._db)

    @right_of("admin", "restore a session")
    def restore(self, folder: Path | str) -> str:
        """Restore an archived session under its original number; return its id.

        It becomes visible when it is complete. Its stages are not restored.

        Args:
            folder: the folder that `prune` wrote, the one that holds `session.json`.

        Raises:
            ArtifactCorrupt: the archive is damaged; nothing was written.
            InvalidValue: the session exists, or another one has its number.
            UnknownModel: its model is not registered.
        """
        from mfprefect.store.retention import restore as restoring

        return restoring.restore_session(self._db, Path(folder))

    @right_of("writer", "export scores")
    def export(self, session_id: str, to: str) -> int:
        """Publish a session's scores to the table of the setting `exports`; return how many.

        Readers of that table see all of them or none. A repeated export replaces the session's
        rows, also after an interruption. The session shows `last_exported_at`.

        Args:
            session_id: a published session.
            to: the name of an export; its table is created if it is missing.

        Raises:
            ConfigurationError: there is no such export, or its table cannot take scores.
            UnknownSession: there is no such session.
            InvalidValue: it has no published scores.
        """
        from mfprefect.store.scores import export

        return export.export_scores(self._db, session_id, to)

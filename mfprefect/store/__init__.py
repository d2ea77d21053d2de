"""Reads and writes the session/metric schema; the only place that speaks SQL.

`mfprefect.connect()` returns a `Store`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect import provenance, retention
from mfprefect.errors import DatabaseError, MfprefectError
from mfprefect.provenance.flow_run import FlowRun, current_flow_run
from mfprefect.settings import load_settings
from mfprefect.store import (
    delivery,
    handle,
    migrate,
    opening,
    reconcile,
    registry,
    removal,
    score_removal,
    spool_opening,
)
from mfprefect.store.database import Database
from mfprefect.store.models import Models
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.session import Session

__all__ = ["Store", "connect"]

log = logging.getLogger(__name__)


def connect(url: str | None = None, **settings: Any) -> Store:
    """Return the store that the settings name; nothing is connected before the first use.

    Args:
        url: SQLAlchemy URL, such as `postgresql://user:password@host/database`; by default the
            setting `MFPREFECT_URL`, and without that `sqlite:///mfprefect.db`.
        settings: any other setting, by its name.

    Raises:
        ConfigurationError: the URL is malformed, or a setting is wrong.
        BackendNotFound: no backend serves the URL, or its driver is not installed.
    """
    return Store(Database(load_settings(url=url, **settings)))


class Store(Models):
    """One database that keeps models and sessions. Also a context manager that closes it."""

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {self.database.place}>"

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def create_schema(self) -> None:
        """Create or upgrade tables and views; harmless when repeated, or begun twice at once.

        Raises:
            SchemaOutdated: the schema is newer than this version.
        """
        migrate.create_schema(self.database)

    # Sessions

    def session(
        self,
        model_id: str,
        purpose: str = "adhoc",
        *,
        params: Mapping[str, Any] | None = None,
        as_of: dt.date | str | None = None,
        parent: str | None = None,
        source: Path | None = None,
        tags: Iterable[str] = (),
    ) -> Session:
        """Open a session: one run of a model, from now until the `with` block is left.

        Inside a Prefect flow run the session is tied to it: a retry resumes the same session with
        `attempt` + 1. Without `with`, end it by `close()`; a process that ends without doing so
        leaves it `failed`.

        Args:
            model_id: a registered model.
            purpose: `train`, `score`, `monitor` or `adhoc`.
            params: what the run was started with; must have a JSON form.
            as_of: the date that the run's data is of.
            parent: the id of the training session whose model is used.
            source: a file or folder in the checkout whose commit is recorded; by default the
                running script's.
            tags: what notification targets can ask for, beside the flow run's own tags.

        Raises:
            UnknownModel: the model is not registered.
            UnknownSession: there is no session `parent`.
            InvalidValue: an argument cannot be kept.
            SchemaOutdated: the database's schema is not of this version.
        """
        from mfprefect import session as session_module

        run = current_flow_run()
        _ = self.database.keyring  # a key that cannot be used is told now, not at the run's end
        repository = self.database.settings.repository or source
        request = opening.Opening(
            model_id=values.name(model_id, "the model id"),
            purpose=values.choice(purpose, "the purpose", opening.PURPOSES),
            params=values.json_text(dict(params or {}), "params"),
            as_of=values.as_date(as_of, "as_of"),
            parent_session_id=parent,
            provenance=provenance.capture(repository),
            environment=provenance.environment(),
            flow_run=run,
            tags=_tags(tags, run),
            siblings=session_module.opened_by(run),
            session_id=opening.new_session_id(model_id, values.utc_now()),
        )
        told = self._unregistered.pop(model_id, None)
        tries: list[handle.Handle] = []
        try:
            self._deliver()
            if told is not None:
                registry.add_model(self._db, *told)
            tries = opening.earlier_tries(self._db, request)
            opened = opening.open_session(self._db, request, tries, on_silence=self._end_crashed)
        except DatabaseError as exc:
            # A run that needs nothing of the database goes on: what it makes is kept in the spool.
            spooling = spool_opening.begin_here
            here = spooling(self.database, request, tries) if exc.transient else None
            if here is None:
                raise
            log.warning("session %s begins in the spool: %s", here.session_id, exc)
            opened = here
        model = None if told is None else registry.model_row(*told)
        return session_module.Session(
            self.database, opened, flow_run=run, opening=request, model=model
        )

    def attach(self, session_id: str) -> Session:
        """Return a running session that another process opened; leaving it does not end it.

        Raises:
            UnknownSession: there is no such session.
            SessionClosed: it has ended.
        """
        from mfprefect import session as session_module

        found = spool_opening.spooled_attach(self.database, session_id)
        try:
            found = found or handle.find_session(self._db, session_id)
        except DatabaseError as exc:
            found = spool_opening.attached_handle(session_id)
            if found is None or not exc.transient:
                raise
        if found.status != handle.RUNNING:
            raise handle.closed(found)
        return session_module.Session(self.database, found, attached=True)

    def reconcile(self, *, wait: bool = False) -> pd.DataFrame:
        """End the running sessions whose process is gone, as `crashed` or `cancelled`.

        Evidence is a process of this machine that is gone, the state of the flow run where Prefect
        knows it, or silence for `heartbeat_timeout` while it was watched. A living run is left
        alone. Each opening of a session does the same, without waiting.

        Args:
            wait: watch those that may be dead until that is certain.

        Returns:
            session_id, model_id, verdict (`crashed`, `cancelled`, or `watched`: it may be alive)
            and evidence.
        """
        import pandas as pd

        found = reconcile.reconcile(self._db, wait=wait)
        columns = ["session_id", "model_id", "verdict", "evidence"]
        return pd.DataFrame(
            [[getattr(x, name) for name in columns] for x in found], columns=columns
        )

    def end_flow_run(self, flow_run_id: str, state: str) -> None:
        """End the sessions that a flow run left open, told how Prefect ended it.

        Args:
            flow_run_id: the flow run.
            state: `CRASHED`, `CANCELLED`, ..; nothing happens while its process is seen to run.
        """
        reconcile.end_flow_run(self._db, flow_run_id, state)

    def push_spool(self, *, moved_from: str | None = None) -> pd.DataFrame:
        """Deliver the sessions that ended while the database was away; harmless when repeated.

        So does each opening of a session, and the `maintain` flow.

        Args:
            moved_from: the fingerprint of the database that entries were meant for, where this is
                the same one under another address.

        Returns:
            session_id, attempt, model_id, verdict (`delivered`; `running`; `waiting`: the database
            is away; `superseded`: a later attempt replaced it; `refused`: it stays, and somebody
            has to look), reason, and status, how the session ended.
        """
        import pandas as pd

        columns = ["session_id", "attempt", "model_id", "verdict", "reason", "status"]
        found = delivery.push(self.database, moved_from=moved_from)
        return pd.DataFrame([[getattr(x, n) for n in columns] for x in found], columns=columns)

    def _deliver(self) -> None:
        try:
            deliveries = delivery.push(self.database)
        except (OSError, MfprefectError) as exc:
            log.warning("the spool could not be read: %s", exc)
            return
        for found in deliveries:
            if found.verdict == delivery.DELIVERED:
                log.info("session %s was delivered from the spool", found.session_id)
            elif found.verdict == delivery.REFUSED:
                text = "session %s stays in the spool: %s"
                log.error(text, found.session_id, found.reason)

    def _end_crashed(self) -> None:
        try:
            reconcile.find_crashed(self._db)
        except MfprefectError as exc:
            # Somebody else's session must not keep this one from opening.
            log.warning("sessions that crashed could not be ended: %s", exc)

    def delete_session(self, session_id: str) -> None:
        """Delete a session and everything it produced; the audit trail tells that it was there.

        It disappears for every reader at once; many scores then go in batches that keep nobody
        waiting. What was interrupted is finished by calling this again, or by `prune`.

        Raises:
            UnknownSession: there is no such session.
            InvalidValue: it is running, another session used its model, or it was promoted.
        """
        removal.delete_session(self._db, session_id)

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

        from mfprefect.store import prune

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
        from mfprefect.store import restoring

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
        from mfprefect.store import export

        return export.export_scores(self._db, session_id, to)


def _tags(tags: Iterable[str], run: FlowRun | None) -> str | None:
    given = {values.name(tag, "the tag") for tag in tags} | set(run.tags if run else ())
    return values.json_text(sorted(given), "the tags") if given else None

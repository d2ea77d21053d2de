"""Opening sessions, and looking after those whose process is gone."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect import provenance
from mfprefect.errors import DatabaseError, MfprefectError
from mfprefect.provenance.flow_run import FlowRun, current_flow_run
from mfprefect.store import handle, lookup, reconcile
from mfprefect.store.api.base import Base
from mfprefect.store.models import registry
from mfprefect.store.sessions import opening
from mfprefect.store.spool import delivery
from mfprefect.store.spool import opening as spool_opening
from mfprefect.store.states import Purpose, Status
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.session import Session

__all__ = ["SessionsApi"]

log = logging.getLogger(__name__)


class SessionsApi(Base):
    """Opening sessions, and looking after those whose process is gone."""

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
        request = opening.SessionRequest(
            model_id=values.name(model_id, "the model id"),
            purpose=values.choice(purpose, "the purpose", tuple(Purpose)),
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
        tries: list[handle.SessionHandle] = []
        try:
            self._deliver()
            if told is not None:
                registry.add_model(self._db, *told)
            tries = opening.earlier_attempts(self._db, request)
            opened = opening.open_session(self._db, request, tries, on_silence=self._end_crashed)
        except DatabaseError as exc:
            # A run that needs nothing of the database goes on: what it makes is kept in the spool.
            spooling = spool_opening.open_in_spool
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

        found = spool_opening.attach_spooled(self.database, session_id)
        try:
            found = found or lookup.find_session(self._db, session_id)
        except DatabaseError as exc:
            found = spool_opening.attached_handle(session_id)
            if found is None or not exc.transient:
                raise
        if found.status != Status.RUNNING:
            raise handle.session_closed_error(found)
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


def _tags(tags: Iterable[str], run: FlowRun | None) -> str | None:
    given = {values.name(tag, "the tag") for tag in tags} | set(run.tags if run else ())
    return values.json_text(sorted(given), "the tags") if given else None

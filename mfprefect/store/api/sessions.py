"""The part of `Store` that opens sessions and ends those whose process is gone."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect import provenance
from mfprefect.errors import DatabaseError, InvalidValue, MfprefectError, SessionClosed
from mfprefect.provenance.flow_run import FlowRun, current_flow_run
from mfprefect.spool.state import EntryState
from mfprefect.store import handle, lookup, reconcile
from mfprefect.store.api.base import Base, right_of
from mfprefect.store.models import registry
from mfprefect.store.sessions import opening
from mfprefect.store.sessions.earlier import Earlier
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
    """Opens sessions, delivers the spool, and ends sessions whose process is gone."""

    @right_of("writer", "open a session")
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
        """Open a session: one run of a model, from now until the `with` block ends.

        Inside a Prefect flow run, the session belongs to it: a retry resumes the same session with
        `attempt` + 1, and does not repeat one that succeeded. Without `with`, call `close()`; a
        process that exits without it leaves the session `failed`.

        Args:
            model_id: a registered model.
            purpose: `train`, `score`, `monitor` or `adhoc`; or `trial`, one of many runs that try
                parameters: listings, reports and notices leave it out, `experiments` shows it.
            params: the run's parameters: text, numbers, dates, None, and lists and dicts of
                these, from Python, numpy or pandas; NaN and estimators are refused by name.
            as_of: the date of the run's data.
            parent: the id of the training session whose model this one uses; for a trial, of the
                session that it belongs to.
            source: a file or folder in the checkout whose commit to record; by default the running
                script.
            tags: a list of tags that notification targets can select, besides the flow run's own.

        Raises:
            UnknownModel: the model is not registered.
            UnknownSession: there is no session `parent`.
            SessionClosed: an earlier attempt of the flow run completed the session, whose
                `session_id` the error has. The next call opens the next session of the flow.
            InvalidValue: an argument cannot be stored.
            SchemaOutdated: the database has the schema of another version.
        """
        from mfprefect import session as session_module

        run = current_flow_run()
        _ = self.database.keyring  # an unusable key fails now, not at the end of the run
        repository = self.database.settings.repository or source
        request = opening.SessionRequest(
            model_id=values.name(model_id, "the model id"),
            purpose=values.choice(purpose, "the purpose", tuple(Purpose)),
            params=values.json_text(_mapping(params), "params"),
            as_of=values.as_date(as_of, "as_of"),
            parent_session_id=parent,
            provenance=provenance.capture_once(repository, run.flow_run_id if run else None),
            environment=provenance.environment(),
            flow_run=run,
            tags=_tags(tags, run),
            siblings=session_module.opened_by(run),
            session_id=opening.new_session_id(model_id, values.utc_now()),
        )
        unregistered = self._unregistered.pop(model_id, None)
        try:
            opened = self._open(request, unregistered)
        except SessionClosed as exc:
            if exc.done:
                session_module.remember(run, exc.session_id)
            raise
        model = None if unregistered is None else registry.model_row(*unregistered)
        return session_module.Session(
            self.database, opened, flow_run=run, opening=request, model=model
        )

    def _open(
        self, request: opening.SessionRequest, unregistered: tuple[Any, ...] | None
    ) -> handle.SessionHandle:
        attempts: list[Earlier] | None = None
        try:
            self._deliver()
            if unregistered is not None:
                registry.add_model(self._db, *unregistered)
            attempts = opening.earlier_attempts(self._db, request)
            return opening.open_session(self._db, request, attempts, on_silence=self._end_crashed)
        except DatabaseError as exc:
            # A run that needs nothing from the database can start: the spool takes its writes.
            open_in_spool = spool_opening.open_in_spool
            spooled = open_in_spool(self.database, request, attempts) if exc.transient else None
            if spooled is None:
                raise
            log.warning("session %s starts in the spool: %s", spooled.session_id, exc)
            return spooled

    @right_of("writer", "write to a session")
    def attach(self, session_id: str) -> Session:
        """Return a running session that another process opened; its `with` block does not end it.

        Raises:
            UnknownSession: there is no such session.
            SessionClosed: it has ended.
        """
        from mfprefect import session as session_module

        opened = spool_opening.attach_spooled(self.database, session_id)
        try:
            opened = opened or lookup.find_session(self._db, session_id)
        except DatabaseError as exc:
            opened = spool_opening.attached_handle(session_id)
            if opened is None or not exc.transient:
                raise
        if opened.status != Status.RUNNING:
            raise handle.session_closed_error(opened)
        return session_module.Session(self.database, opened, attached=True)

    @right_of("writer", "end sessions")
    def reconcile(self, *, wait: bool = False) -> pd.DataFrame:
        """End running sessions whose process is gone, as `crashed` or `cancelled`.

        Evidence is a process of this machine that is gone, a final state of the flow run in
        Prefect, or no heartbeat for `heartbeat_timeout` while the session was watched. Sessions
        that are alive stay untouched. Opening a session does the same, without waiting.

        Args:
            wait: watch the doubtful sessions until they are known to be dead or alive.

        Returns:
            session_id, model_id, verdict (`crashed`, `cancelled`, or `watched`: it may be alive)
            and evidence.
        """
        import pandas as pd

        results = reconcile.reconcile(self._db, wait=wait)
        columns = ["session_id", "model_id", "verdict", "evidence"]
        return pd.DataFrame(
            [[getattr(result, name) for name in columns] for result in results], columns=columns
        )

    @right_of("writer", "end sessions")
    def end_flow_run(self, flow_run_id: str, state: str) -> None:
        """End the sessions that a flow run left open.

        Args:
            flow_run_id: the flow run.
            state: the run's final state in Prefect: `CRASHED`, `CANCELLED`, ..; sessions whose
                process still runs on this machine stay open.
        """
        reconcile.end_flow_run(self._db, flow_run_id, state)

    def push_spool(self, *, moved_from: str | None = None) -> pd.DataFrame:
        """Deliver the sessions that ended while the database was away; safe to repeat.

        Opening a session and the `maintain` flow do the same.

        Args:
            moved_from: the fingerprint of the database that the entries were written for, if this
                is the same database at a new address.

        Returns:
            session_id, attempt, model_id, verdict (`delivered`; `running`; `waiting`: the database
            is away; `superseded`: a later attempt replaced it; `refused`: it stays in the spool
            for somebody to look at), reason, and the status that the session ended with.
        """
        import pandas as pd

        columns = ["session_id", "attempt", "model_id", "verdict", "reason", "status"]
        deliveries = delivery.push(self.database, moved_from=moved_from)
        return pd.DataFrame(
            [[getattr(result, name) for name in columns] for result in deliveries], columns=columns
        )

    def _deliver(self) -> None:
        try:
            deliveries = delivery.push(self.database)
        except (OSError, MfprefectError) as exc:
            log.warning("the spool could not be read: %s", exc)
            return
        for result in deliveries:
            if result.verdict == EntryState.DELIVERED:
                log.info("session %s was delivered from the spool", result.session_id)
            elif result.verdict == EntryState.REFUSED:
                text = "session %s stays in the spool: %s"
                log.error(text, result.session_id, result.reason)

    def _end_crashed(self) -> None:
        try:
            reconcile.find_crashed(self._db)
        except MfprefectError as exc:
            # Other sessions must not keep this one from opening.
            log.warning("crashed sessions could not be ended: %s", exc)


def _mapping(params: Mapping[str, Any] | None) -> dict[str, Any]:
    if params is not None and not isinstance(params, Mapping):
        raise InvalidValue(
            f"params is a {type(params).__name__}; pass a dict of the run's parameters by name, "
            "for an estimator what its get_params() returns."
        )
    return dict(params or {})


def _tags(tags: Iterable[str], run: FlowRun | None) -> str | None:
    names = {values.name(tag, "the tag") for tag in values.names(tags, "tags")}
    names |= set(run.tags if run else ())
    return values.json_text(sorted(names), "the tags") if names else None

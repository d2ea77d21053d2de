"""Store methods for auditors: verify seals and read the audit log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.errors import SealBroken
from mfprefect.store.api.base import Base
from mfprefect.store.audit import log
from mfprefect.store.results import frames
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.store.audit.verification import Report

__all__ = ["AuditApi"]

MAX_PROBLEMS = 3
"""Problems named in the message of SealBroken; its `problems` holds all."""


class AuditApi(Base):
    """Verifies seals and reads the audit log; nothing here writes."""

    def verify(
        self,
        *,
        model_id: str | None = None,
        session_id: str | None = None,
        since: dt.datetime | dt.date | str | None = None,
        head: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Report:
        """Recompute the seals from the stored rows, and verify the chains and the audit log.

        Needs SELECT only. Holds one session without its scores and one part of scores in memory.

        Args:
            model_id: only the chain of this model; a renamed model has one chain for each name.
            session_id: only this session.
            since: only seals from then on: an aware datetime, a date in UTC, or `7d`, `12h` ago.
            head: an earlier result of `audit_head`, stored elsewhere: also detect whether the ends
                of the chains were cut off since.
            progress: called with the number of seals done, and of all.

        Raises:
            SealBroken: something was changed, added or removed; its `problems` name each.
            UnknownModel: the model does not exist.
            UnknownSession: the session does not exist.
        """
        from mfprefect.store.audit import verification

        report = verification.verify(
            self._db,
            model_id=model_id,
            session_id=session_id,
            since=values.since(since),
            head=head,
            progress=progress,
        )
        if report.problems:
            first = [str(problem) for problem in report.problems[:MAX_PROBLEMS]]
            more = len(report.problems) - len(first)
            raise SealBroken(
                f"{len(report.problems)} problems with sealed data: {'; '.join(first)}"
                + (f"; and {more} more" if more else "")
                + ". `mfprefect audit verify` lists all; see docs/audit.md for what to do.",
                problems=report.problems,
                report=report,
            )
        return report

    def audit_log(
        self,
        *,
        model_id: str | None = None,
        session_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        since: dt.datetime | dt.date | str | None = None,
        before: int | None = None,
        limit: int | None = 100,
    ) -> pd.DataFrame:
        """Return the audit log, newest first: event_no, at, actor, action, subject, detail.

        Args:
            model_id: only events about this model.
            session_id: only events about this session.
            actor: only events by this person.
            action: only this action: `promote`, `rollback`, `retire`, `set_threshold`, `add_model`,
                `change_model`, `rename_model`, `delete_model`, `delete_session`, `delete_scores`,
                `restore_session`, `deliver_spool`, `export_scores`, `look_up_scores`, `verify`,
                `set_input_column`, `accept_check`, `withdraw_acceptance`, `create_token`,
                `revoke_token`, or `notice`, which is left out by default.
            since: only events from then on: an aware datetime, a date in UTC, or `7d`, `12h` ago.
            before: only events numbered lower: the `event_no` that the page before ended with.
            limit: at most this many; None for all.
        """
        return log.log_frame(
            self._db,
            model_id=model_id,
            session_id=session_id,
            actor=actor,
            action=action,
            since=values.since(since),
            before=before,
            limit=limit,
        )

    def seal_of(self, session_id: str) -> str | None:
        """Return the seal of a session, None while it has none.

        What a seal covers does not change any more: the seal can stand for it in a cache. No view
        shows seals, so None also for a user who may read the views alone.

        Raises:
            UnknownSession: the session does not exist.
        """
        return self._visible(lambda db: frames.seal_of(db, session_id))

    def audit_head(self) -> dict[str, Any]:
        """Return the ends of the chains; store it where no user of this database can write.

        `event` is the last event of the audit log, `seals` the last seal of each model.
        `verify(head=..)` later detects whether the ends were cut off.
        """
        return log.head(self._db)

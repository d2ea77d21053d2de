"""What an auditor asks a store: is all as it was sealed, and who did what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mfprefect.errors import InvalidValue, SealBroken
from mfprefect.store.api.base import Base
from mfprefect.store.audit import log
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.store.audit.verification import Report

__all__ = ["AuditApi"]

MOST_TOLD = 3


class AuditApi(Base):
    """The part of a store that verifies; nothing here writes."""

    def verify(
        self,
        *,
        model_id: str | None = None,
        session_id: str | None = None,
        since: dt.datetime | dt.date | str | None = None,
        head: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Report:
        """Recompute the seals from what the database holds, and verify chains and audit trail.

        Needs the right to SELECT alone. Memory holds one session without its scores, and one part
        of scores, at a time.

        Args:
            model_id: only the chain of this model; of a renamed one, each name has a chain.
            session_id: only this session.
            since: only what was sealed from then on: an aware datetime, or a date in UTC.
            head: what `audit_head` returned at an earlier time and was kept elsewhere: shows
                whether the ends of the chains were cut off since.
            progress: called with the number of seals that are done, and of all.

        Raises:
            SealBroken: something was changed, added or removed: its `problems` name each.
            UnknownModel: there is no such model.
            UnknownSession: there is no such session.
        """
        from mfprefect.store.audit import verification

        report = verification.verify(
            self._db,
            model_id=model_id,
            session_id=session_id,
            since=_instant(since),
            head=head,
            progress=progress,
        )
        if report.problems:
            first = [str(problem) for problem in report.problems[:MOST_TOLD]]
            more = len(report.problems) - len(first)
            raise SealBroken(
                f"{len(report.problems)} of what was sealed does not hold: {'; '.join(first)}"
                + (f"; and {more} more" if more else "")
                + ". `mfprefect audit verify` lists all; docs/audit.md tells what to do.",
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
        limit: int | None = 100,
    ) -> pd.DataFrame:
        """Return who did what when, newest first: event_no, at, actor, action, subject, detail.

        Args:
            model_id: only what concerns this model.
            session_id: only what concerns this session.
            actor: only what this person did.
            action: only this: `promote`, `rollback`, `retire`, `set_threshold`, `add_model`,
                `change_model`, `rename_model`, `delete_model`, `delete_session`, `delete_scores`,
                `restore_session`, `deliver_spool`, `export_scores`, `set_input_column`, or
                `notice`, which is shown only if it is asked for.
            since: only from then on: an aware datetime, or a date in UTC.
            limit: at most so many; None is all.
        """
        return log.log_frame(
            self._db,
            model_id=model_id,
            session_id=session_id,
            actor=actor,
            action=action,
            since=_instant(since),
            limit=limit,
        )

    def audit_head(self) -> dict[str, Any]:
        """Return the ends of the chains, to be kept where nobody of this database can write.

        `event` is the last event of the audit trail, `seals` the last seal of each model. What is
        cut off from the ends later is found by `verify(head=..)`.
        """
        return log.head(self._db)


def _instant(since: dt.datetime | dt.date | str | None) -> dt.datetime | None:
    if isinstance(since, dt.datetime):
        if since.tzinfo is None:
            raise InvalidValue(f"since = {since!r} has no time zone; pass an aware one, or a date.")
        return since
    day = values.as_date(since, "since")
    return None if day is None else dt.datetime.combine(day, dt.time(), dt.UTC)

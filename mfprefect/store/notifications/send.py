"""Telling people what happens to sessions: one notice for one fact, and never at a run's expense.

Whoever inserts the row of a session, event and channel tells it; everybody else finds the fact
told. The message goes out between two transactions. What was not delivered is sent again by
`retry_undelivered`, for as long as it is news.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mfprefect.audit import NOTICE
from mfprefect.errors import IntegrityError, MfprefectError
from mfprefect.notifications.notice import Notice
from mfprefect.settings import EVENTS, Target
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.notifications import content, summary
from mfprefect.store.notifications.attachments import Attachments
from mfprefect.store.states import Status, is_reproduction
from mfprefect.util import values
from mfprefect.util.values import choice

__all__ = ["notify", "notify_spooled", "retry_undelivered", "send_summary", "session_ended"]

log = logging.getLogger(__name__)

NEWS = dt.timedelta(days=3)
"""How old a fact may get before it is not worth telling any more."""
BEING_SENT = dt.timedelta(minutes=2)
"""How long a delivery may take before somebody else tries."""

MOST_FAILURES = 3
"""How many notices are tried in vain at one target in one go."""


@dataclass(frozen=True)
class _Claim:
    """A notice that this process is to send."""

    session_no: int
    notice_no: int
    event: str
    channel: str
    claimed_at: dt.datetime


def session_ended(db: Database, session_no: int, *, final: bool = True) -> None:
    """Tell how a session ended; harmless when repeated.

    Args:
        db: the database.
        session_no: the session; nothing is told while it runs.
        final: whether no automatic retry follows; else a failure is not told.
    """
    if not db.settings.notify:
        return
    with _log_errors(f"session {session_no}"):
        row = content.session_row(db, session_no)
        if (
            row is None
            or row.status == Status.RUNNING
            or (row.status == Status.FAILED and not final)
        ):
            return
        if is_reproduction(row.params):
            return  # whoever runs it is told on the spot; to everybody else it is no event
        bad, attachments = content.problem_events(db, row), Attachments(db)
        for channel, target in _targets(db, row):
            events = [event for event in bad if event in target.events]
            if row.status == Status.SUCCEEDED:
                if not events and _recovered(db, row, channel, target):
                    events.append("recovered")
                events += ["succeeded"] if "succeeded" in target.events else []
            for event in events:
                _tell(db, row, event, channel, target, attachments)


def notify(db: Database, session_no: int, event: str) -> None:
    """Tell any event of a session to whoever wants to know; harmless when repeated.

    Raises:
        InvalidValue: there is no such event.
    """
    choice(event, "the event", EVENTS)
    if not db.settings.notify:
        return
    with _log_errors(f"session {session_no}"):
        row = content.session_row(db, session_no)
        if row is None:
            return
        attachments = Attachments(db)
        for channel, target in _targets(db, row):
            if event in target.events:
                _tell(db, row, content.recorded_event(db, row, event), channel, target, attachments)


def notify_spooled(db: Database, notice: Notice, tags: Collection[str]) -> None:
    """Tell that a session waits in the spool; its database, which would keep record, is away."""
    from mfprefect.notifications.delivery import deliver

    with _log_errors(f"session {notice.session_id}"):
        for channel, target in db.settings.notify.items():
            wanted = notice.event in target.events
            if not (wanted and content.matches_model(target, notice.model_id, tags)):
                continue
            if (failure := deliver(target, notice)) is not None:
                text = "%s of session %s could not be told to %r: %s"
                log.warning(text, notice.event, notice.session_id, channel, failure)


def send_summary(db: Database) -> None:
    """Tell each target that wants it what has run since its last digest, if anything has."""
    day_ago = values.utc_now() - summary.FIRST_DIGEST
    for channel, target in db.settings.notify.items():
        if "digest" not in target.events:
            continue
        with _log_errors("a digest"):
            rows = summary.summary_rows(db, channel, target, since=day_ago)
            newest = content.session_row(db, rows[-1].session_no) if rows else None
            if newest is not None:
                _tell(db, newest, "digest", channel, target)


def retry_undelivered(db: Database) -> tuple[int, int]:
    """Send again what was not delivered and is still news.

    Returns:
        How many were delivered, and how many were not once more.
    """
    delivered, failed = 0, Counter[str]()
    if not db.settings.notify:
        return 0, 0
    with _log_errors("undelivered notices"):
        for waiting, session_id in _undelivered(db):
            if failed[waiting.channel] >= MOST_FAILURES:
                continue  # its service is away, and each attempt takes seconds
            claim = _claim_again(db, waiting, session_id)
            if claim is None:
                continue
            if _send(db, claim, db.settings.notify[claim.channel]):
                delivered += 1
            else:
                failed[claim.channel] += 1
    return delivered, failed.total()


@contextmanager
def _log_errors(what: object) -> Iterator[None]:
    """Log what goes wrong: no run fails because of a notice."""
    try:
        yield
    except MfprefectError as exc:
        log.warning("notices (%s) could not be told: %s", what, exc)
    except Exception as exc:  # noqa: BLE001 - nor because of a mistake in ours
        # Its text is not shown: nobody knows what it quotes.
        log.warning("notices (%s) could not be told: %s", what, type(exc).__name__)


def _targets(db: Database, row: content.Row) -> list[tuple[str, Target]]:
    return [(name, x) for name, x in db.settings.notify.items() if content.matches(x, row)]


def _recovered(db: Database, row: content.Row, channel: str, target: Target) -> bool:
    if "recovered" not in target.events or content.last_problem(db, row, channel) is None:
        return False
    # Where an end is told late, a later session may have told it.
    return not content.recovered_later(db, row, channel)


def _tell(
    db: Database,
    row: content.Row,
    event: str,
    channel: str,
    target: Target,
    attachments: Attachments | None = None,
) -> None:
    claim = _claim(db, row.session_no, event, channel)
    if claim is not None:
        _send(db, claim, target, attachments)


def _claim(db: Database, session_no: int, event: str, channel: str) -> _Claim | None:
    """Insert the row of a fact; None where somebody else tells it, or the session is gone."""
    s, n = db.schema.sessions, db.schema.notifications
    now = values.utc_now()
    fact = (n.c.session_no == session_no, n.c.event == event, n.c.channel == channel)

    def work(connection: sa.Connection, again: bool) -> _Claim | None:
        claims = sa.select(n.c.notice_no, n.c.sent_at).where(*fact)
        if earlier := connection.execute(claims).first():
            # The commit that was cut off had happened.
            done = again and earlier.sent_at == now
            return _Claim(session_no, earlier.notice_no, event, channel, now) if done else None
        of = sa.select(s.c.session_id).where(s.c.session_no == session_no)
        if (session_id := connection.scalar(of)) is None:
            return None
        last = connection.scalar(
            sa.select(sa.func.max(n.c.notice_no)).where(n.c.session_no == session_no)
        )
        claim = _Claim(session_no, (last or 0) + 1, event, channel, now)
        connection.execute(n.insert(), {"session_no": session_no, **_told(claim, now, False)})
        record(db, connection, NOTICE, session_id, **_told(claim, now, False))
        return claim

    # Two that insert at once: the loser finds the fact told, or takes the next number.
    return db.write_transaction(work, also_retry=IntegrityError)


def _told(
    claim: _Claim, at: dt.datetime, delivered: bool, failure: str | None = None
) -> dict[str, Any]:
    """Return what the row of a notice holds, and the audit trail tells of it: each vouches."""
    same = {"notice_no": claim.notice_no, "event": claim.event, "channel": claim.channel}
    return {**same, "sent_at": at, "delivered": delivered, "failure": failure}


def _changes(row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that change once a notice is there; a writer may change no others."""
    return {name: row[name] for name in ("sent_at", "delivered", "failure")}


def _send(
    db: Database, claim: _Claim, target: Target, attachments: Attachments | None = None
) -> bool:
    """Deliver outside any transaction; record how that went.

    Of several attempts only the first has an attachment: a server may refuse the mail for it.
    """
    from mfprefect.notifications.delivery import deliver, is_mail

    row = content.session_row(db, claim.session_no)
    if row is None:
        return False
    if claim.event == "digest":
        notice = summary.compose(summary.summary_rows(db, claim.channel, target, upto=row))
    else:
        notice = content.compose(db, row, claim.event, claim.channel)
    if attachments is not None and is_mail(target):
        with attachments.file(row.session_id) as attached:
            failure = deliver(target, notice, attached)
    else:
        failure = deliver(target, notice)
    if failure is not None:
        text = "%s of session %s could not be told to %r: %s"
        log.warning(text, claim.event, row.session_id, claim.channel, failure)
    _record(db, claim, row.session_id, failure)
    return failure is None


def _record(db: Database, claim: _Claim, session_id: str, failure: str | None) -> None:
    n = db.schema.notifications
    detail = _told(claim, values.utc_now(), failure is None, failure)
    same_claim = (
        n.c.session_no == claim.session_no,
        n.c.notice_no == claim.notice_no,
        n.c.sent_at == claim.claimed_at,
    )

    def work(connection: sa.Connection, _: bool) -> None:
        if connection.execute(n.update().where(*same_claim), _changes(detail)).rowcount:
            record(db, connection, NOTICE, session_id, **detail)

    db.write_transaction(work, also_retry=IntegrityError)


def _undelivered(db: Database) -> list[tuple[_Claim, str]]:
    """Return what is still news and not being sent just now, with its session's id.

    What waited longest is first.
    """
    s, n, now = db.schema.sessions, db.schema.notifications, values.utc_now()
    happened = sa.func.coalesce(s.c.ended_at, s.c.heartbeat_at, type_=s.c.ended_at.type)
    select = (
        sa.select(*n.c, s.c.model_id, s.c.session_id)
        .join_from(n, s, n.c.session_no == s.c.session_no)
        .where(
            n.c.delivered == sa.literal(False),
            n.c.channel.in_(list(db.settings.notify)),
            sa.or_(
                happened >= now - NEWS,
                *(n.c.event.startswith(event, autoescape=True) for event in content.LATE),
            ),
        )
        .order_by(n.c.sent_at, n.c.session_no, n.c.notice_no)
    )
    waiting = [
        x for x in db.fetch_all(select) if x.failure is not None or x.sent_at < now - BEING_SENT
    ]
    return [
        (_Claim(x.session_no, x.notice_no, x.event, x.channel, x.sent_at), x.session_id)
        for x in waiting
        if content.still_news(db, x, now - NEWS)
    ]


def _claim_again(db: Database, waiting: _Claim, session_id: str) -> _Claim | None:
    """Take a notice over, unless somebody else has just done so."""
    n, now = db.schema.notifications, values.utc_now()
    unchanged = (
        n.c.session_no == waiting.session_no,
        n.c.notice_no == waiting.notice_no,
        n.c.sent_at == waiting.claimed_at,
        n.c.delivered == sa.literal(False),
    )

    detail = _told(waiting, now, False)

    def work(connection: sa.Connection, _: bool) -> bool:
        changed = connection.execute(n.update().where(*unchanged), _changes(detail))
        taken = changed.rowcount == 1
        if taken:
            record(db, connection, NOTICE, session_id, **detail)
        return taken

    taken = db.write_transaction(work, also_retry=IntegrityError)
    if not taken:
        return None
    return _Claim(waiting.session_no, waiting.notice_no, waiting.event, waiting.channel, now)

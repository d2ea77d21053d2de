"""Send notices about sessions: one for each session, event and channel; never fail a run.

The process that inserts the notice's row sends it; all others skip it. The message goes out
between two transactions. `retry_undelivered` sends again what was not delivered, as long as it is
news.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from mfprefect.audit import NOTICE
from mfprefect.errors import IntegrityError, MfprefectError
from mfprefect.notifications.notice import Notice
from mfprefect.settings import EVENTS, Target
from mfprefect.store.audit.events import record
from mfprefect.store.database import Database
from mfprefect.store.held_rows import WITHOUT_LOCK
from mfprefect.store.notifications import content, summary
from mfprefect.store.notifications.attachments import Attachments
from mfprefect.store.notifications.waiting import WAITING, waits_for_promotion
from mfprefect.store.row_numbers import next_number
from mfprefect.store.states import Purpose, Status, is_reproduction
from mfprefect.util import values
from mfprefect.util.values import choice

__all__ = ["notify", "notify_spooled", "retry_undelivered", "send_summary", "session_ended"]

log = logging.getLogger(__name__)

NEWS = dt.timedelta(days=3)
"""How old an event may get before it is no longer worth sending."""
CLAIM_TIMEOUT = dt.timedelta(minutes=2)
"""How long a delivery may take before another process takes over its claim."""

MAX_FAILURES = 3
"""After this many failed deliveries, `retry_undelivered` skips the rest of a target."""


@dataclass(frozen=True)
class _Claim:
    """A notice that this process is sending."""

    session_no: int
    notice_no: int
    event: str
    channel: str
    claimed_at: dt.datetime


def session_ended(
    db: Database,
    session_no: int,
    *,
    final: bool = True,
    promoting: bool = False,
    since: Mapping[str, dt.datetime] | None = None,
) -> None:
    """Send the notices about a session's end; safe to repeat.

    Args:
        db: the database.
        session_no: the session; sends nothing while it runs.
        final: False if an automatic retry follows: sends nothing about a failure.
        promoting: whether its run promotes it next, so that it does not wait for a person.
        since: by target, the instant from which on it hears of sessions; by default all.
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
        if row.purpose == Purpose.TRIAL or is_reproduction(row.params):
            return  # its caller gets the result; it is no event for anybody else
        problems, attachments = content.problem_events(db, row), Attachments(db)
        waits = not promoting and waits_for_promotion(db, row)
        for channel, target in _targets(db, row):
            if since is not None and row.ended_at < since[channel]:
                continue
            for event in _wanted_events(db, row, problems, waits, channel, target):
                _claim_and_send(db, row, event, channel, target, attachments)


def _wanted_events(
    db: Database,
    row: content.Row,
    problems: Collection[str],
    waits: bool,
    channel: str,
    target: Target,
) -> list[str]:
    """Return the events of a session's end that a target wants.

    One problem is enough: its notice says what the others are, such as drift. A model that waits
    for promotion has succeeded, too; two notices would disagree about what to do.
    """
    events = [*filter(target.events.__contains__, problems)][:1]
    if row.status == Status.SUCCEEDED and not events and _recovered(db, row, channel, target):
        events.append("recovered")
    if waits and WAITING in target.events:
        return [*events, WAITING]
    if row.status == Status.SUCCEEDED and "succeeded" in target.events:
        events.append("succeeded")
    return events


def notify(db: Database, session_no: int, event: str) -> None:
    """Send the notices about any event of a session to the targets that want it; safe to repeat.

    Raises:
        InvalidValue: unknown event.
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
                recorded = content.recorded_event(db, row, event)
                _claim_and_send(db, row, recorded, channel, target, attachments)


def notify_spooled(db: Database, notice: Notice, tags: Collection[str]) -> None:
    """Send the notice about a spooled session. It is not recorded: the database is unavailable."""
    from mfprefect.notifications.delivery import deliver

    notice = replace(notice, environment=db.settings.environment or "")
    with _log_errors(f"session {notice.session_id}"):
        for channel, target in db.settings.notify.items():
            wanted = notice.event in target.events
            if not (wanted and content.matches_model(target, notice.model_id, tags)):
                continue
            if (failure := deliver(target, notice)) is not None:
                _log_failure(notice.event, notice.session_id, channel, failure)


def send_summary(db: Database) -> None:
    """Send each target that wants it a summary of the sessions since its last one, if any."""
    day_ago = values.utc_now() - summary.FIRST_PERIOD
    for channel, target in db.settings.notify.items():
        if "digest" not in target.events:
            continue
        with _log_errors("the summary"):
            rows = summary.summary_rows(db, channel, target, since=day_ago)
            newest = content.session_row(db, rows[-1].session_no) if rows else None
            if newest is not None:
                _claim_and_send(db, newest, "digest", channel, target)


def retry_undelivered(db: Database) -> tuple[int, int]:
    """Send undelivered notices again, as long as they are news.

    Returns:
        How many were delivered, and how many failed again.
    """
    delivered, failed = 0, Counter[str]()
    if not db.settings.notify:
        return 0, 0
    with _log_errors("undelivered notices"):
        for waiting, session_id in _undelivered(db):
            if failed[waiting.channel] >= MAX_FAILURES:
                continue  # its service is unavailable, and each attempt takes seconds
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
    """Log errors: a notice must never fail a run."""
    try:
        yield
    except MfprefectError as exc:
        log.warning("could not send notifications about %s: %s", what, exc)
    except Exception as exc:  # noqa: BLE001 - not even because of a bug
        # The type only: the text may quote a secret.
        log.warning("could not send notifications about %s: %s", what, type(exc).__name__)


def _log_failure(event: str, session_id: str, channel: str, failure: str) -> None:
    text = "could not send the notification %s of session %s to %r: %s"
    log.warning(text, event, session_id, channel, failure)


def _targets(db: Database, row: content.Row) -> list[tuple[str, Target]]:
    targets = db.settings.notify.items()
    return [(name, target) for name, target in targets if content.matches(target, row)]


def _recovered(db: Database, row: content.Row, channel: str, target: Target) -> bool:
    if "recovered" not in target.events or content.last_problem(db, row, channel) is None:
        return False
    # If this notice comes late, a later session may have sent the recovery already.
    return not content.recovered_later(db, row, channel)


def _claim_and_send(
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
    """Insert a notice's row; return None if another process did, or the session is gone."""
    n, now = db.schema.notifications, values.utc_now()
    same_notice = (n.c.session_no == session_no, n.c.event == event, n.c.channel == channel)

    def work(connection: sa.Connection, again: bool) -> _Claim | None:
        claims = sa.select(n.c.notice_no, n.c.sent_at).where(*same_notice)
        if earlier := connection.execute(claims, execution_options=WITHOUT_LOCK).first():
            # On a retry, the row may be ours: the commit had succeeded, its answer was lost.
            ours = again and earlier.sent_at == now
            return _Claim(session_no, earlier.notice_no, event, channel, now) if ours else None
        return _insert_claim(db, connection, session_no, event, channel, now)

    # Of two concurrent inserts the loser finds the other's row, or takes the next number.
    return db.write_transaction(work, also_retry=IntegrityError)


def _insert_claim(
    db: Database,
    connection: sa.Connection,
    session_no: int,
    event: str,
    channel: str,
    now: dt.datetime,
) -> _Claim | None:
    s, n = db.schema.sessions, db.schema.notifications
    session = sa.select(s.c.session_id).where(s.c.session_no == session_no)
    if (session_id := connection.scalar(session)) is None:
        return None
    last = connection.scalar(
        sa.select(sa.func.max(n.c.notice_no)).where(n.c.session_no == session_no),
        execution_options=WITHOUT_LOCK,  # a unique index decides
    )
    number = next_number(last, f"a notification of session {session_id!r}")
    claim = _Claim(session_no, number, event, channel, now)
    row = _notice_row(claim, now, False)
    connection.execute(n.insert(), {"session_no": session_no, **row})
    record(db, connection, NOTICE, session_id, **row)
    return claim


def _notice_row(
    claim: _Claim, at: dt.datetime, delivered: bool, failure: str | None = None
) -> dict[str, Any]:
    """Return a notice's columns; the audit event repeats them, so that verify can compare both."""
    identity = {"notice_no": claim.notice_no, "event": claim.event, "channel": claim.channel}
    return {**identity, "sent_at": at, "delivered": delivered, "failure": failure}


def _outcome_columns(row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that a delivery changes, the only ones that a writer may update."""
    return {name: row[name] for name in ("sent_at", "delivered", "failure")}


def _send(
    db: Database, claim: _Claim, target: Target, attachments: Attachments | None = None
) -> bool:
    """Deliver a notice outside any transaction and record the result; return whether it arrived.

    Only the first attempt passes attachments: a mail server may refuse the mail because of them.
    """
    from mfprefect.notifications.delivery import deliver, is_mail

    row = content.session_row(db, claim.session_no)
    if row is None:
        return False
    if claim.event == "digest":
        rows = summary.summary_rows(db, claim.channel, target, newest=row)
        notice = summary.build_summary(db, rows)
    else:
        notice = content.build_notice(db, row, claim.event, claim.channel)
    if attachments is not None and is_mail(target):
        with attachments.file(row.session_id) as report:
            failure = deliver(target, notice, report)
    else:
        failure = deliver(target, notice)
    if failure is not None:
        _log_failure(claim.event, row.session_id, claim.channel, failure)
    _record(db, claim, row.session_id, failure)
    return failure is None


def _record(db: Database, claim: _Claim, session_id: str, failure: str | None) -> None:
    n = db.schema.notifications
    detail = _notice_row(claim, values.utc_now(), failure is None, failure)
    same_claim = (
        n.c.session_no == claim.session_no,
        n.c.notice_no == claim.notice_no,
        n.c.sent_at == claim.claimed_at,
    )

    def work(connection: sa.Connection, _: bool) -> None:
        if connection.execute(n.update().where(*same_claim), _outcome_columns(detail)).rowcount:
            record(db, connection, NOTICE, session_id, **detail)

    db.write_transaction(work, also_retry=IntegrityError)


def _undelivered(db: Database) -> list[tuple[_Claim, str]]:
    """Return undelivered notices that are news and that nobody is sending, the oldest first.

    Returns:
        Each with its session's id.
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
        row
        for row in db.fetch_all(select)
        if row.failure is not None or row.sent_at < now - CLAIM_TIMEOUT
    ]
    return [
        (_Claim(row.session_no, row.notice_no, row.event, row.channel, row.sent_at), row.session_id)
        for row in waiting
        if content.still_news(db, row, now - NEWS)
    ]


def _claim_again(db: Database, waiting: _Claim, session_id: str) -> _Claim | None:
    """Take over an undelivered notice, unless another process just did."""
    n, now = db.schema.notifications, values.utc_now()
    unchanged = (
        n.c.session_no == waiting.session_no,
        n.c.notice_no == waiting.notice_no,
        n.c.sent_at == waiting.claimed_at,
        n.c.delivered == sa.literal(False),
    )

    detail = _notice_row(waiting, now, False)

    def work(connection: sa.Connection, _: bool) -> bool:
        changed = connection.execute(n.update().where(*unchanged), _outcome_columns(detail))
        claimed = changed.rowcount == 1
        if claimed:
            record(db, connection, NOTICE, session_id, **detail)
        return claimed

    if not db.write_transaction(work, also_retry=IntegrityError):
        return None
    return _Claim(waiting.session_no, waiting.notice_no, waiting.event, waiting.channel, now)

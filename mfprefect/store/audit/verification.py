"""Holding the database against its seals; reads, and never writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from mfprefect import audit
from mfprefect.audit import Problem
from mfprefect.audit.signing import Signature
from mfprefect.store.audit import log, seals, session_contents
from mfprefect.store.database import Database
from mfprefect.store.lookup import find_session, require_model
from mfprefect.store.states import Status, is_being_deleted

__all__ = ["Report", "verify"]

PAGE = 50
MOST_LOOKS = 5
"""How often rows are looked at again because somebody has written to the audit trail meanwhile."""

Progress = Callable[[int, int], None]
"""Called with what is done and how much there is to do."""


@dataclass
class Report:
    """What was verified, and what is not as it was sealed."""

    sessions: int = 0
    """Sealed sessions whose content was held against their seals."""
    tombstones: int = 0
    """Seals of sessions that were deleted, which the audit trail tells."""
    superseded: int = 0
    """Seals of attempts that failed and were followed by another one."""
    unsealed: int = 0
    """Sessions that have no seal: they ended before there were any, or crashed."""
    events: int = 0
    """Events of the audit trail."""
    unsigned: int = 0
    """Seals and events without a signature."""
    unchecked: int = 0
    """Those with a signature, where no key was at hand."""
    problems: list[Problem] = field(default_factory=list)


def verify(
    db: Database,
    *,
    model_id: str | None = None,
    session_id: str | None = None,
    since: dt.datetime | None = None,
    head: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Recompute seals from what the database holds; return what was found.

    Raises:
        UnknownModel: there is no such model, nor has there been.
        UnknownSession: there is no such session, nor has there been.
    """
    s, c = db.schema.sessions.c, db.schema.seals.c
    chains, unsealed = [], []
    if model_id is not None:
        chains, unsealed = [c.model_id == model_id], [s.model_id == model_id]
    if session_id is not None:
        chains, unsealed = [c.session_id == session_id], [s.session_id == session_id]
    if since is not None:
        chains, unsealed = [*chains, c.sealed_at >= since], [*unsealed, s.started_at >= since]
    if session_id is not None and not db.fetch_all(sa.select(c.seal_no).where(*chains).limit(1)):
        find_session(db, session_id)
    if model_id is not None and not db.fetch_all(sa.select(c.seal_no).where(*chains).limit(1)):
        db.read_transaction(lambda connection: require_model(db, connection, model_id))
    run = Verifier(db, progress)
    run.chains(chains)
    run.unsealed(unsealed)
    if not chains:
        run.ends()
    if head is not None:
        run.kept(head)
    return run.done()


class Verifier:
    """One verification."""

    def __init__(self, db: Database, progress: Progress | None) -> None:
        self.db, self.report = db, Report()
        self.progress = progress or (lambda done, total: None)
        self.trail = log.AuditLog()
        log.follow(db, self.trail)
        self.told = dict(self.trail.deleted)
        self.environments: dict[str, bool] = {}

    def done(self) -> Report:
        """Return all that was found, the audit trail's own problems first."""
        self._signed(self.trail.signed, self.trail.events)
        self.report.events = self.trail.events
        self.report.problems[:0] = self.trail.problems
        return self.report

    def _signed(self, signed: int, all_of: int) -> None:
        self.report.unsigned += all_of - signed
        self.report.unchecked += 0 if self.db.keyring.keys else signed

    # The chains

    def chains(self, where: list[Any]) -> None:
        """Follow the chains link by link, and verify each link's session."""
        c = self.db.schema.seals.c
        total = self.db.fetch_all(sa.select(sa.func.count()).where(*where or [c.seal_no > 0]))[0][0]
        done, before = 0, None
        for row in self._links(where):
            here = (row.model_id, row.seal_no - 1)
            if before is None or (before.model_id, before.seal_no) != here:
                before = self._link(*here)
            self._check_link(row, before)
            before, done = row, done + 1
            self.progress(done, total)

    def _links(self, where: list[Any]) -> Iterator[Any]:
        t = self.db.schema.seals
        last: Any = None
        while True:
            after = []
            if last is not None:
                same = sa.and_(t.c.model_id == last.model_id, t.c.seal_no > last.seal_no)
                after = [sa.or_(t.c.model_id > last.model_id, same)]
            page = sa.select(t).where(*where, *after).order_by(t.c.model_id, t.c.seal_no)
            rows = self.db.fetch_all(page.limit(PAGE))
            yield from rows
            if len(rows) < PAGE:
                return
            last = rows[-1]

    def _link(self, model_id: str, seal_no: int) -> Any:
        t = self.db.schema.seals
        found = self.db.fetch_all(
            sa.select(t).where(t.c.model_id == model_id, t.c.seal_no == seal_no)
        )
        return found[0] if found else None

    def _check_link(self, row: Any, before: Any) -> None:
        self.told.pop(row.seal, None)
        manifest = audit.read_manifest(row.manifest, row.seal)
        if manifest is None:
            self._chain(row, "its seal is not that of its manifest: one of them was changed")
            return
        self._check_columns(row, manifest)
        self._check_event(row, manifest)
        if row.seal_no > 1 and before is None:
            self._chain(row, f"the link {row.seal_no - 1} before it is gone")
        elif manifest["previous_seal"] != (before.seal if before else None):
            self._chain(row, f"it does not follow the link {row.seal_no - 1}, which was changed")
        expected = before is not None and before.key_id is not None
        expected = expected or self.trail.vouches_for(row.model_id)
        signature = Signature(row.key_id, row.signature)
        self._signed(int(signature.key_id is not None), 1)
        if wrong := self.db.keyring.problem("seal", row.seal, signature, expected=expected):
            self._chain(row, wrong, "signature")
        self._check_session(row, manifest)

    def _check_columns(self, row: Any, manifest: Mapping[str, Any]) -> None:
        now = {
            "model_id": row.model_id,
            "seal_no": row.seal_no,
            "session_no": row.session_no,
            "session_id": row.session_id,
            "sealed_at": row.sealed_at.isoformat(timespec="microseconds"),
        }
        wrong = [name for name, value in now.items() if manifest[name] != value]
        if wrong:
            text = f"its manifest says otherwise in {', '.join(wrong)}"
            self._chain(row, text, columns=wrong, session_id=manifest["session_id"])

    def _check_event(self, row: Any, manifest: Mapping[str, Any]) -> None:
        """Look for the event that was the audit trail's last one when the session was sealed."""
        number, e = manifest["audit_event"], self.db.schema.audit_events.c
        if not number:
            return
        found = self.db.fetch_all(sa.select(e.digest).where(e.event_no == number))
        if not found or found[0][0] != manifest["audit_digest"]:
            what = "is another one than" if found else "is gone, and was there"
            text = f"audit event {number} {what} when session {row.session_id} was sealed"
            self.report.problems.append(
                Problem("audit", text, row.model_id, None, "audit_events", (number,))
            )

    def _chain(
        self,
        row: Any,
        text: str,
        what: str = "chain",
        columns: Any = (),
        session_id: str | None = None,
    ) -> None:
        told = f"seal {row.seal_no} of {row.model_id}: {text}"
        key = (row.model_id, row.seal_no)
        self.report.problems.append(
            Problem(
                what, told, row.model_id, session_id or row.session_id, "seals", key, tuple(columns)
            )
        )

    # The sessions

    def _check_session(self, row: Any, manifest: Mapping[str, Any]) -> None:
        verdict, problems = self._judge(row, manifest)
        if problems:
            # A second look: between two statements of the first, scores may have been deleted, or
            # the model renamed or deleted.
            log.follow(self.db, self.trail)
            verdict, problems = self._judge(row, manifest)
        counted = getattr(self.report, verdict)
        setattr(self.report, verdict, counted + 1)
        place = {"model_id": row.model_id, "session_id": manifest["session_id"]}
        self.report.problems += [
            replace(problem, **place, table=problem.table or "sessions") for problem in problems
        ]

    def _judge(self, row: Any, manifest: Mapping[str, Any]) -> tuple[str, list[Problem]]:
        """Return what a seal is of, and what is wrong with that."""

        def work(connection: sa.Connection) -> tuple[str, list[Problem], Any]:
            state = seals.read_state(self.db, connection, manifest["session_no"])
            story = log.session_history(self.db, connection, manifest["session_id"])
            if state is None or state.row["session_id"] != manifest["session_id"]:
                return ("tombstones", self._gone(row, story), None)
            going = is_being_deleted(state.row)
            if going and (story.deleted or self._with_model(row)):
                return ("tombstones", [], None)
            if (
                story.deleted
                and state.row["status"] == Status.RUNNING
                and not state.row["published_at"]
            ):
                return ("tombstones", [], None)  # it is being restored
            if story.deleted:
                text = "it is there, and the audit trail says that it was deleted"
                return ("sessions", [Problem("added", text)], None)
            problems = []
            if state.row["seal"] != row.seal:
                if self._superseded(connection, manifest, state):
                    return ("superseded", [], None)
                text = "sessions: its seal was changed: it is not the one in the chain"
                problems.append(Problem("changed", text, columns=("seal",)))
            names = self.trail.later_names(row.model_id)
            check = session_contents.SessionVerifier(
                self.db, connection, state, manifest, story, names
            )
            problems += check.problems(self.environments)
            parts = check.parts()
            return ("sessions", problems, None if parts is None else (state, parts, story))

        verdict, problems, scored = self.db.read_transaction(work)
        if scored is not None:
            problems += session_contents.score_problems(self.db, *scored)
        return verdict, problems

    def _gone(self, row: Any, story: log.SessionHistory) -> list[Problem]:
        if story.deleted or self._with_model(row):
            return []
        text = "the session is gone, and nothing in the audit trail tells who deleted it"
        return [Problem("removed", text)]

    def _with_model(self, row: Any) -> bool:
        deleted = self.trail.deleted_models
        if row.seal_no <= deleted.get(row.model_id, -1):
            return True
        later = self.trail.later_names(row.model_id) - {row.model_id}
        return any(name in deleted for name in later)

    def _superseded(
        self, connection: sa.Connection, manifest: Mapping[str, Any], state: seals.State
    ) -> bool:
        """Return whether a later attempt took a session over, as only running ones and it may."""
        c, row = self.db.schema.seals.c, state.row
        if audit.held(manifest["tables"]["sessions"], "status", Status.SUCCEEDED):
            return False  # nobody takes up what has succeeded
        if row["seal"] is None:
            ended = row["status"] in (Status.SUCCEEDED, Status.FAILED)
            return bool(row["attempt"] > manifest["attempt"] and not ended)
        mine = (c.session_no == row["session_no"], c.session_id == row["session_id"])
        found = connection.execute(
            sa.select(c.manifest, c.seal).where(*mine, c.seal == row["seal"])
        ).first()
        later = found and audit.read_manifest(found.manifest, found.seal)
        return bool(later and later["attempt"] > manifest["attempt"])

    def unsealed(self, where: list[Any]) -> None:
        """Look at the sessions that the chains do not know."""
        s, c = self.db.schema.sessions, self.db.schema.seals.c
        first = self.db.fetch_all(sa.select(sa.func.min(c.sealed_at, type_=c.sealed_at.type)))[0][0]
        known = sa.exists().where(c.session_no == s.c.session_no, c.session_id == s.c.session_id)
        names = ("session_no", "session_id", "model_id", "status", "started_at", "published_at")
        select = sa.select(*(s.c[name] for name in names), s.c.seal).where(~known, *where)
        last = 0
        while rows := self.db.fetch_all(
            select.where(s.c.session_no > last).order_by(s.c.session_no).limit(PAGE)
        ):
            for row in rows:
                self._check_unsealed(row, first)
            last = rows[-1].session_no

    def _check_unsealed(self, row: Any, first: dt.datetime | None) -> None:
        what, table = "unsealed", "sessions"
        if row.published_at is not None and row.status != Status.SUCCEEDED:
            text = f"it is {row.status} and published: only what has succeeded is"
            self.report.problems.append(Problem("added", text, row.model_id, row.session_id, table))
            return
        if row.status == Status.RUNNING and row.seal is None:
            return
        if row.seal is not None:
            c = self.db.schema.seals.c
            if self.db.fetch_all(sa.select(c.seal_no).where(c.seal == row.seal).limit(1)):
                what, text = "added", "it was added, with the seal of another session"
            else:
                what, table = "removed", "seals"
                text = "it is sealed, and its seal is not in the chain: that row was removed"
        elif (
            row.status in (Status.SUCCEEDED, Status.FAILED)
            and first is not None
            and row.started_at > first
        ):
            story = self.db.read_transaction(
                lambda c: log.session_history(self.db, c, row.session_id)
            )
            if story.sealed_elsewhere:
                self.report.unsealed += 1
                return
            text = "it was added without a seal: sessions were sealed when it began"
        else:
            self.report.unsealed += 1
            return
        # Closed between the two statements, it is in the chain by now.
        if not self._in_chain(row):
            self.report.problems.append(Problem(what, text, row.model_id, row.session_id, table))

    def _in_chain(self, row: Any) -> bool:
        c = self.db.schema.seals.c
        mine = (c.session_no == row.session_no, c.session_id == row.session_id)
        return bool(self.db.fetch_all(sa.select(c.seal_no).where(*mine).limit(1)))

    # The ends

    def ends(self) -> None:
        """Look for links and rows that the audit trail knows and the tables do not."""
        for _ in range(MOST_LOOKS):
            problems = list(self.trail.ledger.problems(self.db))
            # Rows may have been written since the trail was read.
            if not problems or not log.follow(self.db, self.trail):
                break
        self.report.problems += problems
        for number, model_id, seal_no, seal in self.trail.ends:
            found = self._link(model_id, seal_no)
            if found is None or found.seal != seal:
                self._lost(model_id, f"its chain ended with the seal {seal_no}", number)
        for number, session_id in self.told.values():
            self._lost(None, f"the tombstone of the deleted session {session_id}", number)

    def _lost(self, model_id: str | None, what: str, number: int) -> None:
        text = f"{what}, says audit event {number}, and that row of seals is gone or changed"
        self.report.problems.append(Problem("chain", text, model_id, table="seals"))

    def kept(self, head: Mapping[str, Any]) -> None:
        """Hold the chains against ends that were kept elsewhere."""
        event = head.get("event")
        if event:
            e = self.db.schema.audit_events.c
            found = self.db.fetch_all(sa.select(e.digest).where(e.event_no == event["event_no"]))
            if not found or found[0][0] != event["digest"]:
                text = f"audit event {event['event_no']} is not the one of the head that was kept"
                self.report.problems.append(Problem("audit", text, table="audit_events"))
        for seal in head.get("seals", ()):
            row = self._link(seal["model_id"], seal["seal_no"])
            if row is None or row.seal != seal["seal"]:
                text = f"its seal {seal['seal_no']} is not the one of the head that was kept"
                self.report.problems.append(Problem("chain", text, seal["model_id"], table="seals"))

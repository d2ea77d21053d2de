"""Verifying the database against its seals. Only reads."""

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
from mfprefect.store.audit.cell_types import IllTyped, find_ill_typed
from mfprefect.store.audit.orphans import orphan_problems
from mfprefect.store.database import Database
from mfprefect.store.lookup import find_session, require_model
from mfprefect.store.states import Status, is_being_deleted

__all__ = ["Report", "verify"]

PAGE = 50
MOST_LOOKS = 5
"""How often to read the rows again after others wrote to the audit trail."""

Progress = Callable[[int, int], None]
"""Called with the number done and the total."""


@dataclass
class Report:
    """What was verified, and what differs from its seal."""

    sessions: int = 0
    """Sealed sessions whose content was compared with their seals."""
    tombstones: int = 0
    """Seals of deleted sessions whose deletion the audit trail records."""
    superseded: int = 0
    """Seals of failed attempts that later attempts replaced."""
    unsealed: int = 0
    """Sessions without a seal: they ended before seals existed, or crashed."""
    events: int = 0
    """Events of the audit trail."""
    unsigned: int = 0
    """Seals and events without a signature."""
    unchecked: int = 0
    """Those with a signature that no configured key can check."""
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
    """Recompute the seals from the database; return the result.

    Raises:
        UnknownModel: the model does not exist and never did.
        UnknownSession: the session does not exist and never did.
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
    both = (sa.select(s.session_no).where(*unsealed), sa.select(c.session_no).where(*chains))
    cells = find_ill_typed(db, sa.union(*both) if chains else None)
    if cells.elsewhere:
        return Report(problems=cells.problems)
    run = Verifier(db, progress, cells)
    run.chains(chains)
    run.unsealed([*unsealed, s.session_no.not_in(cells.sessions)])
    if not chains:
        run.ends()
    if head is not None:
        run.compare_head(head)
    return run.done()


class Verifier:
    """One run of the verification."""

    def __init__(self, db: Database, progress: Progress | None, cells: IllTyped) -> None:
        db.require_verify_keys()
        self.db, self.report = db, Report(problems=cells.problems)
        self.unreadable = cells.sessions
        self.progress = progress or (lambda done, total: None)
        self.audit_log = log.AuditLog()
        log.follow(db, self.audit_log)
        self.unseen_tombstones = dict(self.audit_log.deleted)
        self.environments: dict[str, bool] = {}

    def done(self) -> Report:
        """Return the report, the audit trail's own problems first."""
        self._signed(self.audit_log.signed, self.audit_log.events)
        self.report.events = self.audit_log.events
        self.report.problems[:0] = self.audit_log.problems
        return self.report

    def _signed(self, signed: int, all_of: int) -> None:
        self.report.unsigned += all_of - signed
        self.report.unchecked += 0 if self.db.keyring.keys else signed

    # The chains

    def chains(self, where: list[Any]) -> None:
        """Follow the chains link by link and verify each link's session."""
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
        links = self.db.fetch_all(
            sa.select(t).where(t.c.model_id == model_id, t.c.seal_no == seal_no)
        )
        return links[0] if links else None

    def _check_link(self, row: Any, before: Any) -> None:
        self.unseen_tombstones.pop(row.seal, None)
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
        expected = expected or self.audit_log.vouches_for(row.model_id)
        signature = Signature(row.key_id, row.signature)
        self._signed(int(signature.key_id is not None), 1)
        if wrong := self.db.keyring.problem("seal", row.seal, signature, expected=expected):
            self._chain(row, wrong, "signature")
        if row.session_no not in self.unreadable:
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
            text = f"its manifest differs in {', '.join(wrong)}"
            self._chain(row, text, columns=wrong, session_id=manifest["session_id"])

    def _check_event(self, row: Any, manifest: Mapping[str, Any]) -> None:
        """Check the event that was the audit trail's last when the session was sealed."""
        number, e = manifest["audit_event"], self.db.schema.audit_events.c
        if not number:
            return
        digests = self.db.fetch_all(sa.select(e.digest).where(e.event_no == number))
        if not digests or digests[0][0] != manifest["audit_digest"]:
            what = "is another one than" if digests else "is gone, and was there"
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
        message = f"seal {row.seal_no} of {row.model_id}: {text}"
        key = (row.model_id, row.seal_no)
        self.report.problems.append(
            Problem(
                what,
                message,
                row.model_id,
                session_id or row.session_id,
                "seals",
                key,
                tuple(columns),
            )
        )

    # The sessions

    def _check_session(self, row: Any, manifest: Mapping[str, Any]) -> None:
        verdict, problems = self._judge(row, manifest)
        if problems:
            # Check again: during the first check, scores may have been deleted, or the model
            # renamed or deleted.
            log.follow(self.db, self.audit_log)
            verdict, problems = self._judge(row, manifest)
        counted = getattr(self.report, verdict)
        setattr(self.report, verdict, counted + 1)
        place = {"model_id": row.model_id, "session_id": manifest["session_id"]}
        self.report.problems += [
            replace(problem, **place, table=problem.table or "sessions") for problem in problems
        ]

    def _judge(self, row: Any, manifest: Mapping[str, Any]) -> tuple[str, list[Problem]]:
        """Return the field of the report that counts a seal, and its problems."""

        def work(connection: sa.Connection) -> tuple[str, list[Problem], Any]:
            state = seals.read_state(self.db, connection, manifest["session_no"])
            history = log.session_history(self.db, connection, manifest["session_id"])
            if state is None or state.row["session_id"] != manifest["session_id"]:
                return ("tombstones", self._gone(row, history), None)
            going = is_being_deleted(state.row)
            if going and (history.deleted or self._with_model(row)):
                return ("tombstones", [], None)
            if (
                history.deleted
                and state.row["status"] == Status.RUNNING
                and not state.row["published_at"]
            ):
                return ("tombstones", [], None)  # it is being restored
            if history.deleted:
                text = "the session exists, although an audit event records its deletion"
                return ("sessions", [Problem("added", text)], None)
            problems = []
            if state.row["seal"] != row.seal:
                if self._superseded(connection, manifest, state):
                    return ("superseded", [], None)
                text = "sessions: its seal was changed: it is not the one in the chain"
                problems.append(Problem("changed", text, columns=("seal",)))
            names = self.audit_log.later_names(row.model_id)
            check = session_contents.SessionVerifier(
                self.db, connection, state, manifest, history, names
            )
            problems += check.problems(self.environments)
            parts = check.parts()
            return ("sessions", problems, None if parts is None else (state, parts, history))

        verdict, problems, scored = self.db.read_snapshot(work)
        if scored is not None:
            problems += session_contents.score_problems(self.db, *scored)
        return verdict, problems

    def _gone(self, row: Any, history: log.SessionHistory) -> list[Problem]:
        if history.deleted or self._with_model(row):
            return []
        text = "the session is gone, and no audit event records its deletion"
        return [Problem("removed", text)]

    def _with_model(self, row: Any) -> bool:
        deleted = self.audit_log.deleted_models
        if row.seal_no <= deleted.get(row.model_id, -1):
            return True
        later = self.audit_log.later_names(row.model_id) - {row.model_id}
        return any(name in deleted for name in later)

    def _superseded(
        self, connection: sa.Connection, sealed: Mapping[str, Any], state: seals.State
    ) -> bool:
        """Return whether a later attempt legitimately replaced the sealed one."""
        c, row = self.db.schema.seals.c, state.row
        if audit.column_matches(sealed["tables"]["sessions"], "status", Status.SUCCEEDED):
            return False  # no attempt follows a successful one
        if row["seal"] is None:
            ended = row["status"] in (Status.SUCCEEDED, Status.FAILED)
            return bool(row["attempt"] > sealed["attempt"] and not ended)
        of_session = (c.session_no == row["session_no"], c.session_id == row["session_id"])
        link = connection.execute(
            sa.select(c.manifest, c.seal).where(*of_session, c.seal == row["seal"])
        ).first()
        manifest = link and audit.read_manifest(link.manifest, link.seal)
        return bool(manifest and manifest["attempt"] > sealed["attempt"])

    def unsealed(self, where: list[Any]) -> None:
        """Check the sessions that are in no chain."""
        s, c = self.db.schema.sessions, self.db.schema.seals.c
        first = self.db.fetch_all(sa.select(sa.func.min(c.sealed_at, type_=c.sealed_at.type)))[0][0]
        in_chain = sa.exists().where(c.session_no == s.c.session_no, c.session_id == s.c.session_id)
        names = ("session_no", "session_id", "model_id", "status", "started_at", "published_at")
        select = sa.select(*(s.c[name] for name in names), s.c.seal).where(~in_chain, *where)
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
            text = f"it is {row.status} and published, but only successful sessions are"
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
            history = self.db.read_transaction(
                lambda c: log.session_history(self.db, c, row.session_id)
            )
            if history.sealed_elsewhere:
                self.report.unsealed += 1
                return
            text = "it was added without a seal: sessions were sealed when it began"
        else:
            self.report.unsealed += 1
            return
        # It may have been closed since the query.
        if not self._in_chain(row):
            self.report.problems.append(Problem(what, text, row.model_id, row.session_id, table))

    def _in_chain(self, row: Any) -> bool:
        c = self.db.schema.seals.c
        of_session = (c.session_no == row.session_no, c.session_id == row.session_id)
        return bool(self.db.fetch_all(sa.select(c.seal_no).where(*of_session).limit(1)))

    # The ends

    def ends(self) -> None:
        """Report links and rows that the audit trail records and the tables lack."""
        for _ in range(MOST_LOOKS):
            problems = list(self.audit_log.registry_rows.problems(self.db))
            # Rows may have been written after the trail was read.
            if not problems or not log.follow(self.db, self.audit_log):
                break
        self.report.problems += problems
        self.report.problems += orphan_problems(self.db)
        for number, model_id, seal_no, seal in self.audit_log.ends:
            link = self._link(model_id, seal_no)
            if link is None or link.seal != seal:
                self._lost(model_id, f"its chain ended with the seal {seal_no}", number)
        for number, session_id in self.unseen_tombstones.values():
            self._lost(None, f"the tombstone of the deleted session {session_id}", number)

    def _lost(self, model_id: str | None, what: str, number: int) -> None:
        text = f"audit event {number} says that {what}, but that row of seals is gone or changed"
        self.report.problems.append(Problem("chain", text, model_id, table="seals"))

    def compare_head(self, head: Mapping[str, Any]) -> None:
        """Compare the chains with ends that were stored elsewhere."""
        event = head.get("event")
        if event:
            e = self.db.schema.audit_events.c
            digests = self.db.fetch_all(sa.select(e.digest).where(e.event_no == event["event_no"]))
            if not digests or digests[0][0] != event["digest"]:
                text = f"audit event {event['event_no']} is not the one in the stored head"
                self.report.problems.append(Problem("audit", text, table="audit_events"))
        for seal in head.get("seals", ()):
            row = self._link(seal["model_id"], seal["seal_no"])
            if row is None or row.seal != seal["seal"]:
                text = f"its seal {seal['seal_no']} is not the one in the stored head"
                self.report.problems.append(Problem("chain", text, seal["model_id"], table="seals"))

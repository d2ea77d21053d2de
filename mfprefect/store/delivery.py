"""Delivering what the spool holds: each entry once, however often that is begun.

While it is delivered, a session is a running one of the delivering process: killed, it ends as
`crashed` like any other, and is taken up again. Every write replaces what an earlier try wrote. The
transaction that ends the session also records in the audit trail that this entry was delivered:
whoever finds that there only has to remove the files.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa

from mfprefect import values
from mfprefect.artifacts import Artifact
from mfprefect.errors import (
    DatabaseConflict,
    DatabaseError,
    IntegrityError,
    InvalidScores,
    MfprefectError,
    SpoolRefused,
    UnknownSession,
)
from mfprefect.scores import SCHEMA, digest
from mfprefect.settings import Settings
from mfprefect.spool import Entry, Place, Spool, Write, check_blob
from mfprefect.store import artifacts, migrate, notices, scores
from mfprefect.store.database import Database
from mfprefect.store.handle import (
    RUNNING,
    SUCCEEDED,
    UNNUMBERED,
    Handle,
    closed,
    find,
    without_flow_run,
)
from mfprefect.store.ledger import written
from mfprefect.store.opening import clear
from mfprefect.store.registry import model_ids, record, require_model
from mfprefect.store.removal import BEING_DELETED
from mfprefect.store.sessions import Ending, close_session, flush

__all__ = [
    "DELIVERED",
    "INTERRUPTED",
    "REFUSED",
    "RUNNING_HERE",
    "WAITING",
    "Delivery",
    "absorb",
    "check",
    "deliver",
    "parts_of",
    "place_of",
    "push",
    "spool_of",
    "state_of",
]

log = logging.getLogger(__name__)

ACTION = "deliver_spool"
"""What the audit trail calls it."""
DELIVERED, WAITING, REFUSED, SUPERSEDED = "delivered", "waiting", "refused", "superseded"
RUNNING_HERE, INTERRUPTED = "running", "interrupted"
# How `reconcile` ends a session whose process gives no sign of life.
_GIVEN_UP = {("crashed", "Crashed"), ("cancelled", "Cancelled")}
_WHERE = ("host", "hostaddr", "port", "service", "unix_socket", "dbname")


@dataclass(frozen=True)
class Delivery:
    """What became of an entry."""

    session_id: str
    attempt: int
    model_id: str
    verdict: str
    """`delivered`; `waiting`: later, by itself; `running`; `refused`: somebody has to look;

    `superseded`: a later attempt of its flow run has replaced it.
    """
    reason: str
    status: str | None = None
    """How the session ended, once it is delivered."""
    session_no: int = UNNUMBERED


def spool_of(settings: Settings) -> Spool | None:
    """Return the spool of the settings, None where it is off."""
    folder = settings.spool_folder
    return None if folder is None else Spool(folder, settings.spool_max_bytes)


def place_of(db: Database) -> Place | None:
    """Return which database this is, without user or secret; None of one in memory."""
    url = db.backend.url
    if not url.host and url.database in (None, "", ":memory:") and not url.query:
        return None
    query = {name: url.query[name] for name in _WHERE if name in url.query}
    where = [db.backend.name, (url.host or "").lower(), url.port, url.database, query]
    layout = db.schema.layout
    text = values.json_text([*where, layout.schema, layout.prefix], "the database")
    bare = sa.URL.create(db.backend.name, None, None, url.host, url.port, url.database)
    shown = bare.render_as_string()
    return Place(hashlib.sha256(text.encode()).hexdigest()[:16], shown)


def push(db: Database, *, moved_from: str | None = None) -> list[Delivery]:
    """Deliver the entries of this database that nobody else does; return what became of each.

    Args:
        db: the database.
        moved_from: deliver the entries of this database instead, by its fingerprint: it has got
            another address meanwhile.
    """
    spool, place = spool_of(db.settings), place_of(db)
    if spool is None or place is None:
        return []
    if moved_from is not None:
        place = Place(moved_from, moved_from)
    spool.clean(place)
    found: list[Delivery] = []
    away: str | None = None
    for entry in spool.entries(place):
        if away is None:
            found.append(deliver(db, entry))
            away = found[-1].reason if found[-1].verdict == WAITING else None
        else:
            found.append(_told(entry, WAITING, away))
    return found


def deliver(db: Database, entry: Entry, *, own: bool = False) -> Delivery:
    """Deliver one entry; what goes wrong is told, and the entry stays.

    Args:
        db: the database.
        entry: the entry.
        own: whether the run is this process's own, which has just ended.
    """
    try:
        with entry.delivering() as mine:
            if not mine:
                return _told(entry, RUNNING_HERE, "another process writes to it or delivers it")
            if not own and (state := state_of(db.settings, entry)) == RUNNING_HERE:
                return _told(entry, state, "its run has not ended")
            return _delivered(db, entry)
    except _Superseded as exc:
        return _told(entry, SUPERSEDED, str(exc))
    except _RunsOn:
        return _told(entry, RUNNING_HERE, "its run goes on, and takes this up")
    except (OSError, MfprefectError) as exc:
        again = isinstance(exc, DatabaseError) and exc.transient
        return _told(entry, WAITING if again else REFUSED, str(exc))


def state_of(settings: Settings, entry: Entry) -> str:
    """Return `complete`, `running`, or `interrupted`: its process is gone before its end."""
    if entry.complete and not entry.alive:
        return "complete"
    if entry.alive:
        return RUNNING_HERE
    patience = 0.0
    if entry.detached:
        patience = settings.detached_timeout
    elif _of_another_machine(entry):  # whose locks may not be seen
        patience = settings.dead_after
    return RUNNING_HERE if entry.silence < patience else INTERRUPTED


def _of_another_machine(entry: Entry) -> bool:
    try:
        return bool(entry.head()["host"] != platform.node())
    except SpoolRefused:
        return False


def _told(entry: Entry, verdict: str, reason: str) -> Delivery:
    name, _, attempt = entry.folder.name.rpartition(".")
    number, model = int(attempt) if attempt.isdecimal() else 0, ""
    name = unquote(name)
    try:
        head = entry.head()
        name, model = str(head["session_id"]), str(head["model_id"])
    except SpoolRefused:  # the folder's name has to do
        pass
    return Delivery(name, number, model, verdict, reason)


def _delivered(db: Database, entry: Entry) -> Delivery:
    migrate.check_schema(db)
    head = entry.head()
    check(db, entry, head)
    ending = _ending(entry, head)
    parcel = _Parcel(db, entry, head, ending)
    handle = db.write(parcel.take, also_retry=IntegrityError)
    if handle is None:
        reason, number = "it had been delivered before", _number(db, head["session_id"])
    else:
        parcel.fill(handle)
        parcel.close(handle)
        reason, number = "", handle.session_no
    entry.discard()
    # Also where the process that delivered it died before it could tell.
    notices.session_ended(db, number, final=parcel.final)
    names = (head["session_id"], head["attempt"], head["model_id"])
    return Delivery(*names, DELIVERED, reason, parcel.ending.status, number)


def _number(db: Database, session_id: str) -> int:
    found = db.look(lambda connection: find(db, connection, session_id))
    return UNNUMBERED if found is None else found.session_no


def check(db: Database, entry: Entry, head: Mapping[str, Any]) -> None:
    """Read every byte before the first one is delivered.

    Raises:
        SpoolRefused: something is corrupt, or does not fit into the schema of this version.
    """
    if not migrate.known(head["revision"]):
        raise SpoolRefused(
            f"{entry.folder} was written by a newer mfprefect, for the schema {head['revision']}: "
            "`pip install --upgrade mfprefect`, `mfprefect init`, and push again."
        )
    for write in entry.writes():
        check_blob(write)
        if write.content["op"] == "rows":
            for table, rows in write.content["tables"].items():
                _check_rows(db, entry, head, table, rows)


def _check_rows(
    db: Database, entry: Entry, head: Mapping[str, Any], name: str, rows: list[dict[str, Any]]
) -> None:
    table = db.schema.tables.get(name)
    known = set() if table is None else {*table.c.keys(), "reference_session_id"}
    needed = set() if table is None else {c.key for c in table.c if not c.nullable}
    for row in rows:
        odd = {*row} - known or needed - {*row, "session_no"}
        if table is None or odd:
            what = f"the table {name!r}" if table is None else f"{name}.{min(odd)}"
            raise SpoolRefused(
                f"{entry.folder} was written for the schema {head['revision']}, whose rows do not "
                f"fit into {migrate.expected_revision()}: {what} is not in both. Deliver it with "
                f"the mfprefect {head['version']} that wrote it, before the upgrade."
            )


def _ending(entry: Entry, head: Mapping[str, Any]) -> Ending:
    told = entry.ending()
    if told is None:
        where = f"{head['process_id']} on {head['host']}"
        last = dt.datetime.fromtimestamp(entry.touched, dt.UTC)
        text = f"its process {where} is gone; it wrote to the spool at {last:%Y-%m-%d %H:%M:%S} UTC"
        return Ending("crashed", "Crashed", text, ended_at=last)
    kept = ("status", "failure_kind", "failure_text", "publish")
    ended_at = dt.datetime.fromisoformat(told["ended_at"])
    return Ending(**{name: told[name] for name in kept}, ended_at=ended_at)


def apply(db: Database, handle: Handle, write: Write) -> None:
    """Do one write; what an earlier try did is replaced.

    Raises:
        InvalidScores: an entity has a score in another part of the session.
        SpoolRefused: nobody knows what it means.
        SessionClosed: the session takes no more writes.
    """
    content = write.content
    if content["op"] == "rows":
        rows = {name: _resolved(db, name, rows) for name, rows in content["tables"].items()}
        flush(db, handle, rows, replace=True)
    elif content["op"] == "artifact" and write.blob is not None:
        with write.blob.open("rb") as file:
            artifact = Artifact(**content["artifact"])
            artifacts.save_artifact(db, handle, content["name"], file, artifact)
    elif content["op"] == "part" and write.blob is not None:
        scores.write_part(db, handle, content["part_no"], _part(write))
    elif content["op"] == "drop_parts":
        scores.drop_parts(db, handle)
    else:
        raise SpoolRefused(f"this mfprefect does not know the write {content['op']!r}.")


def _resolved(db: Database, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put numbers in the place of the sessions that drift rows name."""
    if name != "drift":
        return rows
    names = {row["reference_session_id"] for row in rows if row.get("reference_session_id")}
    s = db.schema.sessions.c
    select = sa.select(s.session_id, s.session_no).where(s.session_id.in_(names))
    numbers = dict(tuple(row) for row in db.read(select)) if names else {}
    found = []
    for row in rows:
        kept = dict(row)
        if (reference := kept.pop("reference_session_id", None)) is not None:
            kept["reference_session_no"] = numbers.get(reference)
        found.append(kept)
    return found


def _part(write: Write) -> Any:
    from pyarrow import parquet

    table = parquet.read_table(write.blob).cast(SCHEMA)
    if digest(table) != write.content["digest"]:
        raise SpoolRefused(f"{write.blob} is corrupt: its scores are not what the run wrote.")
    return table


def parts_of(entry: Entry) -> dict[int, int]:
    """Return the rows of each part of scores that an entry holds."""
    found: dict[int, int] = {}
    for write in entry.writes():
        if write.content["op"] == "drop_parts":
            found.clear()
        elif write.content["op"] == "part":
            found[write.content["part_no"]] = write.content["rows"]
    return found


def absorb(db: Database, handle: Handle, entry: Entry) -> None:
    """Write to a running session what other processes of its run have spooled meanwhile.

    Raises:
        DatabaseError: the entry stays.
        SpoolRefused: it is corrupt, and stays.
    """
    with entry.locked():
        if not entry.exists:
            return
        check(db, entry, entry.head())
        for write in entry.writes():
            apply(db, handle, write)
        entry.discard()


class _Superseded(Exception):
    """A later attempt has replaced it."""


class _RunsOn(Exception):
    """The session is running in another process, which delivers this itself."""


class _Parcel:
    """An entry and its session in the database."""

    def __init__(self, db: Database, entry: Entry, head: Mapping[str, Any], ending: Ending) -> None:
        self.db, self.entry, self.head, self.ending = db, entry, head, ending
        self.session_id: str = head["session_id"]
        self.attempt: int = head["attempt"]
        told = entry.ending()
        self.final = told is None or bool(told["final"])

    def take(self, connection: sa.Connection, _: bool) -> Handle | None:
        """Make the session one of this process, running; None where all is done.

        Raises:
            SpoolRefused: it was deleted, or a later attempt took it over.
            SessionClosed: it has ended without what is in the spool.
        """
        if self._told(connection):
            return None
        found = find(self.db, connection, self.session_id)
        if found is None:
            return self._insert(connection)
        if found.attempt > self.attempt:
            raise _Superseded(
                f"attempt {found.attempt} of session {self.session_id!r} took over from the "
                f"attempt {self.attempt} that {self.entry.folder} is of, and replaced it. Remove "
                "that folder if nobody needs it."
            )
        if found.attempt < self.attempt:
            return self._go_on(connection, found)
        return self._take_over(connection, found)

    def fill(self, handle: Handle) -> None:
        """Write what the run wrote; one whose scores are no scores has failed, as it would have."""
        for write in self.entry.writes():
            try:
                apply(self.db, handle, write)
            except InvalidScores as exc:
                self._fail(exc)

    def close(self, handle: Handle) -> None:
        """End the session as the run did, and when it did."""
        try:
            self._close(handle)
        except InvalidScores as exc:
            self._fail(exc)
            self._close(handle)

    def _close(self, handle: Handle) -> None:
        own = {name: self.head[name] for name in ("host", "process_id")}
        ending = replace(self.ending, row=own, published_at=values.utc_now())
        close_session(self.db, handle, ending, {}, replace=True, also=self._mark)

    def _fail(self, exc: InvalidScores) -> None:
        if self.ending.status == SUCCEEDED:
            ended_at = self.ending.ended_at
            self.ending = Ending("failed", "InvalidScores", str(exc), ended_at=ended_at)

    def _mark(self, connection: sa.Connection) -> None:
        """Record the delivery, in the transaction that ends the session."""
        record(
            self.db,
            connection,
            ACTION,
            self.session_id,
            model=self.head["model_id"],
            attempt=self.attempt,
            status=self.ending.status,
            spooled_at=self.head["began_at"],
            spooled_on=self.head["host"],
            entry=self._digest,
        )

    @property
    def _digest(self) -> str:
        if (found := self.entry.digest) is not None:
            return found
        names = [write.name + json.dumps(write.content) for write in self.entry.writes()]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    def _told(self, connection: sa.Connection) -> bool:
        """Return whether the audit trail tells of this very delivery."""
        events = self.db.schema.audit_events.c
        mine = (events.subject == self.session_id, events.action.in_((ACTION, "delete_session")))
        for event in connection.execute(sa.select(events.action, events.detail).where(*mine)):
            if event.action == ACTION and json.loads(event.detail)["entry"] == self._digest:
                return True
            if event.action != ACTION:
                raise SpoolRefused(
                    f"session {self.session_id!r} was deleted from {self.db.place}; remove "
                    f"{self.entry.folder} as well if nobody needs it."
                )
        return False

    def _mine(self) -> dict[str, Any]:
        return {
            "status": RUNNING,
            "attempt": self.attempt,
            "heartbeat_at": values.utc_now(),
            "suspected_at": None,
            "ended_at": None,
            "failure_kind": None,
            "failure_text": None,
            "seal": None,
            "previous_seal": None,
            "host": platform.node(),
            "process_id": os.getpid(),
        }

    def _insert(self, connection: sa.Connection) -> Handle:
        if "session" not in self.head:
            raise SpoolRefused(
                f"session {self.session_id!r} was deleted from {self.db.place}, or is in another "
                f"database; remove {self.entry.folder} if nobody needs it."
            )
        from mfprefect.store.restoring import typed

        s = self.db.schema.sessions
        self._register(connection)
        row = typed(s, self.head["session"])
        self._know_environment(connection)
        numbers = sa.select(sa.func.max(s.c.session_no))
        number = (connection.scalar(numbers) or 0) + 1
        row |= self._mine() | {
            "session_no": number,
            "parent_session_no": self._parent(connection),
            "flow_run_seq": without_flow_run(self.db, number),
        }
        if (run := row["flow_run_id"]) is not None:
            last = connection.scalar(
                sa.select(sa.func.max(s.c.flow_run_seq)).where(s.c.flow_run_id == run)
            )
            row["flow_run_seq"] = 0 if last is None else last + 1
        connection.execute(s.insert(), row)
        return self._handle(row["session_no"])

    def _register(self, connection: sa.Connection) -> None:
        model, models = self.head.get("model"), self.db.schema.models
        if model is not None and model["model_id"] not in model_ids(self.db, connection):
            new = model | {"created_at": values.utc_now()}
            connection.execute(models.insert(), new)
            told = model | written(self.db.schema, "models", new)
            record(self.db, connection, "add_model", model["model_id"], **told)
        require_model(self.db, connection, self.head["model_id"])

    def _know_environment(self, connection: sa.Connection) -> None:
        e, row = self.db.schema.environments, self.head["environment"]
        same = e.c.environment_digest == row["environment_digest"]
        if connection.scalar(sa.select(e.c.environment_digest).where(same)) is None:
            connection.execute(e.insert(), row)

    def _parent(self, connection: sa.Connection) -> int | None:
        name, s = self.head["parent_session_id"], self.db.schema.sessions.c
        if name is None:
            return None
        alive = s.failure_kind.is_(None) | s.failure_kind.not_in(BEING_DELETED)
        number: int | None = connection.scalar(
            sa.select(s.session_no).where(s.session_id == name, alive)
        )
        if number is None:
            raise UnknownSession(name)
        return number

    def _go_on(self, connection: sa.Connection, earlier: Handle) -> Handle:
        """Begin this attempt: what the last one wrote goes, complete score parts stay."""
        if earlier.status == SUCCEEDED:
            raise closed(earlier)
        self._change(connection, earlier)
        clear(self.db, connection, earlier.session_no)
        return self._handle(earlier.session_no)

    def _take_over(self, connection: sa.Connection, found: Handle) -> Handle | None:
        """Go on with the attempt itself: it still runs there, or was given up meanwhile."""
        s = self.db.schema.sessions.c
        columns = (s.status, s.failure_kind, s.ended_at)
        row = connection.execute(sa.select(*columns).where(s.session_no == found.session_no)).one()
        if (row.status, row.ended_at) == (self.ending.status, self.ending.ended_at):
            return None  # the commit whose answer was lost had happened
        given_up = (row.status, row.failure_kind) in _GIVEN_UP
        if row.status == RUNNING and not (self.entry.owned or self.entry.complete):
            raise _RunsOn
        if row.status != RUNNING and not given_up:
            raise closed(found)
        self._change(connection, found)
        return self._handle(found.session_no)

    def _change(self, connection: sa.Connection, found: Handle) -> None:
        s = self.db.schema.sessions
        same = (
            s.c.session_no == found.session_no,
            s.c.session_id == found.session_id,
            s.c.attempt == found.attempt,
            s.c.status == found.status,
        )
        if connection.execute(s.update().where(*same), self._mine()).rowcount != 1:
            raise DatabaseConflict(f"session {self.session_id!r} changed meanwhile; push again.")

    def _handle(self, session_no: int) -> Handle:
        kept = ("session_id", "model_id", "purpose", "attempt")
        return Handle(session_no=session_no, **{name: self.head[name] for name in kept})

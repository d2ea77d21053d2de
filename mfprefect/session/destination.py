"""Where the writes of a run go: its database, and while that is away, the spool.

Every write is tried in the database first, and again for `retry_seconds`. If it stays away, this
write and all further ones of the run go to the spool, without asking again; when the run ends,
delivery is tried once.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import PurePath
from typing import Any, TypeVar

import sqlalchemy as sa

from mfprefect import artifacts
from mfprefect.errors import (
    ConfigurationError,
    DatabaseError,
    InvalidScores,
    MfprefectError,
    SessionClosed,
    SpoolRefused,
)
from mfprefect.notifications.notice import Notice
from mfprefect.quality.gates.verdicts import Champion, GateInputs
from mfprefect.spool.entry import Entry
from mfprefect.store import artifacts as stored_artifacts
from mfprefect.store.audit.events import actor
from mfprefect.store.database import Database, migrate
from mfprefect.store.handle import SessionHandle
from mfprefect.store.lookup import find_session
from mfprefect.store.models import gate_verdicts
from mfprefect.store.scores import write
from mfprefect.store.sessions import part_inputs, writing
from mfprefect.store.sessions.opening import SessionRequest, to_document
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.spool import delivery
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.spool.payload import (
    Rows,
    add_part,
    add_rows,
    documents_of,
    has_results,
    numbers_of,
    parts_of,
    rows_of,
)
from mfprefect.store.states import NOT_IN_DATABASE, SPOOLED, UNKNOWN, Status, is_shadow
from mfprefect.util import values

__all__ = ["Destination"]

log = logging.getLogger(__name__)
T = TypeVar("T")


class Destination:
    """Takes the writes of one attempt of a session."""

    def __init__(
        self,
        db: Database,
        handle: SessionHandle,
        *,
        attached: bool = False,
        opening: SessionRequest | None = None,
        model: Mapping[str, Any] | None = None,
    ) -> None:
        self.handle = handle
        self._db, self._attached = db, attached
        self._opening, self._model = opening, model
        self._began = values.utc_now()
        self._lock = threading.RLock()
        self._entry: Entry | None = None
        if attached and (entry := self._existing_entry()) is not None and not entry.complete:
            self._entry = entry
        elif handle.session_no == NOT_IN_DATABASE:
            self._fail_over(None)

    @property
    def spooled(self) -> bool:
        """Whether writes go to the spool."""
        return self._entry is not None

    @property
    def spool_folder(self) -> str:
        """The folder that they go to."""
        return "" if self._entry is None else str(self._entry.folder)

    @property
    def spool_receipt(self) -> str:
        """A file that whoever is to deliver what was spooled must see; empty if nothing was."""
        return "" if self._entry is None else self._entry.sign()

    def flush(self, pending: Rows, again: bool, *, retry: bool = True) -> None:
        """Write rows by table name, and mark the session alive.

        Args:
            pending: the rows.
            again: whether rows of the same keys may be there.
            retry: whether transient errors are tried again; without it they are raised.
        """
        if not retry and self._entry is None:
            writing.flush(self._db, self.handle, pending, again, retry=False)
            return
        self._write(
            lambda handle: writing.flush(self._db, handle, pending, again),
            lambda entry: add_rows(entry, pending),
        )

    def beat(self) -> None:
        """Show the spool, and the database if it is back, that the run is alive."""
        if self._entry is not None:
            self._entry.beat()
        if self.handle.session_no == NOT_IN_DATABASE:
            return
        try:
            writing.flush(self._db, self.handle, {}, False, retry=False)
        except MfprefectError as exc:
            log.debug("no sign of life of session %s: %s", self.handle.session_id, exc)

    def save_model(
        self, name: str, estimator: Any, format: str | None, trusted_types: Collection[str]
    ) -> None:
        """Serialise a model and store it."""
        with stored_artifacts.dumped(self._db, estimator, format, trusted_types) as (file, found):
            self._write(
                lambda handle: stored_artifacts.save_artifact(self._db, handle, name, file, found),
                lambda entry: entry.add(
                    {"op": "artifact", "name": name, "artifact": vars(found)},
                    artifacts.chunks(file),
                    found.size,
                ),
            )

    def write_part(self, part: int, table: Any) -> None:
        """Write one part of normalised scores."""
        write.require_fit(self._db, table)  # the spool would take it
        self._write(
            lambda handle: write.write_part(self._db, handle, part, table),
            lambda entry: add_part(entry, part, table),
        )

    def keep_part(self, part: int) -> int | None:
        """Take an earlier attempt's complete part over; None where there is none, or none known."""
        found: int | None = self._write(
            lambda handle: write.keep_part(self._db, handle, part), lambda _: None
        )
        return found

    def drop_parts(self) -> None:
        """Delete all scores of the session: it begins to write them anew."""
        self._write(
            lambda handle: write.drop_parts(self._db, handle),
            lambda entry: entry.add({"op": "drop_parts"}),
        )

    def detach(self) -> None:
        """Note that no process holds the session from now on."""
        self._write(lambda handle: writing.detach(self._db, handle), lambda entry: entry.detach())

    def reference(self, session_id: str) -> dict[str, Any]:
        """Return the column of a drift row that names another session.

        Raises:
            UnknownSession: there is no such session; in the spool that is not known yet.
        """
        found: dict[str, Any] = self._write(
            lambda _: {"reference_session_no": find_session(self._db, session_id).session_no},
            lambda _: {"reference_session_no": None, "reference_session_id": session_id},
        )
        return found

    def last_numbers(self) -> dict[str, int]:
        """Return the highest check, input and part number that the session has."""
        return self._write(lambda handle: writing.last_numbers(self._db, handle), numbers_of)

    def evidence(self, made: Rows, pending: Rows, champion: Champion | None) -> GateInputs:
        """Return what the session has so far that gates can be about.

        Args:
            made: all rows that this process made, for a database that is away.
            pending: those of them that were not written yet.
            champion: the model in production on the test rows.
        """
        self.collect()
        found: GateInputs = self._write(
            lambda handle: gate_verdicts.gate_inputs(self._db, handle, pending, champion),
            lambda entry: gate_verdicts.merge_gate_inputs(
                rows_of(entry, made), pending, UNKNOWN, champion
            ),
        )
        return found

    def has_results(self) -> bool:
        """Return whether a metric or a model was stored; True where nobody can tell just now."""
        entry = self._entry or self._existing_entry()
        if entry is not None and has_results(entry):
            return True
        if self.handle.session_no == NOT_IN_DATABASE:
            return False
        return self._read_or_none(lambda: _stored(self._db, self.handle)) is not False

    def parts(self) -> tuple[dict[int, int], bool]:
        """Return the rows of each part of scores that was written, and whether these are all."""
        entry = self._entry or self._existing_entry()
        spooled = parts_of(entry) if entry is not None else {}
        stored = self._read_or_none(lambda: write.parts(self._db, self.handle))
        certain = stored is not None or self.handle.session_no == NOT_IN_DATABASE
        return (stored or {}) | spooled, certain

    def part_documents(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield what is kept of each part's input, in order; of what can be seen just now."""
        entry = self._entry or self._existing_entry()
        spooled = documents_of(entry) if entry is not None else {}
        stored = set(self._read_or_none(lambda: part_inputs.numbers(self._db, self.handle)) or ())
        for part in sorted(stored | set(spooled)):
            stored_text = partial(part_inputs.document, self._db, self.handle, part)
            if (text := spooled.get(part) or self._read_or_none(stored_text)) is not None:
                yield part, json.loads(text)

    def _read_or_none(self, look: Callable[[], T]) -> T | None:
        """Return what the database tells, None while it is away."""
        if self.handle.session_no == NOT_IN_DATABASE:
            return None
        try:
            return look()
        except DatabaseError as exc:
            if not exc.transient or self._place() is None:
                raise
            log.warning("session %s cannot be read back: %s", self.handle.session_id, exc)
            return None

    def require(self, place: str) -> None:
        """Refuse to end without what another process of the run spooled.

        Raises:
            ConfigurationError: it is in a folder that this process does not see.
        """
        seen = self._place()
        # The same folder may have another path on another machine.
        if place and not (seen and (seen.folder / PurePath(place).name).exists()):
            raise ConfigurationError(
                f"a worker has spooled what it made of session {self.handle.session_id!r} in "
                f"{place}, on a disk that the process of the run does not see; name a folder that "
                "all of them share in MFPREFECT_SPOOL."
            )

    def collect(self) -> None:
        """Write to the database what other processes of the run had to spool."""
        entry = self._existing_entry()
        if self._entry is None and entry is not None:
            self._write(
                lambda handle: delivery.merge_worker_entry(self._db, handle, entry), lambda _: None
            )

    def end(self, ending: Outcome, pending: Rows, again: bool, *, final: bool) -> str:
        """Write rows and end the session; return its status: `spooled` if it waits in the spool.

        Raises:
            SessionClosed: the session has ended already, or a later attempt took it over.
            InvalidScores: two parts of a large session hold the same entity.
        """
        ending = replace(ending, ended_at=values.utc_now())
        try:
            self.collect()
        except (SpoolRefused, InvalidScores):
            if ending.status == Status.SUCCEEDED:
                raise
            log.exception("what is in the spool of session %s is lost", self.handle.session_id)
        ended = self._write(
            lambda handle: writing.close_session(self._db, handle, ending, pending, again),
            lambda entry: self._finish(entry, ending, pending, final),
        )
        return ended or ending.status

    def _finish(self, entry: Entry, ending: Outcome, pending: Rows, final: bool) -> str:
        add_rows(entry, pending)
        told = ("status", "failure_kind", "failure_text", "publish", "ended_at")
        entry.finish({name: getattr(ending, name) for name in told} | {"final": final})
        try:
            found = delivery.deliver(self._db, entry, own=True)
        finally:
            entry.release()
        if found.verdict == delivery.DELIVERED:
            self.handle = replace(self.handle, session_no=found.session_no)
            log.info("session %s was delivered from the spool", found.session_id)
            return found.status or ending.status
        level = logging.ERROR if found.verdict == delivery.REFUSED else logging.WARNING
        text = "session %s ended as %s and waits in the spool %s: %s"
        log.log(level, text, found.session_id, ending.status, entry.folder, found.reason)
        return SPOOLED

    def spooled_notice(self, ending: Outcome) -> tuple[Notice, list[str]]:
        """Return what there is to tell of a session that waits in the spool, and its tags."""
        opening, head = self._opening, self._head()
        told = Notice(
            event=SPOOLED,
            **{name: head[name] for name in ("model_id", "session_id", "purpose", "attempt")},
            status=f"{SPOOLED}, {ending.status}",
            started_at=self._began,
            ended_at=values.utc_now(),
            run_by=head["run_by"],
            host=head["host"],
            as_of=self.handle.as_of,
            cause_kind=ending.failure_kind or "the database is away",
            cause_text=f"It waits in {self.spool_folder}; `mfprefect spool push` delivers it."
            + (f"\n{ending.failure_text}" if ending.failure_text else ""),
        )
        return told, json.loads(opening.tags) if opening and opening.tags else []

    # Switching

    def _write(
        self, to_database: Callable[[SessionHandle], T], to_spool: Callable[[Entry], T]
    ) -> T:
        entry = self._entry
        if entry is None:
            try:
                return to_database(self.handle)
            except DatabaseError as exc:
                if not exc.transient:
                    raise
                entry = self._fail_over(exc)
        try:
            return to_spool(entry)
        except SpoolRefused as exc:
            raise SessionClosed(self.handle.session_id, str(exc)) from exc

    def _fail_over(self, cause: DatabaseError | None) -> Entry:
        with self._lock:
            if self._entry is None:
                entry = self._place()
                if entry is None:
                    raise cause or AssertionError("what is not in the database is in the spool")
                entry.begin(self._head(), owner=not self._attached)
                told = "session %s goes on in the spool %s: %s"
                log.warning(told, self.handle.session_id, entry.folder, cause or "no database")
                self._entry = entry
            return self._entry

    def _place(self) -> Entry | None:
        spool, place = spool_of(self._db.settings), place_of(self._db)
        if spool is None or place is None:
            return None
        return spool.entry(place, self.handle.session_id, self.handle.attempt)

    def _existing_entry(self) -> Entry | None:
        entry = self._place()
        return entry if entry is not None and entry.exists else None

    def _head(self) -> dict[str, Any]:
        handle, opening, place = self.handle, self._opening, place_of(self._db)
        run = opening.flow_run if opening else None
        head = {
            "version": metadata.version("mfprefect"),
            "revision": migrate.expected_revision(),
            "database": place.shown if place else "",
            "fingerprint": place.fingerprint if place else None,
            **{n: value for n, value in vars(handle).items() if n not in ("status", "holder")},
            "flow_run_id": run.flow_run_id if run else None,
            "shadow": is_shadow(opening.params) if opening else False,
            "tags": opening.tags if opening else None,
            "host": platform.node(),
            "process_id": os.getpid(),
            "run_by": actor(),
            "began_at": self._began,
        }
        if opening is not None and handle.session_no == NOT_IN_DATABASE:
            head |= to_document(opening, handle.session_id, handle.attempt)
            head["model"] = self._model
        return head


def _stored(db: Database, handle: SessionHandle) -> bool:
    tables = (db.schema.metrics, db.schema.artifacts)
    mine = (sa.select(t.c.session_no).where(t.c.session_no == handle.session_no) for t in tables)
    return any(db.fetch_all(select.limit(1)) for select in mine)

"""Where the writes of a run go: to its database, and to the spool while that is away.

Every write is tried in the database first, and tried again for `retry_seconds`. If the database
stays away, this write and all later ones of the run go to the spool at once. When the run ends, its
session is delivered if the database is back.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
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
from mfprefect.scores.sorting import SortedScores
from mfprefect.session import spool_head
from mfprefect.spool.entry import Entry
from mfprefect.spool.state import EntryState
from mfprefect.store import artifacts as stored_artifacts
from mfprefect.store.audit.signatures import names_of
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.lookup import find_session
from mfprefect.store.models import gate_verdicts
from mfprefect.store.scores import insert_select, write
from mfprefect.store.sessions import part_inputs, writing
from mfprefect.store.sessions.opening import SessionRequest
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.spool import delivery
from mfprefect.store.spool.location import place_of, spool_of
from mfprefect.store.spool.payload import (
    Rows,
    add_drop_parts,
    add_params,
    add_part,
    add_rows,
    documents_of,
    has_results,
    numbers_of,
    parts_of,
    rows_of,
)
from mfprefect.store.states import NOT_IN_DATABASE, SPOOLED, UNKNOWN, Status
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
        """The folder of the spool that they go to, empty if they go to the database."""
        return "" if self._entry is None else str(self._entry.folder)

    @property
    def spool_receipt(self) -> str:
        """A file that the process that ends the run must see; empty if nothing was spooled."""
        return "" if self._entry is None else self._entry.sign()

    def flush(self, pending: Rows, again: writing.Replace, *, retry: bool = True) -> None:
        """Write rows by table name, and update the heartbeat.

        Args:
            pending: the rows.
            again: whether rows with the same keys may exist, or in which tables.
            retry: retry after transient errors; otherwise they are raised.
        """
        if not retry and self._entry is None:
            writing.flush(self._db, self.handle, pending, again, retry=False)
            return
        self._write(
            lambda handle: writing.flush(self._db, handle, pending, again),
            lambda entry: add_rows(entry, pending),
        )

    def beat(self) -> None:
        """Update the heartbeat in the spool, and in the database if it is back."""
        if self._entry is not None:
            self._entry.beat()
        if self.handle.session_no == NOT_IN_DATABASE:
            return
        try:
            writing.flush(self._db, self.handle, {}, False, retry=False)
        except MfprefectError as exc:
            log.debug("no heartbeat of session %s: %s", self.handle.session_id, exc)

    def save_model(
        self, name: str, estimator: Any, format: str | None, trusted_types: Collection[str]
    ) -> None:
        """Serialise a model, or copy a file, and store it."""
        db, names = self._db, names_of(self.handle, name)
        dumped = stored_artifacts.dumped(db, estimator, format, trusted_types, names)
        with dumped as (file, artifact):
            self._write(
                lambda handle: stored_artifacts.save_artifact(db, handle, name, file, artifact),
                lambda entry: entry.add(
                    {"op": "artifact", "name": name, "artifact": vars(artifact)},
                    artifacts.chunks(file),
                    artifact.size,
                ),
            )

    def write_part(self, part: int, scores: SortedScores) -> None:
        """Write one part of normalised scores."""
        write.require_storable(self._db, scores)  # the spool would take it
        self._write(
            lambda handle: write.write_part(self._db, handle, part, scores),
            lambda entry: add_part(entry, part, scores),
        )

    def insert_part(
        self,
        part: int,
        select: Any,
        names: tuple[str, str, str],
        verify: Callable[[Any], object] | None,
        pending: Callable[[], Rows],
        session_rows: int,
    ) -> Any | None:
        """Write one part by INSERT .. SELECT; return it, or None while writes go to the spool."""
        if self._entry is not None:
            return None

        def also(connection: sa.Connection) -> None:
            writing.write_rows(self._db, connection, self.handle, pending(), replace=True)

        arguments = (part, select, names, verify, also, session_rows)
        return insert_select.insert_part(self._db, self.handle, *arguments)

    def keep_part(self, part: int) -> int | None:
        """Keep a complete part of an earlier attempt; return its rows.

        None if there is no such part, or if the database is away, which knows.
        """
        rows: int | None = self._write(
            lambda handle: write.keep_part(self._db, handle, part), lambda _: None
        )
        return rows

    def drop_parts(self) -> None:
        """Delete all scores of the session, which writes them again."""
        self._write(lambda handle: write.drop_parts(self._db, handle), add_drop_parts)

    def drop_stale_parts(self) -> int:
        """Delete the parts of earlier attempts that this one neither wrote nor kept; count them."""
        return self._write(lambda handle: write.drop_stale(self._db, handle), lambda _: 0)

    def part_digests(self) -> dict[int, str] | None:
        """Return the stored parts' digests, None while the database is away."""
        return self._read_or_none(lambda: write.part_digests(self._db, self.handle))

    def add_params(self, params: Mapping[str, Any]) -> None:
        """Add parameters to those of the session."""
        self._write(
            lambda handle: writing.add_params(self._db, handle, params),
            lambda entry: add_params(entry, params),
        )

    def detach(self) -> None:
        """Record that no process holds the session from now on."""
        self._write(lambda handle: writing.detach(self._db, handle), lambda entry: entry.detach())

    def reference(self, session_id: str) -> dict[str, Any]:
        """Return the columns of a drift row that name another session.

        Raises:
            UnknownSession: there is no such session. In the spool this is found on delivery.
        """
        columns: dict[str, Any] = self._write(
            lambda _: {"reference_session_no": find_session(self._db, session_id).session_no},
            lambda _: {"reference_session_no": None, "reference_session_id": session_id},
        )
        return columns

    def last_numbers(self) -> dict[str, int]:
        """Return the highest check, input and part number that the session has."""
        return self._write(lambda handle: writing.last_numbers(self._db, handle), numbers_of)

    def evidence(self, made: Rows, pending: Rows, champion: Champion | None) -> GateInputs:
        """Return what the session has logged so far that gates can check.

        Args:
            made: all rows that this process logged, needed while the database is away.
            pending: those of them that were not written yet.
            champion: the model in production on the test rows.
        """
        self.collect()
        inputs: GateInputs = self._write(
            lambda handle: gate_verdicts.gate_inputs(self._db, handle, pending, champion),
            lambda entry: gate_verdicts.merge_gate_inputs(
                rows_of(entry, made), pending, UNKNOWN, champion
            ),
        )
        return inputs

    def has_results(self) -> bool:
        """Return whether a metric or a model was stored; True if that cannot be read just now."""
        entry = self._entry or self._existing_entry()
        if entry is not None and has_results(entry):
            return True
        if self.handle.session_no == NOT_IN_DATABASE:
            return False
        return self._read_or_none(partial(writing.has_results, self._db, self.handle)) is not False

    def parts(self) -> tuple[dict[int, int], bool]:
        """Return the number of rows of each part of scores, and whether these are all parts."""
        entry = self._entry or self._existing_entry()
        spooled = parts_of(entry) if entry is not None else {}
        stored = self._read_or_none(lambda: write.part_rows(self._db, self.handle))
        certain = stored is not None or self.handle.session_no == NOT_IN_DATABASE
        return (stored or {}) | spooled, certain

    def part_documents(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield number and input of each part, in order, as far as they can be read just now."""
        entry = self._entry or self._existing_entry()
        spooled = documents_of(entry) if entry is not None else {}
        stored = set(self._read_or_none(lambda: part_inputs.numbers(self._db, self.handle)) or ())
        for part in sorted(stored | set(spooled)):
            stored_text = partial(part_inputs.document, self._db, self.handle, part)
            if (text := spooled.get(part) or self._read_or_none(stored_text)) is not None:
                yield part, json.loads(text)

    def _read_or_none(self, read: Callable[[], T]) -> T | None:
        """Read from the database; return None while it is away."""
        if self.handle.session_no == NOT_IN_DATABASE:
            return None
        try:
            return read()
        except DatabaseError as exc:
            if not exc.transient or self._place() is None:
                raise
            log.warning("session %s cannot be read back: %s", self.handle.session_id, exc)
            return None

    def require(self, receipt: str) -> None:
        """Make sure that this process sees what another process of the run spooled.

        Raises:
            ConfigurationError: it is on another disk.
        """
        entry = self._place()
        # The same folder may have another path on another machine.
        if receipt and not (entry and (entry.folder / PurePath(receipt).name).exists()):
            raise ConfigurationError(
                f"a worker spooled its part of session {self.handle.session_id!r} in {receipt}, "
                "on a disk that the process of the run does not see; name a folder that all of "
                "them share in MFPREFECT_SPOOL."
            )

    def collect(self) -> None:
        """Write to the database what other processes of the run spooled."""
        entry = self._existing_entry()
        if self._entry is None and entry is not None:
            self._write(
                lambda handle: delivery.merge_worker_entry(self._db, handle, entry), lambda _: None
            )

    def end(self, ending: Outcome, pending: Rows, again: writing.Replace, *, final: bool) -> str:
        """Write rows and end the session; return its status, `spooled` if it waits in the spool.

        Raises:
            SessionClosed: the session has ended, or a later attempt took it over.
            InvalidScores: two parts of a large session hold the same entity.
        """
        ending = replace(ending, ended_at=values.utc_now())
        try:
            self.collect()
        except (SpoolRefused, InvalidScores):
            if ending.status == Status.SUCCEEDED:
                raise
            log.exception("session %s ends without its spooled writes", self.handle.session_id)
        ended = self._write(
            lambda handle: writing.close_session(self._db, handle, ending, pending, again),
            lambda entry: self._finish(entry, ending, pending, final),
        )
        return ended or ending.status

    def _finish(self, entry: Entry, ending: Outcome, pending: Rows, final: bool) -> str:
        add_rows(entry, pending)
        names = ("status", "failure_kind", "failure_text", "publish", "ended_at")
        entry.finish({name: getattr(ending, name) for name in names} | {"final": final})
        try:
            result = delivery.deliver(self._db, entry, by_its_run=True)
        finally:
            entry.release()
        if result.verdict == EntryState.DELIVERED:
            self.handle = replace(self.handle, session_no=result.session_no)
            log.info("session %s was delivered from the spool", result.session_id)
            return result.status or ending.status
        level = logging.ERROR if result.verdict == EntryState.REFUSED else logging.WARNING
        text = "session %s ended as %s and waits in the spool %s: %s"
        log.log(level, text, result.session_id, ending.status, entry.folder, result.reason)
        return SPOOLED

    def spooled_notice(self, ending: Outcome) -> tuple[Notice, list[str]]:
        """Return the notice about a session that waits in the spool, and its tags."""
        return spool_head.waiting_notice(
            self._head(), self._opening, ending, self._began, self.spool_folder
        )

    # Failing over

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
                    raise cause or AssertionError("a session without a database needs a spool")
                entry.begin(self._head(), owner=not self._attached)
                text = "session %s continues in the spool %s: %s"
                log.warning(text, self.handle.session_id, entry.folder, cause or "no database")
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
        return spool_head.head_of(
            self.handle, self._opening, self._model, self._began, place_of(self._db)
        )

"""A session written by requests of other programs: each request is one transaction with its answer.

A program that speaks HTTP holds no process open. Its session is one without a process, like that of
`mfprefect session open`: nobody sends heartbeats, and the next request continues it. While the
database is away, nothing goes to this machine's spool: the program sends its request again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.scores.sorting import SortedScores
from mfprefect.session.destination import Destination
from mfprefect.session.recorder import Recorder
from mfprefect.store import artifacts as stored_artifacts
from mfprefect.store.audit.signatures import names_of
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.notifications import send
from mfprefect.store.scores import write
from mfprefect.store.sessions import writing
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.spool.payload import Rows

__all__ = ["RequestRecorder", "end_session"]

STEPS = "metric_steps"
Also = Callable[[sa.Connection], None]
"""Called last in the transaction of a request: it records the answer."""


class _RequestDestination(Destination):
    """Collects the small writes of one request; writes models and parts of scores at once."""

    def __init__(self, db: Database, handle: SessionHandle, also: Also) -> None:
        super().__init__(db, handle, attached=True)
        self._also = also
        self._rows: dict[str, dict[tuple[Any, ...], Mapping[str, Any]]] = {}
        self._params: dict[str, Any] = {}
        self.parts_written: list[int] = []

    def flush(self, pending: Rows, again: writing.Replace, *, retry: bool = True) -> None:
        """Collect rows; a later row of the same key replaces an earlier one."""
        for name, rows in pending.items():
            keys = [
                c.key for c in self._db.schema.tables[name].primary_key if c.key != "session_no"
            ]
            of_table = self._rows.setdefault(name, {})
            of_table |= {tuple(row[key] for key in keys): row for row in rows}

    def add_params(self, params: Mapping[str, Any]) -> None:
        """Collect parameters."""
        self._params |= params

    def commit(self) -> None:
        """Write what was collected, and the answer, in one transaction."""
        self._keep_later_steps()
        rows = {name: list(rows.values()) for name, rows in self._rows.items() if rows}
        writing.flush(self._db, self.handle, rows, True, params=self._params, also=self._also)

    def _keep_later_steps(self) -> None:
        """Leave a metric as it is where an earlier request brought a higher step of it."""
        highest: dict[tuple[str, str], int] = {}
        for name, segment, step in self._rows.get(STEPS, ()):
            highest[name, segment] = max(step, highest.get((name, segment), -1))
        if not highest:
            return
        c = self._db.schema.metric_steps.c
        curve = (c.metric_name, c.segment)
        select = sa.select(*curve, sa.func.max(c.step)).group_by(*curve)
        of_session = select.where(c.session_no == self.handle.session_no)
        for name, segment, step in self._db.fetch_all(of_session):
            if step > highest.get((name, segment), step):
                self._rows.get("metrics", {}).pop((name, segment), None)

    def save_model(
        self, name: str, estimator: Any, format: str | None, trusted_types: Collection[str]
    ) -> None:
        """Store a model and the answer in one transaction."""
        db, names = self._db, names_of(self.handle, name)
        dumped = stored_artifacts.dumped(db, estimator, format, trusted_types, names)
        with dumped as (file, artifact):
            stored_artifacts.save_artifact(db, self.handle, name, file, artifact, also=self._also)

    def write_part(self, part: int, scores: SortedScores) -> None:
        """Write one part of scores."""
        super().write_part(part, scores)
        self.parts_written.append(part)


class RequestRecorder(Recorder):
    """Records what one request brings to a running session."""

    _destination: _RequestDestination

    def __init__(
        self,
        database: Database,
        handle: SessionHandle,
        also: Also,
        *,
        last_numbers: Mapping[str, int] | None = None,
    ) -> None:
        """Start recording.

        Args:
            database: the session's database, with the spool switched off.
            handle: the session, which is running.
            also: called last in the transaction of `commit`, and of a model.
            last_numbers: the last check, input and part numbers in use; by default the stored ones.
        """
        names = {"session": handle.session_id, "model": handle.model_id}
        database = database.for_session(**names)
        destination = _RequestDestination(database, handle, also)
        super().__init__(
            database, handle, attached=True, last_numbers=last_numbers, destination=destination
        )

    def commit(self) -> None:
        """Write all small results in one transaction, together with the answer.

        Raises:
            SessionClosed: the session has ended or was deleted.
        """
        self.flush()
        self._destination.commit()

    @property
    def parts_written(self) -> list[int]:
        """The numbers of the parts of scores that this request wrote, in order."""
        return sorted(self._destination.parts_written)

    def drop_written_parts(self) -> None:
        """Delete the parts of scores that this request wrote, because a later one was refused."""
        write.drop_parts(self._db, self.handle, self._destination.parts_written)


def end_session(db: Database, handle: SessionHandle, outcome: Outcome, also: Also) -> None:
    """End a session, seal it and publish its scores, in one transaction with the answer.

    Raises:
        SessionClosed: the session has ended, or was deleted.
        InvalidScores: two parts of a large session hold the same entity. It stays open.
    """
    names = {"session": handle.session_id, "model": handle.model_id}
    writing.close_session(db.for_session(**names), handle, outcome, {}, True, also=also)
    send.session_ended(db, handle.session_no)

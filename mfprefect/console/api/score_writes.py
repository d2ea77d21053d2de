"""What a request that brings scores does: several parts, all of them or none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mfprefect.console.api.bodies import Uploaded
from mfprefect.console.api.problems import ProblemError
from mfprefect.console.api.recording import Recording, running
from mfprefect.console.api.score_files import batches_of
from mfprefect.errors import MfprefectError
from mfprefect.session.requests import RequestRecorder
from mfprefect.store import Store
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle
from mfprefect.store.idempotency import Answer, KeyedRequest, once, reserve
from mfprefect.store.sessions.writing import last_numbers

__all__ = ["write_scores"]

MOST_IN_MEMORY = 1_000_000
"""The most rows of scores that a request may name a part for: a part is written at once."""

_busy: set[str] = set()
_busy_lock = threading.Lock()


@contextmanager
def _alone(session_id: str) -> Iterator[None]:
    """Refuse a second request that takes the next free parts of a session meanwhile.

    Raises:
        ProblemError: there is one.
    """
    with _busy_lock:
        if session_id in _busy:
            raise ProblemError(
                409,
                "Busy",
                f"another request writes scores of session {session_id!r}; send them one after "
                "another, or name the part of each: ?part=1.",
                headers={"Retry-After": "5"},
            )
        _busy.add(session_id)
    try:
        yield
    finally:
        with _busy_lock:
            _busy.discard(session_id)


def write_scores(
    store: Store,
    key: KeyedRequest | None,
    session_id: str,
    upload: Uploaded,
    names: tuple[str, str, str | None],
    part: int | None,
) -> Answer:
    """Store a body of scores: as parts of 100,000 rows, or as one part. All of it or none."""
    db = store.database
    data = batches_of(upload, *names, most_rows=None if part is None else MOST_IN_MEMORY)

    def work() -> Answer:
        handle = running(db, session_id)
        recording = Recording(db, key, session_id)
        fixed = _first_part(db, key, handle, part)
        numbers = {"part": fixed - 1, "check": 0, "input": 0}
        recorder = RequestRecorder(db, handle, recording, last_numbers=numbers)
        rows = _written(recorder, lambda: recorder.write_scores(data, *names, part=part))
        recording.set(rows=rows, parts=recorder.parts_written)
        # Small, and after all parts: a request that is sent again finds them as they are.
        recorder.commit()
        return recording.answer

    with _alone(f"{session_id}/{part or ''}"):
        return once(db, key, work)


def _first_part(
    db: Database, key: KeyedRequest | None, handle: SessionHandle, part: int | None
) -> int:
    """Return the first part to write: a request that is sent again writes the same ones."""
    first = part or last_numbers(db, handle)["part"] + 1
    return int(reserve(db, key, handle.session_id, {"first_part": first})["first_part"])


def _written(recorder: RequestRecorder, write: Callable[[], int]) -> int:
    try:
        return write()
    except MfprefectError:
        recorder.drop_written_parts()
        raise

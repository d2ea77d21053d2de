"""What requests that write do: as the command line's `session` does, one transaction a request."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mfprefect.console.api.bodies import Uploaded
from mfprefect.console.api.commands import RESULTS, CloseSession, LogResults, OpenSession, Runtime
from mfprefect.console.api.problems import ProblemError
from mfprefect.console.api.score_files import batches_of
from mfprefect.errors import MfprefectError
from mfprefect.provenance import Environment, Provenance, strip_credentials
from mfprefect.session.requests import RequestRecorder, end_session
from mfprefect.store import Store
from mfprefect.store.audit.events import acting_as
from mfprefect.store.database import Database
from mfprefect.store.handle import SessionHandle, session_closed_error
from mfprefect.store.idempotency import Answer, KeyedRequest, once, record, remove_old, reserve
from mfprefect.store.lookup import find_session
from mfprefect.store.sessions.opening import new_session_id, open_session
from mfprefect.store.sessions.request import SessionRequest
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.states import DETACHED, Status
from mfprefect.util import values

__all__ = ["close", "log_results", "open_", "save_artifact", "save_file", "write_scores"]

log = logging.getLogger(__name__)
MOST_IN_MEMORY = 1_000_000
"""The most rows of scores that a request may name a part for: a part is written at once."""
NOT_REPORTED = "not reported"
KEPT_DAYS = 30
"""Days after which the key of a request is forgotten."""
DAY = 86_400.0


def open_(
    store: Store, key: KeyedRequest | None, body: OpenSession, person: str, host: str
) -> Answer:
    """Open a session, without a process of this machine."""
    if body.register_model:
        with acting_as(person):
            _register(store, body.model_id)
    session_id = new_session_id(body.model_id, values.utc_now())
    request = _request(body, session_id, person, host)
    answer = Answer(
        201,
        {
            "session_id": session_id,
            "model_id": body.model_id,
            "purpose": body.purpose,
            "status": Status.RUNNING.value,
        },
        session_id,
    )
    db = store.database

    def work() -> Answer:
        open_session(db, request, also=lambda connection: record(db, connection, key, answer))
        return answer

    _remove_old_keys(db)
    return once(db, key, work)


_next_removal = {"at": 0.0}
_removal_lock = threading.Lock()


def _remove_old_keys(db: Database) -> None:
    """Delete the keys that nobody sends again, once a day."""
    with _removal_lock:
        if time.monotonic() < _next_removal["at"]:
            return
        _next_removal["at"] = time.monotonic() + DAY
    try:
        remove_old(db, values.utc_now() - dt.timedelta(days=KEPT_DAYS))
    except MfprefectError as exc:
        log.warning("old idempotency keys were not deleted: %s", exc)


def _register(store: Store, model_id: str) -> None:
    if model_id not in set(store.models()["model_id"]):
        store.add_model(model_id)


def _request(body: OpenSession, session_id: str, person: str, host: str) -> SessionRequest:
    tags = sorted({values.name(tag, "the tag") for tag in body.tags})
    return SessionRequest(
        model_id=values.name(body.model_id, "the model id"),
        purpose=body.purpose,
        params=values.json_text(_params(body.params), "params"),
        as_of=values.as_date(body.as_of, "as_of"),
        parent_session_id=body.parent,
        provenance=_provenance(body, person, host),
        environment=_environment(body.environment),
        flow_run=None,
        tags=values.json_text(tags, "the tags") if tags else None,
        session_id=session_id,
    )


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    return {values.name(name, "the parameter's name", 255): params[name] for name in params}


def _provenance(body: OpenSession, person: str, host: str) -> Provenance:
    """Return the origin as the client tells it: this machine's says nothing of its code."""
    code = body.code
    remote = code.remote if code else None
    return Provenance(
        vcs=code.vcs if code else None,
        commit=None if code is None else values.name(code.commit, "the commit", 64),
        branch=_optional(code.branch if code else None, "the branch"),
        remote=None if remote is None else strip_credentials(values.text(remote, "the remote")),
        dirty=code.dirty if code else None,
        diff_digest=None,
        run_by=person,
        host=values.name(body.host or host, "the host", 255),
        process_id=DETACHED,
        process_key=None,
        author=_optional(code.author if code else None, "the author"),
    )


def _optional(text: str | None, what: str) -> str | None:
    return None if text is None else values.text(text, what)


def _environment(runtime: Runtime | None) -> Environment:
    if runtime is None:
        return Environment.of(NOT_REPORTED, NOT_REPORTED, {})
    language = values.name(runtime.language, "the language")
    system = values.text(runtime.platform, "the platform") or NOT_REPORTED
    values.json_text(runtime.packages, "the packages")
    return Environment.of(language, system, runtime.packages)


def _running(db: Database, session_id: str) -> SessionHandle:
    """Return a running session.

    Raises:
        UnknownSession: there is no such session.
        SessionClosed: it has ended.
    """
    handle = find_session(db, values.name(session_id, "the session", 96))
    if handle.status != Status.RUNNING:
        raise session_closed_error(handle)
    return handle


class _Recording:
    """The answer of a request, for the transaction that records it."""

    def __init__(self, db: Database, key: KeyedRequest | None, session_id: str) -> None:
        self._db, self._key, self._session_id = db, key, session_id
        self.answer = Answer(200, {"session_id": session_id}, session_id)

    def set(self, **members: Any) -> Answer:
        """Set the members of the answer beside the session's id."""
        body = {"session_id": self._session_id, **members}
        self.answer = Answer(200, body, self._session_id)
        return self.answer

    def __call__(self, connection: Any) -> None:
        """Record the answer."""
        record(self._db, connection, self._key, self.answer)


def log_results(
    store: Store, key: KeyedRequest | None, session_id: str, body: LogResults
) -> Answer:
    """Store results of a running session, all of them or none."""
    db = store.database

    def work() -> Answer:
        recording = _Recording(db, key, session_id)
        recorder = RequestRecorder(db, _running(db, session_id), recording)
        checks = _check_rows(recorder, body)
        _log_figures(recorder, body)
        failed = _log_checks(recorder, checks)
        counts = {name: len(items) for name in RESULTS if (items := getattr(body, name))}
        answer = recording.set(logged=counts, failed_checks=failed)
        recorder.commit()
        return answer

    return once(db, key, work)


def _log_figures(recorder: RequestRecorder, body: LogResults) -> None:
    import pandas as pd

    if body.params:
        recorder.log_params(body.params)
    if body.metrics:
        recorder.log_metrics(body.metrics, body.segment)
    if body.metadata:
        recorder.log_metadata(body.metadata, body.group)
    for read in body.inputs:
        recorder.log_input(**read.model_dump())
    for kind in sorted({row.kind for row in body.variable_importance}):
        rows = [row.model_dump() for row in body.variable_importance if row.kind == kind]
        recorder.log_variable_importance(pd.DataFrame(rows), kind)
    if body.backtests:
        recorder.log_backtest(pd.DataFrame([row.model_dump() for row in body.backtests]))


def _check_rows(recorder: RequestRecorder, body: LogResults) -> list[dict[str, Any]]:
    """Return results of checks as rows; cells of masked columns are left out."""
    masked = set(recorder.settings.masked_columns)
    rows = []
    for check in body.checks:
        sample = [] if check.column in masked else check.sample
        row = check.model_dump() | {"sample": values.json_text(sample, "the sample")}
        for name in ("check", "message"):
            values.text(row[name], f"the {name}")
        rows.append(row)
    return rows


def _log_checks(recorder: RequestRecorder, rows: list[dict[str, Any]]) -> list[str]:
    """Store results of checks; return what failed with severity error, in words."""
    from mfprefect.errors import ChecksFailed
    from mfprefect.quality.checks.result import failures, label

    if not rows:
        return []
    try:
        recorder.log_check_results(rows)
    except ChecksFailed as exc:
        # The client decides how its session ends; the results are stored anyway.
        return [label(row) for row in failures(list(exc.results))]
    return []


def save_artifact(
    store: Store, key: KeyedRequest | None, session_id: str, name: str, upload: Uploaded
) -> Answer:
    """Store a body as a model, in chunks; replace one of the same name."""
    values.name(name, "the artifact's name")
    kind = "onnx" if name.endswith(".onnx") else "bytes"

    def save(recorder: RequestRecorder) -> None:
        recorder.save_model(Path(upload.path), name, format=kind)

    return _saved(store.database, key, session_id, name, upload, save)


def save_file(
    store: Store, key: KeyedRequest | None, session_id: str, name: str, upload: Uploaded
) -> Answer:
    """Store a body as a file of the session, in chunks; replace one of the same name."""

    def save(recorder: RequestRecorder) -> None:
        recorder.log_file(Path(upload.path), name)

    return _saved(store.database, key, session_id, name, upload, save)


def _saved(
    db: Database,
    key: KeyedRequest | None,
    session_id: str,
    name: str,
    upload: Uploaded,
    save: Callable[[RequestRecorder], None],
) -> Answer:
    def work() -> Answer:
        recording = _Recording(db, key, session_id)
        recorder = RequestRecorder(db, _running(db, session_id), recording)
        answer = recording.set(name=name, bytes=upload.size, sha256=upload.sha256)
        save(recorder)
        return answer

    return once(db, key, work)


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
        handle = _running(db, session_id)
        recording = _Recording(db, key, session_id)
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
    from mfprefect.store.sessions.writing import last_numbers

    first = part or last_numbers(db, handle)["part"] + 1
    return int(reserve(db, key, handle.session_id, {"first_part": first})["first_part"])


def _written(recorder: RequestRecorder, write: Callable[[], int]) -> int:
    try:
        return write()
    except MfprefectError:
        recorder.drop_written_parts()
        raise


def close(store: Store, key: KeyedRequest | None, session_id: str, body: CloseSession) -> Answer:
    """End a session: seal it, and publish its scores if it succeeded."""
    db = store.database
    status = Status(body.status)
    kind, text = None, None
    if status != Status.SUCCEEDED:
        kind = values.name(body.kind or status.capitalize(), "the kind", 255)
        text = db.without_secrets(values.text(body.reason or "", "the reason"))
    outcome = Outcome(status, kind, text, publish=body.publish, ended_at=dt.datetime.now(dt.UTC))

    def work() -> Answer:
        recording = _Recording(db, key, session_id)
        answer = recording.set(status=status.value)
        end_session(db, _running(db, session_id), outcome, recording)
        return answer

    return once(db, key, work)

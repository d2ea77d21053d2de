"""What requests that write do: as the command line's `session` does, one transaction a request."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mfprefect.console.api.bodies import Uploaded
from mfprefect.console.api.commands import RESULTS, CloseSession, LogResults, OpenSession, Runtime
from mfprefect.console.api.evaluation import TestColumns, log_rows, rows_of_body
from mfprefect.console.api.recording import Recording, running
from mfprefect.errors import MfprefectError
from mfprefect.provenance import Environment, Provenance, strip_credentials
from mfprefect.session.requests import RequestRecorder, end_session
from mfprefect.store import Store
from mfprefect.store.audit.events import acting_as
from mfprefect.store.database import Database
from mfprefect.store.idempotency import Answer, KeyedRequest, once, record, remove_old
from mfprefect.store.sessions.opening import new_session_id, open_session
from mfprefect.store.sessions.request import SessionRequest
from mfprefect.store.sessions.writing import Outcome
from mfprefect.store.states import DETACHED, Status
from mfprefect.util import values

__all__ = ["close", "log_results", "log_test_results", "open_", "save_artifact", "save_file"]

log = logging.getLogger(__name__)
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


def log_results(
    store: Store, key: KeyedRequest | None, session_id: str, body: LogResults
) -> Answer:
    """Store results of a running session, all of them or none."""
    db = store.database

    def work() -> Answer:
        recording = Recording(db, key, session_id)
        recorder = RequestRecorder(db, running(db, session_id), recording)
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
    for step in body.steps:
        recorder.log_metrics(step.metrics, step.segment, step=step.step)
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
        row = check.model_dump()
        sample = [] if check.column in masked else row["sample"]
        row["sample"] = values.json_text(sample, "the sample")
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


def log_test_results(
    store: Store, key: KeyedRequest | None, session_id: str, upload: Uploaded, columns: TestColumns
) -> Answer:
    """Evaluate test rows; store metrics, notes and curve of a running session."""
    db = store.database
    columns.require()
    frame = rows_of_body(upload)

    def work() -> Answer:
        recording = Recording(db, key, session_id)
        recorder = RequestRecorder(db, running(db, session_id), recording)
        metrics = log_rows(recorder, frame, columns)
        answer = recording.set(rows=len(frame), metrics=metrics)
        recorder.commit()
        return answer

    return once(db, key, work)


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
        recording = Recording(db, key, session_id)
        recorder = RequestRecorder(db, running(db, session_id), recording)
        answer = recording.set(name=name, bytes=upload.size, sha256=upload.sha256)
        save(recorder)
        return answer

    return once(db, key, work)


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
        recording = Recording(db, key, session_id)
        answer = recording.set(status=status.value)
        end_session(db, running(db, session_id), outcome, recording)
        return answer

    return once(db, key, work)

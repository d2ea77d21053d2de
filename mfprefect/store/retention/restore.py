"""Restoring archived sessions, under their original numbers.

Until it is complete, the session is a running one of this process. If that is killed, the session
becomes `crashed` like any other, and can be deleted and restored again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pyarrow import parquet

from mfprefect.errors import ArtifactCorrupt, IntegrityError, InvalidValue
from mfprefect.store.audit.events import record
from mfprefect.store.audit.orphans import remove_orphans
from mfprefect.store.database import Database
from mfprefect.store.database.row_validation import MALFORMED, check_lengths, check_row, typed
from mfprefect.store.handle import SessionHandle, null_flow_run_seq
from mfprefect.store.lookup import require_model
from mfprefect.store.retention.archive_files import check_archive, parts_of
from mfprefect.store.scores import write
from mfprefect.store.sessions.environments import add_environment
from mfprefect.store.sessions.writing import Outcome, close_session, flush, write_rows
from mfprefect.store.states import Purpose, Status
from mfprefect.util import values
from mfprefect.util.processes import this_process

__all__ = ["restore_session"]

MOST_ROWS = 10_000
"""Rows that one transaction writes: a training may have logged many steps."""
NOT_ROWS = ("artifact_chunks", "scores", "score_parts")


def restore_session(db: Database, folder: Path) -> str:
    """Write an archived session back as it was; return its id.

    Its stages are not restored: the audit event of its deletion holds them.

    Raises:
        ArtifactCorrupt: the archive is damaged; nothing was written.
        InvalidValue: the session exists, or another one has its number.
        UnknownModel: its model is not registered.
    """
    head = check_archive(folder)
    try:
        row = typed(db.schema.sessions, head["session"])
        _check(db, row, head)
    except (InvalidValue, *MALFORMED) as exc:
        raise ArtifactCorrupt(f"the head of the archive {folder} is wrong: {exc!r}.") from exc
    try:
        for name in set(head["tables"]) - set(NOT_ROWS):
            for row_values in _rows(folder, name):
                check_row(db.schema.tables[name], row_values)
    except (InvalidValue, *MALFORMED) as exc:
        raise ArtifactCorrupt(f"the archive {folder} holds a malformed row: {exc}.") from exc
    handle = db.write_transaction(lambda c, _: _open(db, c, row, head), also_retry=IntegrityError)
    for name in head["tables"]:
        rows = [] if name in NOT_ROWS else _rows(folder, name)
        for start in range(0, len(rows), MOST_ROWS):
            flush(db, handle, {name: rows[start : start + MOST_ROWS]}, replace=True)
    if "artifact_chunks" in head["tables"]:
        for chunk in _groups(folder / "artifact_chunks.parquet"):
            flush(db, handle, {"artifact_chunks": chunk}, replace=True)
    if "scores" in head["tables"]:
        for number, part in parts_of(folder):
            write.write_part(db, handle, number, part)
    _end(db, handle, row, folder, head)
    return handle.session_id


def _open(
    db: Database, connection: sa.Connection, row: Mapping[str, Any], head: Mapping[str, Any]
) -> SessionHandle:
    s = db.schema.sessions
    require_model(db, connection, row["model_id"])
    same = (s.c.session_id == row["session_id"], s.c.session_no == row["session_no"])
    if taken := connection.scalar(sa.select(s.c.session_id).where(sa.or_(*same))):
        raise InvalidValue(
            f"session {row['session_id']!r} with the number {row['session_no']} cannot be "
            f"restored: {taken!r} exists. Restore it into another database."
        )
    for environment in _environments(head):
        add_environment(db, connection, environment)
    number = row["parent_session_no"]
    parent = sa.select(s.c.session_no).where(
        s.c.session_no == number, s.c.session_id == head["session_ids"].get(str(number))
    )
    meanwhile = {
        "status": Status.RUNNING,
        "heartbeat_at": values.utc_now(),
        **this_process().columns(),
        "published_at": None,
        # A retry of its flow run must not resume it.
        "flow_run_id": None,
        "flow_run_seq": null_flow_run_seq(db, row["session_no"]),
        "parent_session_no": connection.scalar(parent),
        "seal": None,
        "previous_seal": None,
        "deletion": None,
    }
    connection.execute(s.insert(), {**row, **meanwhile})
    names = ("session_no", "session_id", "model_id", "purpose", "attempt")
    handle = SessionHandle(**{name: row[name] for name in names})
    remove_orphans(db, connection, handle)
    return handle


def _end(
    db: Database,
    handle: SessionHandle,
    row: Mapping[str, Any],
    folder: Path,
    head: Mapping[str, Any],
) -> None:
    """Restore the dates of the session's parts and its original row, and publish it if it was.

    This is one transaction: if it is killed before, the session is a running one without a process.
    """
    restored = (
        *("heartbeat_at", "ended_at", "published_at", "suspected_at"),
        *("host", "process_id", "process_key"),
        *("failure_kind", "failure_text", "flow_run_id", "flow_run_seq"),
    )
    s, parts = db.schema.sessions, db.schema.score_parts
    this = (s.c.session_no == handle.session_no, s.c.session_id == handle.session_id)

    # A retry of the flow run would keep parts that have no scores.
    complete = "scores" in head["tables"] or row["status"] == Status.SUCCEEDED
    left_out = "score_parts" in head["tables"] and not complete

    def also(connection: sa.Connection) -> None:
        if "score_parts" in head["tables"] and complete:
            connection.execute(parts.delete().where(parts.c.session_no == handle.session_no))
            rows = {"score_parts": _rows(folder, "score_parts")}
            write_rows(db, connection, handle, rows, replace=False)
        changes = {name: row[name] for name in restored}
        if row["flow_run_id"] is None:
            changes["flow_run_seq"] = null_flow_run_seq(db, handle.session_no)
        connection.execute(s.update().where(*this), changes)
        sealed = _sealed(db, connection, row)
        if sealed:
            seals = {name: row[name] for name in ("seal", "previous_seal")}
            connection.execute(s.update().where(*this), seals)
        parent = connection.scalar(sa.select(s.c.parent_session_no).where(*this))
        event = {
            "model": handle.model_id,
            "archive": str(folder),
            # What differs from the sealed content, and the seal in another database's chain.
            "left_out": ["score_parts"] if left_out else [],
            "parent_left_out": None if parent is not None else row["parent_session_no"],
            "sealed_elsewhere": None if sealed else row["seal"],
        }
        record(db, connection, "restore_session", handle.session_id, **event)

    ending = Outcome(row["status"], publish=False, sealed=False, ended_at=row["ended_at"])
    close_session(db, handle, ending, {}, replace=False, also=also)


def _sealed(db: Database, connection: sa.Connection, row: Mapping[str, Any]) -> bool:
    """Return whether the session's seal is in the chain of this database."""
    c = db.schema.seals.c
    this = (c.session_no == row["session_no"], c.session_id == row["session_id"])
    return connection.scalar(sa.select(c.seal_no).where(*this, c.seal == row["seal"])) is not None


def _check(db: Database, row: Mapping[str, Any], head: Mapping[str, Any]) -> None:
    """Refuse a forged head, and one that names tables that hold no rows of a session."""
    check_lengths(db.schema.sessions, row)
    for name in ("session_id", "model_id", "run_by", "host"):
        values.name(row[name], name, 255)  # shorter columns: check_lengths
    values.choice(row["status"], "the status", Status.endings())
    values.choice(row["purpose"], "the purpose", tuple(Purpose))
    if not all(isinstance(row[name], int) and row[name] > 0 for name in ("session_no", "attempt")):
        raise InvalidValue("the session's number and attempt must be integers from 1")
    for name in ("started_at", "heartbeat_at", "params"):
        if row[name] is None:
            raise InvalidValue(f"{name} is missing")
    names = {t for t, table in db.schema.tables.items() if table in db.schema.session_tables()}
    if unknown := sorted(set(head["tables"]) - names):
        raise InvalidValue(f"{unknown[0]!r} is not a table of a session")
    for environment in _environments(head):
        if missing := set(db.schema.environments.c.keys()) - set(environment):
            raise InvalidValue(f"an environment has no {min(missing)}")
        check_row(db.schema.environments, environment)
    if head["environment"]["environment_digest"] != row["environment_digest"]:
        raise InvalidValue("the environment is another one")
    dict(head["session_ids"])


def _environments(head: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the environments of an archive; earlier versions wrote only the session's own."""
    return [head["environment"], *head.get("environments", ())]


def _rows(folder: Path, name: str) -> list[dict[str, Any]]:
    rows = parquet.read_table(folder / f"{name}.parquet").to_pylist()
    return [_without_number(row) for row in rows]


def _without_number(row: dict[str, Any]) -> dict[str, Any]:
    """Drop the session's number: a file must not choose which session gets its rows."""
    return {key: value for key, value in row.items() if key != "session_no"}


def _groups(path: Path) -> Iterator[Sequence[dict[str, Any]]]:
    with parquet.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield [_without_number(row) for row in file.read_row_group(number).to_pylist()]

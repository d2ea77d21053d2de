"""Comparing a sealed session's tables with its manifest.

Legitimate changes after the end (scores deleted or exported, notices, a renamed model) are compared
with the audit trail instead.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from mfprefect import audit
from mfprefect.audit import Problem
from mfprefect.errors import PermissionDenied
from mfprefect.scores import SCHEMA
from mfprefect.scores.digest import by_part, digest
from mfprefect.store import session_params as params
from mfprefect.store.audit import seals
from mfprefect.store.audit.log import SessionHistory, instant
from mfprefect.store.database import Database
from mfprefect.store.states import RETENTION, SCORES_BEING_DELETED, SCORES_DELETED, Status
from mfprefect.util import values

__all__ = ["SessionVerifier", "score_problems"]

NO_NOTE = "the note on the deletion of its scores is gone"
SCORES = SCHEMA.append(pa.field("part_no", pa.int32(), nullable=False))
NOTES = {(RETENTION, SCORES_DELETED), (RETENTION, SCORES_BEING_DELETED)}


class SessionVerifier:
    """Compares one session with its manifest."""

    def __init__(
        self,
        db: Database,
        connection: sa.Connection,
        state: seals.State,
        manifest: Mapping[str, Any],
        history: SessionHistory,
        names: set[str],
    ) -> None:
        self.db, self.connection = db, connection
        self.row = dict(state.row)
        self.manifest, self.history, self.names = manifest, history, names
        self.content = seals.read_content(db, connection, state)
        self.deleting = False
        """Whether its scores are being deleted."""

    def problems(self, environments: dict[str, bool]) -> Iterator[Problem]:
        """Yield the differences; `environments` caches which environments are sound."""
        yield from self._own_row()
        yield from self._note()
        now, then = seals.summaries(self.db, self.row, self.content), self._sealed()
        for name in sorted({*now, *then} - set(self.history.left_out)):
            yield from audit.differences(name, then.get(name), now.get(name))
        yield from self._notices()
        yield from self._artifacts()
        for key in self._environment_digests():
            yield from self._environment(key, environments)

    def parts(self) -> list[dict[str, Any]] | None:
        """Return the parts whose scores to recompute; None for no check."""
        if "score_parts" in self.history.left_out or self.deleting:
            return None
        parts: list[dict[str, Any]] = self.content.get("score_parts", [])
        return parts

    def _sealed(self) -> Mapping[str, Any]:
        """Return the manifest's entries, with that of parameters added after an early seal.

        Their rows must be those that follow from the session's own row, which is sealed.
        """
        sealed: Mapping[str, Any] = self.manifest["tables"]
        if params.TABLE in sealed or params.TABLE not in self.content:
            return sealed
        rows = params.param_rows(self.db, self.row["params"])
        derived = seals.plain_content(self.db, params.TABLE, rows)
        entries = seals.summaries(self.db, self.row, derived)
        return {**sealed, **{name: entries[name] for name in derived}}

    def _own_row(self) -> Iterator[Problem]:
        """Undo legitimate changes, so that the rest can be compared with the seal."""
        row, history = self.row, self.history
        if row["model_id"] != self.manifest["model_id"] and row["model_id"] in self.names:
            row["model_id"] = self.manifest["model_id"]
        if history.scores_deleted is not None:
            if row["published_at"] is not None:
                yield _changed("published_at", "its scores were deleted, and it is published")
            row["published_at"] = instant(history.scores_deleted.get("published_at"))
        if history.parent_left_out is not None and row["parent_session_no"] is None:
            row["parent_session_no"] = history.parent_left_out
        if row["last_exported_at"] != history.exported_at:
            text = "the audit trail records another last export"
            yield _changed("last_exported_at", text)
        if row["previous_seal"] != self.manifest["previous_seal"]:
            yield _changed("previous_seal", "it is not the one in the chain")

    def _note(self) -> Iterator[Problem]:
        """Remove the note on the deletion of its scores from the metadata, and check it."""
        rows = self.content.get("session_metadata", [])
        notes = [row for row in rows if (row["meta_group"], row["meta_name"]) in NOTES]
        detail = self.history.scores_deleted
        if detail is None:
            return
        self.content["session_metadata"] = [row for row in rows if row not in notes]
        if not self.content["session_metadata"]:
            del self.content["session_metadata"]
        expected = {key: value for key, value in detail.items() if key != "model"}
        text, key = values.json_text(expected, "the note"), (RETENTION, SCORES_DELETED)
        self.deleting = any(note["meta_name"] == SCORES_BEING_DELETED for note in notes)
        if not notes:
            yield Problem(
                "removed", f"session_metadata: {NO_NOTE}", table="session_metadata", key=key
            )
        elif len(notes) > 1 or notes[0]["meta_value"] != text:
            what = "session_metadata: the note on the deletion of its scores was changed"
            yield Problem("changed", what, table="session_metadata", key=key)

    def _notices(self) -> Iterator[Problem]:
        """Compare the notices with the audit trail, which records each step."""
        n = self.db.schema.notifications
        select = sa.select(n).where(n.c.session_no == self.row["session_no"])
        now = {}
        for stored in self.connection.execute(select):
            row = audit.plain_row(n, dict(zip(n.c.keys(), stored, strict=True)))
            del row["session_no"]
            now[row["notice_no"]] = row
        then = {number: _as_sealed(detail) for number, detail in self.history.notices.items()}
        for number in sorted({*now, *then}):
            name, key = "notifications", (number,)
            if number not in now:
                yield Problem("removed", f"{name}: the row ({number}) is gone", table=name, key=key)
            elif number not in then:
                yield Problem("added", f"{name}: the row ({number}) was added", table=name, key=key)
            elif now[number] != then[number]:
                both = {*now[number], *then[number]}
                columns = [c for c in both if now[number].get(c) != then[number].get(c)]
                text = f"{name}: the row ({number}) was changed, in {', '.join(sorted(columns))}"
                yield Problem("changed", text, table=name, key=key, columns=tuple(sorted(columns)))

    def _artifacts(self) -> Iterator[Problem]:
        """Recompute the digests of model blobs, chunk by chunk."""
        c, number = self.db.schema.artifact_chunks.c, self.row["session_no"]
        stored = {row["artifact_name"]: row for row in self.content.get("artifacts", [])}
        keys: dict[str, list[int]] = {name: [] for name in stored}
        select = sa.select(c.artifact_name, c.chunk_no).where(c.session_no == number)
        for row in self.connection.execute(select.order_by(c.artifact_name, c.chunk_no)):
            keys.setdefault(row.artifact_name, []).append(row.chunk_no)
        for name, numbers in keys.items():
            if name not in stored:
                text = f"artifact_chunks: chunks of {name!r} were added"
                yield Problem("added", text, table="artifact_chunks", key=(name, *numbers[:1]))
            elif wrong := self._wrong_chunks(stored[name], numbers):
                text = f"artifact_chunks: {name!r}: {wrong}"
                yield Problem("changed", text, table="artifact_chunks", key=(name,))

    def _wrong_chunks(self, artifact: Mapping[str, Any], numbers: list[int]) -> str | None:
        c, sha = self.db.schema.artifact_chunks.c, hashlib.sha256()
        of_artifact = (
            c.session_no == self.row["session_no"],
            c.artifact_name == artifact["artifact_name"],
        )
        if gaps := sorted(set(range(len(numbers))) ^ set(numbers)):
            return f"its chunks are not numbered from 0 without gaps: see {gaps[0]}"
        for number in numbers:
            one = sa.select(c.bytes).where(*of_artifact, c.chunk_no == number)
            chunk = bytes(self.connection.scalar(one) or b"")
            if not chunk:
                return f"the chunk {number} is empty"
            sha.update(chunk)
        same = sha.hexdigest() == artifact["sha256"]
        return None if same else "its bytes are not those that were stored: the SHA-256 differs"

    def _environment_digests(self) -> list[str]:
        """Return the keys of the environments of the session and of its attempts."""
        rows = [self.row, *self.content.get("session_attempts", ())]
        keys = (row.get("environment_digest") for row in rows)
        return [key for key in dict.fromkeys(keys) if key is not None]

    def _environment(self, key: str, verified: dict[str, bool]) -> Iterator[Problem]:
        """Recompute an environment's digest, which is its key."""
        e = self.db.schema.environments.c
        if key not in verified:
            select = sa.select(e.python_version, e.platform_name, e.packages)
            environment = self.connection.execute(select.where(e.environment_digest == key)).first()
            verified[key] = (
                environment is not None and audit.environment_digest(*environment) == key
            )
        if not verified[key]:
            text = f"environments: {key[:12]}.. does not match its digest"
            yield Problem("changed", text, table="environments", key=(key,))


def _changed(column: str, why: str) -> Problem:
    text = f"sessions: {column} was changed: {why}"
    return Problem("changed", text, table="sessions", columns=(column,))


def _as_sealed(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a notice as the audit trail recorded it."""
    names = ("notice_no", "event", "channel", "sent_at", "delivered", "failure")
    row = {name: detail[name] for name in names if detail.get(name) is not None}
    at = instant(row.get("sent_at"))
    if at is not None:
        row["sent_at"] = at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    return row


def score_problems(
    db: Database, state: seals.State, parts: list[dict[str, Any]], history: SessionHistory
) -> list[Problem]:
    """Recompute the digests of a session's score parts, one part in memory at a time."""
    expected = {part["part_no"]: part for part in parts if part["row_count"]}
    problems, seen = [], set[int]()
    gone = history.scores_deleted is not None
    try:
        for number, rows in _parts(db, state, seen):
            if (why := _wrong_part(expected.get(number), rows, gone)) is not None:
                what = "changed" if number in expected and not gone else "added"
                text = f"scores: part {number}: {why}"
                problems.append(Problem(what, text, table="scores", key=(number,)))
    except PermissionDenied:
        # A failed run's own score table, which no role has rights on.
        if state.row["status"] == Status.SUCCEEDED:
            raise
        return problems
    for number in [] if gone else sorted(expected.keys() - seen):
        text = f"scores: part {number}: all {expected[number]['row_count']} rows are gone"
        problems.append(Problem("removed", text, table="scores", key=(number,)))
    return problems


def _parts(db: Database, state: seals.State, seen: set[int]) -> Iterator[tuple[int, pa.Table]]:
    for table in _tables(db, state):
        c = table.c
        select = sa.select(*(c[name] for name in SCHEMA.names), c.part_no)
        of_session = select.where(c.session_no == state.row["session_no"])
        for number, rows in by_part(db.stream(of_session.order_by(c.part_no, c.entity_id), SCORES)):
            if number not in seen:
                seen.add(number)
                yield number, rows


def _tables(db: Database, state: seals.State) -> Iterator[sa.Table]:
    yield db.schema.scores
    if state.row["status"] != Status.SUCCEEDED and db.backend.per_session_tables:
        # Only success attaches the session's own table to `scores`.
        number = state.row["session_no"]
        table = db.read_transaction(lambda connection: db.backend.scores_of(connection, number))
        if table is not db.schema.scores:
            yield table


def _wrong_part(part: Mapping[str, Any] | None, rows: Any, gone: bool) -> str | None:
    if gone:
        return f"{rows.num_rows} rows were added: its scores were deleted"
    if part is None:
        return f"{rows.num_rows} rows were added, in a part that nobody recorded"
    if rows.num_rows != part["row_count"]:
        return f"{rows.num_rows} rows, {part['row_count']} were sealed"
    if digest(rows) != part["digest"]:
        return "a value was changed: the digest differs"
    return None

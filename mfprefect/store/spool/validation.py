"""Whether an entry of the spool fits the database.

Anybody who can write to the spool's folder can make all digests match. So nothing is trusted: an
entry may hold rows of its own session only, in the tables that runs fill, with the types of their
columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mfprefect.artifacts.files import FILE, FOLDER, file_name
from mfprefect.errors import InvalidValue, SpoolRefused
from mfprefect.spool.documents import ArtifactWrite, Ending, Head, ParamsWrite, RowsWrite
from mfprefect.store.database import Database, migrate
from mfprefect.store.database.row_validation import MALFORMED, check_row, typed, with_instants
from mfprefect.store.states import Purpose
from mfprefect.util import values

__all__ = ["EntryCheck"]

NOT_ROWS = (
    *("scores", "score_parts", "artifacts", "artifact_chunks"),
    *("notifications", "session_attempts", "session_params"),
)
"""Tables of a session that are not filled by rows of the spool."""
_SESSION = ("session_id", "model_id", "purpose", "attempt")
_RUN = ("host", "process_id", "process_key", "run_by", "flow_run_id")
_SET_ON_DELIVERY = ("session_no", "flow_run_seq", "parent_session_no")


class EntryCheck:
    """Checks the documents of one entry."""

    def __init__(self, db: Database, folder: Path, head: Head) -> None:
        self._tables, self._folder, self._head = db.schema.tables, folder, head
        self._writable = set(db.schema.session_tables()) - {self._tables[n] for n in NOT_ROWS}

    @contextmanager
    def refusing_malformed(self) -> Iterator[None]:
        """Turn what malformed content raises into SpoolRefused."""
        try:
            yield
        except (InvalidValue, RecursionError, *MALFORMED) as exc:
            raise SpoolRefused(f"{self._folder} holds what no run writes: {exc}") from exc

    def head(self) -> None:
        """Check the head.

        Raises:
            SpoolRefused: a newer version wrote the entry.
            InvalidValue: no run wrote that.
        """
        head, tables = self._head, self._tables
        if not migrate.is_known(head.revision):
            raise SpoolRefused(
                f"{self._folder} was written by a newer mfprefect, for the schema "
                f"{head.revision[:60]}: "
                "`pip install --upgrade mfprefect`, `mfprefect init`, and push again."
            )
        values.name(head.session_id, "the session id", 96)
        values.name(head.model_id, "the model id")
        values.choice(head.purpose, "the purpose", tuple(Purpose))
        check_row(tables["sessions"], {name: getattr(head, name) for name in (*_SESSION, *_RUN)})
        if head.tags is not None:
            _require_json(head.tags, list, "the tags")
        if head.model is not None:
            check_row(tables["models"], head.model)
            if head.model["model_id"] != head.model_id:
                raise InvalidValue(
                    f"it registers the model {head.model['model_id']!r}, and its session is of "
                    f"{head.model_id!r}."
                )
        if head.session is not None and head.environment is not None:
            self._session(head.session, head.environment)

    def _session(self, session: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        sessions = self._tables["sessions"]
        if odd := set(session) - set(sessions.c.keys()):
            raise InvalidValue(f"the table sessions has no column {min(odd)!r}.")
        row = typed(sessions, session)
        check_row(sessions, {k: v for k, v in row.items() if k not in _SET_ON_DELIVERY})
        if any(row[name] != getattr(self._head, name) for name in _SESSION):
            raise InvalidValue("the session's row is that of another session.")
        check_row(self._tables["environments"], environment)
        if row["environment_digest"] != environment["environment_digest"]:
            raise InvalidValue("the session ran in another environment.")
        _require_json(row["params"], dict, "the params")
        _require_json(environment["packages"], dict, "the packages")

    def ending(self, ending: Ending) -> None:
        """Check the ending.

        Raises:
            InvalidValue: no run wrote that.
        """
        columns = ("status", "failure_kind", "failure_text")
        check_row(self._tables["sessions"], {name: getattr(ending, name) for name in columns})

    def rows(self, write: RowsWrite) -> None:
        """Check rows.

        Raises:
            SpoolRefused: a table or a column is unknown, or not for runs to write.
            InvalidValue: a value does not fit.
        """
        for name, rows in write.tables.items():
            table = self._tables.get(name)
            if table is None:
                raise self._of_another_version(f"the table {name[:60]!r}")
            if table not in self._writable:
                raise SpoolRefused(f"{self._folder}: no run writes rows of the table {name!r}.")
            columns = {*table.c.keys(), "reference_session_id"}
            required = {c.key for c in table.c if not c.nullable}
            for row in rows:
                if odd := {*row} - columns or required - {*row, "session_no"}:
                    raise self._of_another_version(f"{name}.{min(odd)[:60]}")
                _check_row(table, row)

    def params(self, write: ParamsWrite) -> None:
        """Check parameters.

        Raises:
            InvalidValue: a name is too long, or a value has no JSON form.
        """
        for name in write.params:
            values.name(name, "the parameter's name", 255)
        values.json_text(dict(write.params), "params")

    def artifact(self, write: ArtifactWrite) -> None:
        """Check what is recorded of a model or a file.

        Raises:
            SpoolRefused: its file is another one.
            InvalidValue: a value does not fit.
        """
        artifact = write.artifact
        row = {
            "session_no": 1,
            "artifact_name": values.name(write.artifact_name, "the artifact's name"),
            "bytes": artifact["size"],
            **{n: artifact[n] for n in ("format", "sha256", "signature", "library_versions")},
        }
        check_row(self._tables["artifacts"], row)
        if (artifact["sha256"], artifact["size"]) != (write.blob.sha256, write.blob.size):
            raise SpoolRefused(f"{self._folder}: {write.name}.blob is not the model that it names.")
        _require_json(artifact["library_versions"], dict, "the versions of its libraries")
        # Neither may take the place of the other.
        of_file = write.artifact_name.startswith(FOLDER)
        if of_file != (artifact["format"] == FILE):
            raise InvalidValue(f"{write.artifact_name[:60]!r} is not a {artifact['format']!r}.")
        if of_file:
            file_name(write.artifact_name.removeprefix(FOLDER))

    def _of_another_version(self, what: str) -> SpoolRefused:
        return SpoolRefused(
            f"{self._folder} was written for the schema {self._head.revision}, whose rows do not "
            f"fit into {migrate.expected_revision()}: {what} is not in both. Deliver it with the "
            f"mfprefect {self._head.version[:60]} that wrote it, before the upgrade."
        )


def _check_row(table: sa.Table, row: Mapping[str, Any]) -> None:
    if "session_no" in row:  # it could be another session's
        raise InvalidValue(f"a row of {table.name} names a session by its number.")
    reference = row.get("reference_session_id")
    if not isinstance(reference, (str, type(None))) or (reference and table.name != "drift"):
        raise InvalidValue(f"a row of {table.name} names the session {reference!r}.")
    columns = {k: v for k, v in row.items() if k != "reference_session_id"}
    check_row(table, with_instants(table, columns))


def _require_json(text: str, kind: type, what: str) -> None:
    if type(json.loads(text)) is not kind:
        raise InvalidValue(f"{what}, {text[:60]!r}, must be a JSON {kind.__name__}.")

"""What an entry of the spool must be before any of it is delivered.

Digests tell accidents. Whoever can write to the spool's folder can make them fit, so that nothing
is taken for granted: an entry brings the rows of its own session, in the tables that a run fills,
of the types that these have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue, SpoolRefused
from mfprefect.spool.entry import Entry, Write, check_blob
from mfprefect.store.database import Database, migrate
from mfprefect.store.database.row_validation import MALFORMED, check_row, typed
from mfprefect.store.spool.apply import scores_of
from mfprefect.store.states import Purpose
from mfprefect.util import values

__all__ = ["check"]

APART = ("scores", "score_parts", "artifacts", "artifact_chunks", "notifications")
"""What is written by other means than as rows."""
_SESSION = ("session_id", "model_id", "purpose", "attempt")
_RUN = ("host", "process_id", "run_by", "flow_run_id")


def check(db: Database, entry: Entry, head: Mapping[str, Any]) -> None:
    """Read every byte before the first one is delivered.

    Raises:
        SpoolRefused: something is corrupt, does not fit into the schema of this version, or is
            what no run writes.
    """
    if not migrate.is_known(head["revision"]):
        raise SpoolRefused(
            f"{entry.folder} was written by a newer mfprefect, for the schema "
            f"{head['revision'][:60]}: "
            "`pip install --upgrade mfprefect`, `mfprefect init`, and push again."
        )
    try:
        _check_head(db, head)
        _check_ending(db, entry.ending())
        for write in entry.writes():
            check_blob(write)
            _CHECKS[write.content["op"]](db, entry, head, write)
    except (InvalidValue, RecursionError, *MALFORMED) as exc:
        raise SpoolRefused(f"{entry.folder} holds what no run writes: {exc}") from exc


def _check_head(db: Database, head: Mapping[str, Any]) -> None:
    tables = db.schema.tables
    values.name(head["session_id"], "the session id", 96)
    values.name(head["model_id"], "the model id")
    values.choice(head["purpose"], "the purpose", tuple(Purpose))
    check_row(tables["sessions"], {name: head[name] for name in (*_SESSION, *_RUN)})
    if head["tags"] is not None and type(json.loads(head["tags"])) is not list:
        raise InvalidValue("the tags are no list.")
    if (model := head.get("model")) is not None:
        check_row(tables["models"], model)
        if model["model_id"] != head["model_id"]:
            raise InvalidValue(f"{model['model_id']!r} is another model than the session's.")
    if (session := head.get("session")) is None:
        return
    if odd := set(session) - set(tables["sessions"].c.keys()):
        raise InvalidValue(f"a session has no {min(odd)!r}.")
    row = typed(tables["sessions"], session)
    set_here = ("session_no", "flow_run_seq", "parent_session_no")
    check_row(tables["sessions"], {k: v for k, v in row.items() if k not in set_here})
    if any(row[name] != head[name] for name in _SESSION):
        raise InvalidValue("the row of the session is that of another one.")
    check_row(tables["environments"], head["environment"])
    if row["environment_digest"] != head["environment"]["environment_digest"]:
        raise InvalidValue("the environment is another one.")
    for text in (row["params"], head["environment"]["packages"]):
        if type(json.loads(text)) is not dict:
            raise InvalidValue(f"{text[:60]!r} is no JSON object.")


def _check_ending(db: Database, ending: Mapping[str, Any] | None) -> None:
    if ending is not None:
        kept = ("status", "failure_kind", "failure_text")
        check_row(db.schema.tables["sessions"], {name: ending[name] for name in kept})


def _check_rows(db: Database, entry: Entry, head: Mapping[str, Any], write: Write) -> None:
    ours = set(db.schema.session_tables()) - {db.schema.tables[name] for name in APART}
    for name, rows in write.content["tables"].items():
        table = db.schema.tables.get(name)
        if table is None:
            raise _of_another_version(entry, head, f"the table {name[:60]!r}")
        if table not in ours:
            raise SpoolRefused(f"{entry.folder}: no run writes rows of the table {name!r}.")
        known = {*table.c.keys(), "reference_session_id"}
        needed = {c.key for c in table.c if not c.nullable}
        for row in rows:
            if odd := {*row} - known or needed - {*row, "session_no"}:
                raise _of_another_version(entry, head, f"{name}.{min(odd)[:60]}")
            _check_row(table, row)


def _check_row(table: sa.Table, row: Mapping[str, Any]) -> None:
    if "session_no" in row:  # it would be another session's row
        raise InvalidValue(f"a row of {table.name} names a session by its number.")
    named = row.get("reference_session_id")
    if not isinstance(named, (str, type(None))) or (named and table.name != "drift"):
        raise InvalidValue(f"a row of {table.name} names the session {named!r}.")
    check_row(table, {k: v for k, v in row.items() if k != "reference_session_id"})


def _of_another_version(entry: Entry, head: Mapping[str, Any], what: str) -> SpoolRefused:
    return SpoolRefused(
        f"{entry.folder} was written for the schema {head['revision']}, whose rows do not fit into "
        f"{migrate.expected_revision()}: {what} is not in both. Deliver it with the mfprefect "
        f"{head['version'][:60]} that wrote it, before the upgrade."
    )


def _check_artifact(db: Database, entry: Entry, _: Mapping[str, Any], write: Write) -> None:
    told = write.content["artifact"]
    row = {
        "session_no": 1,
        "artifact_name": values.name(write.content["name"], "the artifact's name"),
        "bytes": told["size"],
        **{name: told[name] for name in ("format", "sha256", "signature", "library_versions")},
    }
    check_row(db.schema.tables["artifacts"], row)
    of_blob = (write.content["sha256"], write.content["size"])
    if (told["sha256"], told["size"]) != of_blob:
        raise SpoolRefused(f"{entry.folder}: the model of {write.name}.json is another one.")
    if type(json.loads(told["library_versions"])) is not dict:
        raise InvalidValue("the versions of its libraries are no JSON object.")


def _check_part(_: Database, __: Entry, ___: Mapping[str, Any], write: Write) -> None:
    scores_of(write)


_CHECKS: dict[str, Callable[[Database, Entry, Mapping[str, Any], Write], None]] = {
    "rows": _check_rows,
    "artifact": _check_artifact,
    "part": _check_part,
    "drop_parts": lambda *_: None,
}

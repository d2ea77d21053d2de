"""What the public interface cannot do: be cut off, have millions of rows, or run on another host.

All names of mfprefect's inside that fixtures and their tests need are here. What only the making of
one needs is imported where it is used, and may be that of an older commit.
"""

from __future__ import annotations

import os
import platform
import pwd
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from mfprefect import Session, Store
from mfprefect.migrations import REVISIONS
from mfprefect.provenance.flow_run import FlowRun
from mfprefect.store.api import sessions as sessions_api
from mfprefect.store.states import DELETING_MODEL, SCORES_BEING_DELETED

__all__ = [
    "archived_in",
    "being_deleted",
    "disguise",
    "interrupted_deletion",
    "large_parts",
    "parts_of_failed",
    "revision",
    "view_rows",
]

HOST, USER = "factory.example.com", "analyst"
ARCHIVE = Path("/archive")


def disguise(folder: Path) -> None:
    """Have sessions, events and the spool record another host, user, checkout and path.

    Args:
        folder: one that is in no checkout.
    """
    login = pwd.getpwuid(os.getuid())
    name = pwd.struct_passwd((USER, *login[1:]))
    mock.patch.object(pwd, "getpwuid", lambda _: name).start()
    mock.patch.object(platform, "node", lambda: HOST).start()
    os.environ.update(
        LOGNAME=USER,
        MFPREFECT_REPOSITORY=str(folder),
        MFPREFECT_GIT_COMMIT="1" * 40,
        MFPREFECT_GIT_BRANCH="main",
        MFPREFECT_GIT_REMOTE="https://git.example.com/models.git",
    )
    from mfprefect.store.spool import location

    place_of = location.place_of

    def neutral(db: Any) -> Any:
        place = place_of(db)
        if place is None or not place.shown.startswith("sqlite"):
            return place
        return type(place)(place.fingerprint, "sqlite:////srv/history.db")

    for module in _users_of(place_of):
        mock.patch.object(module, "place_of", neutral).start()


def _users_of(function: Any) -> list[Any]:
    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("mfprefect") and getattr(module, "place_of", None) is function
    ]


@contextmanager
def archived_in(root: Path) -> Iterator[None]:
    """Have the audit trail tell of archives below `/archive`, wherever they are."""
    from mfprefect.store.retention import archive as archiving

    original = archiving.archive_session

    def archive(db: Any, session_id: str, folder: Path) -> tuple[Path, str]:
        place, digest = original(db, session_id, folder)
        return ARCHIVE / place.relative_to(root.resolve()), digest

    with mock.patch.object(archiving, "archive_session", archive):
        yield


class _Interrupted(BaseException):
    """The process is gone."""


@contextmanager
def interrupted_deletion() -> Iterator[None]:
    """Have few scores take as many steps as millions, and be interrupted after the first."""
    from mfprefect.store.retention import delete, delete_scores

    with ExitStack() as patches:
        patches.enter_context(suppress(_Interrupted))
        for module in (delete, delete_scores):
            patches.enter_context(mock.patch.object(module, "LARGE", 10))
            cut = mock.patch.object(module, "delete_in_batches", side_effect=_Interrupted)
            patches.enter_context(cut)
        yield


@contextmanager
def large_parts() -> Iterator[None]:
    """Have a few rows stored as large parts are."""
    from mfprefect.store.scores import write

    with mock.patch.object(write, "LARGE_PART", 10):
        yield


def revision() -> str:
    """Return the revision of the schema that this mfprefect works with."""
    return REVISIONS[-1]


def being_deleted(store: Store) -> dict[str, list[str]]:
    """Return what was being deleted when a fixture was made: `sessions`, `models` and `scores`.

    What a store shows of them is nobody's business: they go with the next `prune`. `scores` are
    those of sessions that stay.
    """
    sessions = store.sessions(limit=None)
    notes = store.metadata(*sessions["session_id"])
    scores = notes[notes["meta_name"] == SCORES_BEING_DELETED]["session_id"]
    sessions = sessions[sessions["deletion"].notna()]
    models = sessions[sessions["deletion"] == DELETING_MODEL]["model_id"]
    return {
        "sessions": sorted(sessions["session_id"]),
        "models": sorted(set(models)),
        "scores": sorted(scores),
    }


def view_rows(store: Store, view: str) -> list[dict[str, Any]]:
    """Return the rows of a view as an analyst gets them, by SQL."""
    schema = store.database.schema
    table = sa.table(schema.name(view), schema=schema.layout.schema)
    select = sa.select(sa.text("*")).select_from(table)
    return store.database.read_transaction(
        lambda c: [dict(row._mapping) for row in c.execute(select)]
    )


def parts_of_failed(store: Store) -> dict[str, dict[str, Any]]:
    """Go on with failed scorings, as the retry of their flow run does; return what is kept of each.

    Of each session the rows of its first part, and what its input looked like, by part.
    """
    sessions = store.sessions(status="failed", limit=None)
    failed = sessions[(sessions["purpose"] == "score") & sessions["flow_run_id"].notna()]
    return {str(row.session_id): _kept_parts(store, row) for row in failed.itertuples()}


def _kept_parts(store: Store, row: Any) -> dict[str, Any]:
    # By its count, a process knows what it has opened itself.
    run = FlowRun(row.flow_run_id, f"{row.attempt + 1}-{secrets.token_hex(4)}", row.deployment)
    with mock.patch.object(sessions_api, "current_flow_run", lambda: run):
        session: Session = store.session(row.model_id, row.purpose)
    assert (session.session_id, session.attempt) == (row.session_id, row.attempt + 1)
    inputs = {str(part): document for part, document in session.part_documents()}
    rows = session.keep_part(1)
    session.cancel("it was only looked at")
    return {"rows": rows, "inputs": inputs}

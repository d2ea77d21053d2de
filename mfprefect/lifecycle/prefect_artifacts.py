"""A session on Prefect's pages: tags, figures, failed checks, progress.

The store is the record; failing to write a page is logged and never fails a run.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from mfprefect.lifecycle.tasks import log
from mfprefect.store.results.frames import outcome
from mfprefect.store.states import SPOOLED, is_shadow

if TYPE_CHECKING:
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["Progress", "show_session", "tag_run"]

P = ParamSpec("P")
R = TypeVar("R")
MAX_CHECKS = 100
MAX_TEXT = 2_000


def _quietly(function: Callable[P, R]) -> Callable[P, R | None]:
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        if FlowRunContext.get() is None:
            return None
        try:
            return function(*args, **kwargs)
        except Exception as exc:  # noqa: BLE001 - a page must never fail the run
            log().warning("the Prefect artifact could not be written: %s", exc)
            return None

    return wrapper


@_quietly
def tag_run(session: Session) -> None:
    """Add model, purpose and session id to the flow run's tags."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    tags = {*context.flow_run.tags, session.model_id, session.purpose, session.session_id}
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, tags=sorted(tags))


@_quietly
def show_session(store: Store, session: Session) -> None:
    """Write the session's figures as a Markdown artifact and its failed checks as a table."""
    if session.status == SPOOLED:
        text = f"{_cell(session.session_id)} waits in {_cell(session.spool_place)}."
        create_markdown_artifact(
            f"# {_cell(session.model_id)} {session.purpose}: {SPOOLED}\n\n{text}\n",
            key=_key(session.model_id, session.purpose),
            description=f"{session.model_id} {session.purpose}: {SPOOLED}",
        )
        return
    ended = outcome(store.database, session.session_no)
    shadow = ["shadow"] if is_shadow(ended.session["params"]) else []
    key = _key(session.model_id, session.purpose, *shadow)
    create_markdown_artifact(
        _markdown(ended.session, ended.figures, store.database.place),
        key=key,
        description=f"{session.model_id} {session.purpose}: {ended.session['status']}",
    )
    if ended.failed_checks:
        create_table_artifact(
            [dict(check) for check in ended.failed_checks[:MAX_CHECKS]],
            key=f"{key}-failed-checks",
            description=f"Failed checks of {session.session_id}",
        )


def _key(*names: str) -> str:
    """Return an artifact's key: Prefect allows lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(names).lower()).strip("-") or "model"


def _markdown(row: Mapping[str, Any], figures: Mapping[str, float], place: str) -> str:
    facts = {
        "session": row["session_id"],
        "model": row["model_id"],
        "purpose": row["purpose"],
        "status": row["status"],
        "attempt": row["attempt"],
        "as of": row["as_of"],
        "training session": row["parent_session_id"],
        "commit": row["git_commit"],
        "store": place,
    }
    lines = [f"# {_cell(row['model_id'])} {row['purpose']}: {row['status']}", ""]
    lines += _table("", "", {k: v for k, v in facts.items() if v is not None})
    if row["failure_kind"]:
        lines += ["", f"**{_cell(row['failure_kind'])}**: {_cell(row['failure_text'])}"]
    if figures:
        lines += ["", *_table("metric", "value", {k: f"{v:.6g}" for k, v in figures.items()})]
    return "\n".join(lines) + "\n"


def _table(left: str, right: str, rows: Mapping[str, Any]) -> list[str]:
    body = [f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items()]
    return [f"| {left} | {right} |", "| --- | --- |", *body]


def _cell(value: Any) -> str:
    """Escape text: Prefect renders HTML inside Markdown."""
    text = str(value or "") if not isinstance(value, (int, float)) else str(value)
    text = text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " ..."
    # Each of these could start a cell, emphasis, code, a link or an image.
    escaped = re.sub(r"([\\`*_\[\]|!])", r"\\\1", html.escape(text, quote=False))
    return " ".join(escaped.split())


class Progress:
    """A progress bar on the flow run's page, from 0 to the number of parts."""

    def __init__(self, session: Session, parts: int, done: int) -> None:
        self._parts, self._done = parts, done
        self._artifact: UUID | None = None
        if parts > 1:
            self._artifact = self._create(session)

    @property
    def percent(self) -> float:
        """Percentage of parts done."""
        return 100.0 * self._done / self._parts

    def step(self) -> None:
        """Report one more part as complete."""
        self._done += 1
        if self._artifact is not None:
            self._update(self._artifact)

    @_quietly
    def _create(self, session: Session) -> UUID:
        artifact: Any = create_progress_artifact(  # typed as if it might be awaited
            self.percent,
            key=f"{_key(session.model_id, session.purpose)}-progress",
            description=f"Scored parts of {session.session_id}",
        )
        return UUID(str(artifact))

    @_quietly
    def _update(self, artifact: UUID) -> None:
        update_progress_artifact(artifact, self.percent)

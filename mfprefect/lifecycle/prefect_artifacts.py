"""A session on Prefect's pages: tags, stage, gates, figures, failed checks, progress.

The store is the record; failing to write a page is logged and never fails a run.
"""

from __future__ import annotations

import contextvars
import functools
import html
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.context import FlowRunContext

from mfprefect.lifecycle.ended import Ended
from mfprefect.lifecycle.tasks import log
from mfprefect.store.results.frames import SessionSummary, outcome
from mfprefect.store.states import SPOOLED, Purpose, Status, is_shadow

if TYPE_CHECKING:
    from mfprefect.session import Session
    from mfprefect.store import Store

__all__ = ["Progress", "begin_tagging", "show_maintenance", "show_session"]

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


def begin_tagging(session: Session) -> threading.Thread:
    """Let another thread tag the flow run, which waits for Prefect; return it."""
    in_context = contextvars.copy_context().run
    thread = threading.Thread(target=in_context, args=(_tag_run, session), daemon=True)
    thread.start()
    return thread


@_quietly
def _tag_run(session: Session) -> None:
    """Add model, purpose and session id to the flow run's tags."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    tags = {*context.flow_run.tags, session.model_id, session.purpose, session.session_id}
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, tags=sorted(tags))


@_quietly
def show_session(store: Store, session: Session | Ended) -> None:
    """Write the session's page, and its failed checks as a table.

    Each environment has pages of its own: a run in development leaves production's as they are.
    An attempt that finds its work done writes nothing that an earlier one wrote.
    """
    again = isinstance(session, Ended) and session.repeated
    environment = store.database.settings.environment
    if session.status == SPOOLED:
        place = "the spool" if isinstance(session, Ended) else session.spool_place
        text = f"{_cell(session.session_id)} waits in {_cell(place)}."
        title = _title(session.model_id, session.purpose, SPOOLED, environment)
        create_markdown_artifact(
            f"# {_cell(title)}\n\n{text}\n",
            key=_key(session.model_id, session.purpose, environment),
            description=title,
        )
        return
    ended = outcome(store.database, session.session_no)
    shadow = "shadow" if is_shadow(ended.session["params"]) else None
    key = _key(session.model_id, session.purpose, shadow, environment)
    title = _title(session.model_id, session.purpose, ended.session["status"], environment)
    page = _markdown(store, ended, title)
    if not (again and page in _written(key)):
        create_markdown_artifact(page, key=key, description=title)
    if ended.failed_checks and not (again and _written(f"{key}-failed-checks")):
        create_table_artifact(
            [dict(check) for check in ended.failed_checks[:MAX_CHECKS]],
            key=f"{key}-failed-checks",
            description=f"Failed checks of {session.session_id}",
        )


def _written(key: str) -> list[Any]:
    """Return the artifacts that this flow run has under a key."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return []
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[key]),
        flow_run_id=ArtifactFilterFlowRunId(any_=[context.flow_run.id]),
    )
    with get_client(sync_client=True) as client:
        return [artifact.data for artifact in client.read_artifacts(artifact_filter=wanted)]


@_quietly
def show_maintenance(store: Store, lines: Iterable[str]) -> None:
    """Write what the maintenance flow did."""
    environment = store.database.settings.environment
    text = "\n".join(f"- {line}" for line in lines)
    create_markdown_artifact(text, key=_key("maintain", environment), description=environment)


def _title(model_id: str, purpose: str, status: str, environment: str | None) -> str:
    return f"{model_id} {purpose}: {status}" + (f" ({environment})" if environment else "")


def _key(*names: str | None) -> str:
    """Return an artifact's key: Prefect allows lower case, digits and dashes."""
    text = "-".join(filter(None, names)).lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-") or "model"


def _markdown(store: Store, ended: SessionSummary, title: str) -> str:
    row = ended.session
    facts = {
        "session": row["session_id"],
        "environment": store.database.settings.environment,
        "model": row["model_id"],
        "purpose": row["purpose"],
        "status": row["status"],
        "attempt": row["attempt"],
        "as of": row["as_of"],
        "training session": row["parent_session_id"],
        **_stage(store, row),
        "commit": row["git_commit"],
        "store": store.database.place,
    }
    lines = [f"# {_cell(title)}", ""]
    lines += _table("", "", {k: v for k, v in facts.items() if v is not None})
    lines.append(f"| report | {_report(store, row)} |")
    if row["failure_kind"]:
        lines += ["", f"**{_cell(row['failure_kind'])}**: {_cell(row['failure_text'])}"]
    lines += _gates(store, str(row["session_id"]))
    if ended.figures:
        figures = {name: f"{value:.6g}" for name, value in ended.figures.items()}
        lines += ["", *_table("metric", "value", figures)]
    return "\n".join(lines) + "\n"


def _stage(store: Store, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the stage of a training, or of the model that scored, as it is now."""
    if row["purpose"] == Purpose.TRAIN:
        label, training = "stage", row["session_id"]
    else:
        label, training = "stage of its model", row["parent_session_id"]
    if training is None:
        return {}
    stages = store.stages(str(row["model_id"]))
    newest = stages.iloc[0] if len(stages) else None
    if newest is not None and newest["session_id"] == training:
        since = f"{newest['set_at']:%Y-%m-%d %H:%M} UTC"
        return {label: f"{newest['stage']} since {since}, by {newest['set_by']}"}
    if row["purpose"] == Purpose.TRAIN and row["status"] != Status.SUCCEEDED:
        return {}
    production = store.production(str(row["model_id"])) or "nothing"
    return {label: f"candidate; in production: {production}"}


def _report(store: Store, row: Mapping[str, Any]) -> str:
    """Return a link to the session's report, or the command that writes it."""
    session_id = str(row["session_id"])
    url = store.database.settings.report_link(str(row["model_id"]), session_id)
    if url is None:
        command = f"mfprefect report {session_id}".replace("`", "").replace("|", "")
        return f"`{html.escape(command, quote=False)}`"
    return f"[{_cell(session_id)}]({url})"


def _gates(store: Store, session_id: str) -> list[str]:
    gates = store.gates(session_id)
    if gates.empty:
        return []
    rows = [
        f"| {_cell(gate.gate)} | {_cell(gate.verdict)} | {_cell(gate.reason)} |"
        for gate in gates.itertuples()
    ]
    return ["", "| gate | verdict | reason |", "| --- | --- | --- |", *rows]


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
        environment = session.settings.environment
        artifact: Any = create_progress_artifact(  # typed as if it might be awaited
            self.percent,
            key=f"{_key(session.model_id, session.purpose, environment)}-progress",
            description=f"Scored parts of {session.session_id}",
        )
        return UUID(str(artifact))

    @_quietly
    def _update(self, artifact: UUID) -> None:
        update_progress_artifact(artifact, self.percent)

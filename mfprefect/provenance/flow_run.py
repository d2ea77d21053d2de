"""Which Prefect flow run this is, asked of a Prefect that the caller has already imported.

And, where sessions lost their process, what Prefect knows of their flow runs.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

__all__ = [
    "TERMINAL",
    "FlowRun",
    "States",
    "current_flow_run",
    "flow_run_states",
    "run_url",
    "variable",
]

log = logging.getLogger(__name__)
PAGE = 200
"""The most rows that Prefect's API returns at once."""


@dataclass(frozen=True)
class FlowRun:
    """The flow run, or the task run in it, that opens a session."""

    flow_run_id: str
    run_count: str
    """Tells two tries of one run apart: the flow's count, then the task's where there is one."""
    deployment: str | None
    tags: tuple[str, ...] = ()
    """The flow run's tags: its deployment's and its own."""
    final: bool = True
    """Whether no automatic retry follows if this try fails."""
    began: dt.datetime | None = None
    """When this try of the flow began; None inside a task, which may run long after that."""


def current_flow_run() -> FlowRun | None:
    """Return the running flow run, None outside one or where Prefect was never imported."""
    if "prefect" not in sys.modules:
        return None
    from prefect.context import FlowRunContext, TaskRunContext

    context = FlowRunContext.get()
    task = TaskRunContext.get()
    if context is None or context.flow_run is None:
        return None
    run = context.flow_run
    final = run.run_count > (run.empirical_policy.retries or 0)
    count = str(run.run_count)
    if task is not None:
        count += f".{task.task_run.run_count}"
        final = final and task.task_run.run_count > (task.task_run.empirical_policy.retries or 0)
    deployment = _deployment(run.deployment_id) if run.deployment_id else None
    began = context.start_time if task is None else None
    return FlowRun(str(run.id), count, deployment, tuple(sorted(run.tags)), final, began)


# Asked of the server; one process seldom runs more than one deployment.
@functools.lru_cache(maxsize=8)
def _deployment(_: UUID) -> str | None:
    from prefect.runtime import deployment, flow_run

    name = deployment.name
    return f"{flow_run.flow_name}/{name}" if name else None


def variable(name: str) -> dict[str, Any]:
    """Return a Prefect variable that holds an object; {} outside a flow run or where there is none.

    Settings are read through it, so it costs an API call only inside a flow run.
    """
    if current_flow_run() is None:
        return {}
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.read_variable_by_name(name)
    return found.value if found is not None and isinstance(found.value, dict) else {}


def flow_run_states(flow_run_ids: Collection[str]) -> dict[str, str] | None:
    """Return the state types that Prefect knows of flow runs: `RUNNING`, `CRASHED`, ..

    Returns:
        {} where no server is configured, None where it cannot be reached now.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.settings import PREFECT_API_URL

    # Without either, a client would start a temporary server, which knows nothing.
    if PREFECT_API_URL.value() is None and current_flow_run() is None:
        return {}
    ids = sorted(flow_run_ids)
    found: dict[str, str] = {}
    try:
        with get_client(sync_client=True) as client:
            for start in range(0, len(ids), PAGE):
                page = [UUID(value) for value in ids[start : start + PAGE]]
                only = FlowRunFilter(id=FlowRunFilterId(any_=page))
                for run in client.read_flow_runs(flow_run_filter=only, limit=PAGE):
                    if run.state is not None:
                        found[str(run.id)] = run.state.type.value
    except Exception as exc:  # noqa: BLE001 - whatever is wrong there, sessions go on without it
        log.warning("Prefect cannot be asked for the states of flow runs: %s", exc)
        return None
    return found


def run_url(flow_run_id: str | None) -> str | None:
    """Return where Prefect's pages show a flow run.

    None where Prefect was never imported, or where it runs without a server that lasts.
    """
    if flow_run_id is None or "prefect" not in sys.modules:
        return None
    from prefect.utilities.urls import url_for

    from mfprefect.provenance import strip_credentials

    try:
        found = url_for("flow-run", flow_run_id)
    except Exception as exc:  # noqa: BLE001 - a notice goes out without a link, too
        log.debug("no link to flow run %s: %s", flow_run_id, exc)
        return None
    return strip_credentials(found) if found else None


TERMINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


States = Callable[[Collection[str]], Mapping[str, str] | None]
"""Returns the states of flow runs that Prefect knows; None where it cannot be reached."""

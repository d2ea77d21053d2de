"""Which Prefect flow run this is, asked of a Prefect that the caller has already imported."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["FlowRun", "current_flow_run", "variable"]


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
    return FlowRun(str(run.id), count, _deployment(), tuple(sorted(run.tags)), final)


def _deployment() -> str | None:
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

"""Ask Prefect, if the caller has imported it, for the current flow run and the states of others."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import logging
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mfprefect.util.proxies import bypass_on_loopback
from mfprefect.util.zones import zone_of

__all__ = [
    "TERMINAL",
    "FlowRun",
    "States",
    "completed_before",
    "current_flow_run",
    "flow_run_states",
    "run_url",
    "schedule_zone",
    "variable",
]

log = logging.getLogger(__name__)
PAGE = 200
"""The most rows per response of Prefect's API."""


@dataclass(frozen=True)
class FlowRun:
    """The flow run, or the task run in it, that opens a session."""

    flow_run_id: str
    run_count: str
    """Distinguishes attempts of one run: the flow's count, and the task's inside a task."""
    deployment: str | None
    tags: tuple[str, ...] = ()
    """The tags of the flow run, including those of its deployment."""
    final: bool = True
    """Whether no automatic retry follows if this attempt fails."""
    began: dt.datetime | None = None
    """When this attempt of the flow began."""
    task: str = ""
    """The id of the task run inside a task; a retry keeps it."""

    @property
    def flow_attempt(self) -> str:
        """The flow's part of `run_count`."""
        return self.run_count.partition(".")[0]

    @property
    def first_try(self) -> bool:
        """Whether this is no retry: of the flow, or of the task within an attempt of it."""
        return self.run_count.partition(".")[2] == "1" if self.task else self.flow_attempt == "1"

    @property
    def first(self) -> bool:
        """Whether nothing of the flow run was tried before."""
        return self.first_try and self.flow_attempt == "1"


def current_flow_run() -> FlowRun | None:
    """Return the current flow run, None outside one or if Prefect was never imported."""
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
    task_id = "" if task is None else str(task.task_run.id)
    tags = tuple(sorted(run.tags))
    return FlowRun(str(run.id), count, deployment, tags, final, context.start_time, task_id)


# Cached, because it asks the server; a process seldom runs more than one deployment.
@functools.lru_cache(maxsize=8)
def _deployment(_: UUID) -> str | None:
    from prefect.runtime import deployment, flow_run

    name = deployment.name
    return f"{flow_run.flow_name}/{name}" if name else None


def schedule_zone() -> str | None:
    """Return the time zone of the current deployment's schedule.

    None outside a deployment's run, if its active schedules name no zone or several, or if Prefect
    cannot be reached.
    """
    if "prefect" not in sys.modules:
        return None
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    if run is None or run.deployment_id is None:
        return None
    try:
        zones = _schedule_zones(run.deployment_id)
    except Exception as exc:  # noqa: BLE001 - TZ or UTC must do then
        log.warning("cannot read the deployment's schedule from Prefect: %s", type(exc).__name__)
        return None
    return next(iter(zones)) if len(zones) == 1 else None


def _schedule_zones(deployment_id: UUID) -> set[str]:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        schedules = client.read_deployment(deployment_id).schedules
    zones = {getattr(s.schedule, "timezone", None) for s in schedules if s.active}
    return {zone for zone in zones if zone and zone_of(zone) is not None}


def variable(name: str) -> dict[str, Any]:
    """Return the object in a Prefect variable; {} outside a flow run or without such a variable.

    Every loading of settings calls it, so it makes an API call only inside a flow run.
    """
    if current_flow_run() is None:
        return {}
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        entry = client.read_variable_by_name(name)
    return entry.value if entry is not None and isinstance(entry.value, dict) else {}


def flow_run_states(flow_run_ids: Collection[str]) -> dict[str, str] | None:
    """Return Prefect's state types of flow runs: `RUNNING`, `CRASHED`, ..

    Returns:
        {} if no server is configured, None if the server cannot be reached.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.settings import PREFECT_API_URL

    # Without either, a client would start a temporary, empty server.
    if PREFECT_API_URL.value() is None and current_flow_run() is None:
        return {}
    ids = sorted(flow_run_ids)
    states: dict[str, str] = {}
    bypass_on_loopback()
    try:
        with get_client(sync_client=True) as client:
            for start in range(0, len(ids), PAGE):
                page = [UUID(value) for value in ids[start : start + PAGE]]
                only = FlowRunFilter(id=FlowRunFilterId(any_=page))
                for run in client.read_flow_runs(flow_run_filter=only, limit=PAGE):
                    if run.state is not None:
                        states[str(run.id)] = run.state.type.value
    except Exception as exc:  # noqa: BLE001 - a failure in Prefect must not fail sessions
        log.warning("cannot read the states of flow runs from Prefect: %s", exc)
        return None
    return states


def completed_before(run: FlowRun) -> dt.datetime | None:
    """Return an instant between Prefect's last `Completed` of a flow run and its execution since.

    It lies in the middle of the pause, so that clocks of workers and server may differ by half of
    it.

    Returns:
        None if nobody scheduled the flow run while Prefect had it as completed, or Prefect cannot
        be asked. An execution that was scheduled before is no repetition: the one that completed
        the run had been declared dead, and was not.
    """
    if "prefect" not in sys.modules:
        return None
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    # Without either, a client would start a temporary, empty server.
    if PREFECT_API_URL.value() is None and current_flow_run() is None:
        return None
    try:
        with get_client(sync_client=True) as client:
            states = client.read_flow_run_states(UUID(run.flow_run_id))
    except Exception as exc:  # noqa: BLE001 - a failure in Prefect must not fail sessions
        log.warning("cannot read the states of flow run %s: %s", run.flow_run_id, exc)
        return None
    return _last_pause([(state.timestamp, state.type.value) for state in states])


def _last_pause(states: Collection[tuple[dt.datetime, str]]) -> dt.datetime | None:
    """Return the middle between the last COMPLETED that was scheduled again, and RUNNING after it.

    What was scheduled as FAILED or CRASHED is a retry, even if it had been completed before that.
    """
    ordered = sorted(states)
    turns = [(at, state) for at, state in ordered if state in (*TERMINAL, "SCHEDULED")]
    repeated = (
        at
        for (at, state), (_, following) in itertools.pairwise(turns)
        if (state, following) == ("COMPLETED", "SCHEDULED")
    )
    completed = max(repeated, default=None)
    if completed is None:
        return None
    running = (at for at, state in ordered if state == "RUNNING" and at >= completed)
    return completed + (min(running, default=completed) - completed) / 2


def run_url(flow_run_id: str | None) -> str | None:
    """Return the URL of a flow run in Prefect's UI.

    None if Prefect was never imported, or runs without a permanent server.
    """
    if flow_run_id is None or "prefect" not in sys.modules:
        return None
    from prefect.utilities.urls import url_for

    from mfprefect.provenance import strip_credentials

    try:
        url = url_for("flow-run", flow_run_id)
    except Exception as exc:  # noqa: BLE001 - a notice can do without a link
        log.debug("no link to flow run %s: %s", flow_run_id, exc)
        return None
    return strip_credentials(url) if url else None


TERMINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


States = Callable[[Collection[str]], Mapping[str, str] | None]
"""Returns the states of flow runs by id; None if Prefect cannot be reached."""

"""Hooks that Prefect calls in a new process of the worker after the flow run's process is gone."""

from __future__ import annotations

import logging
from typing import Any

from mfprefect.errors import MfprefectError
from mfprefect.store import connect

__all__ = ["end_sessions"]

log = logging.getLogger(__name__)


# The worker passes the arguments by these names.
def end_sessions(flow: Any, flow_run: Any, state: Any) -> None:
    """End the sessions that a crashed or cancelled flow run left open, sooner than `reconcile`.

    If the process still runs, nothing happens: it ends its sessions itself.
    """
    try:
        with connect() as store:
            store.end_flow_run(str(flow_run.id), state.type.value)
    except MfprefectError as exc:
        log.warning("sessions of flow run %s could not be ended: %s", flow_run.id, exc)

"""What Prefect calls in a fresh process of the worker, when the flow run's own is gone."""

from __future__ import annotations

import logging
from typing import Any

from mfprefect.errors import MfprefectError
from mfprefect.store import connect

__all__ = ["end_sessions"]

log = logging.getLogger(__name__)


# The worker passes the arguments by these names.
def end_sessions(flow: Any, flow_run: Any, state: Any) -> None:
    """End what a flow run that crashed or was cancelled left open; `reconcile` would do it later.

    Where the process still runs, nothing happens: it ends its sessions itself.
    """
    try:
        with connect() as store:
            store.end_flow_run(str(flow_run.id), state.type.value)
    except MfprefectError as exc:
        log.warning("sessions of flow run %s could not be ended: %s", flow_run.id, exc)

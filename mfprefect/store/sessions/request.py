"""What a run knows when it opens its session."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from mfprefect.provenance import Environment, Provenance
from mfprefect.provenance.flow_run import FlowRun

__all__ = ["SessionRequest"]


@dataclass(frozen=True)
class SessionRequest:
    """What a run knows when it opens its session."""

    model_id: str
    purpose: str
    params: str
    as_of: dt.date | None
    parent_session_id: str | None
    provenance: Provenance
    environment: Environment
    flow_run: FlowRun | None
    tags: str | None = None
    """JSON list."""
    siblings: frozenset[str] = frozenset()
    """Sessions that this attempt of the flow run opened, and so must not resume."""
    session_id: str = ""
    """The id of a new session; '' makes one. Chosen before the first statement, so that a session
    whose opening was cut off in its commit continues in the spool under the same id."""

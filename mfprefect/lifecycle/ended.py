"""What is left of a run's session after its end."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mfprefect.session import Session
    from mfprefect.store.handle import SessionHandle

__all__ = ["Ended"]


@dataclass(frozen=True)
class Ended:
    """A session that ended well, in this attempt of the flow run or in an earlier one."""

    session_id: str
    session_no: int
    model_id: str
    purpose: str
    status: str
    """`succeeded` or `spooled`."""
    as_of: dt.date | None = None
    parent_session_id: str | None = None
    repeated: bool = False
    """Whether an earlier attempt did its work, and perhaps some of what follows it."""

    @classmethod
    def of(cls, session: Session | SessionHandle, *, repeated: bool = False) -> Ended:
        """Return what a session or its handle says."""
        return cls(
            session.session_id,
            session.session_no,
            session.model_id,
            session.purpose,
            session.status,
            session.as_of,
            session.parent_session_id,
            repeated,
        )

"""What a command may read of a session; what it may not is left out and named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["Readable"]

KEYS = ("session_id", "session_no")
IN_VIEWS = {"metrics", "gates"}
"""Methods of a store that read the views for users who may read nothing else."""


class Readable:
    """Reads the results of one session.

    Args:
        store: the store.
        session_id: the session.
    """

    def __init__(self, store: Store, session_id: str) -> None:
        self.store, self.session_id = store, session_id
        self.hidden: list[str] = []
        """The methods of the store that this user may not call."""

    def __call__(self, method: str, otherwise: Any, *arguments: Any) -> Any:
        """Return what a method of the store returns, or something else if it is not allowed."""
        from mfprefect.errors import PermissionDenied

        if not self.store.database.views_only or method in IN_VIEWS:
            try:
                return getattr(self.store, method)(*(arguments or (self.session_id,)))
            except PermissionDenied:
                pass
        if method not in self.hidden:
            self.hidden.append(method)
        return otherwise

    def rows(
        self, method: str, *arguments: Any, drop: tuple[str, ...] = KEYS
    ) -> list[dict[str, Any]]:
        """Return the rows of a method's DataFrame as JSON objects, without the columns `drop`."""
        from mfprefect.cli.formats import records

        frame = self(method, None, *arguments)
        return [] if frame is None else records(frame, *drop)

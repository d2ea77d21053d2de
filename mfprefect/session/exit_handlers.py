"""How runs end: by exceptions, by signals, or by a process that leaves its session open."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Any, Protocol

from mfprefect.errors import MfprefectError
from mfprefect.store.sessions.writing import Outcome
from mfprefect.vocabulary import Status

__all__ = ["OpenSession", "SessionNotClosed", "Terminated", "ending_for", "register", "unregister"]

log = logging.getLogger(__name__)
MAX_TEXT = 20_000


class OpenSession(Protocol):
    """A session to end at the exit of the process."""

    session_id: str

    def fail(self, error: BaseException) -> None:
        """End as `failed` or `cancelled`."""


class Terminated(SystemExit):
    """SIGTERM, raised in the main thread so that sessions can end before the process does."""


class SessionNotClosed(Exception):
    """The process ended without closing the session."""


def ending_for(error: BaseException) -> Outcome:
    """Return how an exception ends a session: `failed`, or `cancelled` for an interrupt.

    Anything that is not an Exception is an interrupt: Ctrl-C, SIGTERM, a cancelled task, Prefect's
    signals. `sys.exit` with a code other than 0 is a failure.
    """
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "mfprefect.errors", __name__):
        name = f"{kind.__module__}.{name}"
    text = _text(error).replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    if isinstance(error, SessionNotClosed):
        name = "NeverClosed"  # as databases already hold it
    if isinstance(error, Terminated):
        return Outcome(Status.CANCELLED, "SIGTERM", "the process received SIGTERM")
    failed = isinstance(error, Exception) or (
        isinstance(error, SystemExit) and error.code not in (None, 0)
    )
    return Outcome(Status.FAILED if failed else Status.CANCELLED, name[-255:], text[:MAX_TEXT])


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a third party's __str__ must not keep the run from ending
        return f"<{type(error).__name__} that cannot be shown>"


_open: dict[int, OpenSession] = {}
_lock = threading.Lock()
_installed = False


def register(session: OpenSession) -> None:
    """End the session when the process exits."""
    global _installed
    with _lock:
        _open[id(session)] = session
        if not _installed:
            atexit.register(_at_exit, os.getpid())
            os.register_at_fork(after_in_child=_open.clear)
            _installed = True
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    ):
        # Without a handler, SIGTERM would kill the process before the session can end.
        signal.signal(signal.SIGTERM, _on_sigterm)


def unregister(session: OpenSession) -> None:
    """Forget a session that has ended."""
    with _lock:
        _open.pop(id(session), None)
        last = not _open
    if (
        last
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is _on_sigterm
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _on_sigterm(number: int, frame: FrameType | None) -> Any:
    global _terminated
    _terminated = True
    raise Terminated(128 + number)


_terminated = False


def _at_exit(owner: int) -> None:
    if os.getpid() != owner:
        return
    for session in list(_open.values()):
        # The interpreter sets it for an uncaught exception; its name changed in Python 3.12.
        error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if error is None and _terminated:
            error = Terminated(128 + signal.SIGTERM)
        if error is None:
            error = SessionNotClosed(
                "the process ended without closing the session: use `with`, or session.close()"
            )
        try:
            session.fail(error)
        except MfprefectError:
            log.exception("session %s could not be closed", session.session_id)
    if isinstance(getattr(sys, "last_value", None), KeyboardInterrupt):
        # CPython exits by the signal only if the last code compiled from text was interrupted, and
        # SQLAlchemy has just compiled some: a shell would see a failure instead of Ctrl-C.
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102 - a constant

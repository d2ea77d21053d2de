"""The doctor's check of the databases that models read from."""

from __future__ import annotations

import threading
import time

from mfprefect.cli.commands.doctor.finding import CONNECT_SECONDS, CheckResult, settings_for
from mfprefect.errors import BackendNotFound, MfprefectError

__all__ = ["connected"]


def connected(name: str, result: CheckResult, url: str | None) -> CheckResult:
    """Return the result for a source after an attempt to connect, which reads nothing.

    Args:
        name: the name of the source.
        result: what is reported of it, without its secrets.
        url: the option `--url`.
    """
    from mfprefect.inputs.reader import Reader

    reader = Reader(settings_for(url))
    errors: list[Exception] = []

    def attempt() -> None:
        try:
            reader.connect(name)
        except Exception as exc:  # noqa: BLE001 - a driver of any database may raise anything
            errors.append(exc)

    # Not every driver has a timeout, and none the same.
    thread = threading.Thread(target=attempt, daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(CONNECT_SECONDS + 1)
    waited = errors and time.monotonic() - started >= CONNECT_SECONDS
    if thread.is_alive() or waited:
        text = f"{result.detail}: no answer within {CONNECT_SECONDS:.0f} seconds"
        return CheckResult("sources", "failed", text, f"correct host and port of [sources.{name}]")
    if not errors:
        return result._replace(detail=f"{result.detail}: a connection succeeds")
    text = f"{result.detail}: {_text(errors[0])}"
    return CheckResult("sources", "failed", text, _cure(name, errors[0]))


def _text(error: Exception) -> str:
    # Of an unexpected error the type only: its text may hold a password.
    return str(error) if isinstance(error, MfprefectError) else type(error).__name__


def _cure(name: str, error: Exception) -> str:
    if isinstance(error, BackendNotFound):
        return "install what it names"
    return f"correct the URL of [sources.{name}] or start its server; what reads it fails"

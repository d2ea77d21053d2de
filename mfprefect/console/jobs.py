"""Work that takes longer than a request: one of a kind at a time, with its progress."""

from __future__ import annotations

import contextvars
import datetime as dt
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mfprefect.util import values

__all__ = ["Job", "Jobs"]

log = logging.getLogger(__name__)


@dataclass
class Job:
    """A piece of work, running or ended."""

    name: str
    by: str
    started_at: dt.datetime = field(default_factory=values.utc_now)
    ended_at: dt.datetime | None = None
    done: int = 0
    total: int = 0
    result: Any = None
    error: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None

    def progress(self, done: int, total: int) -> None:
        """Note how far it is."""
        self.done, self.total = done, total


class Jobs:
    """The last job of each name, in this process."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def last(self, name: str) -> Job | None:
        """Return the last job of a name."""
        return self._jobs.get(name)

    def start(self, name: str, by: str, work: Callable[[Job], Any]) -> tuple[Job, bool]:
        """Start work, unless that of the same name runs; return the job, and whether it is new."""
        with self._lock:
            running = self._jobs.get(name)
            if running is not None and running.running:
                return running, False
            job = self._jobs[name] = Job(name, by)
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(_run, job, work), name=f"mfprefect-{name}", daemon=True
        )
        thread.start()
        return job, True


def _run(job: Job, work: Callable[[Job], Any]) -> None:
    try:
        job.result = work(job)
    except Exception as exc:  # noqa: BLE001 - the page shows it
        job.error = exc
        log.warning("%s failed: %s", job.name, exc)
    finally:
        job.ended_at = values.utc_now()

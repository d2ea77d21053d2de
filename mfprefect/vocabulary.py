"""The words of a session: its status and its purpose. Stored as they stand here."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Purpose", "Status"]


class Status(StrEnum):
    """Where a session is in its life."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CRASHED = "crashed"
    CANCELLED = "cancelled"

    @classmethod
    def endings(cls) -> tuple[Status, ...]:
        """Return the statuses of sessions that have ended."""
        return tuple(status for status in cls if status is not cls.RUNNING)


class Purpose(StrEnum):
    """What a session is for."""

    TRAIN = "train"
    SCORE = "score"
    MONITOR = "monitor"
    ADHOC = "adhoc"

"""The words of a session: status, purpose, endings, parameters. Stored as they stand here."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "CRASHED",
    "DEFAULTS",
    "ESTIMATOR",
    "FLOW_RUN_CANCELLED",
    "LEARNING",
    "OWN_CANCELLATION",
    "SPLIT",
    "Purpose",
    "Status",
    "is_of_training",
]

CRASHED, FLOW_RUN_CANCELLED = "Crashed", "FlowRunCancelled"
"""The `failure_kind` of sessions that `reconcile` ended, which nobody sealed."""
OWN_CANCELLATION = "Cancelled"
"""That of `session.cancel()`. Earlier versions wrote it for `FLOW_RUN_CANCELLED`, too."""


ESTIMATOR, SPLIT, LEARNING = "estimator", "split", "learning"
"""What the parameters that a training records itself begin with, such as `estimator.C`."""


DEFAULTS = "defaults"
"""The name of the metadata, in the group `learning`, of estimator parameters left at default."""


def is_of_training(name: str) -> bool:
    """Return whether a training itself records the parameter of this name."""
    return name.partition(".")[0] in (ESTIMATOR, SPLIT, LEARNING) and "." in name


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
    TRIAL = "trial"

"""Why an estimator cannot be scored in SQL."""

from __future__ import annotations

__all__ = ["NotCompilable"]


class NotCompilable(ValueError):
    """The estimator cannot be scored in SQL; `str()` is the reason, fit for a record."""

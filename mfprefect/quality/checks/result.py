"""A check's result as a row of `check_results`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["failures", "result_row"]

_TEXT_LENGTH = 500
_NAME_LENGTH = 255
_VALUE_LENGTH = 100


def failures(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the failed rows of severity `error`; they stop a run."""
    return [row for row in rows if row["severity"] == "error" and not row["passed"]]


def result_row(
    check: str,
    column: object = None,
    *,
    passed: bool,
    message: str,
    severity: str = "error",
    failing_rows: int = 0,
    cases: Iterable[tuple[Any, Any]] = (),
) -> dict[str, Any]:
    """Return a row of `check_results` without its number; texts are cut to the column widths."""
    return {
        "check": check[:_NAME_LENGTH],
        "column": None if column is None else str(column)[:_NAME_LENGTH],
        "severity": severity,
        "passed": passed,
        "failing_rows": failing_rows,
        "sample": json.dumps([{"index": _plain(i), "value": _plain(v)} for i, v in cases]),
        "message": message[:_TEXT_LENGTH],
    }


def _plain(value: Any) -> Any:
    """Return a JSON value: numbers, booleans and null unchanged, anything else as text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        # JSON has no infinity; NaN is how pandas writes NULL.
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    text = str(value)
    return None if text in ("<NA>", "NaT") and not isinstance(value, str) else text[:_VALUE_LENGTH]

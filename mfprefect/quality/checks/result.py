"""A check's result as a row of `check_results`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mfprefect.errors import ChecksFailed
from mfprefect.quality.checks.masking import MASK

__all__ = ["ACCEPTED", "checks_failed", "failures", "is_open", "label", "plain", "result_row"]

ACCEPTED = "accepted"
"""The severity of a check that failed although a person accepted that, so it stops nothing."""
_TEXT_LENGTH = 500
_NAME_LENGTH = 255
_VALUE_LENGTH = 100
_MOST_NAMED = 5
"""How many failed checks the message of an error names."""
_EXAMPLES = 3


def failures(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the failed rows of severity `error`; they stop a run."""
    return [row for row in rows if row["severity"] == "error" and not row["passed"]]


def is_open(row: Mapping[Any, Any]) -> bool:
    """Return whether a check failed and nobody accepted that: an error or a warning."""
    return not row["passed"] and row["severity"] != ACCEPTED


def label(row: Mapping[Any, Any]) -> str:
    """Return check and column as messages name them: `unique(customer_id)`, `age: gt(0)`."""
    check, column = str(row["check"]), row["column"]
    if not isinstance(column, str):  # NULL can be NaN in a frame
        return check
    return f"{check}({column})" if check.isidentifier() else f"{column}: {check}"


def checks_failed(results: Mapping[int, Sequence[dict[str, Any]]]) -> ChecksFailed:
    """Return the error of failed checks; its message counts over all parts and names the first.

    Args:
        results: the rows of all checks, passed or not, by the part of a scoring; with one key
            where there are no parts.
    """
    by_check: dict[tuple[str, Any], list[dict[str, Any]]] = {}
    for rows in results.values():
        for row in failures([*rows]):
            by_check.setdefault((row["check"], row["column"]), []).append(row)
    one = len(results) == 1
    every = [row for rows in results.values() for row in rows]
    failed = failures(every)
    if one:
        number, count, texts = len(failed), len(every), [_text([row]) for row in failed]
    else:
        number, count = len(by_check), len({(row["check"], row["column"]) for row in every})
        texts = [_text(rows) for rows in by_check.values()]
    if more := texts[_MOST_NAMED:]:
        texts = [*texts[:_MOST_NAMED], f"and {len(more)} more"]
    message = f"{number} of {count} input checks failed: {'; '.join(texts)}"
    return ChecksFailed(message, failures=failed, results=every)


def _text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what one check found, in the parts where it failed."""
    message = str(rows[0]["message"])
    if len(rows) > 1:
        failing = sum(int(row["failing_rows"]) for row in rows)
        counted = f"{failing:,} rows in {len(rows)} parts" if failing else f"in {len(rows)} parts"
        message = counted if failing else f"{counted}, the first: {message}"
    examples = dict.fromkeys(example for row in rows for example in _examples(row))
    if not examples:
        return f"{label(rows[0])}: {message}"
    return f"{label(rows[0])}: {message}, e.g. {', '.join(list(examples)[:_EXAMPLES])}"


def _examples(row: Mapping[str, Any]) -> list[str]:
    values = [case["value"] for case in json.loads(row["sample"] or "[]")]
    return [str(value) for value in values if value is not None and value != MASK]


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
        "sample": json.dumps([{"index": plain(i), "value": plain(v)} for i, v in cases]),
        "message": message[:_TEXT_LENGTH],
    }


def plain(value: Any) -> Any:
    """Return a JSON value: numbers, booleans and null unchanged, anything else as text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        # JSON has no infinity; NaN is how pandas writes NULL.
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    text = str(value)
    return None if text in ("<NA>", "NaT") and not isinstance(value, str) else text[:_VALUE_LENGTH]

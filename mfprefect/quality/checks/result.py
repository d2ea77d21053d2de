"""A check's result as a row of `check_results`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from mfprefect.errors import ChecksFailed
from mfprefect.quality.checks.masking import MASK

__all__ = [
    "ACCEPTED",
    "CheckCounts",
    "checks_failed",
    "failures",
    "is_open",
    "label",
    "message_of",
    "plain",
    "result_row",
]

ACCEPTED = "accepted"
"""The severity of a check that failed although a person accepted that, so it stops nothing."""
_TEXT_LENGTH = 500
_NAME_LENGTH = 255
_VALUE_LENGTH = 100
_LEVELS = {ACCEPTED: 1, "warning": 2}
"""How bad a failed check of a severity is; of any other one, 3."""
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


class CheckCounts(NamedTuple):
    """How the checks of a session ended, each counted once: a check of a column, over all parts."""

    checks: int
    failed: int = 0
    warned: int = 0
    accepted: int = 0

    @classmethod
    def of(cls, rows: Iterable[Mapping[Any, Any]]) -> Self:
        """Count the checks of result rows, with check, column, severity and passed."""
        worst: dict[tuple[str, str | None], int] = {}
        for row in rows:
            column = row["column"] if isinstance(row["column"], str) else None
            key, level = (row["check"], column), 0
            if not row["passed"]:
                level = _LEVELS.get(row["severity"], 3)
            worst[key] = max(level, worst.get(key, 0))
        levels = list(worst.values())
        return cls(len(levels), levels.count(3), levels.count(2), levels.count(1))

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not (self.failed or self.warned or self.accepted)

    @property
    def words(self) -> str:
        """The counts as every message has them: `1 of 12 input checks failed, 2 gave a warning`."""
        accepted = f"failed and {'was' if self.accepted == 1 else 'were'} accepted"
        said = ((self.failed, "failed"), (self.warned, "gave a warning"), (self.accepted, accepted))
        first, *others = [(count, verb) for count, verb in said if count] or [(0, "failed")]
        noun = "input check" if self.checks == 1 else "input checks"
        texts = [f"{first[0] or 'none'} of {self.checks} {noun} {first[1]}"]
        return ", ".join([*texts, *(f"{count} {verb}" for count, verb in others)])


def checks_failed(
    results: Mapping[int, Sequence[dict[str, Any]]], earlier: Sequence[dict[str, Any]] = ()
) -> ChecksFailed:
    """Return the error of failed checks; its message counts over all parts and names the first.

    Args:
        results: the rows of all checks, passed or not, by the part of a scoring; with one key
            where there are no parts.
        earlier: the rows of checks that the session did before, which only the counts include.
    """
    every = [row for rows in results.values() for row in rows]
    by_check: dict[tuple[str, Any], dict[int, dict[str, Any]]] = {}
    for part, rows in results.items():
        for row in failures([*rows]):
            by_check.setdefault((row["check"], row["column"]), {})[part] = row
    texts = [_text([*by_part.values()]) for by_part in by_check.values()]
    if more := texts[_MOST_NAMED:]:
        texts = [*texts[:_MOST_NAMED], f"and {len(more)} more"]
    message = f"{CheckCounts.of([*earlier, *every]).words}: {'; '.join(texts)}"
    return ChecksFailed(message, failures=failures(every), results=every)


def message_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what a check found, as every message has it: over the parts where it failed.

    Args:
        rows: its failed results, one of each part, with message and failing_rows.
    """
    message = str(rows[0]["message"])
    if len(rows) == 1:
        return message
    failing = sum(int(row["failing_rows"]) for row in rows)
    if failing:
        return f"{failing:,} rows in {len(rows)} parts"
    return f"in {len(rows)} parts, the first: {message}"


def _text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a failed check and what it found, with examples."""
    text = f"{label(rows[0])}: {message_of(rows)}"
    examples = dict.fromkeys(example for row in rows for example in _examples(row))
    return f"{text}, e.g. {', '.join(list(examples)[:_EXAMPLES])}" if examples else text


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

"""Pandera schemas: run one, and tell what passed as well as what failed."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.quality.checks.masking import Disclosure
from mfprefect.quality.checks.result import result_row

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_schema", "schema_rows"]


@dataclass(frozen=True)
class _Declared:
    """One thing that a schema demands."""

    label: str
    column: Any
    key: tuple[Any, ...]
    """What a failure of it is recognised by: see `_key`."""
    severity: str = "error"
    absent: bool = False
    """Whether its column is missing, so that it could not be run."""


def as_schema(check: Any) -> Any:
    """Return the pandera schema that `check` is or describes, None where it is neither."""
    import pandera.pandas as pa

    if isinstance(check, pa.DataFrameSchema):
        return check
    if isinstance(check, type) and issubclass(check, pa.DataFrameModel):
        return check.to_schema()
    if isinstance(check, pa.Check):
        return pa.DataFrameSchema(checks=[check])
    return None


def schema_rows(frame: pd.DataFrame, schema: Any, shown: Disclosure) -> list[dict[str, Any]]:
    """Validate a frame and return a row for every demand of the schema, without numbers."""
    declared = list(_declared(frame, schema))
    # Pandera cannot list the failing rows of a frame-wide check where index labels repeat.
    renumbered = schema.index is None and not frame.index.is_unique
    failure = partial(_failed, frame.index, renumbered, shown)
    if renumbered:
        frame = frame.reset_index(drop=True)
    try:
        errors = _errors(frame, _report_everything(schema))
    except Exception as exc:  # noqa: BLE001 - a parser of the schema may raise anything
        stopped = f"the schema could not be run: {shown.words(exc)}"
        rows = [result_row("schema", passed=False, message=stopped)]
        return rows + [_not_run(demand, "the schema could not be run") for demand in declared]
    failed: dict[tuple[Any, ...], list[Any]] = {}
    for error in errors:
        failed.setdefault(_key(error), []).append(error)
    rows = []
    for demand in declared:
        errors_of_check = failed.pop(demand.key, [])
        rows += [failure(error, demand) for error in errors_of_check]
        if not errors_of_check and demand.absent:
            rows.append(_not_run(demand, f"column {demand.column!r} is missing"))
        elif not errors_of_check and not (demand.key[0] == "index" and _index_failed(errors)):
            rows.append(_passed(frame, demand))
    # What no demand is known for, such as a failed coercion.
    rows += [failure(error) for errors_of_check in failed.values() for error in errors_of_check]
    return rows


def _report_everything(schema: Any) -> Any:
    """Return a copy that reports every failure: no warnings instead of errors, no dropped rows."""
    twin = copy.deepcopy(schema)
    twin.drop_invalid_rows = False
    for part in (twin, *twin.columns.values(), *_levels(twin)):
        part.drop_invalid_rows = False
        for check in part.checks:
            check.raise_warning = False
    return twin


def _errors(frame: pd.DataFrame, schema: Any) -> list[Any]:
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaErrors, SchemaWarning

    with (
        warnings.catch_warnings(),
        # An environment variable can switch pandera off; then everything would seem to pass.
        config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA),
    ):
        warnings.simplefilter("ignore", SchemaWarning)
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as exc:
            return list(exc.schema_errors)
    return []


def _declared(frame: pd.DataFrame, schema: Any) -> Iterator[_Declared]:
    frame_wide = {
        "column_in_schema": (schema.strict is True, "COLUMN_NOT_IN_SCHEMA"),
        "column_ordered": (schema.ordered, "COLUMN_NOT_ORDERED"),
        "dataframe_column_labels_unique": (schema.unique_column_names, "DUPLICATE_COLUMN_LABELS"),
        "multiple_fields_uniqueness": (schema.unique, "DUPLICATES"),
    }
    for label, (wanted, reason) in frame_wide.items():
        if wanted:
            yield _Declared(label, None, ("frame", None, reason))
    for name, column in schema.columns.items():
        yield from _column(frame, schema, name, column)
    for level in _levels(schema):
        name = level.name or "index"
        yield from _component("index", name, level, level.dtype, absent=False)
    yield from _checks("frame", None, schema.checks, absent=False)


def _column(frame: pd.DataFrame, schema: Any, name: Any, column: Any) -> Iterator[_Declared]:
    dtype = schema.dtype or column.dtype
    if column.regex and isinstance(name, str):
        # Matched as pandera does: from the start of the name.
        for match in (x for x in frame.columns if re.match(name, str(x))):
            yield from _component("column", match, column, dtype, absent=False)
        return
    absent = name not in frame.columns
    if absent and schema.add_missing_columns:
        absent = False
    if column.required:
        yield _Declared(
            "column_in_dataframe", name, ("column", name, "COLUMN_NOT_IN_DATAFRAME"), absent=absent
        )
    elif absent:
        return
    yield from _component("column", name, column, dtype, absent=absent)


def _component(
    place: str, name: Any, part: Any, dtype: Any, *, absent: bool
) -> Iterator[_Declared]:
    demands = (
        (dtype is not None, f"dtype('{dtype}')", "WRONG_DATATYPE"),
        (not part.nullable, "not_nullable", "SERIES_CONTAINS_NULLS"),
        (part.unique, "field_uniqueness", "SERIES_CONTAINS_DUPLICATES"),
    )
    for wanted, label, reason in demands:
        if wanted:
            yield _Declared(label, name, (place, name, reason), absent=absent)
    yield from _checks(place, name, part.checks, absent=absent)


def _checks(place: str, name: Any, checks: list[Any], *, absent: bool) -> Iterator[_Declared]:
    for number, check in enumerate(checks):
        severity = "warning" if check.raise_warning else "error"
        label = _label(check)
        yield _Declared(label, name, (place, name, label, number), severity, absent)


def _levels(schema: Any) -> list[Any]:
    if schema.index is None:
        return []
    return list(getattr(schema.index, "indexes", [schema.index]))


def _label(check: Any) -> str:
    if isinstance(check, str):
        return check
    name, error = check.name, check.error
    # Those that come with pandera show their bounds in the error: greater_than(0).
    if error and (not name or name.startswith("<") or str(error).startswith(name)):
        return str(error)
    return str(name or check)


def _key(error: Any) -> tuple[Any, ...]:
    place, name = _place(error)
    reason = error.reason_code.name
    if reason == "COLUMN_NOT_IN_DATAFRAME":
        return ("column", error.failure_cases, reason)
    if error.check_index is not None:
        return (place, name, _label(error.check), error.check_index)
    return (place, name, reason)


def _place(error: Any) -> tuple[str, Any]:
    import pandera.pandas as pa

    if isinstance(error.schema, pa.DataFrameSchema) and not isinstance(error.schema, pa.MultiIndex):
        return "frame", None
    if isinstance(error.schema, pa.Index | pa.MultiIndex):
        return "index", error.schema.name or "index"
    # The name in the schema is a pattern where the column was declared by one.
    name = getattr(error, "column_name", None)
    return "column", error.schema.name if name is None else name


def _index_failed(errors: list[Any]) -> bool:
    """Say whether a multi-index failed: pandera doesn't tell which of its levels."""
    import pandera.pandas as pa

    return any(isinstance(error.schema, pa.MultiIndex) for error in errors)


def _failed(
    labels: pd.Index[Any],
    renumbered: bool,
    shown: Disclosure,
    error: Any,
    demand: _Declared | None = None,
) -> dict[str, Any]:
    import pandas as pd

    place, name = _place(error)
    column = demand.column if demand else name
    cases, failing = [], 0
    if isinstance(error.failure_cases, pd.DataFrame):
        failing = _failing_rows(error)
        cases = _cases(error.failure_cases, shown.sample, whole_rows=place == "frame")
        if renumbered:
            # A parser of the schema may have added rows.
            cases = [(labels[i] if i < len(labels) else i, value) for i, value in cases]
    first = (str(error).splitlines() or [""])[0].rstrip(":")
    if failing and error.reason_code.name == "DATAFRAME_CHECK":
        text = getattr(error.check, "error", None)
        first = str(text or _label(error.check))
    elif shown.hides(*([column] if place == "column" else [])):
        # Pandera's own words may quote cells.
        first = demand.label if demand else str(error.reason_code.value)
    message = f"{failing} of {len(labels)} rows fail: {first}" if failing else first
    return result_row(
        demand.label if demand else _label(error.check or error.reason_code.value),
        column,
        severity=demand.severity if demand else "error",
        passed=False,
        failing_rows=failing,
        cases=shown.cases([column, *(labels.names if place == "index" else ())], cases),
        message=message,
    )


def _failing_rows(error: Any) -> int:
    """Count rows: the failure cases may be cut short, or list a row once a column."""
    import pandas as pd

    output = error.check_output
    if isinstance(output, pd.Series):
        return int(output.eq(False).sum())
    if isinstance(output, pd.DataFrame):
        return int(output.eq(False).any(axis=1).sum())
    cases = error.failure_cases
    return int(cases.groupby("column").size().max()) if "column" in cases else len(cases)


def _cases(cases: pd.DataFrame, sample: int, *, whole_rows: bool) -> list[tuple[Any, Any]]:
    if "index" not in cases:
        cases = cases.rename_axis("index").reset_index()
    if whole_rows:
        return [(i, None) for i in cases["index"].drop_duplicates().head(sample)]
    head = cases.head(sample)
    values = head["failure_case"] if "failure_case" in head else np.full(len(head), None)
    return list(zip(head["index"], values, strict=True))


def _passed(frame: pd.DataFrame, demand: _Declared) -> dict[str, Any]:
    return result_row(
        demand.label,
        demand.column,
        severity=demand.severity,
        passed=True,
        message=f"{len(frame)} rows checked",
    )


def _not_run(demand: _Declared, why: str) -> dict[str, Any]:
    return result_row(
        demand.label,
        demand.column,
        severity=demand.severity,
        passed=False,
        message=f"not run: {why}",
    )

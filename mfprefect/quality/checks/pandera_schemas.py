"""Run pandera schemas, and report what passed as well as what failed."""

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

__all__ = ["Applied", "apply_schema", "as_schema", "schema_rows"]


@dataclass(frozen=True)
class _Declared:
    """One requirement of a schema."""

    label: str
    column: Any
    key: tuple[Any, ...]
    """Matches the `_key` of its failures."""
    severity: str = "error"
    absent: bool = False
    """Whether its column is missing, so it cannot run."""


def as_schema(check: Any) -> Any:
    """Return `check` as a pandera schema, None if it is not pandera's."""
    import pandera.pandas as pa

    if isinstance(check, pa.DataFrameSchema):
        return check
    if isinstance(check, type) and issubclass(check, pa.DataFrameModel):
        return check.to_schema()
    if isinstance(check, pa.Check):
        return pa.DataFrameSchema(checks=[check])
    return None


def schema_rows(frame: pd.DataFrame, schema: Any, disclosure: Disclosure) -> list[dict[str, Any]]:
    """Validate a frame and return a row per requirement of the schema, without `check_no`."""
    declared = list(_declared(frame, schema))
    # Pandera cannot list the failing rows of a frame-wide check if index labels repeat.
    renumbered = schema.index is None and not frame.index.is_unique
    failure = partial(_failed, frame.index, renumbered, disclosure)
    if renumbered:
        frame = frame.reset_index(drop=True)
    try:
        errors = _errors(frame, _report_everything(schema))
    except Exception as exc:  # noqa: BLE001 - a parser of the schema may raise anything
        message = f"the schema could not run: {disclosure.error_text(exc)}"
        rows = [result_row("schema", passed=False, message=message)]
        return rows + [_not_run(item, "the schema could not run") for item in declared]
    failed: dict[tuple[Any, ...], list[Any]] = {}
    for error in errors:
        failed.setdefault(_key(error), []).append(error)
    rows = []
    for item in declared:
        errors_of_check = failed.pop(item.key, [])
        rows += [failure(error, item) for error in errors_of_check]
        if not errors_of_check and item.absent:
            rows.append(_not_run(item, f"column {item.column!r} is missing"))
        elif not errors_of_check and not (item.key[0] == "index" and _index_failed(errors)):
            rows.append(_passed(frame, item))
    # Errors without a declared requirement, such as a failed coercion.
    rows += [failure(error) for errors_of_check in failed.values() for error in errors_of_check]
    return rows


@dataclass(frozen=True)
class Applied:
    """What a schema makes of a frame."""

    frame: Any
    """The coerced, filled and parsed rows; the given frame where that failed."""
    schema: Any
    """The schema to check these rows with."""
    failed: bool = False
    """Whether rows cannot be coerced or parsed; `schema` reports which."""


def apply_schema(frame: pd.DataFrame, schema: Any) -> Applied:
    """Coerce, fill, filter and parse all rows of a frame as a schema says; check nothing."""
    if not _changes_rows(schema):
        return Applied(frame, schema)
    try:
        changed = _validated(frame, _without_checks(schema, frame))
    except Exception:  # noqa: BLE001 - of pandera or of a parser
        try:
            changed = _validated(frame, _report_everything(schema))
        except Exception:  # noqa: BLE001 - `schema_rows` reports it
            return Applied(frame, schema, failed=True)
    checking = copy.deepcopy(schema)
    for part in _parts(checking):
        part.parsers = []  # a parser need not give the same when it runs twice
    return Applied(changed, checking)


def _parts(schema: Any) -> list[Any]:
    return [schema, *schema.columns.values(), *_levels(schema)]


def _changes_rows(schema: Any) -> bool:
    if schema.strict == "filter" or schema.add_missing_columns:
        return True
    return any(
        part.coerce or part.parsers or getattr(part, "default", None) is not None
        for part in _parts(schema)
    )


def _without_checks(schema: Any, frame: pd.DataFrame) -> Any:
    """Return a copy that changes rows and requires nothing of them."""
    changing = copy.deepcopy(schema)
    changing.drop_invalid_rows = changing.ordered = changing.unique_column_names = False
    changing.strict = schema.strict if schema.strict == "filter" else False
    changing.unique = None
    for part in _parts(changing):
        part.checks = []
    for part in (*changing.columns.values(), *_levels(changing)):
        part.drop_invalid_rows = part.unique = False
        part.nullable = True
        added = schema.add_missing_columns and part.name not in frame.columns
        if not (part.coerce or schema.coerce or added):
            part.dtype = None
    return changing


def _report_everything(schema: Any) -> Any:
    """Return a copy that raises on every failure: it neither warns instead nor drops rows."""
    strict = copy.deepcopy(schema)
    strict.drop_invalid_rows = False
    for part in (strict, *strict.columns.values(), *_levels(strict)):
        part.drop_invalid_rows = False
        for check in part.checks:
            check.raise_warning = False
    return strict


def _errors(frame: pd.DataFrame, schema: Any) -> list[Any]:
    from pandera.errors import SchemaErrors

    try:
        _validated(frame, schema)
    except SchemaErrors as exc:
        return list(exc.schema_errors)
    return []


def _validated(frame: pd.DataFrame, schema: Any) -> pd.DataFrame:
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaWarning

    with (
        warnings.catch_warnings(),
        # An environment variable can disable pandera; every check would then seem to pass.
        config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA),
    ):
        warnings.simplefilter("ignore", SchemaWarning)
        validated: pd.DataFrame = schema.validate(frame, lazy=True)
    return validated


def _declared(frame: pd.DataFrame, schema: Any) -> Iterator[_Declared]:
    frame_wide = {
        "column_in_schema": (schema.strict is True, "COLUMN_NOT_IN_SCHEMA"),
        "column_ordered": (schema.ordered, "COLUMN_NOT_ORDERED"),
        "dataframe_column_labels_unique": (schema.unique_column_names, "DUPLICATE_COLUMN_LABELS"),
        "multiple_fields_uniqueness": (schema.unique, "DUPLICATES"),
    }
    for label, (required, reason) in frame_wide.items():
        if required:
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
        # Pandera matches from the start of the name, too.
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
    requirements = (
        (dtype is not None, f"dtype('{dtype}')", "WRONG_DATATYPE"),
        (not part.nullable, "not_nullable", "SERIES_CONTAINS_NULLS"),
        (part.unique, "field_uniqueness", "SERIES_CONTAINS_DUPLICATES"),
    )
    for required, label, reason in requirements:
        if required:
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
    # Pandera's built-in checks show their bounds in the error: greater_than(0).
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
    # A column declared by a pattern has the pattern as its name in the schema.
    name = getattr(error, "column_name", None)
    return "column", error.schema.name if name is None else name


def _index_failed(errors: list[Any]) -> bool:
    """Say whether a multi-index failed; pandera does not report which level."""
    import pandera.pandas as pa

    return any(isinstance(error.schema, pa.MultiIndex) for error in errors)


def _failed(
    labels: pd.Index[Any],
    renumbered: bool,
    disclosure: Disclosure,
    error: Any,
    declared: _Declared | None = None,
) -> dict[str, Any]:
    import pandas as pd

    place, name = _place(error)
    column = declared.column if declared else name
    cases, failing = [], 0
    if isinstance(error.failure_cases, pd.DataFrame):
        failing = _failing_rows(error)
        cases = _cases(error.failure_cases, disclosure.sample, whole_rows=place == "frame")
        if renumbered:
            # A parser of the schema may have added rows.
            cases = [(labels[i] if i < len(labels) else i, value) for i, value in cases]
    reason = (str(error).splitlines() or [""])[0].rstrip(":")
    if failing and error.reason_code.name == "DATAFRAME_CHECK":
        text = getattr(error.check, "error", None)
        reason = str(text or _label(error.check))
    elif disclosure.hides(*([column] if place == "column" else [])):
        # Pandera's texts may quote cells.
        reason = declared.label if declared else str(error.reason_code.value)
    message = f"{failing} of {len(labels)} rows fail: {reason}" if failing else reason
    return result_row(
        declared.label if declared else _label(error.check or error.reason_code.value),
        column,
        severity=declared.severity if declared else "error",
        passed=False,
        failing_rows=failing,
        cases=disclosure.cases([column, *(labels.names if place == "index" else ())], cases),
        message=message,
    )


def _failing_rows(error: Any) -> int:
    """Count rows; the failure cases may be cut short, or list a row once per column."""
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


def _passed(frame: pd.DataFrame, declared: _Declared) -> dict[str, Any]:
    return result_row(
        declared.label,
        declared.column,
        severity=declared.severity,
        passed=True,
        message=f"{len(frame)} rows checked",
    )


def _not_run(declared: _Declared, reason: str) -> dict[str, Any]:
    return result_row(
        declared.label,
        declared.column,
        severity=declared.severity,
        passed=False,
        message=f"not run: {reason}",
    )

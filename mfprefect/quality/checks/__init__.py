"""Input checks: what the data must satisfy before a model uses it.

Declared checks are pandera schemas. Pandera is the only library of its kind that takes a schema as
an ordinary Python class, checks any frame without a service, project folder or configuration file,
and returns all failures at once as data. It does not record the checks that passed; this package
adds them. Checks that compare with earlier sessions are in `mfprefect.checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.masking import Disclosure, disclosure_for
from mfprefect.quality.checks.result import _TEXT_LENGTH, result_row

if TYPE_CHECKING:
    import pandas as pd

    from mfprefect.quality.checks.base import ModelCheck

__all__ = ["checked", "in_database", "run_checks", "without_column"]


def run_checks(
    frame: pd.DataFrame,
    checks: Any,
    *,
    sample: int = 5,
    context: CheckContext | None = None,
    masked: Collection[str] = (),
    most_rows: int | None = None,
) -> list[dict[str, Any]]:
    """Run checks on a frame and return one row per check, passed or failed.

    Keys: `check_no` (from 1), `check`, `column` (None: the whole frame), `severity` (`error` or
    `warning`), `passed`, `failing_rows`, `sample` (JSON text: a list of failing cases, each with
    `index` and `value`; the value is null for a check of whole rows, because the columns it read
    are unknown) and `message`.

    A check fails if it cannot run: it raises, returns something other than a bool or a bool Series
    of the frame's length, or its column is missing. `failing_rows` is 0 where no single row is to
    blame, as for a missing column.

    Args:
        frame: any number of rows, including none; not modified.
        checks: a pandera DataFrameSchema, DataFrameModel class or Check; a callable that takes the
            frame and returns a bool or a bool Series (a Series named after a column is reported
            under that column); or a list of these. A pandera Check with `raise_warning=True` has
            severity `warning`, a check of `mfprefect.checks` its own, every other check `error`.
        sample: the most failing cases to keep per check.
        context: what the checks of `mfprefect.checks` compare with.
        masked: columns whose cells appear neither in `sample` nor in `message`.
        most_rows: in larger frames, schemas and callables see a random sample of this many rows,
            the same each time, and `message` says so; None: all rows. Checks of
            `mfprefect.checks` always see all rows, and schemas coerce all rows.

    Raises:
        ConfigurationError: `checks` holds something else.
        InvalidValue: `sample` is negative, or `most_rows` is below 1.
    """
    rows, _ = checked(
        frame, checks, sample=sample, context=context, masked=masked, most_rows=most_rows
    )
    return rows


def checked(
    frame: pd.DataFrame,
    checks: Any,
    *,
    sample: int = 5,
    context: CheckContext | None = None,
    masked: Collection[str] = (),
    most_rows: int | None = None,
    keys: Collection[str] = (),
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Run checks; return their rows, as `run_checks` does, and the frame as the schemas make it.

    Schemas that coerce, fill, filter or parse are applied to all rows first, in their order. All
    checks look at the result, even where they look at a sample.

    Args:
        frame: as in `run_checks`; not modified.
        checks: as in `run_checks`.
        sample: as in `run_checks`.
        context: as in `run_checks`.
        masked: as in `run_checks`.
        most_rows: as in `run_checks`.
        keys: columns that stay in the frame although `strict="filter"` would remove them.

    Raises:
        ConfigurationError: `checks` holds something else.
        InvalidValue: an argument is out of range, or a schema removed rows and a key.
    """
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 0:
        raise InvalidValue(f"sample is {sample!r}; choose a whole number from 0")
    listed = list(checks) if isinstance(checks, list | tuple) else [checks]
    whole, applied = _apply_schemas(frame, listed, keys)
    disclosure = disclosure_for(whole, sample, masked)
    data = _Data(whole, most_rows, disclosure, context or CheckContext())
    rows: list[dict[str, Any]] = []
    for check in applied:
        rows.extend(_run(data, check))
    return [{"check_no": number} | row for number, row in enumerate(rows, start=1)], whole


def _apply_schemas(
    frame: pd.DataFrame, checks: list[Any], keys: Collection[str]
) -> tuple[pd.DataFrame, list[Any]]:
    """Return the frame as the schemas make it, and each check as it is to run on that frame."""
    from mfprefect.quality.checks.base import ModelCheck
    from mfprefect.quality.checks.pandera_schemas import apply_schema, as_schema

    applied: list[Any] = []
    for check in checks:
        schema = None if isinstance(check, ModelCheck) else as_schema(check)
        if schema is None:
            applied.append(check)
            continue
        result = apply_schema(frame, schema)
        frame = _with_keys(result.frame, frame, keys)
        applied.append(result)
    return frame, applied


def _with_keys(changed: pd.DataFrame, before: pd.DataFrame, keys: Collection[str]) -> pd.DataFrame:
    lost = [key for key in keys if key in before.columns and key not in changed.columns]
    if not lost:
        return changed
    if len(changed) != len(before):
        raise InvalidValue(
            f"a schema of the checks removes the column {lost[0]!r} and changes the number of rows "
            f"from {len(before)} to {len(changed)}; declare {lost[0]!r} in the schema."
        )
    return changed.assign(**{key: before[key].array for key in lost})


def in_database(checks: Any) -> list[ModelCheck]:
    """Return the checks as a list; refuse any that a database cannot compute before the read.

    Raises:
        ConfigurationError: a check needs the rows.
    """
    from mfprefect.quality.checks.base import ModelCheck

    listed = list(checks) if isinstance(checks, list | tuple) else [checks]
    for check in listed:
        if not (isinstance(check, ModelCheck) and check.in_database):
            raise ConfigurationError(
                f"{check!r} cannot be computed by the database; list it in the model's checks, "
                "which run on the rows after the read."
            )
    return listed


class _Data:
    """The rows to check: all of them, and the sample that schemas and callables see."""

    def __init__(
        self, frame: pd.DataFrame, most: int | None, disclosure: Disclosure, context: CheckContext
    ) -> None:
        if most is not None and (isinstance(most, bool) or most < 1):
            raise InvalidValue(f"most_rows is {most!r}; choose a whole number from 1, or None")
        self.whole, self.disclosure, self.context = frame, disclosure, context
        self.frame, self.how = frame, ""
        if most is not None and len(frame) > most:
            positions = np.random.default_rng(0).choice(len(frame), most, replace=False)
            self.frame = frame.iloc[np.sort(positions)]
            self.how = f" (in a random sample of {most:,} of {len(frame):,} rows)"


def without_column(checks: Any, column: str | None) -> Any:
    """Return the checks for a frame without a column; scoring data lacks the target.

    Pandera schemas lose the column, and a key that it is part of; callables stay unchanged. None:
    there is no such column.
    """
    if checks is None:
        return []
    if column is None:
        return checks
    if isinstance(checks, list | tuple):
        remaining = [without_column(check, column) for check in checks]
        return [check for check in remaining if check != []]
    if hasattr(checks, "without"):
        return checks.without(column) or []
    schema = checks.to_schema() if hasattr(checks, "to_schema") else checks
    if hasattr(schema, "remove_columns") and column in schema.columns:
        schema = schema.remove_columns([column])
        if column in (schema.unique or ()):
            schema.unique = None  # the other columns of the key need not be unique
    return schema


def _run(data: _Data, check: Any) -> list[dict[str, Any]]:
    from mfprefect.quality.checks.base import ModelCheck
    from mfprefect.quality.checks.frame_data import FrameData
    from mfprefect.quality.checks.pandera_schemas import Applied, schema_rows

    if isinstance(check, ModelCheck):
        return check.results(FrameData(data.whole), data.context, data.disclosure)
    if isinstance(check, Applied):
        if check.failed:  # perhaps in rows outside the sample
            return schema_rows(data.whole, check.schema, data.disclosure)
        rows = schema_rows(data.frame, check.schema, data.disclosure)
    elif not callable(check) or isinstance(check, type):
        raise ConfigurationError(
            f"checks holds {check!r}; it takes a pandera DataFrameSchema, DataFrameModel or Check, "
            "a check of mfprefect.checks, a callable that takes a frame and returns a bool or a "
            "bool Series, or a list of these. on(..) is for the checks of a model or of "
            "Session.log_checks"
        )
    else:
        rows = [_callable_row(data.frame, check, data.disclosure)]
    return [row | {"message": row["message"][: _TEXT_LENGTH - 80] + data.how} for row in rows]


def _callable_row(
    frame: pd.DataFrame, check: Callable[[pd.DataFrame], Any], disclosure: Disclosure
) -> dict[str, Any]:
    name = getattr(check, "__name__", type(check).__name__)
    try:
        verdict = check(frame.copy())
    except Exception as exc:  # noqa: BLE001 - any exception is a failed check
        return result_row(name, passed=False, message=f"it raised {disclosure.error_text(exc)}")
    if isinstance(verdict, bool | np.bool_):
        message = "returned True" if verdict else "returned False"
        return result_row(name, passed=bool(verdict), message=message)
    return _series_row(frame, name, verdict, disclosure)


def _series_row(
    frame: pd.DataFrame, name: str, verdict: Any, disclosure: Disclosure
) -> dict[str, Any]:
    import pandas as pd

    flags = verdict if isinstance(verdict, pd.Series | np.ndarray) else None
    if flags is None or flags.shape != (len(frame),) or not pd.api.types.is_bool_dtype(flags.dtype):
        dtype = getattr(verdict, "dtype", None)
        shape = f" of shape {verdict.shape} and dtype {dtype}" if dtype is not None else ""
        return result_row(
            name,
            passed=False,
            message=f"it returned a {type(verdict).__name__}{shape}; a check returns a bool or a "
            f"bool Series with one value for each of the {len(frame)} rows",
        )
    # NULL does not pass.
    failing = np.flatnonzero(~pd.Series(flags).fillna(False).to_numpy(dtype=np.bool_))
    label = getattr(verdict, "name", None)
    column = label if isinstance(label, str) and list(frame.columns).count(label) == 1 else None
    values = None if column is None else frame[column]
    positions = failing[: disclosure.sample]
    cases = [(frame.index[i], None if values is None else values.iloc[i]) for i in positions]
    return result_row(
        name,
        column,
        passed=len(failing) == 0,
        failing_rows=len(failing),
        cases=disclosure.cases([column], cases),
        message=f"{len(failing)} of {len(frame)} rows fail",
    )

"""Run the checks of a part batch by batch, with the results that the whole part would give."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from mfprefect.quality.checks import _apply_schemas, _callable_row
from mfprefect.quality.checks.base import Fresh, ModelCheck, RowCount, Unique
from mfprefect.quality.checks.columns import Columns, RegisteredColumns
from mfprefect.quality.checks.context import CheckContext
from mfprefect.quality.checks.masking import disclosure_for
from mfprefect.quality.checks.parts import AllParts, Answers, NotAnswered, PartAnswers, merged
from mfprefect.quality.checks.values import NewCategories, NullShare, Range

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BatchChecks", "JointAnswers", "needs_all_rows"]

SAMPLE = 5
_MERGEABLE = (Columns, Fresh, NewCategories, NullShare, Range, RegisteredColumns, RowCount, Unique)
_BY_ROW = frozenset(
    {
        *("equal_to", "not_equal_to", "greater_than", "greater_than_or_equal_to", "less_than"),
        *("less_than_or_equal_to", "in_range", "isin", "notin", "str_matches", "str_contains"),
        *("str_startswith", "str_endswith", "str_length"),
    }
)
"""Pandera's own checks that look at each row alone."""


def needs_all_rows(checks: Sequence[Any], *, functions_by_row: bool = False) -> str:
    """Return why checks cannot be run batch by batch, as the end of a sentence; empty if they can.

    Checks of `mfprefect.checks` can be, and schemas whose requirements concern each row alone:
    pandera's own checks of values and those with `element_wise=True`, types, NULLs and columns.

    Args:
        checks: the checks.
        functions_by_row: whether their author says that functions take each row alone.
    """
    for check in checks:
        if isinstance(check, ModelCheck):
            # A subclass may ask what no batch was asked.
            reason = "" if type(check) in _MERGEABLE else f"the check {type(check).__name__}"
        else:
            reason = _of_other_check(check, functions_by_row)
        if reason:
            return f"{reason} looks at all rows of a part"
    return ""


def _of_other_check(check: Any, functions_by_row: bool) -> str:
    from mfprefect.quality.checks.pandera_schemas import _levels, _parts, as_schema

    schema = as_schema(check)
    if schema is None:
        if functions_by_row:
            return ""
        return f"the check {getattr(check, '__name__', type(check).__name__)}"
    if _levels(schema):
        return "the index of a schema"
    if schema.unique:
        return f"the unique key {schema.unique} of a schema"
    for part in _parts(schema):
        name = "" if part is schema else f" of column {part.name!r}"
        if getattr(part, "unique", False) and part is not schema:
            return f"unique=True{name} in a schema"
        if part.parsers:
            return f"a parser{name} in a schema"
        for item in part.checks:
            if not (functions_by_row or _is_by_row(item)):
                return f"the check {item.name or item}{name} in a schema"
    return ""


def _is_by_row(check: Any) -> bool:
    from pandera.api.function_dispatch import Dispatcher

    if getattr(check, "groupby", None) is not None:
        return False
    builtin = isinstance(getattr(check, "_check_fn", None), Dispatcher) and check.name in _BY_ROW
    return builtin or getattr(check, "element_wise", False) is True


class BatchChecks:
    """Checks that look at one batch after another, and judge at the end."""

    def __init__(
        self,
        checks: Sequence[Any],
        context: CheckContext,
        masked: Collection[str] = (),
        keys: Collection[str] = (),
    ) -> None:
        """Begin.

        Args:
            checks: none that `needs_all_rows`.
            context: what the checks of `mfprefect.checks` compare with.
            masked: columns whose cells must not be shown.
            keys: columns that stay although a schema would remove them.
        """
        self._checks, self._context = list(checks), context
        self._masked, self._keys = masked, keys
        self._answers: Answers | None = None
        self._not_run: dict[int, list[dict[str, Any]]] = {}
        self._schemas: dict[int, _SchemaResults] = {}
        self._disclosure = disclosure_for(_no_frame(), SAMPLE, masked)

    def look(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Look at the next batch; return its rows as the schemas make them.

        Args:
            frame: the rows, labelled by their positions in the part.

        Raises:
            InvalidValue: a schema removed rows and a key.
        """
        changed, applied = _apply_schemas(frame, self._checks, self._keys)
        answers = PartAnswers(changed, self._disclosure, stored=False)
        for number, check in enumerate(applied):
            if not isinstance(check, ModelCheck):
                results = self._schemas.setdefault(number, _SchemaResults())
                results.add(changed, check, self._disclosure)
            elif rows := check.ask(answers, self._context, self._disclosure):
                self._not_run.setdefault(number, rows)
        self._answers = merged(self._answers, answers.document(), SAMPLE)
        return changed

    def rows(self) -> list[dict[str, Any]]:
        """Return the results for all rows, as `run_checks` returns them."""
        rows = [row for number in range(len(self._checks)) for row in self._results(number)]
        return [{"check_no": number} | row for number, row in enumerate(rows, start=1)]

    def _results(self, number: int) -> list[dict[str, Any]]:
        if number in self._schemas:
            return self._schemas[number].rows()
        if self._answers is None:
            return []
        data = AllParts({1: self._answers}, labelled=False)
        check: ModelCheck = self._checks[number]
        try:
            return check.results(data, self._context, self._disclosure)
        except NotAnswered:  # it could not run on a batch
            return self._not_run[number]


class JointAnswers:
    """What the checks of the rows of all parts need of a part that is read in batches."""

    def __init__(
        self, checks: Sequence[ModelCheck], context: CheckContext, masked: Collection[str] = ()
    ) -> None:
        self._checks, self._context = checks, context
        self._disclosure = disclosure_for(_no_frame(), SAMPLE, masked)
        self._answers: Answers | None = None
        self._not_run: dict[int, list[dict[str, Any]]] = {}

    def look(self, frame: pd.DataFrame) -> None:
        """Look at the next batch, as the schemas made it."""
        answers = PartAnswers(frame, self._disclosure)
        for number, check in enumerate(self._checks):
            if rows := check.ask(answers, self._context, self._disclosure):
                self._not_run.setdefault(number, rows)
        self._answers = merged(self._answers, answers.document(), SAMPLE)

    @property
    def not_run(self) -> list[dict[str, Any]]:
        """The results of checks that could not run on a batch."""
        return [row for _, rows in sorted(self._not_run.items()) for row in rows]

    def document(self) -> dict[str, Any]:
        """Return the document of the part."""
        return dict(self._answers or {})


def _no_frame() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


class _SchemaResults:
    """The result rows of a schema or function, one for each requirement, over all batches."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._total = 0
        self._empty: list[pd.DataFrame] = []
        self._schema: Any = None
        self._disclosure: Any = None
        self._failed = False
        """Whether rows of a batch could not be coerced."""

    def add(self, frame: pd.DataFrame, applied: Any, disclosure: Any) -> None:
        from mfprefect.quality.checks.pandera_schemas import Applied, schema_rows

        is_schema = isinstance(applied, Applied)
        if is_schema:
            rows = schema_rows(frame, applied.schema, disclosure)
            self._schema, self._disclosure = applied.schema, disclosure
            self._failed = self._failed or applied.failed
        else:
            rows = [_callable_row(frame, applied, disclosure)]
        occurring: dict[tuple[Any, ...], int] = {}
        for row in rows:
            key = (row["check"], row["column"])
            occurring[key] = occurring.get(key, 0) + 1
            merged_key = (*key, occurring[key])
            row["message"] = _without_total(row["message"], len(frame))
            earlier = self._rows.get(merged_key)
            self._rows[merged_key] = row if earlier is None else _merged_row(earlier, row)
        self._total += len(frame)
        if is_schema and not any(empty.dtypes.equals(frame.dtypes) for empty in self._empty):
            self._empty.append(frame.iloc[:0])

    def rows(self) -> list[dict[str, Any]]:
        """Return the results; a type is that of the joined batches."""
        rows = [row | {"message": self._message(row)} for row in self._rows.values()]
        if len(self._empty) < 2 or self._failed:
            return rows
        types = self._types_of_all()
        return [types.get((row["check"], row["column"]), row) for row in rows]

    def _message(self, row: dict[str, Any]) -> str:
        text = str(row["message"])
        if _FAIL in text:
            return f"{row['failing_rows']} of {self._total} rows fail" + text.partition(_FAIL)[2]
        return text.replace(_CHECKED, f"{self._total} rows checked")

    def _types_of_all(self) -> dict[tuple[str, str | None], dict[str, Any]]:
        """Judge the types of numeric columns whose batches differ, such as those with NULLs."""
        import pandas as pd

        from mfprefect.quality.checks.pandera_schemas import schema_rows

        whole = pd.concat(self._empty, ignore_index=True)
        numeric = {
            str(name)
            for name in whole.columns
            if all(empty[name].dtype.kind in "biuf" for empty in self._empty if name in empty)
        }
        return {
            (row["check"], row["column"]): row
            | ({"message": f"{self._total} rows checked"} if row["passed"] else {})
            for row in schema_rows(whole, self._schema, self._disclosure)
            if row["check"].startswith("dtype(") and row["column"] in numeric
        }


_FAIL, _CHECKED = "\0 rows fail", "\0 rows checked"
"""Stand in messages for the numbers of rows, until these are known."""


def _without_total(message: str, rows: int) -> str:
    if message == f"{rows} rows checked":
        return _CHECKED
    return message.replace(f" of {rows} rows fail", _FAIL, 1)


def _merged_row(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    # A batch in which no single row is to blame says less.
    says_less = not other["passed"] and _FAIL in other["message"] and _FAIL not in one["message"]
    first = other if one["passed"] or says_less else one
    cases = [*json.loads(one["sample"]), *json.loads(other["sample"])][:SAMPLE]
    return first | {
        "passed": one["passed"] and other["passed"],
        "failing_rows": one["failing_rows"] + other["failing_rows"],
        "sample": json.dumps(cases),
    }

"""Trainings and trials of a model as wide rows: parameters beside metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from mfprefect.errors import InvalidValue
from mfprefect.schema import PARAM_LENGTH
from mfprefect.store.database import Database
from mfprefect.store.lookup import find_session, require_model
from mfprefect.store.states import Purpose
from mfprefect.util import values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "PARAMS", "experiments_frame"]

PARAMS, METRICS = "params.", "metrics."
SHOWN = (
    *("session_id", "purpose", "status", "started_at", "ended_at", "run_by", "git_commit"),
    *("as_of", "parent_session_id"),
)
CHUNK = 1_000
"""Sessions whose metrics one statement reads."""
_CONDITION = re.compile(r"\s*(.+?)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*", re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


class _Field(NamedTuple):
    """A parameter or a metric."""

    kind: str
    """`params.` or `metrics.`."""
    name: str


def experiments_frame(
    db: Database,
    model_id: str,
    *,
    sort: str | None = None,
    limit: int | None = 100,
    where: Sequence[str] = (),
    purpose: str | None = None,
    parent: str | None = None,
    since: Any = None,
) -> pd.DataFrame:
    """Return one row a session; arguments and errors as in `Store.experiments`."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidValue(f"limit is {limit!r}; pass an integer from 0 on, or None for all.")
    query = _Query(db, model_id)
    db.read_transaction(lambda connection: require_model(db, connection, model_id))
    s = db.schema.sessions.c
    purposes = (Purpose.TRAIN, Purpose.TRIAL)
    if purpose is not None:
        purposes = (values.choice(purpose, "the purpose", tuple(Purpose)),)  # type: ignore[assignment]
    select = query.base().where(s.model_id == model_id, s.purpose.in_(purposes))
    if parent is not None:
        select = select.where(s.parent_session_no == find_session(db, parent).session_no)
    if (instant := values.since(since)) is not None:
        select = select.where(s.started_at >= instant)
    for condition in values.names(where, "where"):
        select = select.where(query.condition(condition))
    select = query.ordered(select, sort)
    rows = db.fetch_all(select if limit is None else select.limit(limit))
    return _frame(db, [row._mapping for row in rows])


class _Query:
    """Conditions and orders by parameters and metrics of one model."""

    def __init__(self, db: Database, model_id: str) -> None:
        self.db, self.model_id = db, model_id

    def base(self) -> sa.Select[*tuple[Any, ...]]:
        s, parent = self.db.schema.sessions, self.db.schema.sessions.alias("parent")
        of_session = [s.c[name] for name in SHOWN[:-1]]
        return sa.select(
            s.c.session_no, s.c.params, *of_session, parent.c.session_id.label(SHOWN[-1])
        ).join_from(s, parent, parent.c.session_no == s.c.parent_session_no, isouter=True)

    def field(self, text: str) -> _Field:
        """Return what a name means: `params.depth`, `metrics.auc`, or a name that is only one.

        Raises:
            InvalidValue: no session of the model has it, or it is both.
        """
        for kind in (PARAMS, METRICS):
            if text.startswith(kind):
                field = _Field(kind, text.removeprefix(kind))
                if not self._exists(field):
                    raise self._unknown(text)
                return field
        fields = [f for kind in (PARAMS, METRICS) if self._exists(f := _Field(kind, text))]
        if len(fields) > 1:
            raise InvalidValue(
                f"{text!r} is a parameter and a metric of {self.model_id!r}; say {PARAMS}{text} or "
                f"{METRICS}{text}."
            )
        if not fields:
            raise self._unknown(text)
        return fields[0]

    def _rows(self, field: _Field) -> tuple[sa.Table, list[sa.ColumnElement[bool]]]:
        """Return the table of a field, and the conditions for its rows."""
        p, m = self.db.schema.session_params, self.db.schema.metrics
        if field.kind == PARAMS:
            return p, [p.c.param_name == field.name]
        return m, [m.c.metric_name == field.name, m.c.segment == sa.literal("")]

    def _exists(self, field: _Field) -> bool:
        s = self.db.schema.sessions
        if len(field.name) > PARAM_LENGTH:
            return False
        table, conditions = self._rows(field)
        of_model = sa.exists().where(
            s.c.session_no == table.c.session_no, s.c.model_id == self.model_id
        )
        # By the name first: joined, a name that nobody uses would be looked up in each session.
        some = sa.select(table.c.session_no).where(*conditions, of_model).limit(1)
        return bool(self.db.fetch_all(some))

    def _unknown(self, text: str) -> InvalidValue:
        s, p, m = self.db.schema.sessions.c, self.db.schema.session_params, self.db.schema.metrics
        names = []
        for kind, table, column in ((METRICS, m, m.c.metric_name), (PARAMS, p, p.c.param_name)):
            join = table.join(self.db.schema.sessions, s.session_no == table.c.session_no)
            select = sa.select(column).select_from(join).where(s.model_id == self.model_id)
            # Not DISTINCT, which Teradata refuses beside a limit.
            some = select.group_by(column).order_by(column).limit(15)
            names += [f"{kind}{row[0]}" for row in self.db.fetch_all(some)]
        choices = ", ".join(names) or "none yet"
        return InvalidValue(
            f"no session of {self.model_id!r} has the parameter or metric {text!r}; it has "
            f"{choices}."
        )

    def condition(self, text: str) -> sa.ColumnElement[bool]:
        """Return the condition that a text such as `depth=6` or `auc>0.8` stands for."""
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise InvalidValue(
                f"the condition {text!r} is not like depth=6 or auc>0.8; operators are "
                f"{' '.join(_OPERATORS)}."
            )
        name, operator, value = match.groups()
        field = self.field(name)
        table, conditions = self._rows(field)
        column, plain = self._compared(field, table, operator, value)
        conditions.append(_OPERATORS[operator](column, plain))
        s = self.db.schema.sessions.c.session_no
        return s.in_(sa.select(table.c.session_no).where(*conditions))

    def _compared(
        self, field: _Field, table: sa.Table, operator: str, text: str
    ) -> tuple[sa.ColumnElement[Any], Any]:
        """Return the column and the value that a condition compares."""
        number = _number(text)
        if field.kind == METRICS:
            if number is None:
                raise InvalidValue(f"the metric {field.name!r} is a number, not {text!r}.")
            return table.c.value, number
        if number is not None:
            return table.c.number, number
        if operator not in ("=", "!="):
            raise InvalidValue(
                f"{field.name}{operator}{text}: {text!r} is no number; compare texts by = or !=."
            )
        if len(text) > PARAM_LENGTH:
            raise InvalidValue(f"a text to compare with has at most {PARAM_LENGTH} characters.")
        return table.c.text, text

    def ordered(
        self, select: sa.Select[*tuple[Any, ...]], sort: str | None
    ) -> sa.Select[*tuple[Any, ...]]:
        """Return the select in an order: `auc`, or `-auc` for the highest first; else by age."""
        s = self.db.schema.sessions.c.session_no
        if sort is None:
            return select.order_by(s.desc())
        table, conditions = self._rows(self.field(sort.removeprefix("-")))
        select = select.outerjoin(table, sa.and_(table.c.session_no == s, *conditions))
        keys = (
            [table.c.value] if table is self.db.schema.metrics else [table.c.number, table.c.text]
        )
        order: list[Any] = []
        for key in keys:
            # Sessions without a value come last, in either order.
            missing = sa.case((key.is_(None), 1), else_=0)
            order += [missing, key.desc() if sort.startswith("-") else key]
        return select.order_by(*order, s.desc())


def _number(text: str) -> float | None:
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return None


def _frame(db: Database, rows: Sequence[Any]) -> pd.DataFrame:
    import pandas as pd

    params = [json.loads(row["params"]) for row in rows]
    metrics = _metrics(db, [row["session_no"] for row in rows])
    columns: dict[str, Any] = {
        name: pd.Series([row[name] for row in rows], dtype="object") for name in SHOWN
    }
    for name in ("started_at", "ended_at"):
        columns[name] = pd.to_datetime(columns[name], utc=True)
    for name in sorted({name for document in params for name in document}):
        cells = [document.get(name) for document in params]
        columns[f"{PARAMS}{name}"] = _typed(cells)
    for name in sorted({name for cells in metrics.values() for name in cells}):
        cells = [metrics.get(row["session_no"], {}).get(name) for row in rows]
        columns[f"{METRICS}{name}"] = pd.Series(cells, dtype="float64")
    return pd.DataFrame(columns)


def _metrics(db: Database, numbers: Sequence[int]) -> dict[int, dict[str, float]]:
    """Return the metrics of all rows, by session and name."""
    m = db.schema.metrics.c
    select = sa.select(m.session_no, m.metric_name, m.value).where(m.segment == sa.literal(""))
    metrics: dict[int, dict[str, float]] = {}
    for start in range(0, len(numbers), CHUNK):
        some = m.session_no.in_(numbers[start : start + CHUNK])
        for number, name, value in db.fetch_all(select.where(some)):
            metrics.setdefault(number, {})[name] = value
    return metrics


def _typed(cells: list[Any]) -> pd.Series[Any]:
    """Return a column of the one type that its values have, else of objects."""
    import pandas as pd

    kinds = {type(cell) for cell in cells if cell is not None}
    missing = any(cell is None for cell in cells)
    if kinds == {bool}:
        return pd.Series(cells, dtype="boolean" if missing else "bool")
    if kinds == {int} and all(cell is None or abs(cell) < 2**63 for cell in cells):
        return pd.Series(cells, dtype="Int64" if missing else "int64")
    if kinds and kinds <= {int, float}:
        try:
            return pd.Series([float("nan") if c is None else float(c) for c in cells])
        except OverflowError:  # an integer larger than any double
            pass
    return pd.Series(cells, dtype="object")

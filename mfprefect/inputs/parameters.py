"""Parameters of SQL text: values of numpy and pandas as every driver takes them, and lists.

Pure: opens no connection.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterable, Mapping, Set, ValuesView
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import InvalidValue

__all__ = ["bind", "hint", "subquery_text"]

_PLAIN = (str, bytes, int, float, Decimal, dt.date, dt.time, dt.timedelta, type(None))


def bind(
    query: str, params: Mapping[str, Any], *, native_decimal: bool = True
) -> tuple[sa.TextClause, dict[str, Any]]:
    """Return SQL text, and the values of its parameters as drivers take them.

    A list, tuple, set or array after `in` becomes one parameter for each of its values; elsewhere,
    as in `= any(:ids)` of PostgreSQL, it is left to the driver.

    Args:
        query: the SQL; `:name` stands for a parameter, also as `in :name` and `in (:name)`.
        params: the values by name.
        native_decimal: whether the driver takes a Decimal; else it gets a float.

    Raises:
        InvalidValue: the SQL has no such parameter; a value is NaN, NaT, an empty list, a frame.
    """
    names = sa.text(query).compile().params
    if unused := [name for name in params if name not in names]:
        listed = ", ".join(f":{name}" for name in names) or "none"
        raise InvalidValue(
            f"the SQL has no parameter :{unused[0]}; its parameters: {listed}. Use "
            f"{unused[0]}= in the SQL or leave it out; SQL takes no keywords of pandas."
        )
    values = {name: _value(name, value, native_decimal) for name, value in params.items()}
    lists: list[sa.BindParameter[Any]] = []
    for name in (name for name, value in values.items() if isinstance(value, list)):
        uses = len(re.findall(rf"(?<![:\w\\]):{name}(?![:\w])", query))
        member = rf"\b(in)\s*(?:\(\s*:{name}\s*\)|:{name}\b)"
        if len(re.findall(member, query, re.IGNORECASE)) == uses:
            query = re.sub(member, rf"\1 :{name}", query, flags=re.IGNORECASE)
            lists.append(sa.bindparam(name, expanding=True))
    return sa.text(query).bindparams(*lists), values


def subquery_text(query: str) -> str:
    """Return SQL text that can stand in brackets."""
    return query.strip().rstrip(";") + "\n"  # it may end in a comment: start a new line


def hint(params: Mapping[str, Any]) -> str:
    """Return how to pass the parameters that a driver may refuse; empty if there are none."""
    for name, value in params.items():
        if isinstance(value, list):
            return f" The parameter {name!r} is a list: write `in :{name}`, and nothing else."
        if not isinstance(value, _PLAIN):
            return f" The parameter {name!r} is of type {type(value).__name__}; convert it."
    return ""


def _value(name: str, value: Any, native_decimal: bool) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        raise InvalidValue(f"the parameter {name!r} is a DataFrame; pass one column of it.")
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    items = _items(value)
    if items is None:
        return _scalar(name, value, native_decimal)
    if not items:
        raise InvalidValue(
            f"the parameter {name!r} is an empty list, which SQL cannot express; leave the "
            "condition out, or do not read."
        )
    if any(_items(item) is not None for item in items):
        raise InvalidValue(f"the parameter {name!r} is a list of lists; pass a list of values.")
    return [_scalar(name, item, native_decimal) for item in items]


def _items(value: Any) -> list[Any] | None:
    """Return the values of a list, a set or an array, None for a single value."""
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)):
        return None
    if isinstance(value, (list, tuple, range, Set, ValuesView)):
        return list(value)
    if hasattr(value, "to_pylist"):  # Arrow
        return list(value.to_pylist())
    if (
        isinstance(value, Iterable)
        and hasattr(value, "__array__")
        and getattr(value, "ndim", 1) > 0
    ):
        return list(value)  # numpy, pandas, polars: not `tolist`, which makes integers of dates
    return None


def _scalar(name: str, value: Any, native_decimal: bool) -> Any:
    import numpy as np
    import pandas as pd

    if value is None:
        return None
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, np.timedelta64):
        value = pd.Timedelta(value)
    if hasattr(value, "as_py"):  # an Arrow scalar
        value = value.as_py()
    if value is pd.NA or isinstance(value, (float, np.floating, Decimal, dt.date, dt.timedelta)):
        _require_present(name, value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    if isinstance(value, pd.Timedelta):
        return value.to_pytimedelta()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Decimal) and not native_decimal:
        return float(value)
    return value


def _require_present(name: str, value: Any) -> None:
    import pandas as pd

    if pd.isna(value):
        raise InvalidValue(
            f"the parameter {name!r} is {value}, which equals nothing in SQL; pass None for NULL, "
            "or leave the missing values out."
        )

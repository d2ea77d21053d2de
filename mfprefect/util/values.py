"""Checks and conversions of single values before they are written."""

from __future__ import annotations

import datetime as dt
import json
import math
import numbers
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from mfprefect.errors import InvalidValue
from mfprefect.schema import ENTITY_ID_LENGTH, NAME_LENGTH

__all__ = [
    "as_date",
    "choice",
    "entity_ids",
    "figure",
    "json_text",
    "json_value",
    "name",
    "names",
    "optional_figure",
    "plain_datetime",
    "since",
    "text",
    "utc_now",
]


_SPAN = re.compile(r"(\d{1,5})([dh])")


def utc_now() -> dt.datetime:
    """Return now, in UTC with microseconds."""
    return dt.datetime.now(dt.UTC)


def text(value: Any, what: str) -> str:
    """Return a text unchanged; refuse one that some database could not store exactly."""
    if not isinstance(value, str):
        raise InvalidValue(f"{what} must be text, not {value!r} ({type(value).__name__}).")
    if "\0" in value:
        raise InvalidValue(f"{what} {value[:60]!r} holds a NUL character, which SQL text cannot.")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidValue(f"{what} {value[:60]!r} is not valid Unicode: {exc.reason}.") from exc
    return value


def name(value: Any, what: str, length: int = NAME_LENGTH) -> str:
    """Return a name; refuse one that is empty or does not fit its column."""
    checked = text(value, what)
    if not checked:
        raise InvalidValue(f"{what} is empty; give it a name of 1 to {length} characters.")
    if len(checked) > length:
        raise InvalidValue(
            f"{what} {checked[:60]!r}.. has {len(checked)} characters; at most {length} fit."
        )
    return checked


def entity_ids(given: Any) -> list[str]:
    """Return distinct ids as they are stored: text, integers as their decimal digits.

    They are ordered by code points, as the databases order them.
    """
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise InvalidValue(f"entity ids are a list, not {given!r}; pass [{given!r}].")
    # Iterating an Arrow array yields Arrow scalars.
    items = given.to_pylist() if hasattr(given, "to_pylist") else given
    return sorted({_entity_id(item) for item in items})


def _entity_id(value: Any) -> str:
    if isinstance(value, bool):
        return text(value, "an entity id")  # raises: a bool is an int only by inheritance
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        raise InvalidValue(
            f"an entity id must be text or an integer, not {value!r}; pandas makes floats of "
            "integers with gaps, and .astype('Int64') does not."
        )
    return name(value, "an entity id", ENTITY_ID_LENGTH)


def choice(value: Any, what: str, choices: tuple[str, ...]) -> str:
    """Return a value; refuse one that is not among the choices."""
    if value not in choices:
        raise InvalidValue(f"{what} {value!r} is not one of {', '.join(choices)}.")
    return str(value)


def figure(value: Any, what: str) -> float:
    """Return a finite float; numpy numbers are accepted, booleans and text are not."""
    try:
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        if isinstance(value, (str, bytes, bytearray, memoryview, bool)) or kind == "b":
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError) as exc:
        raise InvalidValue(f"{what} must be a number, not {value!r}.") from exc
    if not math.isfinite(number):
        raise InvalidValue(
            f"{what} is {number}; a figure that cannot be computed is left out, not stored."
        )
    return number


def optional_figure(value: Any, what: str) -> float | None:
    """Return a float; None for a missing value (None, NaN, pandas.NA)."""
    # pandas.NA first: comparing it gives NA, which cannot be used as a condition.
    if value is None or type(value).__name__ == "NAType" or value != value:
        return None
    return figure(value, what)


def as_date(value: Any, what: str) -> dt.date | None:
    """Return a date, of an aware datetime the UTC date; text must be ISO 8601."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError as exc:
            raise InvalidValue(f"{what} {value!r} is not a date such as 2026-11-23.") from exc
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise InvalidValue(f"{what} {value!r} has no time zone; pass a date or an aware one.")
        try:
            return value.astimezone(dt.UTC).date()
        except OverflowError as exc:
            raise InvalidValue(f"{what} {value!r} is out of range in UTC.") from exc
    if isinstance(value, dt.date):
        return value
    raise InvalidValue(f"{what} must be a date, not {value!r} ({type(value).__name__}).")


def since(value: Any) -> dt.datetime | None:
    """Return the instant that `since` names: an aware datetime, a UTC date, or a span before now.

    A span is a number with `d` (days) or `h` (hours): `7d`, `12h`.
    """
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise InvalidValue(
                f"since={value!r} has no time zone; pass an aware datetime, or a date."
            )
        return plain_datetime(value)
    if isinstance(value, str) and (span := _SPAN.fullmatch(value)):
        unit = {"d": dt.timedelta(days=1), "h": dt.timedelta(hours=1)}[span[2]]
        return utc_now() - int(span[1]) * unit
    try:
        day = as_date(value, "since")
    except InvalidValue as exc:
        raise InvalidValue(
            f"since={value!r} is no date such as 2026-11-23, nor a span such as 7d or 12h."
        ) from exc
    return None if day is None else dt.datetime.combine(day, dt.time(), dt.UTC)


def plain_datetime(value: dt.datetime) -> dt.datetime:
    """Return a datetime of Python's own type: not every driver takes a pandas.Timestamp."""
    return dt.datetime.combine(value.date(), value.timetz())


def json_text(value: Any, what: str) -> str:
    """Return canonical JSON: sorted names, dates as ISO text, numpy numbers as numbers.

    Numbers and dates as names are written as text, as `json` does with Python's own.

    Raises:
        InvalidValue: a value has no JSON form; the message names its place, `params['missing']`.
    """
    try:
        written = _canonical_json(value)
    except (TypeError, ValueError) as exc:
        try:
            written = _canonical_json(_plain(value, what, ()))
        except InvalidValue as problem:
            raise InvalidValue(f"{what} cannot be written as JSON: {problem}") from exc
        except (TypeError, ValueError) as again:
            raise InvalidValue(f"{what} cannot be written as JSON: {again}.") from again
    return text(written, what)


def _canonical_json(value: Any) -> str:
    return json.dumps(
        value, default=json_value, sort_keys=True, ensure_ascii=False, allow_nan=False
    )


def _plain(value: Any, place: str, parents: tuple[int, ...]) -> Any:
    """Return a value in terms that `json` knows; name the place of one that has no JSON form."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValue(
                f"{place} is {float(value)}, which JSON does not have; pass None, leave it out, or "
                f"pass it as text: {str(float(value))!r}."
            )
        return value
    if id(value) in parents:
        raise InvalidValue(f"Circular reference: {place} holds itself.")
    inside = (*parents, id(value))
    if isinstance(value, Mapping):
        return _plain_mapping(value, place, inside)
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{place}[{i}]", inside) for i, item in enumerate(value)]
    try:
        converted = json_value(value)
    except (TypeError, ValueError) as exc:
        raise InvalidValue(f"{place}: {exc}.") from exc
    return _plain(converted, place, inside)


def _plain_mapping(value: Mapping[Any, Any], place: str, inside: tuple[int, ...]) -> dict[Any, Any]:
    plain: dict[Any, Any] = {}
    for key, item in value.items():
        name = _plain_key(key, place)
        if name in plain:
            raise InvalidValue(f"{place} has the name {name!r} twice; rename one.")
        plain[name] = _plain(item, f"{place}[{name!r}]", inside)
    if len({isinstance(name, str) for name in plain}) > 1:
        raise InvalidValue(f"{place} has names of text and of numbers: {[*plain]}; use text only.")
    return plain


def _plain_key(key: Any, place: str) -> Any:
    """Return the name of a mapping's item as `json` takes it."""
    if isinstance(key, tuple) or (isinstance(key, float) and not math.isfinite(key)):
        raise InvalidValue(f"{place} has the name {key!r}; names are text, numbers or dates.")
    if key is None or isinstance(key, (str, bool, int, float)):
        return key
    try:
        name = json_value(key)
    except (TypeError, ValueError) as exc:
        raise InvalidValue(f"the name {key!r} in {place}: {exc}.") from exc
    if not isinstance(name, (str, bool, int, float)) or name != name:
        raise InvalidValue(f"{place} has the name {key!r}; names are text, numbers or dates.")
    return name


def json_value(value: Any) -> Any:
    """Return what `json` can write for a date, a collection, a path or a numpy value."""
    if isinstance(value, (dt.date, dt.time)):
        if value != value:
            raise TypeError("NaT has no JSON form; pass None")
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, PurePath):
        return str(value)
    if getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M") and hasattr(
        value, "astype"
    ):
        return value.astype(str).tolist()  # of nanoseconds, `tolist` makes bare integers
    for method in ("tolist", "item", "model_dump"):  # numpy and pandas, numbers, pydantic
        if hasattr(value, method):
            return getattr(value, method)()
    if hasattr(value, "get_params"):
        raise TypeError(
            f"{_article(value)} is an estimator, which has no JSON form; pass what get_params() "
            "returns of it, or its name"
        )
    raise TypeError(f"{_article(value)} has no JSON form; pass text or a number")


def _article(value: Any) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


def names(given: Any, what: str) -> list[str]:
    """Return a collection of texts; refuse a single text, which would be taken letter by letter."""
    if isinstance(given, (str, bytes)):
        raise InvalidValue(f"{what} are a list, not {given!r}; pass [{given!r}].")
    if not isinstance(given, Iterable):
        raise InvalidValue(f"{what} are a list of texts, not {given!r}; pass [{str(given)!r}].")
    return [text(item, f"one of {what}") for item in given]

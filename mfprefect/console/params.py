"""Reading the parameters of a page: each is checked, and a wrong one names the choices."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from urllib.parse import parse_qsl

from mfprefect.errors import MfprefectError

__all__ = ["LARGEST", "BadRequest", "Missing", "Params"]

LARGEST = 2**31 - 1
"""The largest number that a column of integers holds in every database."""
MOST_FIELDS = 200
SHOWN = 60


class BadRequest(MfprefectError):
    """A parameter of a request is wrong; the message names it, the value and the choices."""


class Missing(MfprefectError):
    """The page, or what it should show, does not exist."""


class Params:
    """The parameters of a query or of a form, in their order.

    Raises:
        BadRequest: there are too many.
    """

    def __init__(self, text: str) -> None:
        try:
            self.pairs = parse_qsl(
                text, keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS
            )
        except ValueError as exc:
            raise BadRequest(f"there are more than {MOST_FIELDS} parameters.") from exc

    def all(self, name: str, most: int = 20) -> list[str]:
        """Return the values of a parameter that may be repeated, without empty ones."""
        values = [value.strip() for key, value in self.pairs if key == name]
        values = [value for value in values if value]
        if len(values) > most:
            raise BadRequest(f"{name} is there {len(values)} times; at most {most} are shown.")
        for value in values:
            _require_text(name, value)
        return values

    def text(self, name: str, longest: int = 255) -> str | None:
        """Return a text, None if it is empty or missing."""
        value = self._one(name)
        if value is None:
            return None
        if len(value) > longest:
            raise BadRequest(f"{name} has {len(value)} characters, more than {longest}.")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """Return one of the choices, None if it is empty or missing."""
        value = self._one(name)
        if value is not None and value not in choices:
            text = f"{name} is {value[:SHOWN]!r}; the choices are: {', '.join(choices)}."
            raise BadRequest(text)
        return value

    def integer(self, name: str, low: int = 0, high: int = LARGEST) -> int | None:
        """Return an integer, None if it is empty or missing."""
        value = self._one(name)
        if value is None:
            return None
        if not (value.isascii() and value.removeprefix("-").isdecimal() and len(value) < SHOWN):
            raise BadRequest(f"{name} is {value[:SHOWN]!r}; give a whole number.")
        number = int(value)
        if not low <= number <= high:
            raise BadRequest(f"{name} is {value[:SHOWN]}; give a number from {low} to {high}.")
        return number

    def figure(self, name: str) -> float | None:
        """Return a finite number, None if it is empty or missing."""
        value = self._one(name)
        if value is None:
            return None
        number = as_figure(value)
        if number is None:
            raise BadRequest(f"{name} is {value[:SHOWN]!r}; give a number.")
        return number

    def day(self, name: str) -> dt.date | None:
        """Return a day, None if it is empty or missing."""
        value = self._one(name)
        if value is None:
            return None
        try:
            return dt.date.fromisoformat(value)
        except ValueError as exc:
            text = f"{name} is {value[:SHOWN]!r}; give a day such as 2026-11-30."
            raise BadRequest(text) from exc

    def _one(self, name: str) -> str | None:
        values = [value.strip() for key, value in self.pairs if key == name]
        if not values or not values[-1]:
            return None
        _require_text(name, values[-1])
        return values[-1]


def as_figure(text: str) -> float | None:
    """Return the finite number that a text is, None if it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _require_text(name: str, value: str) -> None:
    if "\0" in value:
        raise BadRequest(f"{name} holds a NUL character, which no database stores.")

"""Options that several commands have, spelled the same in each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["SESSION_WORDS", "Since", "output_option", "since_option"]

SESSION_WORDS = "an id, `latest`, `latest:MODEL` or `production:MODEL`"
"""How a session is named; `mfprefect.cli.lookup` finds it."""


class _Output(click.Option):
    """`-o/--output`; `--to`, which was its name on some commands, works and is not listed."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the names without `--to`, and the help."""
        record = super().get_help_record(ctx)
        return record and (record[0].replace(", --to", ""), record[1])

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the names without `--to`."""
        return super().get_error_hint(ctx).replace(" / '--to'", "")


def output_option(**options: Any) -> Callable[[Any], Any]:
    """Return the option that says where a command writes; the command gets it as `to`."""
    return click.option("-o", "--output", "--to", "to", cls=_Output, **options)


class Since(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A date, or a span before now such as 7d; the command gets an instant."""

    name = "date or span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the instant; wrong text is wrong usage."""
        from mfprefect.errors import InvalidValue
        from mfprefect.util import values

        try:
            return values.since(value)
        except InvalidValue as exc:
            self.fail(str(exc), param, ctx)


def since_option(what: str) -> Callable[[Any], Any]:
    """Return the option `--since`."""
    text = f"Only {what} since then: a date, or a span such as 7d or 12h."
    return click.option("--since", type=Since(), metavar="DATE|7d", help=text)

"""Shared by all commands: lazy loading, common options, errors and exit codes."""

from __future__ import annotations

import errno
import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from mfprefect.cli.escape import escape_lines
from mfprefect.cli.output import Output
from mfprefect.errors import MfprefectError

__all__ = ["LazyGroup", "common"]

COMMANDS_PACKAGE = "mfprefect.cli.commands"
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is invoked.

    Args:
        commands_table: module in `mfprefect.cli.commands` and help line, by command name.
    """

    def __init__(
        self, *args: Any, commands_table: Mapping[str, tuple[str, str]], **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.commands_table = commands_table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.commands_table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.commands_table:
            return None
        module, _ = self.commands_table[cmd_name]
        command: click.Command = getattr(import_module(f"{COMMANDS_PACKAGE}.{module}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a similar command for an unknown one."""
        if args and not args[0].startswith("-") and args[0] not in self.commands_table:
            near = get_close_matches(args[0], self.commands_table, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `mfprefect --help`."
            ctx.fail(f"No such command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.commands_table.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> NoReturn:
        """Run a command, print an error in one line, and exit."""
        arguments = list(sys.argv[1:] if args is None else args)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # print any text in any locale
                stream.reconfigure(errors="backslashreplace")
        sys.exit(self._run(arguments, rest, options))

    def _run(self, args: list[str], rest: tuple[Any, ...], options: dict[str, Any]) -> int:
        try:
            _require_text(args)
            code = super().main(args, *rest, **(options | {"standalone_mode": False}))
            sys.stdout.flush()
        except click.Abort:
            _print_error("Interrupted", "interrupted", "--json" in args)
            return INTERRUPTED
        except click.ClickException as exc:
            return _usage_error(exc, "--json" in args)
        except BrokenPipeError:
            _discard_stdout()
            return 1
        except Exception as exc:  # noqa: BLE001 - any error becomes one line
            return _failure(exc, "--json" in args)
        return code if isinstance(code, int) else 0


def _usage_error(exc: click.ClickException, as_json: bool) -> int:
    if as_json:
        _print_error("UsageError", exc.format_message(), as_json=True)
        return exc.exit_code
    if isinstance(exc, click.UsageError) and exc.ctx is not None:
        click.echo(exc.ctx.get_usage(), err=True)
        click.echo(f"Try '{exc.ctx.command_path} --help' for help.\n", err=True)
    # Not printed by click: it would send the arguments to the terminal unescaped.
    click.echo(f"Error: {escape_lines(exc.format_message())}", err=True)
    return exc.exit_code


def _require_text(args: Sequence[str]) -> None:
    """Refuse arguments that can be neither a name nor a path."""
    for position, text in enumerate(args, start=1):
        try:
            os.fsencode(text)
        except UnicodeEncodeError as exc:
            message = f"argument {position} is not valid Unicode: {exc.reason}"
            raise click.UsageError(message) from exc
        if "\0" in text:
            raise click.UsageError(f"argument {position} contains a NUL character")


def _failure(exc: Exception, as_json: bool) -> int:
    if os.environ.get("MFPREFECT_DEBUG") == "1":
        traceback.print_exception(exc)
    expected = isinstance(exc, (MfprefectError, OSError, UnicodeError))
    text = str(exc)
    if not expected:
        text = f"unexpected {type(exc).__name__}: {text} (MFPREFECT_DEBUG=1 shows the traceback)"
    _print_error(type(exc).__name__, text, as_json)
    return 1


def _print_error(kind: str, text: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": kind, "message": text}), err=True)
    else:
        click.echo(f"error: {escape_lines(text)}", err=True)


def _discard_stdout() -> None:
    # The interpreter flushes at exit and would report the same broken pipe again.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError) as exc:
        if getattr(exc, "errno", None) not in (None, errno.EBADF):
            raise


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--url` and `--json` to a command; it gets them as `url` and `out`."""

    @click.option(
        "--url", metavar="URL", help="SQLAlchemy URL of the database; overrides MFPREFECT_URL."
    )
    @click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
    @functools.wraps(function)
    def command(*args: Any, url: str | None, as_json: bool, **options: Any) -> Any:
        return function(*args, out=Output(as_json=as_json), url=url, **options)

    return command

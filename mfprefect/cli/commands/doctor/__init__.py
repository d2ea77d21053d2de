"""`mfprefect doctor`: what works, what does not, and how to fix it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.escape import escape_lines
from mfprefect.cli.output import STYLES, Output

__all__ = ["doctor"]


@click.command()
@click.option(
    "--deep",
    is_flag=True,
    help="Also try on the database what only a server can tell, in a table that is dropped again: "
    "on Teradata.",
)
@common
def doctor(out: Output, url: str | None, deep: bool) -> None:
    """Check settings, database, sources, Prefect and git, and suggest a fix for each problem.

    Exits with 0 if nothing failed; warnings do not count as failures.
    """
    from mfprefect.cli.commands.doctor import checks, database, libraries
    from mfprefect.cli.commands.doctor.finding import CheckResult

    results: list[CheckResult] = []
    steps: tuple[Callable[[str | None], Iterator[CheckResult]], ...] = (
        checks.versions,
        libraries.libraries,
        checks.settings,
        checks.backends,
        database.database,
        database.spool,
        checks.prefect,
        checks.checkout,
        checks.sources,
        checks.notifications,
    )
    if deep:
        steps = (*steps, database.deep)
    for step in steps:
        for result in _catch_errors(step, url):
            results.append(result)
            _write(out, result)
    out.document([result._asdict() for result in results])
    if any(result.status == "failed" for result in results):
        sys.stdout.flush()
        click.get_current_context().exit(1)


def _catch_errors(step: Callable[[str | None], Iterator[Any]], url: str | None) -> Iterator[Any]:
    """Turn any error of a check into a result, so that the other checks still run."""
    from mfprefect.cli.commands.doctor.finding import CheckResult

    try:
        yield from step(url)
    except Exception as exc:  # noqa: BLE001 - no check may end the doctor
        # Not the text: an unexpected error may contain a password.
        yield CheckResult(
            step.__name__,
            "failed",
            f"the check itself failed: {type(exc).__name__}",
            "report it with the output of `MFPREFECT_DEBUG=1 mfprefect sessions`",
        )


def _write(out: Output, result: Any) -> None:
    if out.as_json:
        return
    detail = escape_lines(result.detail).replace("\n  ", "\n" + " " * 22)
    click.echo(f"{_status(result.status, out.fancy)}  {result.check:<11}  {detail}")
    if result.cure:
        click.echo(" " * 22 + f"-> {escape_lines(result.cure)}")


def _status(status: str, fancy: bool) -> str:
    return click.style(f"{status:<7}", fg=STYLES[status] if fancy else None)

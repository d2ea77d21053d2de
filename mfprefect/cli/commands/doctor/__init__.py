"""`mfprefect doctor`: what works, what does not, and the cure."""

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
@common
def doctor(out: Output, url: str | None) -> None:
    """Check settings, database, Prefect and git, and name the cure of what is not well.

    The exit code is 0 when nothing failed; warnings are no failure.
    """
    from mfprefect.cli.commands.doctor import checks, database
    from mfprefect.cli.commands.doctor.finding import CheckResult

    findings: list[CheckResult] = []
    steps: tuple[Callable[[str | None], Iterator[CheckResult]], ...] = (
        checks.versions,
        checks.settings,
        checks.backends,
        database.database,
        database.spool,
        checks.prefect,
        checks.checkout,
        checks.sources,
        checks.notifications,
    )
    for step in steps:
        for finding in _safely(step, url):
            findings.append(finding)
            _write(out, finding)
    out.document([finding._asdict() for finding in findings])
    if any(finding.status == "failed" for finding in findings):
        sys.stdout.flush()
        click.get_current_context().exit(1)


def _safely(step: Callable[[str | None], Iterator[Any]], url: str | None) -> Iterator[Any]:
    """Turn whatever a check raises into a finding: the doctor must outlive every illness."""
    from mfprefect.cli.commands.doctor.finding import CheckResult

    try:
        yield from step(url)
    except Exception as exc:  # noqa: BLE001 - a doctor that falls ill itself says so
        # The text is not shown: nobody knows what an unforeseen error says of a password.
        yield CheckResult(
            step.__name__,
            "failed",
            f"the check itself failed: {type(exc).__name__}",
            "report it, with what MFPREFECT_DEBUG=1 mfprefect sessions says",
        )


def _write(out: Output, finding: Any) -> None:
    if out.as_json:
        return
    detail = escape_lines(finding.detail).replace("\n  ", "\n" + " " * 22)
    click.echo(f"{_status(finding.status, out.fancy)}  {finding.check:<11}  {detail}")
    if finding.cure:
        click.echo(" " * 22 + f"-> {escape_lines(finding.cure)}")


def _status(status: str, fancy: bool) -> str:
    return click.style(f"{status:<7}", fg=STYLES[status] if fancy else None)

"""`mfprefect notify`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    from mfprefect.settings import Target

__all__ = ["notify"]

COLUMNS = (Column("target", "target"), Column("url", "URL"), Column("result", "result"))
NOBODY = (
    "no notification target is configured; add one to mfprefect.toml, such as\n"
    '[notify.ops]\nurl = "mailto://user:${MAIL_PASSWORD}@mail.example.com?to=ops@example.com"\n'
    "or set MFPREFECT_NOTIFY__OPS__URL; docs/notifications.md tells more."
)


@click.group()
def notify() -> None:
    """Tell people what happens to sessions."""


@notify.command()
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@common
def test(out: Output, url: str | None, targets: tuple[str, ...]) -> None:
    """Send a test notice to each TARGET of the settings, by default to all of them.

    The exit code is 0 when all were delivered. No database is needed.
    """
    rows = []
    for name, target in _chosen(url, targets).items():
        with out.working(f"sending to {name}"):
            rows.append(_try(name, target))
    out.table(rows, COLUMNS)
    out.document([{k: v for k, v in row.items() if k != "result"} for row in rows])
    if not all(row["delivered"] for row in rows):
        sys.stdout.flush()
        click.get_current_context().exit(1)


def _chosen(url: str | None, names: tuple[str, ...]) -> dict[str, Target]:
    from mfprefect.errors import ConfigurationError
    from mfprefect.settings import load_settings

    targets = load_settings(url=url).notify
    if not targets:
        raise ConfigurationError(NOBODY)
    if unknown := [name for name in names if name not in targets]:
        raise ConfigurationError(
            f"unknown notification target {unknown[0]!r}; the targets are: {', '.join(targets)}."
        )
    return {name: targets[name] for name in names or targets}


def _try(name: str, target: Target) -> dict[str, Any]:
    import platform

    from mfprefect.errors import ConfigurationError
    from mfprefect.notifications.delivery import Notice, deliver, masked_url

    try:
        shown: str | None = masked_url(name, target)
        failure = deliver(target, Notice(event="test", host=platform.node()))
    except ConfigurationError as exc:
        shown, failure = None, str(exc)
    result = "delivered" if failure is None else f"not delivered: {failure}"
    return {
        "target": name,
        "url": shown,
        "delivered": failure is None,
        "failure": failure,
        "result": result,
    }

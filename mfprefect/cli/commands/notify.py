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
NO_TARGET = (
    "no notification target is configured; add one to mfprefect.toml, such as\n"
    '[notify.ops]\nurl = "mailto://user:${MAIL_PASSWORD}@mail.example.com?to=ops@example.com"\n'
    "or set MFPREFECT_NOTIFY__OPS__URL; see docs/notifications.md."
)


@click.group()
def notify() -> None:
    """Test the notification targets."""


@notify.command()
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@common
def test(out: Output, url: str | None, targets: tuple[str, ...]) -> None:
    """Send a test notice to each TARGET of the settings, by default to all.

    Exits with 0 if all were delivered. Needs no database.
    """
    from mfprefect.settings import load_settings

    rows, environment = [], load_settings(url=url).environment or ""
    for name, target in _targets(url, targets).items():
        with out.working(f"sending to {name}"):
            rows.append(_send_test(name, target, environment))
    out.table(rows, COLUMNS)
    out.document([{k: v for k, v in row.items() if k != "result"} for row in rows])
    if not all(row["delivered"] for row in rows):
        sys.stdout.flush()
        click.get_current_context().exit(1)


def _targets(url: str | None, names: tuple[str, ...]) -> dict[str, Target]:
    from mfprefect.errors import ConfigurationError
    from mfprefect.settings import load_settings

    targets = load_settings(url=url).notify
    if not targets:
        raise ConfigurationError(NO_TARGET)
    if unknown := [name for name in names if name not in targets]:
        raise ConfigurationError(
            f"unknown notification target {unknown[0]!r}; choose one of: {', '.join(targets)}."
        )
    return {name: targets[name] for name in names or targets}


def _send_test(name: str, target: Target, environment: str) -> dict[str, Any]:
    import platform

    from mfprefect.errors import ConfigurationError
    from mfprefect.notifications.delivery import Notice, deliver, masked_url

    try:
        target_url: str | None = masked_url(name, target)
        notice = Notice(event="test", host=platform.node(), environment=environment)
        failure = deliver(target, notice)
    except ConfigurationError as exc:
        target_url, failure = None, str(exc)
    result = "delivered" if failure is None else f"not delivered: {failure}"
    return {
        "target": name,
        "url": target_url,
        "delivered": failure is None,
        "failure": failure,
        "result": result,
    }

"""`mfprefect token`: tokens for the console and its API."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

__all__ = ["token"]

TOKENS = (
    Column("token_id", "token"),
    Column("scope", "scope"),
    Column("owner", "owner"),
    Column("state", "state"),
    Column("expires_at", "expires (UTC)", "time"),
    Column("created_by", "made by", drop=1),
    Column("description", "for", drop=2),
)
SCOPES = ("viewer", "auditor", "writer", "deployer", "admin")


class Span(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A number of days or hours: `90d`, `12h`."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dt.timedelta:
        """Return the span."""
        match = re.fullmatch(r"(\d{1,5})([dh])", str(value))
        if match is None:
            self.fail(f"{value!r} is no span such as 90d or 12h", param, ctx)
        unit = {"d": dt.timedelta(days=1), "h": dt.timedelta(hours=1)}[match[2]]
        return int(match[1]) * unit


@click.group()
def token() -> None:
    """Make, list and revoke tokens for the console and its API."""


@token.command()
@click.argument("owner")
@click.option("--scope", type=click.Choice(SCOPES), default="viewer", show_default=True)
@click.option(
    "--expires", type=Span(), default="90d", show_default=True, help="How long it is valid."
)
@click.option("--description", help="What it is for.")
@common
def create(
    out: Output,
    url: str | None,
    owner: str,
    scope: str,
    expires: dt.timedelta,
    description: str | None,
) -> None:
    """Make a token for OWNER, a person or program, and print it: it cannot be shown again."""
    import mfprefect

    with mfprefect.connect(url) as store:
        new = store.create_token(owner, scope, expires=expires, description=description)
    if not out.as_json:
        click.echo(new.token)  # unescaped, for scripts
    out.note(f"token {new.token_id} of {owner}: {scope} until {new.expires_at:%Y-%m-%d %H:%M} UTC")
    out.document(dict(vars(new)))


@token.command("list")
@common
def list_(out: Output, url: str | None) -> None:
    """List all tokens, without their secrets."""
    import mfprefect
    from mfprefect.cli.formats import records

    with mfprefect.connect(url) as store:
        rows = records(store.tokens())
    if rows:
        out.table(rows, TOKENS)
    else:
        out.note("there are no tokens; make one with `mfprefect token create OWNER`.")
    out.document(rows)


@token.command()
@click.argument("token_id", metavar="TOKEN")
@common
def revoke(out: Output, url: str | None, token_id: str) -> None:
    """Revoke TOKEN, by its name in `token list`: it is refused from the next request on."""
    import mfprefect
    from mfprefect.redaction import TOKEN

    if (whole := TOKEN.fullmatch(token_id)) is not None:
        token_id = whole["id"]  # somebody has the whole token at hand, and wants it gone
    with mfprefect.connect(url) as store:
        store.revoke_token(token_id)
    out.note(f"token {token_id} is revoked")
    out.document({"token_id": token_id, "state": "revoked"})

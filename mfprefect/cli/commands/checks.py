"""`mfprefect checks`: failed checks that a person accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["checks"]

COLUMNS = (
    Column("acceptance_no", "no", "number"),
    Column("what", "state"),
    Column("purpose", "of"),
    Column("check", "check"),
    Column("column", "column"),
    Column("reason", "reason"),
    Column("accepted_by", "by", drop=1),
    Column("accepted_at", "at (UTC)", "time", 2),
    Column("until", "until"),
    Column("session_id", "failed in", drop=3),
)
ENDS = {"train": "until the next training succeeds", "score": "until another model scores"}


@click.group()
def checks() -> None:
    """Accept failed checks, on record; list and withdraw acceptances."""


@checks.command()
@click.argument("session")
@click.argument("check")
@click.option("--column", help="Only for this column; by default each for which it failed.")
@click.option("--reason", required=True, help="Why the failure is right; it is recorded.")
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="The last day on which the acceptance holds (UTC).",
)
@common
def accept(
    out: Output, url: str | None, session: str, check: str, column: str | None, **how: Any
) -> None:
    """Accept that CHECK fails as in SESSION (an id, `latest`, or `latest:MODEL`).

    Later runs of the same purpose go on and show it as accepted, until the next training succeeds
    (of a training) or another model scores (of a scoring).
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_session

    until = how["until"] and how["until"].date()
    with mfprefect.connect(url) as store:
        row = resolve_session(store, session)
        accepted = store.accept_check(
            row["session_id"], check, column=column, reason=how["reason"], until=until
        )
    _write(out, accepted)
    end = ENDS.get(row["purpose"], "until the next training succeeds")
    out.note(f"accepted for {row['purpose']} sessions of {row['model_id']}, {end}.")


@checks.command()
@click.argument("model")
@common
def accepted(out: Output, url: str | None, model: str) -> None:
    """List the accepted checks of MODEL, newest first, with what became of them."""
    import mfprefect

    with mfprefect.connect(url) as store:
        frame = store.accepted_checks(model)
    if frame.empty:
        out.note(f"no check of {model} is accepted.")
    _write(out, frame)


@checks.command()
@click.argument("model")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it is recorded.")
@common
def withdraw(out: Output, url: str | None, model: str, number: int, reason: str) -> None:
    """Withdraw the acceptance NUMBER of MODEL; the check fails again from the next run on."""
    import mfprefect

    with mfprefect.connect(url) as store:
        store.withdraw_acceptance(model, number, reason=reason)
        _write(out, store.accepted_checks(model))


def _write(out: Output, frame: pd.DataFrame) -> None:
    from mfprefect.cli.formats import records

    rows = records(frame)
    columns = [c for c in COLUMNS if c.key == "what" or any(row[c.key] is not None for row in rows)]
    if rows:
        out.table([row | {"what": _state(row)} for row in rows], columns)
    out.document(rows)


def _state(row: dict[str, Any]) -> str:
    return f"{row['state']}: {row['state_reason']}" if row["state_reason"] else str(row["state"])

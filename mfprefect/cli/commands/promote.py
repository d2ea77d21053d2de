"""`mfprefect promote`, `rollback`, `retire` and `stages`."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Column, Output

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["promote", "retire", "rollback", "stages"]

T = TypeVar("T")

SAMPLE = 100_000
"""About how many rows are scored before the question."""
SECONDS = 60.0
"""How long reading and scoring them may take."""
GRACE = 5.0
"""Seconds after that in which what takes longer may still end by itself."""
COLUMNS = (
    Column("set_at", "since (UTC)", "time"),
    Column("until", "until (UTC)", "time", 1),
    Column("stage", "stage"),
    Column("session_id", "session"),
    Column("set_by", "by"),
    Column("reason", "reason"),
    Column("passed", "gates", drop=2),
    Column("override", "override"),
    Column("rolled_back_from", "rolled back from"),
)


@click.command()
@click.argument("model")
@click.argument("session")
@click.option("--reason", help="The reason; it is recorded.")
@click.option(
    "--override", metavar="REASON", help="Promote although gates failed; the reason is recorded."
)
@click.option("--yes", is_flag=True, help="Neither plan nor ask for confirmation.")
@common
def promote(
    out: Output,
    url: str | None,
    model: str,
    session: str,
    reason: str | None,
    override: str | None,
    yes: bool,
) -> None:
    """Put a training SESSION of MODEL into production.

    SESSION is an id, or `latest` (or `latest:MODEL`) for the last successful training. It must have
    passed its gates, and not be in production already. On a terminal, shows what changes (see
    `mfprefect plan`) and asks.
    """
    import mfprefect
    from mfprefect.cli.lookup import resolve_training

    with mfprefect.connect(url) as store:
        name = resolve_training(store, session, model)
        if not (yes or out.as_json) and _on_terminal():
            _confirm(out, store, model, name)
        store.promote(model, name, reason=reason, override=override)
        _write(out, store, model)


def _on_terminal() -> bool:
    """Return whether somebody can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _confirm(out: Output, store: Store, model: str, session_id: str) -> None:
    """Show what the promotion changes, and ask.

    Raises:
        AlreadyPromoted: it is in production already; or another error that refuses a promotion.
        Abort: the user does not want it.
    """
    from mfprefect.store.models.promotion import standing

    standing(store.database, model, session_id)
    text = f"scoring today's data with both models, for at most {SECONDS:g} s .."
    with out.working(text, keep=False):
        lines = _what_changes(store, model, session_id)
    out.note("What changes:")
    for line in lines:
        out.note(f"  {line}")
    click.confirm(f"Promote {session_id} of {model}?", abort=True, err=True)


def _what_changes(store: Store, model: str, session_id: str) -> Sequence[str]:
    """Return the plan in sentences; without scores if these take too long."""
    from mfprefect.cli.commands.plan import planned
    from mfprefect.store.plan import ScoredData

    def work() -> Sequence[str]:
        try:
            plan = planned(store, model, session_id, sample=SAMPLE, seconds=SECONDS)
        except Exception as exc:  # noqa: BLE001 - data that cannot be scored is no reason not to ask
            text = " ".join(f"{type(exc).__name__}: {exc}".split())
            return (f"not known: {store.database.without_secrets(text)}",)
        return [*plan.notes, *plan.verdicts]

    lines = _within(SECONDS + GRACE, work)
    if lines is not None:
        return lines
    basis = (
        f"today's data was not read and scored within {SECONDS:g} s; `mfprefect plan {model} "
        f"{session_id}` takes the time that it needs"
    )
    return store.plan(model, session_id, ScoredData(basis)).verdicts


def _within(seconds: float, work: Callable[[], T]) -> T | None:
    """Return what work returns; None if it takes longer: then its thread is left alone."""
    results: list[T] = []
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=lambda: results.append(context.run(work)), name="mfprefect-plan", daemon=True
    )
    thread.start()
    thread.join(seconds)
    return results[0] if results else None


@click.command()
@click.argument("model")
@click.option("--reason", help="The reason; it is recorded.")
@common
def rollback(out: Output, url: str | None, model: str, reason: str | None) -> None:
    """Put back what MODEL had in production before; each rollback goes one step further.

    For a retired model, that is what was last in production.
    """
    import mfprefect

    with mfprefect.connect(url) as store:
        store.rollback(model, reason=reason)
        _write(out, store, model)


@click.command()
@click.argument("model")
@click.option("--reason", help="The reason; it is recorded.")
@common
def retire(out: Output, url: str | None, model: str, reason: str | None) -> None:
    """Take MODEL out of production, with nothing in its place: it scores no more.

    `mfprefect rollback` puts it back.
    """
    import mfprefect

    with mfprefect.connect(url) as store:
        store.retire(model, reason=reason)
        _write(out, store, model)


@click.command()
@click.argument("model")
@common
def stages(out: Output, url: str | None, model: str) -> None:
    """List what MODEL had in production: since when, by whom, why, with which gates."""
    import mfprefect

    with mfprefect.connect(url) as store:
        _write(out, store, model)


def _write(out: Output, store: Store, model: str) -> None:
    from mfprefect.cli.formats import records

    rows = records(store.stages(model))
    if rows:
        shown = [row | {"passed": _passed(row["gates"])} for row in rows]
        out.table(shown, [c for c in COLUMNS if any(row[c.key] is not None for row in shown)])
    else:
        out.note(f"model {model} was never in production; `mfprefect promote` puts it there.")
    out.document(rows)


def _passed(gates: list[dict[str, Any]]) -> str | None:
    if not gates:
        return None
    passed = sum(gate["verdict"] == "passed" for gate in gates)
    return f"{passed} of {len(gates)} passed"

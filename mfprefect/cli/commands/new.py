"""`mfprefect new`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mfprefect.cli.app import common
from mfprefect.cli.output import Output

if TYPE_CHECKING:
    from mfprefect.scaffold import Plan

__all__ = ["new"]


@click.command()
@click.argument("model")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="The team's repository; by default the current folder.",
)
@common
def new(out: Output, url: str | None, model: str, into: Path) -> None:
    """Write the files of a new MODEL into a repository: flows, tests, deployments, settings, CI.

    Beside models that are there, only its flows, its tests and its deployments are added. --url is
    for the mfprefect.toml of a new repository.
    """
    from mfprefect import scaffold

    todo = scaffold.plan(into, model, url)
    scaffold.write(todo, into)
    appended = [scaffold.DEPLOYMENTS] if todo.deployments else []
    following = _next(into, model, todo)
    for path in todo.files:
        out.line(f"wrote {into / path}")
    for path in appended:
        out.line(f"appended to {into / path}")
    out.heading("Next")
    for command in following:
        out.line(f"  {command}")
    out.document(
        {
            "model": model,
            "folder": str(into.resolve()),
            "written": list(todo.files),
            "appended": appended,
            "next": following,
        }
    )


def _next(into: Path, model: str, todo: Plan) -> list[str]:
    there = [] if into == Path() else [f"cd {shlex.quote(str(into))}"]
    first = "README.md" in todo.files
    install = ["pip install -r requirements.txt"] if first else []
    tables = ["mfprefect init"] if first else []
    return [
        *there,
        *install,
        f"pytest tests/test_{model}.py",
        *tables,
        f"python flows/{model}.py",
        "prefect --no-prompt deploy --name local",
    ]

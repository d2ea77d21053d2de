"""`mfprefect new`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
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

    A repository that has models already gets only the flows, tests and deployments of the new
    one. --url goes into the mfprefect.toml of a new repository, and its driver into the
    requirements.txt, which installs mfprefect from where this installation came.
    """
    from mfprefect import scaffold

    plan = scaffold.plan(into, model, url)
    scaffold.write(plan, into)
    appended = [scaffold.DEPLOYMENTS] if plan.deployments else []
    next_commands = _next_commands(into, model, plan)
    for path in plan.files:
        out.line(f"wrote {into / path}")
    for path in appended:
        out.line(f"appended to {into / path}")
    if plan.requirement is not None and plan.requirement.note:
        out.line(f"requirements.txt: {plan.requirement.note}")
    out.heading("Next")
    for command in next_commands:
        out.line(f"  {command}")
    out.document(
        {
            "model": model,
            "folder": str(into.resolve()),
            "written": list(plan.files),
            "appended": appended,
            "requirement": plan.requirement and asdict(plan.requirement),
            "next": next_commands,
        }
    )


def _next_commands(into: Path, model: str, plan: Plan) -> list[str]:
    change_folder = [] if into == Path() else [f"cd {shlex.quote(str(into))}"]
    new_repository = "README.md" in plan.files
    return [
        *change_folder,
        *(["pip install -r requirements.txt"] if new_repository else []),
        f"pytest tests/test_{model}.py",
        *(["mfprefect init"] if new_repository else []),
        f"python flows/{model}.py",
        "prefect --no-prompt deploy --name local",
    ]

"""The command line.

Nothing heavy is imported here: help has to answer at once. A command's module is imported when the
command is invoked, and it imports the rest of mfprefect inside its function.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from mfprefect import __version__
from mfprefect.cli.app import LazyGroup

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "init": ("mfprefect.cli.commands.init", "Create or upgrade the schema in the database."),
    "doctor": (
        "mfprefect.cli.commands.doctor",
        "Check settings, database, Prefect and git; name cures.",
    ),
    "demo": (
        "mfprefect.cli.commands.demo",
        "Train and score real models here, and show what is kept.",
    ),
    "new": ("mfprefect.cli.commands.new", "Write the files of a new model into a repository."),
    "models": ("mfprefect.cli.commands.listings", "List the registered models."),
    "sessions": ("mfprefect.cli.commands.listings", "List sessions, newest first."),
    "show": ("mfprefect.cli.commands.show", "Show everything about one session."),
    "compare": ("mfprefect.cli.commands.compare", "Compare two sessions side by side."),
    "reproduce": (
        "mfprefect.cli.commands.reproduce",
        "Run a session again: does it come out the same?",
    ),
    "report": ("mfprefect.cli.commands.report", "Write the report of a session or model as HTML."),
    "scores": (
        "mfprefect.cli.commands.scores",
        "Print a session's scores, or write them to a file.",
    ),
    "export": ("mfprefect.cli.commands.export", "Publish a session's scores to another table."),
    "promote": ("mfprefect.cli.commands.promote", "Put a training session into production."),
    "rollback": ("mfprefect.cli.commands.promote", "Put back what was in production before."),
    "threshold": ("mfprefect.cli.commands.threshold", "Set a model's operating threshold."),
    "columns": ("mfprefect.cli.commands.columns", "List or load the registry of input columns."),
    "reconcile": ("mfprefect.cli.commands.reconcile", "End sessions whose process is gone."),
    "spool": (
        "mfprefect.cli.commands.spool",
        "Show and deliver what ran while the database was away.",
    ),
    "prune": (
        "mfprefect.cli.commands.prune",
        "Archive and delete the sessions that need not be kept.",
    ),
    "grants": ("mfprefect.cli.commands.grants", "Print the SQL of a role's rights, for the DBA."),
    "restore": ("mfprefect.cli.commands.restore", "Write an archived session back."),
    "audit": (
        "mfprefect.cli.commands.audit",
        "Verify seals; show who did what; print the chains' ends.",
    ),
    "notify": (
        "mfprefect.cli.commands.notify",
        "Send a test notice to whoever is told of sessions.",
    ),
    "session": ("mfprefect.cli.commands.session", "Open, fill and close a session from a shell."),
}
"""Module and help line of each command; the module holds it under the command's name."""


@click.group(cls=LazyGroup, commands_table=COMMANDS)
@click.version_option(__version__, prog_name="mfprefect")
def cli() -> None:
    """Model Factory on Prefect: every run of a model is a session in your own database.

    The database is that of --url, of MFPREFECT_URL or of mfprefect.toml. Every command takes
    --json. Begin with `mfprefect demo`.
    """


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.exit(cli(prog_name="mfprefect"))

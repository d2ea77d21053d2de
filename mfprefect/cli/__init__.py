"""The command line.

`--help` must be fast, so nothing heavy is imported here. A command's module is imported when the
command runs, and it imports the rest of mfprefect inside its function.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from mfprefect import __version__
from mfprefect.cli.app import LazyGroup

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "init": ("init", "Create or upgrade the schema in the database."),
    "doctor": ("doctor", "Check settings, database, sources, Prefect, git; suggest fixes."),
    "demo": ("demo", "Train and score real models locally; show the results."),
    "new": ("new", "Write the files of a new model into a repository."),
    "models": ("listings", "List the registered models."),
    "sessions": ("listings", "List sessions, newest first."),
    "show": ("show", "Show everything about one session."),
    "compare": ("compare", "Compare two sessions side by side."),
    "experiments": ("experiments", "Compare trainings and trials: parameters beside metrics."),
    "plot": ("plot", "Draw a metric over steps, sessions or a parameter."),
    "train": ("train", "Train a model here, with the parameters of a trial."),
    "reproduce": ("reproduce", "Run a session again and compare the results."),
    "report": ("report", "Write the report of a session or model as HTML."),
    "scores": ("scores", "Print a session's scores, or write them to a file."),
    "trace": ("trace", "Show where an entity's scores come from, and what readers saw."),
    "files": ("files", "List a session's files and figures, or write them to a folder."),
    "sql": ("sql", "Print the SELECT that scores rows with a model."),
    "export": ("export", "Publish a session's scores to another table."),
    "plan": ("plan", "Show what a promotion would change."),
    "promote": ("promote", "Put a training session into production."),
    "rollback": ("promote", "Put the previous session back into production."),
    "retire": ("promote", "Take a model out of production."),
    "stages": ("promote", "List what was in production: when, by whom, why."),
    "threshold": ("threshold", "Set or list a model's operating thresholds."),
    "checks": ("checks", "Accept failed checks, on record; list and withdraw acceptances."),
    "columns": ("columns", "List or load the registry of input columns."),
    "reconcile": ("reconcile", "End sessions whose process is gone."),
    "spool": ("spool", "List and deliver sessions that wait for their database."),
    "prune": ("prune", "Archive and delete sessions by the retention rules."),
    "size": ("size", "Show the size of tables and models, and what prune would free."),
    "grants": ("grants", "Print the SQL that grants a role's rights, for the DBA."),
    "restore": ("restore", "Restore an archived session."),
    "audit": ("audit", "Verify seals, list who did what, print the chain heads."),
    "token": ("token", "Make, list and revoke tokens for the console and its API."),
    "notify": ("notify", "Send a test notice to the notification targets."),
    "serve": ("serve", "Open the console: pages over the store, in a browser."),
    "site": ("site", "Write the overview, models and last reports as plain files."),
    "session": ("session", "Open, fill and close a session from a shell."),
}
"""Each command's module in `mfprefect.cli.commands`, and its help line.

The module defines the command under the command's name.
"""


@click.group(cls=LazyGroup, commands_table=COMMANDS)
@click.version_option(__version__, prog_name="mfprefect")
def cli() -> None:
    """Model Factory on Prefect: every run of a model is a session in your own database.

    The database comes from --url, MFPREFECT_URL or mfprefect.toml. Every command takes --json.
    Start with `mfprefect demo`.
    """


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.exit(cli(prog_name="mfprefect"))

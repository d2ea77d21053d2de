"""Training and scoring by commands that report under the run's session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.commands import environment
from mfprefect.lifecycle.commands.process import Command, run_command
from mfprefect.lifecycle.prefect_artifacts import Progress
from mfprefect.lifecycle.settings_env import Redactor, secrets
from mfprefect.session.recorder import Recorder
from mfprefect.store import Store

if TYPE_CHECKING:
    from mfprefect.command_model import CommandModel
    from mfprefect.session import Session

__all__ = ["score_command", "train_command"]


def train_command(
    store: Store, kind: type[CommandModel], session: Session, *, apply_gates: bool = True
) -> None:
    """Run the training command and, with `apply_gates`, apply the gates to what it stored.

    Raises:
        ConfigurationError: there is no such command, or no such program.
        CommandFailed: it exited with a code other than 0, or was killed.
        InvalidValue: it reported no metric, no test results and no model.
        GateFailed: a gate failed; model and figures are kept.
    """
    command = _command(store, kind, session, "train_command")
    tasks.Runner(kind)(run_training, command)
    if not session.has_results():
        raise InvalidValue(
            f"the command `{command}` ended well and reported nothing under session "
            f"{session.session_id!r}: no metric, no test results, no model. Have it call "
            "`mfprefect session log`, for instance "
            "`mfprefect session log --metric auc=0.83 --model model.rds`."
        )
    if kind.gates and apply_gates:
        session.log_gates(kind.gates)


def score_command(store: Store, kind: type[CommandModel], session: Session) -> None:
    """Run the scoring command for each part, skipping parts an earlier attempt completed.

    Raises:
        ConfigurationError: there is no such command, or no such program.
        CommandFailed: it exited with a code other than 0, or was killed.
        InvalidValue: it wrote no scores, or not those of its part.
    """
    _command(store, kind, session, "score_command")  # checked before anything is done
    missing = [part for part in range(1, kind.parts + 1) if not _kept(kind, session, part)]
    progress = Progress(session, kind.parts, kind.parts - len(missing))
    run = tasks.Runner(kind)
    for part in missing:
        command = _command(store, kind, session, "score_command", part)
        named = f"score command, part {part} of {kind.parts}" if kind.parts > 1 else None
        run(run_scoring.with_options(task_run_name=named), store, session, command, kind.parts)
        _require_scores(kind, session, part)
        progress.step()
    written, certain = session.parts()
    if not certain:  # better no figure than a wrong one
        tasks.log().warning("rows_scored is not stored: the database is away")
        return
    # The command may have stored this metric itself.
    recorder = Recorder(store.database, session.handle, attached=True)
    recorder.log_metrics({"rows_scored": sum(written.values())})
    recorder.flush()


def _command(
    store: Store, kind: type[CommandModel], session: Session, name: str, part: int = 1
) -> Command:
    arguments = getattr(kind, name)
    if arguments is None:
        raise ConfigurationError(
            f'{kind.__name__} has no {name}; set it in the class: {name} = ["bash", "step.sh"].'
        )
    return Command(
        arguments=tuple(arguments),
        folder=kind.working_folder(),
        environment=environment.environment(store, kind, session, part, name.partition("_")[0]),
        grace_seconds=kind.grace_seconds,
        transient_exit_codes=kind.transient_exit_codes,
        hidden=Redactor(secrets(store.database.settings)),
    )


def _kept(kind: type[CommandModel], session: Session, part: int) -> bool:
    if kind.parts == 1:
        # The command may write scores in any number of pieces, so it is unknown whether the
        # earlier attempt wrote the last one.
        return False
    if (rows := session.keep_part(part)) is None:
        return False
    tasks.log().info("part %d of %d was complete: %d rows", part, kind.parts, rows)
    return True


def _require_scores(kind: type[CommandModel], session: Session, part: int) -> None:
    written, _ = session.parts()
    if kind.parts == 1 and not written:
        raise InvalidValue(
            f"the score command of {kind.model_id!r} ended well and wrote no scores under session "
            f"{session.session_id!r}. Have it call `mfprefect session log --scores FILE.csv "
            "--entity-id COLUMN --score COLUMN`."
        )
    if kind.parts > 1 and part not in written:
        raise InvalidValue(
            f"the score command of {kind.model_id!r} ended well and did not write part {part} of "
            f"{kind.parts}; have it call `mfprefect session log --scores FILE.csv .. --part "
            "$MFPREFECT_PART`."
        )


@task(name="train command", cache_policy=NO_CACHE, persist_result=False)
def run_training(command: Command) -> None:
    """Run a training command."""
    run_command(command)


@task(name="score command", cache_policy=NO_CACHE, persist_result=False)
def run_scoring(store: Store, session: Session, command: Command, parts: int) -> None:
    """Run the scoring command of one part, or of everything if there is one part."""
    if parts == 1:  # rows of an earlier attempt would remain beside this one's
        session.drop_parts()
    run_command(command)

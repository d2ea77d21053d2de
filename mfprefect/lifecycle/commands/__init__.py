"""Training and scoring by commands that report under the run's session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from mfprefect.errors import ConfigurationError, InvalidValue
from mfprefect.lifecycle import tasks
from mfprefect.lifecycle.commands import environment
from mfprefect.lifecycle.commands.process import Command, run_command
from mfprefect.lifecycle.fitting import params_of
from mfprefect.lifecycle.prefect_artifacts import Progress
from mfprefect.lifecycle.settings_env import Redactor, secrets
from mfprefect.session.recorder import Recorder
from mfprefect.store import Store

if TYPE_CHECKING:
    from mfprefect.command_model import CommandModel
    from mfprefect.session import Session

__all__ = ["score_command", "train_command"]


def train_command(
    store: Store,
    model_class: type[CommandModel],
    session: Session,
    params: Mapping[str, Any],
    *,
    apply_gates: bool = True,
) -> None:
    """Run the training command and, with `apply_gates`, apply the gates to what it stored.

    Raises:
        ConfigurationError: there is no such command, or no such program.
        CommandFailed: it exited with a code other than 0, or was killed.
        InvalidValue: it reported no metric, no test results and no model.
        GateFailed: a gate failed; model and figures are kept.
    """
    command = _command(store, model_class, session, "train_command", params=params)
    tasks.Runner(model_class)(run_training, command)
    if not session.has_results():
        raise InvalidValue(
            f"the command `{command}` succeeded but reported nothing under session "
            f"{session.session_id!r}: no metric, no test results, no model. Have it call "
            "`mfprefect session log`, for instance "
            "`mfprefect session log --metric auc=0.83 --model model.rds`."
        )
    if model_class.gates and apply_gates:
        session.log_gates(model_class.gates)


def score_command(store: Store, model_class: type[CommandModel], session: Session) -> None:
    """Run the scoring command for each part, skipping parts an earlier attempt completed.

    Raises:
        ConfigurationError: there is no such command, or no such program.
        CommandFailed: it exited with a code other than 0, or was killed.
        InvalidValue: it wrote no scores, or not those of its part.
    """
    parent, params = session.parent_session_id, dict(model_class.params)
    if parent is not None:
        params = params_of(store, model_class, parent)
    _command(store, model_class, session, "score_command")  # checked before anything is done
    parts = model_class.parts
    missing = [part for part in range(1, parts + 1) if not _keep_part(model_class, session, part)]
    progress = Progress(session, parts, parts - len(missing))
    run = tasks.Runner(model_class)
    for part in missing:
        command = _command(store, model_class, session, "score_command", part, params)
        name = f"score command, part {part} of {parts}" if parts > 1 else None
        run(run_scoring.with_options(task_run_name=name), store, session, command, parts)
        _require_scores(model_class, session, part)
        progress.step()
    written, certain = session.parts()
    if not certain:  # better no figure than a wrong one
        tasks.log().warning("rows_scored is not stored: the database is unavailable")
        return
    # The command may have stored this metric itself.
    recorder = Recorder(store.database, session.handle, attached=True)
    recorder.log_metrics({"rows_scored": sum(written.values())})
    recorder.flush()


def _command(
    store: Store,
    model_class: type[CommandModel],
    session: Session,
    name: str,
    part: int = 1,
    params: Mapping[str, Any] = {},
) -> Command:
    arguments = getattr(model_class, name)
    if arguments is None:
        raise ConfigurationError(
            f"{model_class.__name__} has no {name}; set it in the class: "
            f'{name} = ["bash", "step.sh"].'
        )
    purpose = name.partition("_")[0]
    return Command(
        arguments=tuple(arguments),
        folder=model_class.working_folder(),
        environment=environment.environment(store, model_class, session, part, purpose, params),
        grace_seconds=model_class.grace_seconds,
        transient_exit_codes=model_class.transient_exit_codes,
        hidden=Redactor(secrets(store.database.settings)),
    )


def _keep_part(model_class: type[CommandModel], session: Session, part: int) -> bool:
    if model_class.parts == 1:
        # The command may write scores in any number of pieces, so it is unknown whether the
        # earlier attempt wrote the last one.
        return False
    if (rows := session.keep_part(part)) is None:
        return False
    tasks.log().info("part %d of %d was complete: %d rows", part, model_class.parts, rows)
    return True


def _require_scores(model_class: type[CommandModel], session: Session, part: int) -> None:
    written, _ = session.parts()
    model_id, parts = model_class.model_id, model_class.parts
    if parts == 1 and not written:
        raise InvalidValue(
            f"the score command of {model_id!r} succeeded but wrote no scores under session "
            f"{session.session_id!r}. Have it call `mfprefect session log --scores FILE.csv "
            "--entity-id COLUMN --score COLUMN`."
        )
    if parts > 1 and part not in written:
        raise InvalidValue(
            f"the score command of {model_id!r} succeeded but did not write part {part} of "
            f"{parts}. Have it call `mfprefect session log --scores FILE.csv .. --part "
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

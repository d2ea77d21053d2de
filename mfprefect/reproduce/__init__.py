"""Run a session again from its record, and compare the results.

A separate process runs the recorded commit in a temporary worktree with the recorded parameters. It
opens an adhoc session, which sends no notifications and never becomes a reference for others.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import deque
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError, InvalidValue, NotReproducible, UnknownSession
from mfprefect.inputs.digest import RULE_VARIABLE, rule_of
from mfprefect.lifecycle.settings_env import Redactor, secrets, settings_variables, without_settings
from mfprefect.provenance.checkout import find_checkout
from mfprefect.provenance.entrypoint import CODE
from mfprefect.reproduce.comparison import (
    Reproduction,
    compare_digests,
    compare_environments,
    compare_metrics,
)
from mfprefect.reproduce.preconditions import (
    given_params,
    interpreter,
    no_commit,
    not_reproducible,
    other_code,
    other_packages,
)
from mfprefect.reproduce.virtualenv import build_environment
from mfprefect.reproduce.worktree import worktree
from mfprefect.settings import PREFIX
from mfprefect.store.states import REPRODUCES, Status
from mfprefect.util.frames import records
from mfprefect.util.removal import temporary_folder

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["reproduce"]

GRACE_SECONDS = 30.0
"""Time for an interrupted run to end its session."""
TAIL = 20
"""Lines of output to quote if a run did not open a session."""


@dataclass(frozen=True)
class _Plan:
    """Everything needed to run a session again."""

    session: dict[str, Any]
    environment: dict[str, Any]
    repository: Path
    entrypoint: str
    python: str
    notes: list[str]


def reproduce(
    store: Store,
    session_id: str,
    *,
    repository: Path | None = None,
    entrypoint: str | None = None,
    tolerance: float = 0.0,
    install: bool = False,
    without: Collection[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Reproduction:
    """Run a train or score session again, and compare the results with the recorded ones.

    Args:
        store: holds the session, and stores the reproduction.
        session_id: the session to reproduce.
        repository: a folder in the git repository; by default the setting, otherwise the current
            folder.
        entrypoint: the model's class, such as `flows/churn.py:Churn`; by default the recorded one.
        tolerance: how far a metric may differ, as a share of its value.
        install: run in a new environment with the recorded packages, instead of this one.
        without: packages to leave out of the new environment.
        say: called with progress messages.

    Raises:
        UnknownSession: there is no such session.
        NotReproducible: the session cannot be run again, or the run failed.
        InvalidValue: the tolerance is negative.
    """
    if not tolerance >= 0:
        raise InvalidValue(
            f"the tolerance is {tolerance!r}; choose a share of 0 or more, such as 1e-6."
        )
    plan = _plan(store, session_id, repository, entrypoint, install)
    commit = plan.session["git_commit"]
    for note in plan.notes:
        say(f"note: {note}")
    try:
        with ExitStack() as stack:
            say(f"checking out commit {commit[:12]} of {plan.repository}")
            root = stack.enter_context(worktree(plan.repository, commit))
            python = plan.python
            if install:
                folder = stack.enter_context(temporary_folder())
                packages = plan.environment["packages"]
                say(f"installing the {len(packages)} recorded packages")
                python = build_environment(
                    folder / "env", packages, python=python, checkout=root, without=without
                )
            say(f"running {plan.entrypoint}, {plan.session['purpose']}")
            reproduction_id = _run(store, plan, root, python)
    except ConfigurationError as exc:
        hint = [] if install else other_packages(plan.environment)
        raise NotReproducible(session_id, [str(exc).rstrip("."), *hint]) from exc
    return _compare(store, plan, reproduction_id, tolerance)


def _plan(
    store: Store, session_id: str, repository: Path | None, entrypoint: str | None, install: bool
) -> _Plan:
    row = records(store.show(session_id))[0]
    environment = store.environment(session_id)
    folder = repository or store.database.settings.repository or Path.cwd()
    entrypoint = entrypoint or _recorded_entrypoint(store, session_id)
    vcs, root = find_checkout(folder)
    git_root = root if vcs == "git" else None
    reasons = [*not_reproducible(row), *no_commit(row, folder, git_root)]
    if entrypoint is None:
        reasons.append(
            "it did not record the class of its model; if a model's flow ran it, name the class "
            "with --entrypoint flows/churn.py:Churn"
        )
    python, reason = interpreter(environment["python"], install)
    reasons += [reason] if reason else []
    if reasons or root is None or entrypoint is None:
        raise NotReproducible(session_id, reasons)
    notes = other_code(records(store.attempts(session_id)), records(store.score_parts(session_id)))
    return _Plan(row, environment, root, entrypoint, python, notes)


def _recorded_entrypoint(store: Store, session_id: str) -> str | None:
    for row in records(store.metadata(session_id)):
        if (row["meta_group"], row["meta_name"]) == CODE:
            return str(row["value"])
    return None


def _run(store: Store, plan: _Plan, root: Path, python: str) -> str:
    """Run the session again in a separate process; return the id of the new session."""
    row = plan.session
    with temporary_folder() as folder:
        request, answer, log = (folder / name for name in ("request", "answer", "log"))
        request.write_text(
            json.dumps(
                {
                    "root": str(root),
                    "entrypoint": plan.entrypoint,
                    "model_id": row["model_id"],
                    "purpose": row["purpose"],
                    "as_of": row["as_of"].isoformat(),
                    "params": given_params(row) | {REPRODUCES: row["session_id"]},
                    "parent": row["parent_session_id"] or row["session_id"],
                }
            )
        )
        # -P: do not import an mfprefect in the checkout.
        command = [python, "-P", "-m", "mfprefect.reproduce.worker", str(request), str(answer)]
        code = _call(command, root, _variables(store, root) | _digest_rule(store, plan), log)
        outcome = json.loads(answer.read_text()) if answer.is_file() else {}
        session_id = outcome.get("session_id")
        if session_id is None:
            redact = Redactor(secrets(store.database.settings))
            reason = (
                outcome.get("reason") or redact(_tail(log)) or f"its process exited with {code}"
            )
            raise ConfigurationError(reason)
    _require_success(store, str(session_id))
    return str(session_id)


def _require_success(store: Store, session_id: str) -> None:
    try:
        row = records(store.show(session_id))[0]
    except UnknownSession as exc:  # the database was unreachable when it ended
        raise ConfigurationError(
            f"the run, session {session_id}, is in the spool of this machine: deliver it with "
            "`mfprefect spool push`, and compare the two with `mfprefect compare`"
        ) from exc
    if row["status"] != Status.SUCCEEDED:
        raise ConfigurationError(
            f"the run, session {session_id}, {row['status']}: {row['failure_kind']}: "
            f"{row['failure_text']}; does its input data still exist?"
        )


def _call(command: list[str], folder: Path, variables: dict[str, str], log: Path) -> int:
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            return process.wait()
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the run before its checkout is deleted; its session ends as cancelled."""
    # A terminal interrupts the run, too; a supervisor may signal only this process.
    for step in (None, process.terminate, process.kill):
        if step is not None:
            step()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
            return


def _tail(log: Path) -> str:
    with log.open(errors="replace") as lines:
        return "\n".join(line.rstrip() for line in deque(lines, TAIL))


def _variables(store: Store, root: Path) -> dict[str, str]:
    """Return the environment variables of the run: the settings of this store, and the checkout."""
    variables = {k: v for k, v in without_settings(os.environ).items() if k != "PYTHONPATH"}
    for name, value in {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }.items():
        variables.setdefault(name, value)
    checkout = {f"{PREFIX}REPOSITORY": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    return variables | settings_variables(store) | checkout


def _digest_rule(store: Store, plan: _Plan) -> dict[str, str]:
    """Return the variable that makes digests of inputs comparable with those of the session."""
    digests = [row["digest"] for row in records(store.inputs(plan.session["session_id"]))]
    return {RULE_VARIABLE: "1"} if any(text and rule_of(text) == 1 for text in digests) else {}


def _compare(store: Store, plan: _Plan, reproduction_id: str, tolerance: float) -> Reproduction:
    session_id = plan.session["session_id"]

    def both(read: Callable[[str], Any]) -> list[list[dict[str, Any]]]:
        return [records(read(name)) for name in (session_id, reproduction_id)]

    def digests(read: Callable[[str], Any], name: str, digest: str) -> list[dict[str, Any]]:
        sides = both(read)
        return compare_digests(*([(str(r[name]), r[digest]) for r in rows] for rows in sides))

    metrics = both(store.metrics)
    return Reproduction(
        session_id=session_id,
        reproduction_id=reproduction_id,
        commit=plan.session["git_commit"],
        tolerance=tolerance,
        environment=compare_environments(plan.environment, store.environment(reproduction_id)),
        packages=len(plan.environment["packages"]),
        metrics=compare_metrics(metrics[0], metrics[1], tolerance),
        inputs=digests(store.inputs, "source", "digest"),
        models=digests(store.artifacts, "artifact_name", "sha256"),
        scores=digests(store.score_parts, "part_no", "digest"),
        notes=plan.notes,
    )

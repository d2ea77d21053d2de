"""Running a session again from what it recorded, and telling whether it comes out the same.

The commit is checked out into a temporary worktree and run there by a process of its own, with the
recorded parameters, as an adhoc session that nobody is told of and nobody builds upon.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfprefect.errors import ConfigurationError, InvalidValue, NotReproducible, UnknownSession
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
    interpreter,
    no_commit,
    not_again,
    other_packages,
    params_of,
)
from mfprefect.reproduce.virtualenv import build_environment
from mfprefect.reproduce.worktree import worktree
from mfprefect.settings import PREFIX
from mfprefect.store.states import REPRODUCES, Status
from mfprefect.util.frames import records

if TYPE_CHECKING:
    from mfprefect.store import Store

__all__ = ["reproduce"]

GRACE_SECONDS = 30.0
"""How long a run that was interrupted may take to end its session."""
TAIL = 20
"""How many of the last lines are told of a run that did not even open a session."""


@dataclass(frozen=True)
class _Plan:
    """What it takes to run a session again."""

    session: dict[str, Any]
    environment: dict[str, Any]
    repository: Path
    entrypoint: str
    python: str


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
    """Run a train or score session again, and compare what comes out with what is on record.

    Args:
        store: where the session is, and where the one that runs it again is kept.
        session_id: the session.
        repository: a folder in the git repository; by default the setting, else the current one.
        entrypoint: the model's class, such as `flows/churn.py:Churn`; by default the recorded one.
        tolerance: how far a metric may be off, as a share of its size.
        install: make an environment with the recorded packages, instead of taking this one.
        without: packages that such an environment goes without.
        say: is told what is going on.

    Raises:
        UnknownSession: there is no such session.
        NotReproducible: it cannot be run again, or the run failed.
        InvalidValue: the tolerance is negative.
    """
    if not tolerance >= 0:
        raise InvalidValue(f"the tolerance {tolerance!r} is not 0 or more; 1e-6 is a millionth.")
    plan = _plan(store, session_id, repository, entrypoint, install)
    commit = plan.session["git_commit"]
    try:
        with ExitStack() as stack:
            say(f"checking out commit {commit[:12]} of {plan.repository}")
            root = stack.enter_context(worktree(plan.repository, commit))
            python = plan.python
            if install:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mfprefect-")))
                packages = plan.environment["packages"]
                say(f"installing the {len(packages)} recorded packages")
                python = build_environment(
                    folder / "env", packages, python=python, checkout=root, without=without
                )
            say(f"running {plan.entrypoint}, {plan.session['purpose']}")
            again = _run(store, plan, root, python)
    except ConfigurationError as exc:
        hint = [] if install else other_packages(plan.environment)
        raise NotReproducible(session_id, [str(exc).rstrip("."), *hint]) from exc
    return _compared(store, plan, again, tolerance)


def _plan(
    store: Store, session_id: str, repository: Path | None, entrypoint: str | None, install: bool
) -> _Plan:
    row = records(store.show(session_id))[0]
    environment = store.environment(session_id)
    place = repository or store.database.settings.repository or Path.cwd()
    entrypoint = entrypoint or _recorded_entrypoint(store, session_id)
    vcs, root = find_checkout(place)
    reasons = [*not_again(row), *no_commit(row, place, root if vcs == "git" else None)]
    if entrypoint is None:
        reasons.append(
            "it did not record where its model's class is; if a flow of a model ran it, name the "
            "class by --entrypoint flows/churn.py:Churn"
        )
    python, reason = interpreter(environment["python"], install)
    reasons += [reason] if reason else []
    if reasons or root is None or entrypoint is None:
        raise NotReproducible(session_id, reasons)
    return _Plan(row, environment, root, entrypoint, python)


def _recorded_entrypoint(store: Store, session_id: str) -> str | None:
    for row in records(store.metadata(session_id)):
        if (row["meta_group"], row["meta_name"]) == CODE:
            return str(row["value"])
    return None


def _run(store: Store, plan: _Plan, root: Path, python: str) -> str:
    """Run the session again in a process of its own; return the session that it was run as."""
    row = plan.session
    with tempfile.TemporaryDirectory(prefix="mfprefect-") as folder:
        request, answer, log = (Path(folder) / name for name in ("request", "answer", "log"))
        request.write_text(
            json.dumps(
                {
                    "root": str(root),
                    "entrypoint": plan.entrypoint,
                    "model_id": row["model_id"],
                    "purpose": row["purpose"],
                    "as_of": row["as_of"].isoformat(),
                    "params": params_of(row) | {REPRODUCES: row["session_id"]},
                    "parent": row["parent_session_id"] or row["session_id"],
                }
            )
        )
        # -P: the checkout may hold another mfprefect.
        command = [python, "-P", "-m", "mfprefect.reproduce.worker", str(request), str(answer)]
        code = _call(command, root, _variables(store, root), log)
        said = json.loads(answer.read_text()) if answer.is_file() else {}
        session_id = said.get("session_id")
        if session_id is None:
            hidden = Redactor(secrets(store.database.settings))
            reason = said.get("reason") or hidden(_tail(log)) or f"its process ended with {code}"
            raise ConfigurationError(reason)
    try:
        again = records(store.show(session_id))[0]
    except UnknownSession as exc:  # the database was away when it ended
        raise ConfigurationError(
            f"the run, session {session_id}, waits in the spool of this machine: `mfprefect spool "
            "push` delivers it, and `mfprefect compare` sets the two side by side"
        ) from exc
    if again["status"] != Status.SUCCEEDED:
        raise ConfigurationError(
            f"the run, session {session_id}, {again['status']}: {again['failure_kind']}: "
            f"{again['failure_text']}; are its data still there?"
        )
    return str(session_id)


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
    """See to it that the run ends before its checkout goes; its session ends as cancelled."""
    # A terminal has interrupted it, too; a supervisor may have told this process alone.
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
    """Return the variables of the run: this store's settings, the checkout's commit."""
    found = {k: v for k, v in without_settings(os.environ).items() if k != "PYTHONPATH"}
    for name, value in {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }.items():
        found.setdefault(name, value)
    ours = {f"{PREFIX}REPOSITORY": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    return found | settings_variables(store) | ours


def _compared(store: Store, plan: _Plan, again: str, tolerance: float) -> Reproduction:
    session_id = plan.session["session_id"]

    def both(read: Callable[[str], Any]) -> list[list[dict[str, Any]]]:
        return [records(read(name)) for name in (session_id, again)]

    def digests(read: Callable[[str], Any], name: str, digest: str) -> list[dict[str, Any]]:
        sides = both(read)
        return compare_digests(*([(str(r[name]), r[digest]) for r in rows] for rows in sides))

    metrics = both(store.metrics)
    return Reproduction(
        session_id=session_id,
        reproduction_id=again,
        commit=plan.session["git_commit"],
        tolerance=tolerance,
        environment=compare_environments(plan.environment, store.environment(again)),
        packages=len(plan.environment["packages"]),
        metrics=compare_metrics(metrics[0], metrics[1], tolerance),
        inputs=digests(store.inputs, "source", "digest"),
        models=digests(store.artifacts, "artifact_name", "sha256"),
        scores=digests(store.score_parts, "part_no", "digest"),
    )

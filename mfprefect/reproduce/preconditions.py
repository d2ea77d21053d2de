"""Reasons why a session cannot be run again, checked before anything else."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from mfprefect import provenance
from mfprefect.errors import ConfigurationError, GateFailed
from mfprefect.reproduce.comparison import compare_environments
from mfprefect.reproduce.virtualenv import find_python
from mfprefect.reproduce.worktree import has_commit, is_commit
from mfprefect.store.states import REPRODUCES, Purpose, Status
from mfprefect.vocabulary import is_of_training

__all__ = [
    "given_params",
    "interpreter",
    "no_commit",
    "not_reproducible",
    "other_code",
    "other_packages",
]

PURPOSES = (Purpose.TRAIN, Purpose.SCORE)


def not_reproducible(row: dict[str, Any]) -> list[str]:
    """Return why this kind of session cannot be run again, an empty list if it can."""
    reasons = []
    if row["purpose"] not in PURPOSES:
        original = params_of(row).get(REPRODUCES)
        hint = f"; it is a reproduction of {original}" if original else ""
        reasons.append(
            f"it is a {row['purpose']} session; only train and score sessions can be run "
            f"again{hint}"
        )
    # A training that failed its gates has all results; a scoring has no scores left.
    by_gates = (row["failure_kind"], row["purpose"]) == (GateFailed.__name__, Purpose.TRAIN)
    if row["status"] != Status.SUCCEEDED and not by_gates:
        reasons.append(f"it is {row['status']}: its results are incomplete")
    if row["as_of"] is None:
        reasons.append("it did not record the date of its data")
    return reasons


def params_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that a session recorded."""
    params = json.loads(row["params"])
    return params if isinstance(params, dict) else {}


def given_params(row: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that a session was opened with; a training records others itself."""
    return {name: x for name, x in params_of(row).items() if not is_of_training(name)}


def no_commit(row: dict[str, Any], folder: Path, root: Path | None) -> list[str]:
    """Return why the recorded code is not available, an empty list if it is.

    Args:
        row: the session.
        folder: where to look for a checkout.
        root: the root of the git checkout around it, None if there is none.
    """
    commit, remote = row["git_commit"], row["git_remote"]
    if row["vcs"] == "hg":
        return ["it ran from a Mercurial checkout; only git checkouts can be restored"]
    if not is_commit(commit):
        return ["it recorded no commit: it did not run from a git checkout"]
    reasons = []
    if row["git_dirty"]:
        digest = (row["git_diff_digest"] or "unknown")[:12]
        reasons.append(
            f"it ran with uncommitted changes; only their digest ({digest}) is recorded, not "
            "their content"
        )
    if root is None:
        clone = f", a clone of {remote}" if remote else ""
        return [*reasons, f"{folder} is not in a git checkout; pass one with --repository{clone}"]
    try:
        available = has_commit(root, commit)
    except ConfigurationError as exc:
        return [*reasons, str(exc)]
    if not available:
        fetch = f"git -C {root} fetch {remote or 'origin'} {row['git_branch'] or commit}"
        reasons.append(
            f"the commit {commit[:12]} is not in {root}; fetch it (`{fetch}`), or pass another "
            "clone with --repository"
        )
    return reasons


def other_code(attempts: list[dict[str, Any]], parts: list[dict[str, Any]]) -> list[str]:
    """Return which results the commit of the last attempt did not make, an empty list if none.

    Args:
        attempts: the session's attempts, the first one first.
        parts: the parts of its scores, each with the attempt that wrote it.
    """
    last = attempts[-1]
    if last["started_at"] is None:
        return [
            f"an earlier version ran attempt {last['attempt']} and recorded the commit and "
            "environment of attempt 1 only"
        ]
    notes = []
    for row in attempts[:-1]:
        numbers = [str(part["part_no"]) for part in parts if part["attempt"] == row["attempt"]]
        same = all(row[name] == last[name] for name in ("git_commit", "environment_digest"))
        if numbers and not same:
            some = f"part {numbers[0]}" if len(numbers) == 1 else f"parts {', '.join(numbers)}"
            code = f"{(row['git_commit'] or 'unknown')[:12]}, environment "
            code += (row["environment_digest"] or "unknown")[:8]
            notes.append(
                f"attempt {row['attempt']} wrote {some} of the scores (commit {code}); they are "
                f"run again as attempt {last['attempt']} would have written them"
            )
    return notes


def interpreter(recorded: str, install: bool) -> tuple[str, str | None]:
    """Return the interpreter to run with, or an empty text and the reason why there is none."""
    present = provenance.environment().python
    old = re.match(r"(\S+) (\d+\.\d+)", recorded)
    new = re.match(r"(\S+) (\d+\.\d+)", present)
    if old is None or new is None or old.groups() == new.groups():
        return sys.executable, None
    if not install or old[1] != new[1]:
        hint = "" if install else "; --install uses another installed version"
        return "", f"it ran with {recorded}, but this is {present}{hint}"
    if (path := find_python(old[2])) is None:
        return "", f"it ran with {recorded}, but python{old[2]} is not installed"
    return path, None


def other_packages(recorded: dict[str, Any]) -> list[str]:
    """Return a hint why a run may have failed: packages that differ from the recorded ones."""
    environment = provenance.environment()
    present = {
        "python": environment.python,
        "platform": environment.platform,
        "packages": json.loads(environment.packages_json),
    }
    changed = [row for row in compare_environments(recorded, present) if row["recorded"]]
    if not changed:
        return []
    names = [f"{r['name']} {r['present'] or 'none'}, not {r['recorded']}" for r in changed[:5]]
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    return [f"the environment differs: {', '.join(names)}{more} (see --install)"]

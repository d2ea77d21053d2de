"""Why a session cannot be run again, as far as that is known before anything is done."""

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

__all__ = ["interpreter", "no_commit", "not_again", "other_packages", "params_of"]

PURPOSES = (Purpose.TRAIN, Purpose.SCORE)


def not_again(row: dict[str, Any]) -> list[str]:
    """Return why a session is none that can be run again."""
    reasons = []
    if row["purpose"] not in PURPOSES:
        of = f"; it is a reproduction of {params_of(row)[REPRODUCES]}" if _repeats(row) else ""
        reasons.append(
            f"it is a {row['purpose']} session, and only train and score sessions are run again{of}"
        )
    by_gates = row["failure_kind"] == GateFailed.__name__  # all that it computed is on record
    if row["status"] != Status.SUCCEEDED and not by_gates:
        reasons.append(f"it is {row['status']}: there is nothing whole to compare with")
    if row["as_of"] is None:
        reasons.append("it did not record the date that its data is of")
    return reasons


def params_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that a session recorded."""
    found = json.loads(row["params"])
    return found if isinstance(found, dict) else {}


def _repeats(row: dict[str, Any]) -> bool:
    return REPRODUCES in params_of(row)


def no_commit(row: dict[str, Any], place: Path, root: Path | None) -> list[str]:
    """Return why the recorded code cannot be had."""
    commit, remote = row["git_commit"], row["git_remote"]
    if row["vcs"] == "hg":
        return ["it ran from a Mercurial checkout, and only git's are checked out again"]
    if not is_commit(commit):
        return ["it recorded no commit: it did not run from a git checkout"]
    reasons = []
    if row["git_dirty"]:
        digest = (row["git_diff_digest"] or "unknown")[:12]
        reasons.append(
            f"it ran with changes that were not committed; on record is their digest ({digest}), "
            "not what they were"
        )
    if root is None:
        where = f", a clone of {remote}" if remote else ""
        return [*reasons, f"{place} is in no git checkout; name one by --repository{where}"]
    try:
        known = has_commit(root, commit)
    except ConfigurationError as exc:
        return [*reasons, str(exc)]
    if not known:
        fetch = f"git -C {root} fetch {remote or 'origin'} {row['git_branch'] or commit}"
        reasons.append(
            f"the commit {commit[:12]} is not in {root}; fetch it (`{fetch}`), or name another "
            "clone by --repository"
        )
    return reasons


def interpreter(recorded: str, install: bool) -> tuple[str, str | None]:
    """Return the interpreter to run with, and why there is none."""
    present = provenance.environment().python
    wanted = re.match(r"(\S+) (\d+\.\d+)", recorded)
    ours = re.match(r"(\S+) (\d+\.\d+)", present)
    if wanted is None or ours is None or wanted.groups() == ours.groups():
        return sys.executable, None
    if not install or wanted[1] != ours[1]:
        hint = "" if install else "; with --install another installed one is taken"
        return "", f"it ran with {recorded}, and this is {present}{hint}"
    if (found := find_python(wanted[2])) is None:
        return "", f"it ran with {recorded}, and there is no python{wanted[2]} here"
    return found, None


def other_packages(recorded: dict[str, Any]) -> list[str]:
    """Return what may explain that a run failed here: packages that are not those recorded."""
    here = provenance.environment()
    packages = json.loads(here.packages_json)
    present = {"python": here.python, "platform": here.platform, "packages": packages}
    changed = [row for row in compare_environments(recorded, present) if row["recorded"]]
    told = [f"{r['name']} {r['present'] or 'none'}, not {r['recorded']}" for r in changed[:5]]
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    return [f"the environment is another: {', '.join(told)}{more} (see --install)"] if told else []

"""What counts as the same, and an environment that is made anew."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mfprefect import reproduce
from mfprefect.errors import ConfigurationError
from mfprefect.reproduce.comparison import (
    Reproduction,
    compare_digests,
    compare_environments,
    compare_metrics,
)
from mfprefect.reproduce.virtualenv import build_environment, find_python, requirements
from mfprefect.reproduce.worktree import worktree


def metric(name: str, value: float, version: int | None = 1, segment: str = "") -> dict[str, Any]:
    return {
        "metric_name": name, "segment": segment, "value": value, "definition_version": version,
    }  # fmt: skip


def judged(a: list[dict[str, Any]], b: list[dict[str, Any]], tolerance: float = 0.0) -> list[bool]:
    return [row["same"] for row in compare_metrics(a, b, tolerance)]


def test_metrics_are_the_same_to_the_bit_unless_a_tolerance_is_given() -> None:
    one, other = [metric("auc", 0.8)], [metric("auc", math.nextafter(0.8, 1))]
    assert judged(one, one) == [True]
    assert judged(one, other) == [False]
    assert judged(one, other, 1e-12) == [True]
    assert judged([metric("rmse", 1e9)], [metric("rmse", 1e9 + 900)], 1e-6) == [True]
    assert judged([metric("rmse", 1e9)], [metric("rmse", 1e9 + 2000)], 1e-6) == [False]
    assert judged([metric("r2", math.nan)], [metric("r2", math.nan)]) == [True]
    assert judged([metric("r2", math.nan)], [metric("r2", 0.1)], 1.0) == [False]
    (row,) = compare_metrics([metric("auc", 0.75)], [metric("auc", 0.5)], 0)
    assert (row["recorded"], row["reproduced"], row["difference"]) == (0.75, 0.5, -0.25)


def test_what_is_on_one_side_or_defined_otherwise_is_not_the_same() -> None:
    rows = compare_metrics(
        [metric("auc", 0.8), metric("old", 1), metric("ks", 1, 1), metric("auc", 1, segment="a=1")],
        [metric("auc", 0.8), metric("new", 1), metric("ks", 1, 2), metric("auc", 1, segment="a=1")],
        0.5,
    )
    differences = {(row["metric_name"], row["segment"]): (row["same"], row["note"]) for row in rows}
    assert differences == {
        ("auc", ""): (True, None),
        ("old", ""): (False, "was not computed this time"),
        ("ks", ""): (False, "another version of its definition"),
        ("auc", "a=1"): (True, None),
        ("new", ""): (False, "was not recorded"),
    }


def test_inputs_of_one_name_are_told_apart_by_their_order() -> None:
    rows = compare_digests([("crm", "a"), ("crm", "b"), ("x", None)], [("crm", "a"), ("crm", "c")])
    assert [(row["name"], row["same"]) for row in rows] == [
        ("crm", True), ("crm", False), ("x", False),
    ]  # fmt: skip


def test_environments_differ_by_what_was_added_removed_or_changed() -> None:
    one = {"python": "CPython 3.11.1", "platform": "l", "packages": {"a": "1", "b": "1", "c": "1"}}
    other = {
        "python": "CPython 3.11.2",
        "platform": "l",
        "packages": {"a": "1", "b": "2", "d": "1"},
    }
    assert compare_environments(one, one) == []
    assert compare_environments(one, other) == [
        {"name": "python", "recorded": "CPython 3.11.1", "present": "CPython 3.11.2"},
        {"name": "b", "recorded": "1", "present": "2"},
        {"name": "c", "recorded": "1", "present": None},
        {"name": "d", "recorded": None, "present": "1"},
    ]


@pytest.mark.parametrize(
    ("metrics", "scores", "models", "same"),
    [
        ([True], [True], [False], True),  # a model may be written otherwise and be as good
        ([True, False], [], [True], False),
        ([True], [False], [], False),
        ([], [], [True], True),
        ([], [], [False], False),
        ([], [], [], False),
    ],
)
def test_the_verdict(
    metrics: list[bool], scores: list[bool], models: list[bool], same: bool
) -> None:
    rows = [[{"same": x} for x in flags] for flags in (metrics, [False], models, scores)]
    reproduction = Reproduction("a", "b", "c", 0.0, [], 0, *rows)
    assert reproduction.same is same
    assert json.loads(json.dumps(reproduction.as_dict()))["same"] is same


def test_names_that_pip_would_take_for_options_are_refused() -> None:
    assert requirements({"numpy": "2.1.0+cpu", "mfprefect": "1", "team": "1"}, ["Team"]) == [
        "numpy==2.1.0+cpu"
    ]
    for name, version in (
        ("--find-links", "1"), ("numpy", "1 --find-links x"), ("numpy @ http", "1"),
        ("n", "1\n-e ."), ("numpy", "1;x"), ("", "1"), ("numpy", ""),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match="an invalid name or version"):
            requirements({name: version})


def wheel(folder: Path, name: str, version: str) -> Path:
    content = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{name}-{version}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        ),
        f"{name}-{version}.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = ""
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text)}\n"
    content[f"{name}-{version}.dist-info/RECORD"] = record
    file = folder / f"{name}-{version}-py3-none-any.whl"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    file.write_bytes(buffer.getvalue())
    return file


BACKEND = """
import shutil
def build_wheel(folder, settings=None, metadata=None):
    return shutil.copy("team-3.0-py3-none-any.whl", folder).rpartition("/")[2]
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "Team"
version = "3.0"
"""


def test_an_environment_is_made_of_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, checkout, folder = (tmp_path / name for name in ("index", "checkout", "env"))
    index.mkdir()
    checkout.mkdir()
    wheel(index, "tiny", "1.0")
    wheel(index, "tiny", "2.0")
    wheel(checkout, "team", "3.0")
    (checkout / "backend.py").write_text(BACKEND)
    (checkout / "pyproject.toml").write_text(PROJECT)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PYTHONPATH", str(checkout))  # of this process, not of that environment
    recorded = {"tiny": "1.0", "team": "3.0", "mfprefect": "0.0.1", "gone": "9"}
    options: dict[str, Any] = {"python": sys.executable, "checkout": checkout}
    with pytest.raises(ConfigurationError, match=r"install the recorded packages: .*gone==9"):
        build_environment(folder, recorded, **options)
    python = build_environment(folder, recorded, without=["Gone"], **options)
    code = (
        "import importlib.metadata as m, tiny, team; print(tiny.VERSION, team.VERSION, "
        "m.version('mfprefect'), len(m.entry_points(group='mfprefect.backends')), tiny.__file__)"
    )
    monkeypatch.delenv("PYTHONPATH")
    result = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    tiny, team, ours, backends, place = result.stdout.split()
    assert (tiny, team) == ("1.0", "3.0")
    assert ours != "0.0.1"  # that one could not run anything again
    assert int(backends) >= 5
    assert place.startswith(str(folder))
    assert sorted(path.name for path in checkout.iterdir()) == [
        "backend.py", "pyproject.toml", "team-3.0-py3-none-any.whl",
    ]  # fmt: skip


def test_a_run_that_does_not_hear_of_the_interrupt_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduce, "GRACE_SECONDS", 0.1)
    program = """
import os, pathlib, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("being written").write_text(str(os.getpid()))
os.rename("being written", "running")
time.sleep(60)
"""
    running = tmp_path / "running"

    def interrupt() -> None:
        while not running.exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        reproduce._call([sys.executable, "-c", program], tmp_path, {}, tmp_path / "log")
    thread.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(running.read_text()), 0)


def test_a_worktree_goes_though_git_was_killed_while_it_made_it(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@x.example")
        command = ["git", *who, *arguments]
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    with worktree(tmp_path, git("rev-parse", "HEAD")) as root:
        git("worktree", "lock", "--reason", "initializing", str(root))
    assert not root.exists()
    assert len(git("worktree", "list").splitlines()) == 1


def test_interpreters_are_found_by_version() -> None:
    assert find_python(f"{sys.version_info.major}.{sys.version_info.minor}") == sys.executable
    assert find_python("3.99") is None

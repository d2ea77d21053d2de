"""The lint of local names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mfprefect_dev.lint_names import BANNED, banned_names

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "code",
    [
        "{} = 1",
        "{}: int = 1",
        "{} += 1",
        "a, *{} = 1, 2",
        "(a := ({} := 1))",
        "for {} in (): pass",
        "[a for {} in ()]",
        "with open('a') as {}: pass",
        "def f({}): pass",
        "def f(*, {}=1): pass",
        "lambda {}: 1",
        "try: pass\nexcept OSError as {}: pass",
        "import os as {}",
        "match 1:\n    case int() as {}: pass",
        "match 1:\n    case [*{}]: pass",
        "match 1:\n    case {{**{}}}: pass",
    ],
)
@pytest.mark.parametrize("name", sorted(BANNED))
def test_a_banned_name_is_refused(tmp_path: Path, code: str, name: str) -> None:
    path = tmp_path / "module.py"
    path.write_text("import this\n" + code.format(name))
    (problem,) = banned_names(path)
    line = 1 + [name in line for line in path.read_text().splitlines()].index(True)
    assert (problem.line, problem.name) == (line, name)


def test_other_uses_pass(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("self.found = call(known=told).mine\nentries = {'kept': own}\n")
    assert list(banned_names(path)) == []


def test_a_public_keyword_may_be_marked(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f(\n    known,  # public name\n    told,\n): pass\n")
    assert [(problem.line, problem.name) for problem in banned_names(path)] == [(3, "told")]


def test_the_command_names_place_name_and_cure(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("x = 1\nfound = 1\n")
    command = [sys.executable, "-m", "mfprefect_dev.lint_names", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout.startswith(f"{tmp_path}/module.py:2: 'found' says nothing")
    assert "name it after what it holds" in result.stdout
    (tmp_path / "module.py").write_text("row = 1\n")
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")

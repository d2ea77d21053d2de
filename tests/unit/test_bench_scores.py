"""The benchmark of scores, in small: that it measures, not how fast anything is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "scores.py"


def bench(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.timeout(120)
def test_measures_on_sqlite_and_keeps_what_it_measured(tmp_path: Path) -> None:
    output = tmp_path / "results" / "scores.md"
    contenders = "raw,mfprefect,to_sql,read_sql,iter_scores"
    what = (
        "--writes",
        "--reads",
        "--rows",
        "0.002",
        "--databases",
        "sqlite",
        "--repeats",
        "1",
        "--ids",
        "uuid",
    )
    done = bench(*what, "--contenders", contenders, "--output", output, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = json.loads(output.with_suffix(".json").read_text())["runs"]
    assert sorted(run["contender"] for run in runs) == sorted(contenders.split(","))
    assert all(run["rows"] == 2_000 and run["seconds"] > 0 for run in runs)
    text = output.read_text()
    assert text in done.stdout
    assert "| SQLite | 2,000 | rate of `mfprefect` / `to_sql` | at least 6 |" in text
    assert "</svg>" in output.with_suffix(".svg").read_text()

    again = bench("--render", output.with_suffix(".json"), folder=tmp_path)
    assert again.stdout == done.stdout
    assert not list(tmp_path.glob("mfp-bench-*"))


def test_names_the_contenders_that_there_are(tmp_path: Path) -> None:
    done = bench("--contenders", "raw,fast", folder=tmp_path)
    assert done.returncode == 2
    assert "no 'fast'; choices: raw, mfprefect, " in done.stderr

"""`mfprefect demo`, for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

import mfprefect
from mfprefect.cli import cli
from mfprefect.cli.commands import demo as _  # noqa: F401 - the module, before its command is looked up
from mfprefect.cli.commands.demo.output import export

BIN = Path(sys.executable).parent
DEMO = sys.modules["mfprefect.cli.commands.demo"]


def shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    # Prefect's own settings are the demo's business here.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= variables
    env["PATH"] = f"{BIN}{os.pathsep}{env['PATH']}"
    return subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(240)
def test_the_demo_runs_twice_and_what_it_proposes_runs(tmp_path: Path, prefect_api: str) -> None:
    first = shell("mfprefect demo", tmp_path)
    assert first.returncode == 0, first.stderr
    assert "temporary server" in first.stderr
    assert "Traceback" not in first.stderr
    lines = first.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[:6]] == [
        *("breast_cancer", "diabetes", "air_passengers", "database", "reports", "next")
    ]
    for result in ("auc 0.99", "569 patients scored", "r2 0.43", "mase 0.5", "12 months forecast"):
        assert result in first.stdout
    assert len(first.stderr.splitlines() + lines) <= 10
    assert lines[-1].split("  ")[-2].strip() == "mfprefect serve"
    second = shell("mfprefect demo --json", tmp_path, PREFECT_API_URL=prefect_api)
    assert second.returncode == 0, second.stderr
    assert "temporary server" not in second.stderr
    facts = json.loads(second.stdout)
    models = {"breast_cancer": 2, "diabetes": 2, "air_passengers": 3}
    assert Counter(row["model_id"] for row in facts["sessions"]) == models
    assert {row["status"] for row in facts["sessions"]} == {"succeeded"}
    parents = {row["session_id"]: row["parent_session_id"] for row in facts["sessions"]}
    for run in facts["models"].values():
        assert parents[run["scored"]] == run["trained"]
    figures = {(row["model"], row["metric_name"]): row["value"] for row in facts["metrics"]}
    assert set(facts["reports"]) == set(models)
    for model, file in facts["reports"].items():
        report = Path(file).read_text()
        assert facts["models"][model]["trained"] in report
        assert len(report) < 1_000_000
        assert str(Path(file).relative_to(tmp_path)) in lines[4]  # the second run rewrites it
    assert figures["breast_cancer", "auc"] > 0.95
    assert figures["diabetes", "r2"] > 0.4
    assert figures["air_passengers", "mape"] < 0.05
    assert len(facts["importance"]) == len(facts["scores"]) == len(facts["backtest"]) == 5
    assert all(command in first.stdout for command in facts["next"][:2])
    assert facts["next"][0] == f"export MFPREFECT_URL=sqlite:///{tmp_path}/.demo/mfprefect-demo.db"
    assert any(command.startswith("mfprefect compare ") for command in facts["next"])
    proposed = shell("set -e\n" + "\n".join(facts["next"]), tmp_path)
    assert proposed.returncode == 0, proposed.stderr
    assert len((tmp_path / ".demo" / "scores.csv").read_text().splitlines()) == 570
    assert {path.name for path in tmp_path.iterdir()} == {".demo"}
    assert (tmp_path / ".demo" / "prefect").is_dir()


FAILING = """
import mfprefect

def train():
    with mfprefect.connect() as store:
        store.add_model("breast_cancer")
        with store.session("breast_cancer", purpose="train"):
            raise RuntimeError("no patients today")
"""


def test_a_failed_flow_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "breast_cancer.py"
    script.write_text(FAILING)
    monkeypatch.setattr(DEMO, "_script", lambda name: script)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # the demo sets variables
    done = CliRunner().invoke(cli, ["demo", "--folder", str(tmp_path / "d")])
    assert done.exit_code == 1
    assert "failed: RuntimeError: no patients today" in done.stderr
    assert "mfprefect show breast_cancer-" in done.stderr
    assert done.stdout == ""


def test_without_scikit_learn(tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, *a: None if n == 'sklearn' else find(n, *a)\n"
        "sys.argv = ['mfprefect', 'demo']\nfrom mfprefect.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'mfprefect[sklearn]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_url_is_quoted_and_a_password_is_not_proposed() -> None:
    plain, secret = "sqlite:////a b/x.db", "postgresql://me:s3cret@h/d"
    with mfprefect.connect(plain) as store:
        assert export(store, plain) == "export MFPREFECT_URL='sqlite:////a b/x.db'"
    with mfprefect.connect(secret) as store:
        line = export(store, secret)
    assert line.startswith("# export MFPREFECT_URL: ")
    assert "me:***@h/d" in line
    assert "s3cret" not in line

"""The examples of docs/api.md, run by a shell with curl against a real server."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

import mfprefect
from mfprefect.console.api.context import RIGHTS
from mfprefect.console.api.problems import NAMES, STATUSES
from mfprefect_dev.apikit import Api, content

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
SECURITY = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


TEST = pd.DataFrame(
    {
        "left": [1, 0, 1, 0],
        "p": [0.9, 0.8, 0.7, 0.1],
        "region": ["north", "north", "south", "south"],
    }
)


def test_the_examples_of_the_page(api: Api, tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text(api.token("writer"))
    (tmp_path / "model.rds").write_bytes(b"a model of R")
    (tmp_path / "roc.png").write_bytes(b"a picture")
    (tmp_path / "test.csv").write_text(TEST.to_csv(index=False))
    (tmp_path / "scores.csv").write_text("customer_id,p\nc1,0.25\nc2,0.5\n")
    (tmp_path / "uuidgen").write_text("#!/bin/sh\ncat /proc/sys/kernel/random/uuid\n")
    (tmp_path / "uuidgen").chmod(0o755)
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    env = {"API": api.url, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    run = subprocess.run(
        ["/bin/bash", "-euxo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    (session_id,) = api.store.sessions()["session_id"]
    assert api.store.get_sessions(session_id)["status"].tolist() == ["succeeded"]
    assert (tmp_path / "copy.rds").read_bytes() == b"a model of R"
    assert pd.read_csv(tmp_path / "copy.csv")["score"].tolist() == [0.25, 0.5]
    assert api.store.environment(session_id)["packages"] == {"glmnet": "4.1.10"}
    assert by_python(api) == content(api.store, session_id)
    api.store.verify()


def by_python(api: Api) -> dict[str, list[dict[str, object]]]:
    """Return what a session of Python holds that does what the page does."""
    params = {"depth": 6, "source": "crm.customers"}
    with api.store.session("churn", "train", params=params, as_of="2026-11-30") as session:
        session.log_metrics({"auc": 0.83, "log_loss": 0.41})
        for step, loss in ((1, 0.62), (2, 0.48)):
            session.log_metrics({"loss": loss}, step=step)
        session.log_metadata({"rows": "120000"})
        session.log_input("crm.customers", query="select * from crm.customers", rows=120_000)
        session.log_check_results(
            [
                {
                    "check": "not_null",
                    "column": "tenure",
                    "severity": "error",
                    "passed": True,
                    "failing_rows": 0,
                    "sample": "[]",
                    "message": "",
                }
            ]
        )
        session.log_test_results(TEST["left"], TEST["p"], segments=TEST[["region"]])
        importance = pd.DataFrame({"variable": ["tenure"], "importance": [0.4]})
        session.log_variable_importance(importance, "permutation")
        session.save_model(b"a model of R", format="bytes")
        session.log_file(b"a picture", "roc.png")
        session.write_scores({"customer_id": ["c1", "c2"], "p": [0.25, 0.5]}, "customer_id", "p")
    return content(api.store, session.session_id)


def test_every_error_is_on_the_page() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE.split("| status | error |")[1].split("\n\n")[0]))
    raised = {kind.__name__ for kind, _ in STATUSES} | set(NAMES.values())
    # A check or gate that fails raises in runs of Python alone.
    raised -= {"ChecksFailed", "GateFailed"}
    assert raised <= named, raised - named


@pytest.mark.parametrize("scope", RIGHTS)
def test_every_scope_is_on_the_page(scope: str) -> None:
    assert f"| `{scope}` |" in SECURITY.split("### Tokens")[1]


def test_the_version_is_served(api: Api) -> None:
    with api.client("viewer") as client:
        about = client.get("/").json()
    assert about == {"version": mfprefect.__version__, "name": "the viewer", "rights": ["read"]}

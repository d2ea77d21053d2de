"""Plain runs where the environment is unkind: a proxy is set, and no server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import mfprefect
import pandas as pd
from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS as timeout
from sklearn.cluster import KMeans

class Groups(mfprefect.Model):
    model_id, entity_id, model_type, retries = "groups", "id", "unsupervised", 0

    def training_data(self, as_of):
        return pd.DataFrame({"id": range(60), "x": range(60)})

    def fit(self, features, target):
        return KMeans(2, random_state=0, n_init=1).fit(features)

with mfprefect.connect() as store:
    store.create_schema()
session_id = Groups.flows().train()
with mfprefect.connect() as store:
    print(store.show(session_id)["status"].iloc[0], timeout.value())
"""


def test_a_plain_run_behind_a_proxy(tmp_path: Path) -> None:
    hidden = ("NO_PROXY", "no_proxy", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS")
    variables = {k: v for k, v in os.environ.items() if k not in hidden}
    variables |= {
        "MFPREFECT_URL": f"sqlite:///{tmp_path / 'mf.db'}",
        "MFPREFECT_SPOOL": str(tmp_path / "spool"),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        # Nothing listens there.
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
    }
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=variables, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["succeeded", "180"]

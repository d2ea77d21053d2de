"""`${NAME}` that is not set, in runs on a Prefect server: only what needs it fails, by name."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import ConfigurationError, Store
from mfprefect.cli import cli

CONFIG = """
url = "${STORE_URL}"
[sources.crm]
url = "postgresql://ann:${CRM_PASSWORD}@crm.example.com/crm"
[exports.mart]
table = "mart_scores"
url = "mysql://ann:${MART_PASSWORD}@mart.example.com/mart"
[notify.ops]
url = "mailto://ann:${MAIL_PASSWORD}@mail.example.com"
events = ["succeeded", "failed"]
[profiles.elsewhere]
url = "${ELSEWHERE_URL}"
signing_key = "${ELSEWHERE_KEY}"
"""


class Referring(mfprefect.Model):
    """60 customers, read from a frame, or from a source that refers to a variable."""

    model_id = "referring"
    entity_id = "customer_id"
    target = "left"
    retries = 0
    source: str | None = None

    def training_data(self, as_of: dt.date) -> Any:
        if self.source is not None:
            return self.read("select 1", source=self.source)
        a = np.random.default_rng(7).normal(size=60)
        ids = [f"c{number}" for number in range(60)]
        return pd.DataFrame({"a": a, "left": (a > 0).astype(int), "customer_id": ids})

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        frame: pd.DataFrame = self.training_data(as_of)
        return frame.drop(columns="left")


@pytest.fixture
def store(
    prefect_api: str, schema_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    (tmp_path / "mfprefect.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STORE_URL", schema_url)
    with mfprefect.connect() as store:
        yield store


def unset(where: str, name: str) -> str:
    return f"{where} refers to ${{{name}}}, which is not set; export {name}."


def test_runs_go_on_and_what_needs_a_variable_names_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Referring.flows()
    trained, scored = flows.train(), flows.score()
    assert set(store.get_sessions(trained, scored)["status"]) == {"succeeded"}
    for session_id in (trained, scored):  # the notice is on record as not delivered, and why
        (notice,) = store.notifications(session_id).itertuples()
        assert (notice.event, notice.channel, bool(notice.delivered)) == ("succeeded", "ops", False)
        assert notice.failure == unset("notify.ops.url", "MAIL_PASSWORD")

    assert len(store.scores(scored)) == 60
    with pytest.raises(ConfigurationError) as error:
        store.export(scored, "mart")
    assert str(error.value) == unset("exports.mart.url", "MART_PASSWORD")

    monkeypatch.setattr(Referring, "source", "crm")
    run: Any = flows.train
    assert run(return_state=True).is_failed()
    failed = store.sessions("referring").iloc[0]
    assert (failed["status"], failed["failure_kind"]) == ("failed", "ConfigurationError")
    assert failed["failure_text"] == unset("sources.crm.url", "CRM_PASSWORD")
    (notice,) = store.notifications(failed["session_id"]).itertuples()
    assert notice.failure == unset("notify.ops.url", "MAIL_PASSWORD")

    lines = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).stdout)
    cures = {line["cure"] for line in lines if line["check"] == "variables"}
    assert cures == {"export CRM_PASSWORD", "export MART_PASSWORD", "export MAIL_PASSWORD"}

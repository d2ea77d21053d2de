"""A run's page in Prefect: its environment, stage, gates and the link to its report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import ConfigurationError, Gate, Store
from mfprefect.lifecycle.maintenance import maintain
from mfprefect.settings import load_settings

CONFIG = """
url = "sqlite:///{folder}/plain.db"
report_url = "https://reports.example.com/{{model_id}}/{{session_id}}.html"
[profiles.development]
url = "sqlite:///{folder}/development.db"
[profiles.production]
url = "sqlite:///{folder}/production.db"
environment = "live & well"
"""


class Paged(mfprefect.Model):
    """60 customers; `gates` decides whether a training passes."""

    model_id = "paged model"
    entity_id = "customer_id"
    target = "left"
    retries = 0
    gates: ClassVar[Any] = (Gate("auc", at_least=0.5), Gate("brier", at_most=0.9))

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        a = np.random.default_rng(7).normal(size=60)
        ids = [f"c{number}" for number in range(60)]
        return pd.DataFrame({"a": a, "left": (a > 0).astype(int), "customer_id": ids})

    def fit(self, features: pd.DataFrame, target: pd.Series[Any]) -> Any:
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return self.training_data(as_of).drop(columns="left")


@pytest.fixture
def stores(
    prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Store]]:
    """The store of each profile; the file of settings is in the current folder."""
    (tmp_path / "mfprefect.toml").write_text(CONFIG.format(folder=tmp_path))
    monkeypatch.chdir(tmp_path)
    stores = {}
    for profile in ("development", "production"):
        monkeypatch.setenv("MFPREFECT_PROFILE", profile)
        stores[profile] = mfprefect.connect()
        stores[profile].create_schema()
    yield stores
    for store in stores.values():
        store.close()


def page(key: str) -> str:
    """Return the newest artifact of a key."""
    only = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts(artifact_filter=only, limit=200)
    newest = max(artifacts, key=lambda artifact: artifact.created or dt.datetime.min)
    return f"{newest.description}\n{newest.data}"


def test_environments_have_pages_of_their_own(
    stores: dict[str, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = Paged.flows()
    trained = flows.train()
    live = page("paged-model-train-live-well")
    monkeypatch.setenv("MFPREFECT_PROFILE", "development")
    other = flows.train()
    maintain()
    assert page("paged-model-train-live-well") == live
    assert live.startswith("paged model train: succeeded (live & well)\n")
    assert trained in live
    assert "| stage | candidate; in production: nothing |" in live
    assert "| auc at least 0.5 | passed | auc is " in live
    development = page("paged-model-train-development")
    assert other in development
    assert trained not in development
    assert f"https://reports.example.com/paged%20model/{other.replace(' ', '%20')}.html" in (
        development
    )
    assert "notices delivered" in page("maintain-development")


def test_the_stage_of_what_a_run_trained_or_scored_with(
    stores: dict[str, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores["production"]
    monkeypatch.setattr(Paged, "auto_promote", True)
    first = Paged.flows().train()
    assert "| stage | production since 20" in page("paged-model-train-live-well")
    Paged.flows().score()
    assert "| stage of its model | production since 20" in page("paged-model-score-live-well")
    monkeypatch.setattr(Paged, "auto_promote", False)
    second = Paged.flows().train()
    assert f"candidate; in production: {first}" in page("paged-model-train-live-well")
    Paged.flows().score(training_session_id=second)
    text = page("paged-model-score-live-well")
    assert f"| stage of its model | candidate; in production: {first} |" in text
    store.retire("paged model")
    monkeypatch.setattr(Paged, "gates", (Gate("auc", at_least=1.5),))
    run: Any = Paged.flows().train
    assert run(return_state=True).is_failed()
    failed = page("paged-model-train-live-well")
    assert "| auc at least 1.5 | failed | auc is " in failed
    assert "| stage |" not in failed


def test_without_a_place_for_reports_the_page_names_the_command(
    stores: dict[str, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path("mfprefect.toml").read_text()
    Path("mfprefect.toml").write_text(text.replace("report_url", "# report_url"))
    monkeypatch.delenv("MFPREFECT_PROFILE")
    mfprefect.connect().create_schema()
    session_id = Paged.flows().train()
    text = page("paged-model-train")
    assert text.startswith("paged model train: succeeded\n")
    assert f"| report | `mfprefect report {session_id}` |" in text


@pytest.mark.parametrize(
    "url",
    ["reports/{session_id}", "https://r.example.com/", "https://a:b@r.example.com/{session_id}"],
)
def test_a_place_for_reports_that_is_no_link(url: str) -> None:
    with pytest.raises(ConfigurationError, match="report_url"):
        load_settings(report_url=url)

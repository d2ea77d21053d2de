"""A server that has both the rows and the scores goes away while it scores.

Nothing can be read in another way, so no part goes to the spool: each is tried again, then the run
fails with the reason, and what is known of its session is delivered when the server is back.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from faultkit.proxy import Fault, Proxy
from sklearn.linear_model import LogisticRegression

import mfprefect
from mfprefect import Store
from mfprefect.backend import backend_for
from mfprefect.errors import DatabaseError
from mfprefect.lifecycle.maintenance import maintain
from mfprefect.settings import load_settings
from mfprefect.testing.contract.helpers import orphans

pytestmark = pytest.mark.parametrize("database_url", ["postgres", "mysql"], indirect=True)

DAY = dt.date(2026, 1, 31)
ROWS, PARTS = 400, 2


class Churn(mfprefect.Model):
    model_id = "churn"
    entity_id = "customer_id"
    target = "gone"
    not_features = ("part",)
    parts = PARTS
    retries = 1
    retry_delay_seconds = 0.0
    proxy: Proxy | None = None
    """Takes the server away when part 2 is asked for."""
    asked = 0

    def training_data(self, as_of: dt.date) -> Any:
        return self.read("select * from customer")

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return LogisticRegression().fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> Any:
        if part == 2:
            Churn.asked += 1
            if self.proxy is not None:
                self.proxy.refuse()
        return self.read("select * from customer where part = :part", part=part)

    def importance(self, *_: Any) -> dict[str, pd.DataFrame]:
        return {}


@pytest.fixture
def place(
    prefect_api: str, schema_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Store, Proxy]]:
    """A store that sees the server itself, and the proxy that flows reach it by."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {"customer_id": [f"c{n}" for n in range(ROWS)], "a": rng.normal(size=ROWS)}
    )
    frame = frame.assign(gone=(frame["a"] > 0).astype(int), part=np.arange(ROWS) % PARTS + 1)
    engine = backend_for(load_settings(url=schema_url)).create_engine()
    frame.to_sql("customer", engine, index=False, dtype={"customer_id": sa.String(64)})
    engine.dispose()
    proxy = Proxy(schema_url)
    through = proxy.url(schema_url)
    monkeypatch.setenv("MFPREFECT_URL", through)
    monkeypatch.setenv("MFPREFECT_SOURCES__WAREHOUSE__URL", through)
    monkeypatch.setenv("MFPREFECT_DEFAULT_SOURCE", "warehouse")
    monkeypatch.setenv("MFPREFECT_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("MFPREFECT_RETRY_SECONDS", "0.2")
    monkeypatch.setenv("MFPREFECT_CONNECT_TIMEOUT", "1")
    monkeypatch.setattr(Churn, "asked", 0)
    with mfprefect.connect(schema_url) as store:
        yield store, proxy
    proxy.close()


def the_session(store: Store) -> dict[str, Any]:
    row = store.sessions("churn", purpose="score").iloc[0]
    return {str(name): value for name, value in row.items()}


@pytest.mark.parametrize("moment", ["before a part", "in its INSERT"])
def test_the_run_fails_with_the_reason_and_its_record_is_delivered(
    place: tuple[Store, Proxy], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    store, proxy = place
    train, score, _ = Churn.flows()
    train(DAY)
    expected = store.scores(score(DAY))
    assert len(expected) == ROWS
    store.delete_session(the_session(store)["session_id"])
    Churn.asked = 0
    if moment == "before a part":
        monkeypatch.setattr(Churn, "proxy", proxy)
    else:
        proxy.arm(Fault(lambda link: proxy.refuse(), pattern="INSERT INTO .*scores.*SELECT"))
    with pytest.raises(DatabaseError) as error:
        score(DAY)
    assert error.value.transient
    assert "secret" not in str(error.value)
    assert Churn.asked == 2 if moment == "before a part" else proxy.refusing
    row = the_session(store)
    # Whoever reads sees a running session without scores until its end is delivered.
    assert row["status"] == "running"
    assert store.scores(row["session_id"]).empty
    monkeypatch.setattr(Churn, "proxy", None)
    proxy.arm(None)
    assert "1 sessions delivered from the spool" in maintain()
    row = the_session(store)
    assert (row["status"], row["failure_kind"]) == ("failed", type(error.value).__name__)
    assert row["failure_text"]
    assert store.scores(row["session_id"]).empty
    assert len(store.score_parts(row["session_id"])) < PARTS
    again = score(DAY)
    assert again != row["session_id"]
    pd.testing.assert_frame_equal(store.scores(again), expected)
    notes = store.metadata(again).set_index("meta_name")["value"]
    assert notes["where"] == "the store's database, by INSERT .. SELECT"
    assert orphans(store) == {}
    assert not store.verify().problems

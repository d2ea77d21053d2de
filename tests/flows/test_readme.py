"""The programs of the README and of docs/sessions.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

import mfprefect
from mfprefect import Store

ROOT = Path(__file__).parents[2]


def program(page: str, heading: str) -> str:
    section = (ROOT / page).read_text().split(f"## {heading}")[1].split("\n## ")[0]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    if block is None:
        raise AssertionError(heading)
    return block.group(1)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "customer_id": range(600),
            "tenure": rng.integers(0, 60, 600),
            "plan": rng.integers(0, 3, 600),
            "day": "2026-01-01",
        }
    )
    frame["left_30d"] = (rng.random(600) * 60 > frame["tenure"]).astype(int)
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    engine = sa.create_engine(url)
    frame.to_sql("churn", engine, index=False)
    frame.to_sql("customers", engine, index=False)
    engine.dispose()
    monkeypatch.setenv("MFPREFECT_SOURCES__WAREHOUSE__URL", url)
    return url


def test_the_model_in_30_lines(flow_store: Store, warehouse: str) -> None:
    text = program("README.md", "A model in 30 lines")
    assert len(text.splitlines()) <= 40
    names: dict[str, Any] = {"__name__": "churn"}
    # AUC of such data is about 0.84; the README's gate is real.
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102 - our own text
    trained = names["train"]()
    scored = names["score"]()
    sessions = flow_store.sessions("churn").set_index("session_id")
    assert set(sessions["status"]) == {"succeeded"}
    assert sessions.loc[scored, "parent_session_id"] == trained
    assert len(flow_store.scores(scored)) == 600
    inputs = flow_store.inputs(trained)
    assert inputs["source"].tolist() == ["warehouse"]
    assert "left_30d" in str(inputs["query"][0])


def test_a_session_anywhere(flow_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.dummy import DummyClassifier

    frame = pd.DataFrame({"x": [1, 2, 3, 4]})
    names: dict[str, Any] = {
        "frame": frame,
        "checks": lambda rows: len(rows) == 4,
        "actual": [0, 1, 0, 1],
        "score": [0.1, 0.9, 0.2, 0.6],
        "estimator": DummyClassifier().fit(frame, [0, 1, 0, 1]),
        "scores": pd.DataFrame({"customer_id": [1, 2], "score": [0.5, 0.6]}),
    }
    exec(compile(program("docs/sessions.md", "A session in any"), "sessions.md", "exec"), names)  # noqa: S102
    assert isinstance(names["store"], mfprefect.Store)
    names["store"].close()
    assert flow_store.sessions("churn")["status"].tolist() == ["succeeded"]

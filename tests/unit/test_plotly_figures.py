"""Figures of plotly as files of a session, by the real package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.io
import pytest

import mfprefect
from mfprefect.errors import InvalidValue


def curve() -> Any:
    return go.Figure(go.Scatter(x=[1, 2], y=[0.25, 0.75], name="</script> curve"))


def test_figures_of_plotly_need_no_network(tmp_path: Path) -> None:
    figure = curve()
    store = mfprefect.connect(f"sqlite:///{tmp_path / 'store.db'}")
    store.create_schema()
    store.add_model("churn")

    def content(name: str) -> str:
        with store.open_file(session.session_id, name) as file:
            return file.read().decode()

    with store.session("churn") as session:
        assert session.log_figure(figure, "curve") == "curve.html"
        assert session.log_figure(figure, "curve.json") == "curve.json"
        assert session.log_figure(curve(), "again.html") == "again.html"
        with pytest.raises(InvalidValue, match=r"ends in \.png; .* \.html or \.json"):
            session.log_figure(figure, "roc.png")
    page = content("curve.html")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*\s(?:src|href)=", page)
    assert page == content("again.html")
    again = plotly.io.from_json(content("curve.json"))
    assert again == figure
    assert store.files(session.session_id)["media_type"].tolist() == [
        "text/html", "text/html", "application/json",
    ]  # fmt: skip

"""What users pass to a session: parameters, tags, scores; and users without a home folder."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest
import sklearn.linear_model

import mfprefect
from mfprefect.errors import ConfigurationError, InvalidScores, InvalidValue
from mfprefect.settings import Settings, load_settings
from mfprefect.util import home

SCORES = {"id": ["a", "b"], "score": [0.1, 0.2]}


@pytest.fixture
def store(tmp_path: Path) -> mfprefect.Store:
    store = mfprefect.connect(f"sqlite:///{tmp_path / 'mf.db'}")
    store.create_schema()
    store.add_model("m", "a model")
    return store


# Parameters


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"class_weight": {np.int64(0): 1, np.int64(1): 5}}, {"class_weight": {"0": 1, "1": 5}}),
        ({"bins": {np.float64(0.5): "a"}}, {"bins": {"0.5": "a"}}),
        ({"days": {pd.Timestamp("2026-01-02"): 1}}, {"days": {"2026-01-02T00:00:00": 1}}),
        ({"flag": {np.bool_(True): np.bool_(False)}}, {"flag": {"true": False}}),
        (
            {"from": np.array(["2026-01-02"], dtype="datetime64[s]")},
            {"from": ["2026-01-02T00:00:00"]},
        ),
    ],
)
def test_params_of_numpy_and_pandas(
    store: mfprefect.Store, params: dict[str, Any], expected: dict[str, Any]
) -> None:
    with store.session("m", params=params) as session:
        pass
    assert json.loads(store.show(session.session_id).iloc[0]["params"]) == expected


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"missing": np.nan}, r"params['missing'] is nan"),
        ({"a": {"b": [1, np.float32("inf")]}}, r"params['a']['b'][1]: is inf"),
        ({"a": np.array([1, np.nan])}, r"params['a'][1] is nan"),
        ({"when": pd.NaT}, r"params['when']: NaT has no JSON form"),
        (
            {"steps": [("a", sklearn.linear_model.Ridge())]},
            r"params['steps'][0][1]: a Ridge is an estimator, which has no JSON form",
        ),
        ({"x": object()}, r"params['x']: an object has no JSON form"),
        ({"x": {1: 2, "a": 3}}, r"params['x'] has names of text and of numbers: [1, 'a']"),
        ({"x": {(1, 2): 3}}, r"params['x'] has the name (1, 2)"),
    ],
)
def test_params_without_a_json_form_are_named(
    store: mfprefect.Store, params: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidValue, match=re.escape(says.replace(": is inf", " is inf"))):
        store.session("m", params=params)
    assert store.sessions("m").empty


def test_params_that_are_no_dict(store: mfprefect.Store) -> None:
    params: Any = sklearn.linear_model.Ridge()
    with pytest.raises(InvalidValue, match=r"params is a Ridge; pass a dict .*get_params"):
        store.session("m", params=params)


# Texts where a list is needed


@pytest.mark.parametrize("tags", ["prod", b"prod"])
def test_tags_are_a_list(store: mfprefect.Store, tags: Any) -> None:
    with pytest.raises(InvalidValue, match=re.escape(f"pass [{tags!r}]")):
        store.session("m", tags=tags)
    assert store.sessions("m").empty
    with store.session("m", tags=["prod"]) as session:
        pass
    assert store.show(session.session_id).iloc[0]["tags"] == '["prod"]'


def test_tags_of_a_model_are_a_list() -> None:
    class Churn(mfprefect.Model):
        model_id, entity_id, target, tags = "churn", "id", "y", "prod"

    with pytest.raises(ConfigurationError, match=re.escape("use a list: ['prod']")):
        Churn.flows()


def test_trusted_types_are_a_list(store: mfprefect.Store) -> None:
    with store.session("m") as session, pytest.raises(InvalidValue, match="trusted_types are a"):
        session.save_model(sklearn.linear_model.Ridge(), trusted_types="churn.Ratio")


def test_sessions_to_prune_are_a_list(store: mfprefect.Store) -> None:
    with pytest.raises(InvalidValue, match=re.escape("pass ['m-1']")):
        store.prune(keep_days=1, only="m-1")


# Scores


class Stream:
    """A frame with Arrow's interface, as polars and duckdb have it."""

    columns = ("id", "score")

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.table(SCORES).__arrow_c_stream__(requested_schema)


def tables() -> list[Any]:
    table = pa.table(SCORES)
    levels = pa.array(["b", "a"]).cast(pa.string_view())
    ids = pa.DictionaryArray.from_arrays(pa.array([1, 0]), levels)
    sparse = pd.DataFrame({"id": ["a", "b"], "score": pd.arrays.SparseArray([0.1, 0.2])})
    return [
        SCORES,
        {"id": np.array(["a", "b"], dtype=object), "score": pd.Series([0.1, 0.2])},
        Stream(),
        table.to_reader(),
        pyarrow.dataset.dataset(table),
        sparse,
        pa.table({"id": ids, "score": [0.1, 0.2]}),
        (table[:1], table[1:]),
        [{"id": ["a"], "score": [0.1]}, {"id": ["b"], "score": [0.2]}],
    ]


@pytest.mark.parametrize("index", range(9))
def test_scores_of_other_libraries(store: mfprefect.Store, index: int) -> None:
    with store.session("m", "score") as session:
        assert session.write_scores(tables()[index], "id") == 2
    stored = store.scores(session.session_id)
    assert stored.set_index("entity_id")["score"].to_dict() == {"a": 0.1, "b": 0.2}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ((["a"], [0.1]), "a tuple of list"),
        ([("a", 0.1)], "a list of tuple"),
        ({("a", 0.1)}, "a set"),
        (np.array([0.1]), "a ndarray"),
        (pa.array([0.1]), "a DoubleArray"),
        (b"x", "a bytes"),
        ({"id": ["a"], "score": [0.1, 0.2]}, "the dict of scores cannot be read as columns"),
        ({"a": 0.1}, "the dict of scores cannot be read as columns"),
    ],
)
def test_other_things_are_refused_as_what_they_are(
    store: mfprefect.Store, data: Any, says: str
) -> None:
    with store.session("m", "score") as session, pytest.raises(InvalidScores, match=says):
        session.write_scores(data, "id")
    assert store.scores(session.session_id).empty


# No home folder


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(*_: Any) -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_STATE_HOME", "MFPREFECT_SPOOL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(Path, "expanduser", no_home)
    home._home_state.cache_clear()


@pytest.mark.usefixtures("homeless")
def test_without_a_home_the_store_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Settings().spool_folder is None
        assert Settings().spool_folder is None
    home._home_state.cache_clear()
    assert len(caplog.records) == 1
    assert "no home folder" in caplog.text and "MFPREFECT_SPOOL" in caplog.text
    store = mfprefect.connect(f"sqlite:///{tmp_path / 'mf.db'}")
    store.create_schema()
    store.add_model("m", "a model")
    store.session("m").close()
    home._home_state.cache_clear()


@pytest.mark.usefixtures("homeless")
def test_a_tilde_without_a_home_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFPREFECT_SPOOL", "~/spool")
    with pytest.raises(ConfigurationError, match=r"~/spool'.*no home folder; set MFPREFECT_SPOOL"):
        load_settings()

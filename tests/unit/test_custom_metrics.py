"""Metrics of a team's own, from the decorator to the store, and segments."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import mfprefect
from mfprefect import ConfigurationError, InvalidValue, quality
from mfprefect.cli import cli
from mfprefect.quality.metrics.curve import collapse, rows_of
from mfprefect.quality.metrics.registry import load_metrics

MODULE = '''
import mfprefect


@mfprefect.metric("expected_cost", version=2)
def expected_cost(actual, score):
    """1 a false positive, 10 a false negative, at 0.5."""
    flagged = score >= 0.5
    return float((flagged * (1 - actual) + 10 * ~flagged * actual).mean())


@mfprefect.metric("worst", model_type=["regression", "time_series"])
def worst(actual, predicted):
    """The largest error."""
    return max(abs(predicted - actual))
'''


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    registered = dict(quality.CUSTOM)
    yield
    quality.CUSTOM.clear()
    quality.CUSTOM.update(registered)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[mfprefect.Store]:
    (tmp_path / "ourmetrics.py").write_text(MODULE)
    (tmp_path / "mfprefect.toml").write_text(
        f'url = "sqlite:///{tmp_path / "s.db"}"\nmetrics = ["ourmetrics.py"]\n'
    )
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")  # a path is one from the settings' folder
    with mfprefect.connect() as store:
        store.create_schema()
        store.add_model("churn")
        yield store


def metrics(store: mfprefect.Store, session_id: str) -> dict[tuple[str, str], tuple[float, int]]:
    frame = store.metrics(session_id)
    return {
        (row["segment"], row["metric_name"]): (row["value"], row["definition_version"])
        for row in frame.to_dict("records")
    }


def test_the_setting_makes_it_known_to_python_and_to_the_command_line(
    store: mfprefect.Store, tmp_path: Path
) -> None:
    actual, score = [0, 1, 1, 0], [0.6, 0.7, 0.2, 0.1]
    region = ["n", "n", "s", "s"]
    with store.session("churn") as session:
        returned = session.log_test_results(actual, score, segments={"region": region})
        session.log_performance([1.0, 2.0], [1.0, 5.0], "month=1", model_type="regression")
    values = metrics(store, session.session_id)
    assert values["", "expected_cost"] == (11 / 4, 2)
    assert returned["expected_cost"] == 11 / 4
    assert values["region=n", "expected_cost"] == (1 / 2, 2)
    assert values["region=s", "expected_cost"] == (5, 2)
    assert values["region=s", "auc"] == (1, 1)
    assert values["month=1", "worst"] == (3, 1)
    notes = store.metadata(session.session_id).set_index(["meta_group", "meta_name"])["value"]
    assert json.loads(str(notes["test", "ece_bins"])) == {"scheme": "equal_width", "bins": 10}

    pd.DataFrame({"y": actual, "p": score, "region": region}).to_csv(tmp_path / "t.csv")
    program = str(Path(sys.executable).with_name("mfprefect"))
    opened = subprocess.run(
        [program, "session", "open", "churn"], check=True, capture_output=True, text=True
    ).stdout.strip()
    options = ["--test-results", str(tmp_path / "t.csv"), "--actual", "y", "--score", "p"]
    log = [program, "session", "log", opened, *options, "--segment-by", "region"]
    subprocess.run(log, check=True, capture_output=True)
    by_hand = [program, "session", "log", opened, "--metric", "worst=4"]
    subprocess.run(by_hand, check=True, capture_output=True)
    again = metrics(store, opened)
    assert again.pop(("", "worst")) == (4, 1)
    assert again == {key: value for key, value in values.items() if key[0] != "month=1"}


def test_a_masked_column_is_no_segment(
    store: mfprefect.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFPREFECT_MASKED_COLUMNS", '["city"]')
    with mfprefect.connect() as store, store.session("churn") as session:
        with pytest.raises(InvalidValue, match="'city' is one of the settings' masked_columns"):
            session.log_test_results([0, 1], [0.1, 0.9], segments={"city": ["A", "B"]})
        with pytest.raises(InvalidValue, match="pass either `segment` or `segments`"):
            session.log_test_results([0, 1], [0.1, 0.9], "a=b", segments={"a": ["b", "c"]})


def test_versions_are_not_compared(store: mfprefect.Store) -> None:
    def profit(actual: Any, score: Any) -> float:
        """What is earned."""
        return 2.0

    ids = []
    for version in (1, 2):
        mfprefect.metric("profit", version=version)(profit)
        with store.session("churn") as session:
            session.log_test_results([0, 1], [0.1, 0.9])
        ids.append(session.session_id)
    result = CliRunner().invoke(cli, ["compare", *ids])
    assert "profit: the sessions used different versions" in result.stderr
    done = CliRunner().invoke(cli, ["compare", *ids, "--json"])
    assert done.exit_code == 0, done.output
    rows = {row["metric_name"]: row for row in json.loads(done.stdout)["metrics"]}
    assert (rows["profit"]["difference"], rows["profit"]["redefined"]) == (None, True)
    assert (rows["auc"]["difference"], rows["auc"]["redefined"]) == (0, False)


def test_names_that_clash_are_refused() -> None:
    @mfprefect.metric("margin")
    def margin(actual: Any, score: Any) -> float:
        """A figure."""
        return 0.0

    def elsewhere(actual: Any, score: Any) -> float:
        """Another figure."""
        return 1.0

    with pytest.raises(
        ConfigurationError, match=r"two metrics have the name 'margin': .*elsewhere"
    ):
        mfprefect.metric("margin")(elsewhere)
    # Loaded again, as Prefect loads a flow's file, it is no other one.
    assert mfprefect.metric("margin", version=2)(margin) is margin
    assert quality.definition_version("margin") == 2
    for taken in ("auc", "rmse", "mase", "precision"):
        with pytest.raises(ConfigurationError, match=f"'{taken}' is a built-in metric"):
            mfprefect.metric(taken)(elsewhere)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "has the name ''"),
        ({"name": "x" * 200}, "1 to 128 characters"),
        ({"name": "x", "version": 0}, "version = 0"),
        ({"name": "x", "version": True}, "version = True"),
        ({"name": "x", "model_type": "forest"}, "'forest'; choose from binary, multiclass"),
        ({"name": "x", "model_type": []}, "choose from binary"),
        ({"name": "x"}, "no docstring"),
    ],
)
def test_registrations_that_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        mfprefect.metric(**arguments)(lambda actual, score: 0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "3", "much"])
def test_a_value_that_is_no_finite_number_is_refused(store: mfprefect.Store, value: Any) -> None:
    def odd(actual: Any, score: Any) -> Any:
        """Not what it should be."""
        return value

    mfprefect.metric("odd", version=3)(odd)
    with (
        pytest.raises(InvalidValue, match=r"metric 'odd', version 3 \(.*odd\), returned .*None if"),
        store.session("churn") as session,
    ):
        session.log_test_results([0, 1], [0.1, 0.9])
    assert store.metrics(session.session_id).empty


def test_none_is_left_out_and_labels_of_classes_are_texts() -> None:
    def none(actual: Any, score: Any) -> float | None:
        """Defined for labels."""
        if not hasattr(score, "columns"):
            return None
        return float(sum(score.columns[row] == y for row, y in zip([0, 1, 2], actual, strict=True)))

    mfprefect.metric("none", model_type=["binary", "multiclass"])(none)
    assert "none" not in quality.evaluate([0, 1], [0.1, 0.9]).metrics[""]
    assert quality.evaluate([5, 6, 7], np.eye(3)).metrics[""]["none"] == 3


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.2, 0.9])), min_size=1))
def test_rows_are_given_in_one_order_whatever_theirs(rows: list[tuple[int, float]]) -> None:
    y, s = (np.array(x) for x in zip(*rows, strict=True))
    actual, score = rows_of(collapse(y, s))
    expected = sorted((float(b), a) for a, b in rows)
    assert list(zip(score.tolist(), actual.tolist(), strict=True)) == expected


def test_modules_that_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    for module, message in (
        ("no.such.module", "names 'no.such.module', .*ModuleNotFoundError"),
        (str(tmp_path / "broken.py"), "ZeroDivisionError"),
        (str(tmp_path / "gone.py"), "FileNotFoundError"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            load_metrics([module])


@pytest.mark.parametrize("way", ["file", "folder", "name"])
def test_modules_that_another_user_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    module = tmp_path / "loose_metrics.py"
    module.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (module if way == "file" else tmp_path).chmod(0o777)
    monkeypatch.syspath_prepend(tmp_path)
    name = "loose_metrics" if way == "name" else str(module)
    with pytest.raises(ConfigurationError, match=r"not imported, because .* written by everybody"):
        load_metrics([name])
    assert not (tmp_path / "ran").exists()


def test_segments_of_many_levels_null_and_one_class() -> None:
    level = [f"L{k // 2:02d}" for k in range(120)]
    level[100:] = [None] * 20  # type: ignore[list-item]
    evaluation = quality.evaluate([0, 1] * 60, np.linspace(0, 1, 120), segments={"a": level})
    assert len(evaluation.metrics) == 51
    assert evaluation.notes["segments_left_out"] == {"a": {"levels": 1, "rows": 2}}
    assert evaluation.metrics["a=<NULL>"]["n"] == 20
    kinds = pd.Series(["x", "y", "x"], dtype="category", index=[7, 7, 9])
    frame = pd.DataFrame({"k": kinds, "b": pd.array([True, None, True], dtype="boolean")})
    mixed = quality.evaluate([0, 1, 1], [0.1, 0.2, 0.3], segments=frame).metrics
    assert {name: row["n"] for name, row in mixed.items()} == {
        "": 3, "k=x": 2, "k=y": 1, "b=True": 2, "b=<NULL>": 1,
    }  # fmt: skip
    one = quality.evaluate([0, 1, 1], [0.1, 0.2, 0.3], segments={"a": [1, 1, 2]}).metrics
    assert one["a=1"]["auc"] == 1
    assert "auc" not in one["a=2"]
    assert one["a=2"]["n"] == 1
    with pytest.raises(InvalidValue, match="2 rows but 1 values of the segment column 'a'"):
        quality.evaluate([0, 1], [0.1, 0.2], segments={"a": [1]})

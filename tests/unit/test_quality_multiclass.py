"""Models of several classes, against scikit-learn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfprefect import quality
from mfprefect.errors import InvalidScores, InvalidValue
from mfprefect.quality.metrics.class_scores import top_class
from mfprefect.quality.metrics.multiclass import label_metrics

oracle = import_module("sklearn.metrics")
CLASSES = ["cat", "dog", "eel", "fox"]


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Any, Any]:
    """Rows in which each class occurs, with many ties between scores."""
    weight = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0.01, 1))
    row = st.tuples(st.sampled_from(range(4)), st.tuples(weight, weight, weight, weight))
    rows = draw(st.lists(row, max_size=40)) + [(k, draw(row)[1]) for k in range(4)]
    raw = np.array([r[1] for r in rows])
    raw[raw.sum(axis=1) == 0] = 1
    return np.array(CLASSES)[[r[0] for r in rows]], raw / raw.sum(axis=1, keepdims=True)


@given(labelled())
@settings(max_examples=40)
def test_metrics_are_those_of_scikit_learn(data: tuple[Any, Any]) -> None:
    actual, p = data
    metrics = quality.multiclass_metrics(quality.class_scores(actual, p, CLASSES))
    said = np.array(CLASSES)[p.argmax(axis=1)]
    y = np.array([CLASSES.index(x) for x in actual])
    onehot = np.eye(4)[y]
    expected = {
        "accuracy": oracle.accuracy_score(actual, said),
        "balanced_accuracy": oracle.balanced_accuracy_score(actual, said),
        "f1_macro": oracle.f1_score(actual, said, average="macro", zero_division=0),
        "f1_weighted": oracle.f1_score(actual, said, average="weighted", zero_division=0),
        "auc_ovr": oracle.roc_auc_score(actual, p, multi_class="ovr", labels=CLASSES),
        "log_loss": oracle.log_loss(actual, p, labels=CLASSES),
        "brier_multiclass": ((p - onehot) ** 2).sum(axis=1).mean(),
        "n": len(actual),
        "n_classes": 4,
    }
    top, right = p.max(axis=1), said == actual
    which = np.digitize(top, np.arange(1, 10) / 10)
    expected["ece_top"] = sum(
        abs(right[which == b].mean() - top[which == b].mean()) * (which == b).mean()
        for b in set(which.tolist())
    )
    if len(set(said)) > 1:
        expected["kappa"] = oracle.cohen_kappa_score(actual, said)
        expected["mcc"] = oracle.matthews_corrcoef(actual, said)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, abs=1e-12), name


@given(labelled())
@settings(max_examples=40)
def test_a_class_against_all_others(data: tuple[Any, Any]) -> None:
    actual, p = data
    by_class = quality.class_metrics(quality.class_scores(actual, p, CLASSES))
    said = np.array(CLASSES)[p.argmax(axis=1)]
    for place, name in enumerate(CLASSES):
        one = {"labels": [name], "average": None, "zero_division": 0}
        expected = {
            "auc": oracle.roc_auc_score(actual == name, p[:, place]),
            "recall": oracle.recall_score(actual, said, **one)[0],
            "f1": oracle.f1_score(actual, said, **one)[0],
            "n_positive": (actual == name).sum(),
        }
        if name in said:
            expected["precision"] = oracle.precision_score(actual, said, **one)[0]
        assert by_class[name] == pytest.approx(expected, abs=1e-12)


def test_what_is_not_defined_is_left_out() -> None:
    one = quality.multiclass_metrics(quality.class_scores(["b"] * 3, [[0.1, 0.9]] * 3, ["a", "b"]))
    assert one["accuracy"] == one["balanced_accuracy"] == one["f1_macro"] == 1
    assert one["n_classes"] == 1
    assert not {"kappa", "mcc", "auc_ovr"} & set(one)
    raw = quality.multiclass_metrics(quality.class_scores([0, 1, 2], np.eye(3) * 7))
    assert raw["auc_ovr"] == 1
    assert not {"log_loss", "brier_multiclass", "ece_top"} & set(raw)
    assert set(label_metrics(["a", 1, "a"], ["a", "1", "b"])) == {
        "accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "kappa", "mcc", "n",
        "n_classes",
    }  # fmt: skip


def test_evaluation_knows_the_type_by_the_scores() -> None:
    frame = pd.DataFrame({"a": [0.7, 0.2, 0.1], "b": [0.2, 0.5, 0.1], "c": [0.1, 0.3, 0.8]})
    evaluation = quality.evaluate(["a", "b", "b"], frame)
    assert evaluation.model_type == "multiclass"
    assert evaluation.curve is None
    assert evaluation.notes["confusion_matrix"] == {
        "classes": ["a", "b", "c"],
        "actual_by_predicted": [[1, 0, 0], [0, 1, 1], [0, 0, 0]],
    }
    assert evaluation.metrics["class=b"]["recall"] == 0.5
    assert set(evaluation.metrics) == {"", "class=a", "class=b", "class=c"}
    # Integers as labels, also where pandas made floats of them, or where columns are texts.
    numbers = quality.evaluate(pd.Series([1.0, 2.0]), frame.iloc[:2].set_axis([1, 2, 3], axis=1))
    assert numbers.metrics[""]["accuracy"] == 1
    texts = quality.evaluate([1, 2], frame.iloc[:2].set_axis(["1", "2", "3"], axis=1))
    assert texts.metrics == numbers.metrics


def test_the_class_that_is_published() -> None:
    score, label = top_class(pd.DataFrame({"a": [0.4, 0.2], "b": [0.4, 0.8]}))
    assert (score.tolist(), label) == ([0.4, 0.8], ["a", "b"])
    with pytest.raises(InvalidValue, match="the classes of 2 columns of scores are unknown"):
        top_class(np.eye(2))


THREE = [[0.1, 0.2, 0.7]] * 3


@pytest.mark.parametrize(
    ("actual", "score", "options", "message"),
    [
        (["a", "b", "c"], [[0.5, 0.5]] * 3, {}, r"3 classes occur, but there are 2 columns"),
        (["a", None, "c"], THREE, {"classes": "abc"}, "1 of 3 labels .* None at position 1"),
        (["a", "x", "c"], THREE, {"classes": "abc"}, "'a', 'b', 'c': 'x' at position 1"),
        (["a"], THREE, {"classes": "abc"}, "1 actuals but 3 rows"),
        ([], np.empty((0, 3)), {"classes": "abc"}, "no rows"),
        (["a"] * 3, THREE, {"classes": "aab"}, "3 columns of scores but the classes"),
        ([0, 1, 1], [0.1, 0.2, 0.3], {}, r"score has shape \(3,\)"),
    ],
)
def test_what_is_refused(actual: Any, score: Any, options: Any, message: str) -> None:
    classes = list(options["classes"]) if options else None
    with pytest.raises(InvalidValue, match=message):
        quality.evaluate(actual, score, "multiclass", classes=classes)


def test_scores_and_arguments_that_are_refused() -> None:
    with pytest.raises(InvalidScores, match="nan in row 1, column 0"):
        quality.evaluate([0, 1, 2], [[1, 0, 0], [np.nan, 1, 0], [0, 0, 1]])
    with pytest.raises(InvalidValue, match=r"predict_proba\(features\)\[:, 1\]"):
        quality.evaluate([0, 1], [[0.1, 0.9], [0.2, 0.8]])
    with pytest.raises(InvalidValue, match="a multiclass model takes no 'season'"):
        quality.evaluate([0, 1, 2], np.eye(3), context={"season": 2})
    with pytest.raises(InvalidValue, match="takes no classes"):
        quality.evaluate([0, 1], [0.1, 0.9], "binary", classes=[0, 1])

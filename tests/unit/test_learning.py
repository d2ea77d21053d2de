"""What a class declares of its learning: features, weights, split, classes, thresholds, extras."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import re
from typing import Any, ClassVar
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mfprefect
from mfprefect import CommandModel, Gate, Model
from mfprefect.artifacts import Artifact, dump, load
from mfprefect.artifacts.extras import Extras
from mfprefect.cli.commands.compare import _params
from mfprefect.cli.readable import Readable
from mfprefect.errors import (
    ArtifactCorrupt,
    ArtifactUntrusted,
    ConfigurationError,
    InvalidValue,
    UnknownSession,
)
from mfprefect.lifecycle.fitting import fitted
from mfprefect.lifecycle.split import split_rows, split_rule
from mfprefect.lifecycle.thresholds import thresholds_for
from mfprefect.quality.drift.thresholds import require_known_variables
from mfprefect.quality.learning import feature_names, key_columns, require_declared_classes
from mfprefect.settings import Settings

COLUMNS = ["id", "x", "z", "region", "w", "y"]


class Churn(Model):
    model_id, entity_id, target = "churn", "id", "y"


class Weighted(Churn):
    weight: ClassVar[str | None] = "w"

    def fit(self, features: Any, target: Any, weight: Any = None) -> Any:
        return {"mean": float(np.average(target, weights=weight))}


def variant(base: type[Model] = Churn, **changes: Any) -> type[Model]:
    return type("Variant", (base,), changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ["x"], "not_features": ["z"]}, "both features = ['x'] and not_features"),
        ({"features": []}, "features = []; name at least one column"),
        ({"features": "x"}, "features = 'x'; use a list: ['x']"),
        ({"not_features": "x"}, "not_features = 'x'; use a list: ['x']"),
        ({"features": [1]}, "has 1 in features; use names of columns"),
        ({"features": ["x", "x"]}, "has 'x' twice in features"),
        ({"features": ["x", "y"]}, "'y' in features, and it is the target"),
        ({"features": ["id", "x"]}, "'id' in features, and it is the entity_id"),
        ({"not_features": ["y"]}, "'y' in not_features, and it is the target"),
        ({"weight": ""}, "weight = ''; use the name of a column"),
        ({"weight": "y"}, "weight = 'y', which is its target"),
        ({"weight": "w"}, "its fit takes no weights, so they would not count"),
        ({"stratify": 1}, "stratify = 1; use True or False"),
        ({"stratify": True, "model_type": "regression"}, "only a binary or multiclass model"),
        ({"classes": ["a", "b"]}, "only a multiclass model has a list of classes"),
        ({"classes": ["a"], "model_type": "multiclass"}, "list two classes or more"),
        ({"classes": ["a", None], "model_type": "multiclass"}, "without NULL"),
        ({"classes": [1, "1"], "model_type": "multiclass"}, "has '1' twice in classes"),
        ({"drift_thresholds": 0.4}, "use a dict by variable"),
        ({"drift_thresholds": {"x": 0}}, "has 0 as psi in drift_thresholds['x']"),
        ({"drift_thresholds": {"x": {"psy": 1}}}, "'psy' in drift_thresholds['x']; choose from"),
        ({"scoring_gates": ["drift"]}, "has the gate 'drift'; use mfprefect.Gate"),
        (
            {"scoring_gates": [Gate("auc", not_worse_than_production_by=0.1)]},
            "a scoring has no test rows to compare with production on",
        ),
    ],
)
def test_contradictions_are_refused_before_anything_runs(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^Variant.*{re.escape(message)}"):
        variant(**changes).flows()


def test_fit_and_the_class_agree_on_weights() -> None:
    with pytest.raises(ConfigurationError, match="'w' in features, and it is the weight"):
        variant(Weighted, features=["x", "w"]).flows()

    class Demanding(Churn):
        def fit(self, features: Any, target: Any, weight: Any) -> Any:  # type: ignore[override]
            raise NotImplementedError

    with pytest.raises(ConfigurationError, match=r"fit needs a weight.*set weight = "):
        Demanding.flows()
    variant(Demanding, weight="w").flows()
    frame = pd.DataFrame({"x": [1, 2], "w": [3, 1], "y": [1, 0]})
    assert fitted(Weighted(), frame, ["x"]).estimator == {"mean": 0.75}


def test_a_command_chooses_its_own_columns() -> None:
    class Command(CommandModel):
        model_id, entity_id, score_command = "c", "id", ("true",)

    for name, value in {"features": ["x"], "weight": "w", "stratify": True}.items():
        with pytest.raises(ConfigurationError, match=name):
            variant(Command, **{name: value}).flows()


def test_features_are_named() -> None:
    assert feature_names(Churn, COLUMNS) == ["x", "z", "region", "w"]
    assert feature_names(Weighted, COLUMNS) == ["x", "z", "region"]
    assert feature_names(variant(not_features=["region", "w"]), COLUMNS) == ["x", "z"]
    chosen = variant(features=["z", "x"])
    assert feature_names(chosen, COLUMNS) == ["z", "x"]  # as declared
    assert key_columns(chosen, COLUMNS) == {"id", "y", "region", "w"}
    assert key_columns(Weighted, ["x"]) == {"id", "y", "w"}
    with pytest.raises(InvalidValue, match=r"'a' in features, and the frame lacks.*has: id, x"):
        feature_names(variant(features=["a"]), COLUMNS, "the frame")
    with pytest.raises(InvalidValue, match="'a' in not_features"):
        feature_names(variant(not_features=["a"]), COLUMNS)
    with pytest.raises(InvalidValue, match="has no column to learn from"):
        feature_names(variant(not_features=["x"]), ["id", "y", "x"])


def test_values_outside_the_classes_are_named() -> None:
    model = variant(model_type="multiclass", classes=["low", "high", 3])
    target = pd.Series(["low", "high", 3, None, "3"], name="y")
    require_declared_classes(model, target)
    with pytest.raises(
        InvalidValue, match=r"'y' .* value 'middle' in 2 rows, and Variant declares .*'high'"
    ):
        require_declared_classes(model, pd.Series(["low", "middle", "middle"], name="y"))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from("aaaaab"), min_size=12, max_size=60),
    st.floats(0.1, 0.9),
    st.randoms(use_true_random=False),
)
def test_a_stratified_split_holds_out_a_share_of_each_class(
    classes: list[str], share: float, random: Any
) -> None:
    frame = pd.DataFrame({"id": [f"c{n}" for n in range(len(classes))], "y": classes})
    model = variant(stratify=True, test_share=share)
    learn, test = split_rows(model, frame)
    for name, size in frame["y"].value_counts().items():
        tested = int((test["y"] == name).sum())
        assert abs(tested - share * size) <= 1
        assert (0 < tested < size) or size == 1 == int((learn["y"] == name).sum())
    order = random.sample(range(len(frame)), len(frame))
    again = split_rows(model, frame.iloc[order])[1]
    assert set(again["id"]) == set(test["id"])
    assert sorted([*learn["id"], *test["id"]]) == sorted(frame["id"])
    assert "of each y, the lowest test_share" in split_rule(model)


def test_thresholds_of_a_variable() -> None:
    model = variant(drift_threshold=0.3, drift_thresholds={"x": 0.5, "z": {"null_share": 0.2}})
    limits = thresholds_for(model, Settings())
    x, z = limits.of_variable("x"), limits.of_variable("z")
    assert (x.psi, x.null_share) == (0.5, 0.1)
    assert x.ks_limit > limits.ks_limit  # the equivalent of its own PSI
    assert (z.psi, z.null_share) == (0.3, 0.2)
    assert limits.of_variable("other").psi == 0.3
    drift: Any = {"models": {"churn": {"psi": 0.2, "variables": {"x": {"psi": 0.9}}}}}
    limits = thresholds_for(model, Settings(drift=drift))
    assert limits.of_variable("x").psi == 0.9
    assert limits.of_variable("z") == thresholds_for(
        variant(drift_threshold=0.2, drift_thresholds={"z": {"null_share": 0.2}}), Settings()
    ).of_variable("z")
    require_known_variables(model, ["x", "z"])
    with pytest.raises(ConfigurationError, match="'z' in drift_thresholds, which is not one"):
        require_known_variables(model, ["x"])


GOOD: dict[str, Any] = {
    "rate": 0.25,
    "names": ["a", "b", None, True],
    "nested": {"k": [1, {"deep": "\u00e4"}]},
    "numpy number": np.float64(0.5),
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "nan": np.array([np.nan, np.inf]),
    "frame": pd.DataFrame(
        {"c": pd.Categorical(["x", "y"]), "t": [pd.Timestamp("2026-01-01"), pd.NaT], "n": [1, 2]},
        index=["r", "s"],
    ),
    "series": pd.Series({"DE": 1.5, "FR": np.nan}, name="prior"),
    "numbered": pd.Series({1: 0.5, 7: 0.25}),
    "file": b"\x00\xff",
}


def stored(extras: Extras) -> tuple[bytes, Any]:
    file = io.BytesIO()
    artifact = dump(extras, file)
    return file.getvalue(), artifact


def test_extras_come_back_as_they_are() -> None:
    content, artifact = stored(Extras(GOOD))
    assert (artifact.format, artifact.library_versions) == ("extras", "{}")
    assert stored(Extras(GOOD))[0] == content  # whenever it is stored
    back = load(io.BytesIO(content), artifact)
    assert list(back) == list(GOOD)
    for name in ("rate", "names", "nested", "numpy number", "file"):
        assert back[name] == GOOD[name]
    for name in ("array", "nan"):
        np.testing.assert_array_equal(back[name], GOOD[name], strict=True)
    pd.testing.assert_frame_equal(back["frame"], GOOD["frame"])
    for name in ("series", "numbered"):
        pd.testing.assert_series_equal(back[name], GOOD[name])


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: "a"},
        {"t": (1, 2)},
        float("nan"),
        {"n": [float("inf")]},
        dt.date(2026, 1, 1),
        {1, 2},
        object(),
        lambda: 0,
        np.array([object()]),
        np.ma.masked_array([1, 2], [True, False]),
        pd.DataFrame({"a": [(1, 2), (3, 4)]}),
        pd.DataFrame({"a": [1, "b"]}),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_extras_that_would_not_come_back_are_named(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^Churn.fit returned the extra 'odd'"):
        Extras({"odd": value}).check("Churn.fit")


def test_names_of_extras_are_text() -> None:
    with pytest.raises(ConfigurationError, match="extras with the name 1; name them by text"):
        Extras({1: "a"}).check("fit")  # type: ignore[dict-item]


def test_forged_extras_are_refused() -> None:
    content, artifact = stored(Extras(GOOD))
    bomb = io.BytesIO()
    with ZipFile(bomb, "w", ZIP_DEFLATED) as archive:
        archive.writestr("extras.json", json.dumps({"a": {"kind": "value", "value": "0" * 10**6}}))
    pickled = io.BytesIO()
    with ZipFile(pickled, "w") as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.array([object()]), allow_pickle=True)
        archive.writestr("000001", buffer.getvalue())
        archive.writestr("extras.json", '{"a": {"kind": "array", "file": "000001"}}')
    twice = io.BytesIO()
    with ZipFile(twice, "w") as archive:
        archive.writestr("1", b"x")
        both = {name: {"kind": "bytes", "file": "1"} for name in "ab"}
        archive.writestr("extras.json", json.dumps(both))
    forgeries = [bomb.getvalue(), pickled.getvalue(), twice.getvalue(), b"no zip", b""]
    for forged in forgeries:
        record = Artifact("extras", len(forged), hashlib.sha256(forged).hexdigest(), "{}")
        with pytest.raises(ArtifactCorrupt, match="the artifact holds no extras"):
            load(io.BytesIO(forged), record)
    with pytest.raises(ArtifactCorrupt, match="damaged or replaced"):
        load(io.BytesIO(content + b"x"), artifact)


def test_fit_may_return_extras() -> None:
    class Rich(Churn):
        def fit(self, features: Any, target: Any) -> Any:
            return "estimator", {"prior": float(target.mean())}

    class Pair(Churn):
        def fit(self, features: Any, target: Any) -> Any:
            return "one", "two"

    class Nothing(Churn):
        def fit(self, features: Any, target: Any) -> Any:
            return None, {"a": 1}

    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    model = Rich()
    assert model.extras == {}
    assert fitted(model, frame, ["x"]) == ("estimator", {"prior": 0.5}, {})
    assert model.extras == {"prior": 0.5}
    assert fitted(Pair(), frame, ["x"]) == (("one", "two"), {}, {})
    with pytest.raises(InvalidValue, match="fit returned None"):
        fitted(Nothing(), frame, ["x"])


@pytest.fixture
def store(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MFPREFECT_SPOOL", str(tmp_path / "spool"))
    with mfprefect.connect(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.create_schema()
        store.add_model("churn")
        yield store


def test_extras_are_stored_signed_and_sealed(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.session("churn", "train") as session:
        session.save_extras({"prior": 0.5})
    with store.session("churn", "train") as without:
        without.save_model(b"model", "extras")  # a model of this name is none
    assert store.load_extras(session.session_id) == {"prior": 0.5}
    assert store.load_extras(without.session_id) == {}
    with pytest.raises(UnknownSession):
        store.load_extras("nobody")
    store.verify()
    monkeypatch.setenv("MFPREFECT_SIGNING_KEY", "a secret of the team")
    url = store.database.settings.url.get_secret_value()
    with mfprefect.connect(url) as signed, pytest.raises(ArtifactUntrusted, match="not signed"):
        signed.load_extras(session.session_id)


def test_parameters_are_added_typed_and_compared(store: Any) -> None:
    sessions = []
    for depth in (3, 4):
        with store.session("churn", "train", params={"as_of": None, "depth": 0}) as session:
            session.log_params({"depth": depth, "estimator.C": 1.0})
            session.log_params({"estimator.penalty": None, "when": dt.date(2026, 1, 31)})
        sessions.append(session.session_id)
    params = json.loads(store.show(sessions[0])["params"][0])
    assert params == {
        "as_of": None,
        "depth": 3,
        "estimator.C": 1.0,
        "estimator.penalty": None,
        "when": "2026-01-31",
    }
    rows = [{"session_id": x, "params": json.loads(store.show(x)["params"][0])} for x in sessions]
    sides = [Readable(store, session_id) for session_id in sessions]
    assert [row["name"] for row in _params(sides, rows) if row["changed"]] == ["depth"]
    with pytest.raises(InvalidValue, match=r"params\['f'\]"), store.session("churn") as session:
        session.log_params({"f": object()})
    with pytest.raises(mfprefect.SessionClosed):
        session.log_params({"late": 1})

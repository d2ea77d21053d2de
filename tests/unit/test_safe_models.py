# mypy: disable-error-code="import-untyped"
"""Models of XGBoost and LightGBM, files that are hostile, and how much memory a large one takes."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import hashlib
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import ensemble, linear_model, model_selection, pipeline, preprocessing, svm
from sklearn.datasets import load_breast_cancer

import mfprefect
from mfprefect.artifacts import Artifact, dump, load, skops_inspection
from mfprefect.errors import ArtifactCorrupt, ArtifactUntrusted, ConfigurationError

X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.rename(columns=lambda name: name.replace(" ", "_")).iloc[:, :4]
NAMES = np.where(Y == 1, "yes", "no")
MIXED = X.assign(size=pd.cut(X["mean_radius"], 3, labels=["s", "m", "l"]))
XGB: dict[str, Any] = {"n_estimators": 4, "n_jobs": 1}
LGBM: dict[str, Any] = {"n_estimators": 4, "n_jobs": 1, "verbose": -1, "random_state": 0}
PROBE = """
import os

def probe(*args, **kwargs):
    os.mkdir({called!r})

os.mkdir({imported!r})
"""


def stored(model: Any, **options: Any) -> tuple[bytes, Artifact]:
    file = io.BytesIO()
    artifact = dump(model, file, **options)
    return file.getvalue(), artifact


def round_trip(model: Any) -> Any:
    content, artifact = stored(model)
    return load(io.BytesIO(content), artifact)


def made_up(content: bytes, format: str = "skops") -> tuple[io.BytesIO, Artifact]:
    """Return a file and a record that fits it: what somebody who can write rows would insert."""
    artifact = Artifact(format, len(content), hashlib.sha256(content).hexdigest(), "{}")
    return io.BytesIO(content), artifact


def predicted(model: Any, data: Any) -> bytes:
    prediction = (
        model.predict_proba(data) if hasattr(model, "predict_proba") else model.predict(data)
    )
    return bytes(np.asarray(prediction).tobytes())


# XGBoost and LightGBM

WRAPPERS = {
    "xgboost": (xgboost.XGBClassifier(**XGB), X, Y),
    "xgboost regression": (xgboost.XGBRegressor(**XGB, max_depth=2), X, Y),
    "xgboost forest": (xgboost.XGBRFClassifier(**XGB), X, Y),
    "xgboost categories": (xgboost.XGBClassifier(**XGB, enable_categorical=True), MIXED, Y),
    "lightgbm": (lightgbm.LGBMClassifier(**LGBM, num_leaves=5), X, NAMES),
    "lightgbm numbers": (lightgbm.LGBMClassifier(**LGBM), X, Y + 3),
    "lightgbm regression": (lightgbm.LGBMRegressor(**LGBM), X, Y),
    "lightgbm categories": (lightgbm.LGBMClassifier(**LGBM), MIXED, NAMES),
}


@pytest.mark.parametrize("case", WRAPPERS)
def test_boosted_models_come_back_from_their_own_format(case: str) -> None:
    model, data, target = WRAPPERS[case]
    library = case.split()[0]
    content, artifact = stored(model.fit(data, target))
    assert artifact.format == library
    assert library in json.loads(artifact.library_versions)
    again = load(io.BytesIO(content), artifact)
    assert type(again) is type(model)
    assert predicted(again, data) == predicted(model, data)
    assert again.predict(data).tolist() == model.predict(data).tolist()
    assert repr(again.get_params()) == repr(model.get_params())
    assert list(again.feature_names_in_) == list(data.columns)
    assert again.n_features_in_ == data.shape[1]
    assert again.feature_importances_.tolist() == model.feature_importances_.tolist()
    if hasattr(model, "classes_"):
        assert again.classes_.tolist() == model.classes_.tolist()
    assert stored(again)[0] == content  # the same model, the same digest
    # The library itself reads the file, in whatever language.
    if library == "xgboost":
        booster = xgboost.Booster(model_file=bytearray(content))
        table = xgboost.DMatrix(data, enable_categorical=True)
        expected = model.get_booster().predict(table)
    else:
        booster, table = lightgbm.Booster(model_str=content.decode()), data
        expected = model.booster_.predict(table)
    assert booster.predict(table).tobytes() == expected.tobytes()


def test_rankers_and_early_stopping() -> None:
    groups = [len(X) - 200, 200]
    for model in (lightgbm.LGBMRanker(**LGBM), xgboost.XGBRanker(**XGB)):
        model.fit(X, Y, group=groups)
        assert predicted(round_trip(model), X) == predicted(model, X)
    stop = lightgbm.early_stopping(1, verbose=False)
    model = lightgbm.LGBMClassifier(**{**LGBM, "n_estimators": 200}, learning_rate=0.9)
    model.fit(X[:300], Y[:300], eval_X=X[300:], eval_y=Y[300:], callbacks=[stop])
    again = round_trip(model)
    assert again.best_iteration_ == model.best_iteration_ < 200
    assert predicted(again, X) == predicted(model, X)
    other = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=1, learning_rate=0.9)
    other.fit(X[:300], Y[:300], eval_set=[(X[300:], Y[300:])], verbose=False)
    again = round_trip(other)
    assert again.best_iteration == other.best_iteration < 199
    assert predicted(again, X) == predicted(other, X)


def test_boosters_without_a_wrapper() -> None:
    table = xgboost.DMatrix(X, Y)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, table, 3)
    booster.set_attr(team="risk")
    again = round_trip(booster)
    assert again.predict(table).tobytes() == booster.predict(table).tobytes()
    assert again.attributes() == booster.attributes() == {"team": "risk"}
    data = lightgbm.Dataset(X, Y)
    other = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 3)
    assert round_trip(other).predict(X).tobytes() == other.predict(X).tobytes()


def test_boosted_models_inside_of_pipelines_and_searches() -> None:
    scaled = preprocessing.StandardScaler().set_output(transform="pandas")
    for model in (xgboost.XGBClassifier(**XGB), lightgbm.LGBMClassifier(**LGBM)):
        piped = pipeline.make_pipeline(scaled, model).fit(X, Y)
        content, artifact = stored(piped)
        assert artifact.format == "skops"
        assert predicted(load(io.BytesIO(content), artifact), X) == predicted(piped, X)
    search = model_selection.GridSearchCV(
        lightgbm.LGBMClassifier(**LGBM), {"num_leaves": [3, 5]}, cv=2
    ).fit(X, NAMES)
    assert predicted(round_trip(search), X) == predicted(search, X)


def own_objective(actual: Any, score: Any) -> tuple[Any, Any]:
    return score - actual, np.ones_like(score)


class Ours(lightgbm.LGBMClassifier):  # type: ignore[misc]
    """A team's own wrapper, whose code nobody put on the list."""


def test_what_the_formats_cannot_hold_is_refused_when_it_is_stored() -> None:
    for model in (
        lightgbm.LGBMRegressor(**LGBM, objective=own_objective),
        xgboost.XGBRegressor(**XGB, objective=own_objective),
    ):
        with pytest.raises(ConfigurationError, match=r"objective of this .* is a function"):
            stored(model.fit(X, Y))
    with pytest.raises(ConfigurationError, match="Is it fitted"):
        stored(xgboost.XGBClassifier())
    with pytest.raises(ConfigurationError, match="Is it fitted"):
        stored(lightgbm.LGBMClassifier())
    with pytest.raises(ConfigurationError, match=r"takes xgboost\.Booster, XGBClassifier"):
        stored(lightgbm.LGBMClassifier(), format="xgboost")
    with pytest.raises(ArtifactUntrusted, match="Ours"):
        stored(Ours(**LGBM).fit(X, Y))


def test_a_file_names_none_but_the_librarys_own_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    content, _ = stored(lightgbm.LGBMClassifier(**LGBM).fit(X, NAMES))
    for name in ("Dataset", "os", "basic.Booster", ["LGBMClassifier"], None):
        forged = content.replace(
            b'"class": "LGBMClassifier"', f'"class": {json.dumps(name)}'.encode()
        )
        assert forged != content
        with pytest.raises(ArtifactCorrupt, match="names the class"):
            load(*made_up(forged, "lightgbm"))
    booster = xgboost.XGBClassifier(**XGB).fit(X, Y).get_booster()
    for note in ("[]", "{", '{"class": "XGBModel", "params": {}}', '{"class": "XGBClassifier"}'):
        booster.set_attr(mfprefect=note)
        with pytest.raises(ArtifactCorrupt):
            load(*made_up(bytes(booster.save_raw("ubj")), "xgboost"))
    with pytest.raises(ConfigurationError, match="cannot rebuild"):
        load(*made_up(b"tree\nnot a model", "lightgbm"))
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mfprefect\[lightgbm\]'"):
        load(*made_up(content, "lightgbm"))


def test_onnx_files_are_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x0a\x12\x04test")
    for model, options in ((path, {}), (path.read_bytes(), {"format": "onnx"})):
        content, artifact = stored(model, **options)
        assert artifact.format == "onnx"
        assert load(io.BytesIO(content), artifact) == path.read_bytes()


# Digests

DETERMINISTIC = {
    "forest": ensemble.RandomForestClassifier(5, random_state=0),
    "histogram": ensemble.HistGradientBoostingClassifier(max_iter=3, random_state=0),
    "pipeline": pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression()
    ),
}


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_the_same_training_has_the_same_digest(name: str) -> None:
    model = DETERMINISTIC[name]
    digests = {stored(model.fit(X, Y))[1].sha256 for _ in range(2)}
    assert len(digests) == 1
    assert stored(model.fit(X[1:], Y[1:]))[1].sha256 not in digests


# Hostile files


def node(kind: str, module: str, loader: str, **more: Any) -> dict[str, Any]:
    return {"__class__": kind, "__module__": module, "__loader__": loader, **more}


def text(value: Any) -> dict[str, Any]:
    return node("str", "builtins", "JsonNode", content=json.dumps(value), is_json=True)


def several(*values: Any) -> dict[str, Any]:
    return node("tuple", "builtins", "TupleNode", content=list(values))


def skops_file(schema: Any, members: dict[str, bytes] | None = None, how: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in (members or {}).items():
            archive.writestr(name, content)
        schema = {"protocol": 2, "_skops_version": "0.16.0", **schema}
        archive.writestr("schema.json", json.dumps(schema))
    return file.getvalue()


LOADERS = sorted(
    {loader for loader, _ in importlib.import_module("skops.io._audit").NODE_TYPE_MAPPING}
)


@pytest.mark.parametrize("loader", LOADERS)
def test_no_loader_of_skops_reaches_code_that_is_not_listed(
    loader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever way of making objects a file asks for, it neither imports nor calls."""
    trace = tmp_path / "trace"
    code = PROBE.format(called=str(trace), imported=str(tmp_path / "imported"))
    (tmp_path / "hostile_probe.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    call = node("probe", "hostile_probe", "FunctionNode")
    empty = node(
        "dict",
        "builtins",
        "DictNode",
        content={},
        key_types=node("list", "builtins", "ListNode", content=[]),
    )
    contents: tuple[Any, ...] = (
        several(text("x")),
        [text("x")],
        {"x": text("x")},
        {"func": call, "args": several(), "kwds": empty, "namespace": empty},
        {"obj": call, "func": "__call__"},
        {"main": empty, "default_factory": call},
        {"data": call, "mask": call},
        json.dumps("x"),
    )
    for content in contents:
        schema = node(
            "probe", "hostile_probe", loader, content=content, attrs=several(text("x")),
            key_types=node("list", "builtins", "ListNode", content=[]), type="json",
            shape=several(text(1)), file="a.npy", is_json=True,
        )  # fmt: skip
        for root in (schema, several(schema)):
            try:
                load(*made_up(skops_file(root, {"a.npy": b"x"})))
            except (ArtifactUntrusted, ArtifactCorrupt, ConfigurationError):
                continue
            assert loader in ("JsonNode", "SliceNode")  # these are text and three numbers
    assert not trace.exists()
    assert not (tmp_path / "imported").exists()
    assert "hostile_probe" not in sys.modules


@settings(max_examples=50)
@given(data=st.data())
def test_nothing_that_is_not_listed_hides_inside_of_a_model(data: st.DataObject) -> None:
    """Whatever object of a real model's file is made another one: nothing is imported or called.

    What skops never reads, such as an object that came before, is ignored; the rest is refused.
    """
    with zipfile.ZipFile(io.BytesIO(small_pipeline())) as archive:
        schema = json.loads(archive.read("schema.json"))
        members = {n: archive.read(n) for n in archive.namelist() if n != "schema.json"}
    inside = [node for node in skops_inspection.nodes(schema) if "__loader__" in node]
    changed = data.draw(st.sampled_from(inside))
    hostile = [("os", "abort"), ("posix", "abort"), ("turtledemo", "chaos")]
    changed["__module__"], changed["__class__"] = data.draw(st.sampled_from(hostile))
    if data.draw(st.booleans()):
        changed["__loader__"] = data.draw(st.sampled_from(LOADERS))
    with contextlib.suppress(ArtifactUntrusted, ArtifactCorrupt, ConfigurationError):
        load(*made_up(skops_file(schema, members)))
    assert "turtledemo" not in sys.modules  # and this process was not aborted


@functools.cache
def small_pipeline() -> bytes:
    steps = preprocessing.StandardScaler(), ensemble.RandomForestClassifier(2, random_state=0)
    return stored(pipeline.make_pipeline(*steps).fit(X, Y))[0]


@pytest.mark.parametrize("name", ["attrgetter", "methodcaller", "itemgetter"])
def test_operators_are_refused(name: str) -> None:
    schema = node(name, "operator", "OperatorFuncNode", attrs=several(text("__class__")))
    with pytest.raises(ArtifactUntrusted, match=f"operator.{name}"):
        load(*made_up(skops_file(schema)))
    hidden = node(name, "sklearn.pipeline", "OperatorFuncNode", attrs=several(text("__class__")))
    with pytest.raises(ConfigurationError, match="operator"):
        load(*made_up(skops_file(hidden)))


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(trace),)

    file = io.BytesIO()
    np.save(file, np.array([Hostile()], dtype=object), allow_pickle=True)
    schema = node("ndarray", "numpy", "NdArrayNode", type="numpy", file="a.npy")
    with pytest.raises(ConfigurationError, match="allow_pickle"):
        load(*made_up(skops_file(schema, {"a.npy": file.getvalue()})))
    assert not trace.exists()


def test_a_booster_reads_no_other_file(tmp_path: Path) -> None:
    model = tmp_path / "other.txt"
    lightgbm.LGBMClassifier(**LGBM).fit(X, Y).booster_.save_model(model)
    arguments = several(text({}), text(None), text(str(model)))
    schema = node("Booster", "lightgbm.basic", "ConstructorFromReduceNode", content=arguments)
    with pytest.raises(ArtifactCorrupt, match="ConstructorFromReduceNode"):
        load(*made_up(skops_file(schema)))


# Bombs


def array(count: int) -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(count))
    return file.getvalue()


def numbered(file: str, number: int | None = None) -> dict[str, Any]:
    more = {} if number is None else {"__id__": number}
    return node("ndarray", "numpy", "NdArrayNode", type="numpy", file=file, **more)


def test_a_compressed_file_is_not_unpacked() -> None:
    bomb = skops_file(numbered("a.npy"), {"a.npy": array(5_000_000)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(ArtifactCorrupt, match="compressed members"):
        load(*made_up(bomb), trusted=True)


def test_members_that_overlap_or_are_read_many_times_are_refused() -> None:
    one = skops_file(several(*(numbered("a.npy", 1) for _ in range(100))), {"a.npy": array(9_999)})
    assert len(load(*made_up(one))) == 100  # one array, held a hundred times
    many = skops_file(
        several(*(numbered("a.npy", 1 + n) for n in range(100))), {"a.npy": array(9_999)}
    )
    with pytest.raises(ArtifactCorrupt, match="repeatedly, 80"):
        load(*made_up(many), trusted=True)
    # The directory at the end says that the member is longer than the file.
    stretched = bytearray(one)
    place = stretched.rindex(b"PK\x01\x02", 0, stretched.rindex(b"schema.json") - 46)
    stretched[place + 24 : place + 28] = (900_000_000).to_bytes(4, "little")
    with pytest.raises(ArtifactCorrupt, match="claims to hold 9"):
        load(*made_up(bytes(stretched)), trusted=True)


def test_a_sparse_matrix_is_a_bomb_inside_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skops_inspection, "SPARSE_BYTES", 1_000_000)
    model = svm.SVC().fit(sparse.csr_matrix(X), Y)
    assert predicted(round_trip(model), X.to_numpy()) == predicted(model, X.to_numpy())
    file = io.BytesIO()
    ones = np.ones(1_000_000), np.zeros(1_000_000, np.int32), np.array([0, 1_000_000])
    sparse.save_npz(file, sparse.csr_matrix(ones))
    schema = node("csr_matrix", "scipy.sparse._csr", "SparseMatrixNode", type="scipy", file="a.npz")
    bomb = skops_file(schema, {"a.npz": file.getvalue()})
    with pytest.raises(ArtifactCorrupt, match="unpack sparse matrices to 12"):
        load(*made_up(bomb), trusted=True)


@pytest.mark.parametrize(
    "schema",
    [[], {"a": 1}, node("x", "y", "NoNode"), numbered("missing.npy"), numbered("../../etc/passwd")],
)
def test_schemas_that_skops_never_wrote(schema: Any) -> None:
    content = skops_file(schema if isinstance(schema, dict) else {"content": schema})
    with pytest.raises((ArtifactCorrupt, ConfigurationError)):
        load(*made_up(content))


def test_a_schema_that_is_nested_too_deeply() -> None:
    deep = text(1)
    for _ in range(400):
        deep = several(deep)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", "[" * 200_000 + "]" * 200_000)
    with pytest.raises(ArtifactCorrupt):
        load(*made_up(file.getvalue()))
    for content in (skops_file(deep), b"PK\x05\x06" + bytes(18), b""):
        with pytest.raises((ArtifactCorrupt, ConfigurationError)):
            load(*made_up(content))


# Memory

STREAMED = r"""
import re, sys
from pathlib import Path
import mfprefect

def peak():
    # Not ru_maxrss, which begins with that of the process that started this one.
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024

with mfprefect.connect(sys.argv[1]) as store:
    with store.session("churn", purpose="train") as session:
        session.save_model(b"small")
    store.load_model(session.session_id)
    before = peak()
    with store.session("churn", purpose="train") as session:
        session.save_model(Path(sys.argv[2]))
    saved = peak()
    store.copy_model(session.session_id, Path(sys.argv[3]))
    print(session.session_id, before, saved, peak())
"""


def test_a_large_model_is_streamed_both_ways(database_url: str, tmp_path: Path) -> None:
    size = int(os.environ.get("MFPREFECT_TEST_MODEL_MB", "96"))
    source, target = tmp_path / "model.bin", tmp_path / "again.bin"
    with source.open("wb") as file:
        for _ in range(size):
            file.write(os.urandom(1 << 20))
    with mfprefect.connect(database_url) as store:
        store.create_schema()
        store.add_model("churn")
    done = subprocess.run(
        [sys.executable, "-c", STREAMED, database_url, source, target],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, before, saved, copied = done.stdout.split()
    print(f"{size} MB: {before} MB before, {saved} when stored, {copied} when read")
    assert int(copied) - int(before) < 80
    with source.open("rb") as one, target.open("rb") as other:
        digests = [hashlib.file_digest(file, "sha256").hexdigest() for file in (one, other)]
    assert digests[0] == digests[1]


def test_a_large_forest_takes_the_memory_of_its_largest_tree() -> None:
    forest = ensemble.ExtraTreesRegressor(1, random_state=0).fit(
        np.arange(60_000).reshape(-1, 2), np.random.default_rng(0).random(30_000)
    )
    forest.estimators_ = [copy.deepcopy(forest.estimators_[0]) for _ in range(24)]
    with tempfile.TemporaryFile() as file:
        stored_in, artifact = memory_of(lambda: dump(forest, file))
        loaded_in, again = memory_of(lambda: load(file, artifact))
    assert artifact.size > 90_000_000
    assert stored_in < 0.15 * artifact.size
    assert loaded_in < 0.15 * artifact.size  # beside the trees, which NumPy does not hold
    assert [tree.tree_.node_count for tree in again.estimators_] == [59_999] * 24
    assert predicted(again, [[5, 6], [900, 901]]) == predicted(forest, [[5, 6], [900, 901]])


def memory_of(work: Callable[[], Any]) -> tuple[int, Any]:
    """Return how many bytes at most were taken at once, and the result."""
    tracemalloc.start()
    try:
        result = work()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def test_a_copy_that_is_not_the_one_stored_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "model.bin"
    with mfprefect.connect(f"sqlite:///{tmp_path / 'a.db'}") as store:
        store.create_schema()
        store.add_model("churn")
        with store.session("churn", purpose="train") as session:
            session.save_model(b"RDX3\n")
        copied = store.copy_model(session.session_id, target)
        assert (copied["bytes"], target.read_bytes()) == (5, b"RDX3\n")
        with pytest.raises(mfprefect.InvalidValue, match="exists"):
            store.copy_model(session.session_id, target)
        target.unlink()
        chunks = store.database.schema.artifact_chunks
        store.database.write_transaction(
            lambda c, _: c.execute(chunks.update().values(bytes=b"RDX4\n"))
        )
        with pytest.raises(ArtifactCorrupt):
            store.copy_model(session.session_id, target)
    assert list(tmp_path.glob("*.bin*")) == []
    assert list(tmp_path.glob(".model*")) == []


def test_a_record_of_another_artifact_is_no_record_of_this_one() -> None:
    content, artifact = stored(lightgbm.LGBMClassifier(**LGBM).fit(X, Y))
    with pytest.raises(ArtifactCorrupt, match="damaged or replaced"):
        load(io.BytesIO(content), dataclasses.replace(artifact, size=artifact.size + 1))

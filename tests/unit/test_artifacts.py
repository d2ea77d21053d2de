# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import builtins
import dataclasses
import hashlib
import importlib
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import sklearn.base
from hypothesis import given
from hypothesis import strategies as st
from sklearn import cluster, ensemble, linear_model, preprocessing
from sklearn.datasets import load_breast_cancer

from mfprefect.artifacts import CHUNK_BYTES, Artifact, chunks, dump, load, sign, skops
from mfprefect.errors import ArtifactCorrupt, ArtifactUntrusted, ConfigurationError

CANCER = load_breast_cancer(as_frame=True)
X = CANCER.data
Y = CANCER.target.to_numpy()
SMALL = X.to_numpy()[:, :4]
KEY = "the key of the team"


class Unlisted(linear_model.LogisticRegression):  # type: ignore[misc]
    """A team's own estimator, whose code nobody put on the list."""


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def stored(model: Any, **options: Any) -> tuple[io.BytesIO, Artifact]:
    file = io.BytesIO()
    return file, dump(model, file, **options)


@pytest.fixture(scope="module")
def logit() -> Any:
    return linear_model.LogisticRegression().fit(preprocessing.scale(SMALL), Y)


@pytest.fixture(scope="module")
def blob(logit: Any) -> tuple[bytes, Artifact]:
    file, artifact = stored(logit)
    return file.getvalue(), artifact


def test_record(blob: tuple[bytes, Artifact]) -> None:
    content, artifact = blob
    assert artifact.format == "skops"
    assert artifact.size == len(content)
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    versions = json.loads(artifact.library_versions)
    assert versions["scikit-learn"] == sklearn.__version__
    assert versions["numpy"] == np.__version__
    assert versions["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"


def _without_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_ids(child) for child in node]
    if not isinstance(node, dict):
        return node
    passing = ("__id__", "file")  # skops: addresses in memory
    return {key: _without_ids(child) for key, child in node.items() if key not in passing}


@pytest.mark.parametrize("protocol", [skops._PROTOCOL, -1])
def test_a_skops_file_is_what_skops_writes(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    forest = ensemble.RandomForestClassifier(5, random_state=0).fit(X, Y)
    monkeypatch.setattr(skops, "_PROTOCOL", protocol)
    ours, _ = stored(forest)
    theirs = io.BytesIO(importlib.import_module("skops.io").dumps(forest))
    schemas, arrays = [], []
    for file in (ours, theirs):
        with zipfile.ZipFile(file) as archive:
            schemas.append(_without_ids(json.loads(archive.read("schema.json"))))
            names = [name for name in archive.namelist() if name != "schema.json"]
            arrays.append([archive.read(name) for name in names])
    assert schemas[0] == schemas[1]
    assert arrays[0] == arrays[1]
    shorter = len(ours.getvalue()) < 0.7 * len(theirs.getvalue())
    assert shorter == (protocol > 0)  # another version of skops writes the file itself


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_changed_bit_is_corrupt(
    blob: tuple[bytes, Artifact], position: float, bit: int
) -> None:
    content, artifact = blob
    changed = bytearray(content)
    changed[int(position * len(content))] ^= 1 << bit
    with pytest.raises(ArtifactCorrupt) as caught:
        load(io.BytesIO(changed), artifact)
    assert artifact.sha256 in str(caught.value)
    assert hashlib.sha256(changed).hexdigest() in str(caught.value)


@given(position=st.floats(0, 1, exclude_max=True))
def test_truncated_is_corrupt(blob: tuple[bytes, Artifact], position: float) -> None:
    content, artifact = blob
    with pytest.raises(ArtifactCorrupt, match=f"but {artifact.size} bytes with SHA-256"):
        load(io.BytesIO(content[: int(position * len(content))]), artifact)
    with pytest.raises(ArtifactCorrupt):
        load(io.BytesIO(content + b"\0"), artifact, trusted=True)


def test_an_artifact_that_is_no_skops_file() -> None:
    file, artifact = stored(b"not a zip file")
    with pytest.raises(ArtifactCorrupt, match="not a skops file"):
        load(file, dataclasses.replace(artifact, format="skops"))


def test_chunks_cover_the_file() -> None:
    content = os.urandom(2 * CHUNK_BYTES + 17)
    file = io.BytesIO(content)
    file.seek(99)
    parts = list(chunks(file))
    assert [len(part) for part in parts] == [CHUNK_BYTES, CHUNK_BYTES, 17]
    assert b"".join(parts) == content
    assert list(chunks(io.BytesIO())) == []


def test_bytes_and_files_come_back_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.rds"
    path.write_bytes(b"RDX3\n")
    for model in (b"RDX3\n", bytearray(b"RDX3\n"), memoryview(b"RDX3\n"), path):
        file, artifact = stored(model)
        assert (artifact.format, artifact.size, artifact.library_versions) == ("bytes", 5, "{}")
        assert load(file, artifact) == b"RDX3\n"
    file, artifact = stored(b"")
    assert load(file, artifact) == b""


def test_an_earlier_content_of_the_file_is_overwritten(logit: Any) -> None:
    file = io.BytesIO(b"x" * 100_000)
    file.seek(50)
    assert load(file, dump(logit, file)).coef_.tobytes() == logit.coef_.tobytes()


def test_other_objects_need_a_choice() -> None:
    with pytest.raises(ArtifactUntrusted, match='format="pickle"') as caught:
        stored({"a": 1})
    assert caught.value.types == ("builtins.dict",)
    with pytest.raises(ConfigurationError, match="'joblib'; choices: 'skops'"):
        stored({"a": 1}, format="joblib")
    with pytest.raises(ConfigurationError, match=r"not a builtins\.str"):
        stored("model.rds", format="bytes")


def test_a_format_of_a_later_version(blob: tuple[bytes, Artifact]) -> None:
    with pytest.raises(ConfigurationError, match="'wasm'; choices"):
        load(io.BytesIO(blob[0]), dataclasses.replace(blob[1], format="wasm"), trusted=True)


def test_a_class_that_is_not_listed_is_refused_at_dump() -> None:
    model = Unlisted().fit(preprocessing.scale(SMALL), Y)
    name = f"{Unlisted.__module__}.Unlisted"
    file = io.BytesIO()
    with pytest.raises(ArtifactUntrusted, match="MFPREFECT_TRUSTED_TYPES") as caught:
        dump(model, file)
    assert caught.value.types == (name,)
    assert file.getvalue() == b""
    artifact = dump(model, file, trusted_types=[name])
    with pytest.raises(ArtifactUntrusted, match=f"trusted_types=.*{name}"):
        load(file, artifact)
    assert isinstance(load(file, artifact, trusted_types=[name]), Unlisted)
    assert isinstance(load(file, artifact, trusted=True), Unlisted)
    with pytest.raises(ConfigurationError, match="pass a list"):
        dump(model, file, trusted_types=name)


@pytest.mark.parametrize("function", [os.system, np.load, builtins.eval])
def test_a_function_that_could_do_anything_is_refused(function: Callable[..., Any]) -> None:
    model = preprocessing.FunctionTransformer(function)
    with pytest.raises(ArtifactUntrusted, match=function.__name__):
        stored(model)


def test_what_skops_cannot_hold_is_explained() -> None:
    model = cluster.Birch().fit(SMALL)
    with pytest.raises(ConfigurationError, match=r"skops cannot hold this sklearn\.cluster"):
        stored(model)


def test_pickle_needs_trust() -> None:
    file, artifact = stored({"a": [1, 2]}, format="pickle")
    assert artifact.format == "pickle"
    with pytest.raises(ArtifactUntrusted, match="can run any code"):
        load(file, artifact)
    assert load(file, artifact, trusted=True) == {"a": [1, 2]}


def test_pickle_holds_functions_of_a_notebook() -> None:
    offset = 3
    file, artifact = stored(lambda x: x + offset, format="pickle")
    assert load(file, artifact, trusted=True)(4) == 7


def test_a_hostile_pickle_is_never_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = pickle.dumps(Hostile(trace))
    digest = hashlib.sha256(content).hexdigest()
    artifact = Artifact("pickle", len(content), digest, "{}")
    forged = dataclasses.replace(artifact, signature=sign(artifact, "another key"))
    with pytest.raises(ArtifactUntrusted):
        load(io.BytesIO(content), artifact)
    with pytest.raises(ArtifactUntrusted):
        load(io.BytesIO(content), artifact, signing_key=KEY)
    with pytest.raises(ArtifactUntrusted):
        load(io.BytesIO(content), forged, signing_key=KEY)
    with pytest.raises(ArtifactUntrusted):
        load(io.BytesIO(content), forged)
    with pytest.raises(ArtifactCorrupt):
        load(io.BytesIO(content), dataclasses.replace(artifact, sha256="0" * 64), trusted=True)
    with pytest.raises(ArtifactCorrupt):
        load(io.BytesIO(content), dataclasses.replace(artifact, format="skops"), trusted=True)
    assert load(io.BytesIO(content), dataclasses.replace(artifact, format="bytes")) == content
    assert not trace.exists()
    load(io.BytesIO(content), artifact, trusted=True)
    assert trace.exists()  # so the refusals above did prevent something


def test_a_hostile_skops_file_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    arguments = {
        "__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode",
        "content": [{
            "__class__": "str", "__module__": "builtins", "__loader__": "JsonNode",
            "content": json.dumps(str(trace)), "is_json": True,
        }],
    }  # fmt: skip
    schema = {
        "__class__": "mkdir", "__module__": "os", "__loader__": "ConstructorFromReduceNode",
        "content": arguments, "protocol": 2, "_skops_version": "0.16.0",
    }  # fmt: skip
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    content = file.getvalue()
    artifact = Artifact("skops", len(content), hashlib.sha256(content).hexdigest(), "{}")
    with pytest.raises(ArtifactUntrusted, match=r"os\.mkdir"):
        load(file, artifact)
    assert not trace.exists()
    load(file, artifact, trusted=True)
    assert trace.exists()  # so the refusal above did prevent something


@pytest.mark.parametrize("format", ["skops", "pickle", "bytes"])
def test_with_a_key_only_what_is_signed_is_loaded(logit: Any, format: str) -> None:
    model = b"RDX3\n" if format == "bytes" else logit
    file, artifact = stored(model, format=format, signing_key=KEY)
    again = load(file, artifact, signing_key=KEY)
    assert again == model if format == "bytes" else np.array_equal(again.coef_, logit.coef_)
    for wrong in (None, "", "é", sign(artifact, "another key")):
        changed = dataclasses.replace(artifact, signature=wrong)
        with pytest.raises(ArtifactUntrusted, match="MFPREFECT_SIGNING_KEY"):
            load(file, changed, signing_key=KEY)
        load(file, changed, signing_key=KEY, trusted=True)


def test_a_signature_covers_the_format() -> None:
    file, artifact = stored(pickle.dumps(1), signing_key=KEY)
    assert artifact.format == "bytes"
    with pytest.raises(ArtifactUntrusted):
        load(file, dataclasses.replace(artifact, format="pickle"), signing_key=KEY)


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        stored(b"x", signing_key="")
    file, artifact = stored({"a": 1}, format="pickle")
    forged = dataclasses.replace(artifact, signature="")
    with pytest.raises(ConfigurationError, match="empty"):
        load(file, forged, signing_key="")


def test_other_versions_are_logged_and_not_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = ensemble.GradientBoostingClassifier(n_estimators=2).fit(SMALL, Y)
    with monkeypatch.context() as patched:
        patched.setattr(sklearn.base, "__version__", "1.0.2")  # scikit-learn writes it into models
        file, artifact = stored(model)
    versions = {**json.loads(artifact.library_versions), "scikit-learn": "1.0.2", "gone": "7"}
    with caplog.at_level(logging.WARNING):
        load(file, artifact)
        assert not caplog.records
        again = load(file, dataclasses.replace(artifact, library_versions=json.dumps(versions)))
    assert again.predict_proba(SMALL).tobytes() == model.predict_proba(SMALL).tobytes()
    assert f"scikit-learn 1.0.2, installed is {sklearn.__version__}" in caplog.text
    assert "gone 7, installed is none" in caplog.text
    with pytest.raises(ArtifactCorrupt, match="not JSON"):
        load(file, dataclasses.replace(artifact, library_versions="{"))


def test_a_model_of_a_missing_module() -> None:
    content = b"cnot_installed_anywhere\nModel\n."
    digest = hashlib.sha256(content).hexdigest()
    artifact = Artifact("pickle", len(content), digest, '{"python": "3.11"}')
    with pytest.raises(ConfigurationError, match="not_installed_anywhere"):
        load(io.BytesIO(content), artifact, trusted=True)


def test_without_skops_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, logit: Any) -> None:
    file, artifact = stored(logit)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mfprefect\[sklearn\]'"):
        stored(logit)
    with pytest.raises(ConfigurationError, match=r"pip install 'mfprefect\[sklearn\]'"):
        load(file, artifact)


def test_importing_and_bytes_need_no_scikit_learn() -> None:
    code = (
        "import io, sys; from mfprefect.artifacts import dump, load\n"
        "file = io.BytesIO(); load(file, dump(b'x', file))\n"
        "assert not {'sklearn', 'skops', 'numpy', 'pandas', 'cloudpickle'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

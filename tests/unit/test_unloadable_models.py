"""What no other program could load is not stored, and the message says what to do."""

from __future__ import annotations

import io
import threading
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from mfprefect.artifacts import dump, load
from mfprefect.errors import ArtifactUntrusted, ConfigurationError

X = np.arange(50.0).reshape(-1, 1)


def halved(values: Any) -> Any:
    return values / 2


def of_a_script(values: Any) -> Any:
    return values


def of_a_loaded_file(values: Any) -> Any:
    return values


of_a_script.__module__ = "__main__"
of_a_loaded_file.__module__ = "__prefect_loader_123__"


class Outer:
    class Step(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped
        def fit(self, features: Any, target: Any = None) -> Any:
            self.fitted_ = True
            return self

        def transform(self, features: Any) -> Any:
            return features


def local() -> Any:
    def inner(values: Any) -> Any:
        return values

    return inner


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (FunctionTransformer(lambda values: values), "a lambda of "),
        (FunctionTransformer(partial(lambda values, by: values, by=1)), "a lambda of "),
        (FunctionTransformer(local()), "'inner', which is not at the top level"),
        (FunctionTransformer(of_a_script), "'of_a_script' of a script"),
        (FunctionTransformer(of_a_loaded_file), "'of_a_loaded_file' of a script"),
        (Outer.Step(), "'Step', which is not at the top level"),
    ],
)
def test_what_has_no_importable_name_is_refused(step: Any, named: str) -> None:
    model = make_pipeline(step, LogisticRegression())
    model.fit(X, X[:, 0] > 20)
    file = io.BytesIO()
    with pytest.raises(ArtifactUntrusted, match="to the top level of a module") as refusal:
        dump(model, file)
    message = str(refusal.value)
    assert named in message
    for advice in ("trusted_types", "TRUSTED_TYPES", "<lambda>", "__main__"):
        assert advice not in message
    with pytest.raises(ArtifactUntrusted, match="to the top level of a module"):
        dump(model, file, trusted_types=refusal.value.types)
    assert not file.getvalue()


def test_a_function_of_a_module_can_be_trusted() -> None:
    model = FunctionTransformer(halved).fit(X)
    file = io.BytesIO()
    with pytest.raises(ArtifactUntrusted, match="TRUSTED_TYPES") as refusal:
        dump(model, file)
    artifact = dump(model, file, trusted_types=refusal.value.types)
    again = load(file, artifact, trusted_types=refusal.value.types)
    np.testing.assert_array_equal(again.transform(X), X / 2)


def test_what_pickle_cannot_hold_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"pickle cannot hold this .*lock"):
        dump(threading.Lock(), io.BytesIO(), format="pickle")

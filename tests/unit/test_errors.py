from __future__ import annotations

import copy
import datetime as dt
import pickle
import re
from typing import Any

import pytest

from mfprefect import errors

EXAMPLES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "SchemaOutdated": (("old",), {"found": None, "expected": "0002"}),
    "AlreadyPromoted": (
        ("it is there",),
        {"session_id": "a", "since": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "by": "me"},
    ),
    "InvalidScores": (("refused",), {"examples": ["a", "\ud800", 3]}),
    "UnknownModel": (("churn", ["crm", "risk"]), {}),
    "UnknownSession": (("churn-1",), {}),
    "SessionClosed": (("churn-1", "it is failed"), {}),
    "ChecksFailed": (("2 checks failed",), {"failures": [{"check_name": "a", "passed": False}]}),
    "CommandFailed": (
        ("ended with 3",),
        {"command": ["Rscript", "a.R"], "exit_code": 3, "tail": ["x"], "transient": True},
    ),
    "NotReproducible": (("churn-1", ["it ran with changes", "the commit is gone"]), {}),
    "GateFailed": (("1 gate failed",), {"failures": ["auc is 0.5"]}),
    "ArtifactUntrusted": (("not trusted",), {"types": ["os.system"]}),
}


def example(name: str) -> errors.MfprefectError:
    arguments, named = EXAMPLES.get(name, ((f"a message of {name}",), {}))
    error: errors.MfprefectError = getattr(errors, name)(*arguments, **named)
    return error


def drawn() -> dict[str, str]:
    """Return the parent of each error, as the tree in the module's docstring shows it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:[│ ]   )*)(?:[├└]── )?(\w+)(?:\s{2,}|$)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 + ("── " in line)
        path[depth:] = [match[2]]
        parents[match[2]] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    real = {name: getattr(errors, name).__bases__[0].__name__ for name in errors.__all__}
    assert drawn() == real


def test_every_error_of_the_module_is_public() -> None:
    defined = {
        n
        for n, v in vars(errors).items()
        if isinstance(v, type) and v.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_survives_the_way_to_another_process(name: str) -> None:
    error = example(name)
    error.add_note("seen in part 3")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.args == error.args
        assert vars(again) == vars(error)


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_is_caught_by_the_root(name: str) -> None:
    with pytest.raises(errors.MfprefectError):
        raise example(name)


def test_an_unknown_model_names_the_choices_and_the_fix() -> None:
    error = errors.UnknownModel("chrun", ["churn", "risk"])
    assert "'chrun'" in str(error)
    assert "churn, risk" in str(error)
    assert "store.add_model('chrun')" in str(error)
    assert (error.model_id, error.known) == ("chrun", ("churn", "risk"))
    assert isinstance(error, LookupError)


def test_an_unknown_model_says_that_there_is_none() -> None:
    assert "registered models: none" in str(errors.UnknownModel("churn"))


def test_an_unknown_session_tells_how_to_list_them() -> None:
    error = errors.UnknownSession("churn-1")
    assert "'churn-1'" in str(error)
    assert "mfprefect sessions" in str(error)
    assert error.session_id == "churn-1"
    assert isinstance(error, LookupError)


def test_a_closed_session_says_which_and_why() -> None:
    error = errors.SessionClosed("churn-1", "it was deleted")
    assert "churn-1" in str(error)
    assert "it was deleted" in str(error)


def test_only_unavailability_and_conflicts_are_transient() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__]
    transient = {k.__name__ for k in kinds if getattr(k, "transient", False)}
    assert transient == {"DatabaseUnavailable", "DatabaseConflict", "SpoolUnusable"}


def test_refused_values_are_value_errors() -> None:
    assert issubclass(errors.InvalidValue, ValueError)
    assert errors.InvalidScores("refused", examples=["a"]).examples == ("a",)

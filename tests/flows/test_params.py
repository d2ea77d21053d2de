"""Parameters that a model declares, in whole flows."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from prefect.utilities.callables import parameter_schema
from sklearn.tree import DecisionTreeClassifier

from mfprefect import InvalidValue, Model, Store
from mfprefect.cli import cli

DAY = dt.date(2026, 1, 31)

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def rows(seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(draw.normal(size=(400, 2)), columns=["income", "age"])
    frame.insert(0, "id", [f"c{number}" for number in range(400)])
    return frame.assign(y=(frame["income"] + draw.normal(size=400) > 0).astype(int))


class Tree(Model):
    model_id, entity_id, target, retries, trial_rows = "tree", "id", "y", 0, 10
    params = {"depth": 3, "leaf": 0.01, "kind": "best"}

    def training_data(self, as_of: dt.date) -> pd.DataFrame:
        return rows()

    def fit(self, features: pd.DataFrame, target: Any) -> Any:
        return DecisionTreeClassifier(
            max_depth=self.params["depth"],
            min_samples_leaf=self.params["leaf"],
            splitter=self.params["kind"],
            random_state=0,
        ).fit(features, target)

    def scoring_data(self, as_of: dt.date, part: int) -> pd.DataFrame:
        return rows(1).drop(columns="y").head(self.params["depth"])


def params(store: Store, session_id: str) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(store.show(session_id)["params"][0])
    return stored


def test_parameters_reach_fit_and_come_back_when_its_model_scores(flow_store: Store) -> None:
    train, score, _ = Tree.flows()
    default = train(DAY)
    assert params(flow_store, default).items() >= {"depth": 3, "leaf": 0.01, "kind": "best"}.items()
    trained = train(DAY, params={"depth": np.int64(5)})
    assert flow_store.load_model(trained).get_params()["max_depth"] == 5
    assert params(flow_store, trained)["estimator.max_depth"] == 5
    assert len(flow_store.scores(score(DAY))) == 5  # the last training
    assert len(flow_store.scores(score(DAY, training_session_id=default))) == 3
    assert Tree().params["depth"] == 3
    frame = flow_store.experiments("tree", where=["depth=5"])
    assert frame["session_id"].tolist() == [trained]
    assert str(frame["params.leaf"].dtype) == "float64"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dept": 5}, "declares no parameter 'dept'; its parameters are 'depth', 'leaf', 'kind'"),
        ({"depth": "deep"}, "must be an integer"),
    ],
)
def test_nothing_is_written_for_parameters_that_do_not_fit(
    flow_store: Store, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidValue, match=message):
        Tree.flows().train(DAY, params=given)
    assert len(flow_store.sessions(trials=True)) == 0


def test_prefects_form_has_a_field_for_each_parameter(flow_store: Store) -> None:
    schema = parameter_schema(Tree.flows().train).model_dump()["properties"]["params"]
    form = next(choice for choice in schema["anyOf"] if choice.get("type") == "object")
    fields = {name: (field["type"], field["default"]) for name, field in form["properties"].items()}
    assert fields == {
        **{"depth": ("integer", 3), "leaf": ("number", 0.01), "kind": ("string", "best")}
    }
    assert form["additionalProperties"] is False


def test_a_trial_becomes_a_training_by_one_command(
    flow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tree.py").write_text(Path(__file__).read_text())
    monkeypatch.chdir(tmp_path)
    Tree.flows().train(DAY)
    with flow_store.session("tree", "trial", params={"depth": 7, "note": "other"}) as trial:
        trial.log_metrics({"auc": 0.9})
    command = ["train", "tree", "--from", trial.session_id, "--as-of", "2026-01-31"]
    result = CliRunner().invoke(
        cli, [*command, "--entrypoint", "tree.py:Tree", "--param", "leaf=0.02", "--json"]
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout[result.stdout.index("{") :])
    assert document["params"] == {"depth": 7, "leaf": 0.02}
    stored = params(flow_store, document["session_id"])
    assert (stored["depth"], stored["leaf"], stored["kind"]) == (7, 0.02, "best")
    assert "note" not in stored
    refused = CliRunner().invoke(cli, [*command, "--entrypoint", "tree.py:Tree", "--param", "x=1"])
    assert refused.exit_code == 1
    assert "declares no parameter 'x'" in refused.output

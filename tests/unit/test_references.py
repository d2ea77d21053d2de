"""`${NAME}` in settings: what is missing stops only what needs it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from pydantic import SecretStr

import mfprefect
from mfprefect import ConfigurationError, Store
from mfprefect.cli import cli
from mfprefect.inputs.reader import Reader
from mfprefect.lifecycle.settings_env import settings_variables
from mfprefect.redaction import Redactor, secrets
from mfprefect.settings import load_settings, read_settings
from mfprefect.util.references import resolve

CONFIG = """
url = "sqlite:///store.db"
[sources.crm]
url = "postgresql://ann:planted-word@${CRM_HOST}/${CRM_NAME}"
[exports.mart]
table = "scores"
url = "mysql://ann:${MART_PASSWORD}@host/mart"
[notify.ops]
url = "mailto://ann:${MAIL_PASSWORD}@mail.example.com"
events = ["succeeded"]
[verify_keys]
old = "${OLD_KEY}"
"""
SCORES = pd.DataFrame({"id": ["a"], "score": [0.5]})
UNSET = {
    "sources.crm.url": ["CRM_HOST", "CRM_NAME"],
    "exports.mart.url": ["MART_PASSWORD"],
    "notify.ops.url": ["MAIL_PASSWORD"],
    "verify_keys.old": ["OLD_KEY"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mfprefect.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def store() -> Store:
    store = mfprefect.connect()
    store.create_schema()
    store.add_model("churn")
    return store


def test_a_run_needs_none_of_them(store: Store) -> None:
    with store.session("churn") as session:
        session.log_metrics({"auc": 0.5})
    assert session.status == "succeeded"
    (failure,) = store.notifications(session.session_id)["failure"]
    assert failure == "notify.ops.url refers to ${MAIL_PASSWORD}, which is not set; " + (
        "export MAIL_PASSWORD."
    )


def test_what_needs_one_names_it_and_where_it_is(store: Store) -> None:
    with pytest.raises(ConfigurationError, match=r"sources\.crm\.url .* \$\{CRM_HOST\}, \$\{CRM"):
        Reader(store.database.settings).read("select 1", source="crm")
    with store.session("churn", purpose="score") as session:
        session.write_scores(SCORES, entity_id="id")
    with pytest.raises(ConfigurationError, match=r"exports\.mart\.url .* export MART_PASSWORD"):
        store.export(session.session_id, "mart")
    with pytest.raises(ConfigurationError, match=r"verify_keys\.old .* export OLD_KEY"):
        store.verify()


def test_a_variable_that_is_set_later_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    url = load_settings().exports["mart"].url
    assert url is not None
    monkeypatch.setenv("MART_PASSWORD", "p@ss")
    assert url.get_secret_value() == "mysql://ann:p%40ss@host/mart"


def test_doctor_lists_them_all(store: Store) -> None:
    store.close()
    result = CliRunner().invoke(cli, ["doctor", "--json"])
    lines = [line for line in json.loads(result.stdout) if line["check"] == "variables"]
    expected = {(where, f"export {name}") for where, names in UNSET.items() for name in names}
    assert {(line["detail"].split()[0], line["cure"]) for line in lines} == expected
    assert result.exit_code == 1
    assert "malformed" not in result.stdout
    assert "planted" not in result.stdout


def test_doctor_lists_those_that_every_run_needs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mfprefect.toml").write_text(
        CONFIG.replace("sqlite:///store.db", "postgresql://ann:${PASSWORD}@host/db")
    )
    with pytest.raises(ConfigurationError, match=r"^url refers to \$\{PASSWORD\}"):
        mfprefect.connect()
    lines = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).stdout)
    texts = [line["detail"] for line in lines if line["check"] == "variables"]
    assert "url refers to ${PASSWORD}, which is not set: no run can start" in texts
    assert len(texts) == 6
    monkeypatch.setenv("MFPREFECT_URL", "sqlite:///other.db")
    load_settings()


def test_nothing_of_an_unresolved_url_is_shown() -> None:
    loaded = read_settings()
    shown = repr(loaded) + str(loaded.model_dump())
    assert "planted" not in shown
    assert Redactor(secrets(loaded))("it was planted-word") == "it was ***"
    again = pickle.loads(pickle.dumps(loaded))  # noqa: S301 - our own bytes
    assert again == loaded
    assert again.sources["crm"].url.where == "sources.crm.url"


def test_an_error_keeps_the_name_of_the_variable() -> None:
    """The password of a URL is hidden, but not where it is only the name of a variable."""
    hide = Redactor(secrets(read_settings()))
    assert hide("${MAIL_PASSWORD} and planted-word") == "${MAIL_PASSWORD} and ***"


def test_another_process_gets_the_reference(store: Store) -> None:
    variables = settings_variables(store)
    sources = json.loads(variables["MFPREFECT_SOURCES"])
    assert sources["crm"]["url"] == "postgresql://ann:planted-word@${CRM_HOST}/${CRM_NAME}"


@pytest.mark.parametrize("value", ["p@ss/w:rd?#%20+& é", "plain", "${NAME}"])
def test_a_value_arrives_in_the_url_as_it_is(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", value)

    def url(text: str) -> sa.URL:
        return sa.make_url(resolve(SecretStr(text), "url").get_secret_value())

    assert url("postgresql://ann:${NAME}@host/db").password == value
    assert url("postgresql://${NAME}:x@host/db").username == value
    assert url("postgresql://ann:a/b${NAME}@host/db").password == "a/b" + value
    assert url("postgresql://host/db?user=ann&password=${NAME}").query["password"] == value
    assert url("mysql://a:b@host/db?x=1&password=${NAME}").query["password"] == value


@pytest.mark.parametrize(
    ("text", "value", "whole"),
    [
        ("${NAME}", "postgresql://ann:p%40ss@host/db", "postgresql://ann:p%40ss@host/db"),
        ("sqlite:///${NAME}/store.db", "/srv/a@b", "sqlite:////srv/a@b/store.db"),
        ("slack://${NAME}/#churn", "T1/B2/x3", "slack://T1/B2/x3/#churn"),
        ("postgresql://ann@${NAME}/db", "host:5433", "postgresql://ann@host:5433/db"),
        ("postgresql://${NAME}@host/db", "ann:p@ss", "postgresql://ann:p%40ss@host/db"),
        ("postgresql://host/db${NAME}", "?sslmode=require", "postgresql://host/db?sslmode=require"),
        ("a key ${NAME}", "p@ss/", "a key p@ss/"),
    ],
)
def test_what_has_a_meaning_in_the_url_stays(
    text: str, value: str, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", value)
    assert resolve(SecretStr(text), "url").get_secret_value() == whole

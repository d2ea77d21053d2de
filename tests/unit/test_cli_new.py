"""`mfprefect new`: names, refusals, a second model. What it writes runs in tests/flows."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from mfprefect.cli import cli
from mfprefect.scaffold import render
from mfprefect.settings import load_settings

ROOT = Path(__file__).parents[2]
FILES = {
    "flows/churn.py",
    "flows/maintenance.py",
    "tests/test_churn.py",
    "pytest.ini",
    "mfprefect.toml",
    "prefect.yaml",
    ".github/workflows/test.yml",
    "README.md",
    "requirements.txt",
    ".gitignore",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*args: str, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, ["new", *args])
    assert done.exit_code == code, done.output
    return done


def written(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def entrypoints(folder: Path) -> list[tuple[str, str]]:
    document = yaml.safe_load((folder / "prefect.yaml").read_text())
    return [(item["entrypoint"], item["name"]) for item in document["deployments"]]


def test_it_tells_what_it_wrote_and_what_to_type_next(folder: Path) -> None:
    done = new("churn")
    assert set(written(folder)) == FILES
    assert {line.removeprefix("wrote ") for line in done.stdout.splitlines()[: len(FILES)]} == FILES
    assert "  python flows/churn.py\n" in done.stdout
    assert "  mfprefect init\n" in done.stdout


def test_json_and_another_folder(folder: Path) -> None:
    facts = json.loads(new("churn_monthly", "--into", "a b/factory", "--json").stdout)
    place = folder / "a b" / "factory"
    assert (facts["model"], facts["folder"]) == ("churn_monthly", str(place))
    assert set(facts["written"]) == set(written(place))
    assert facts["appended"] == []
    assert facts["next"][:2] == ["cd 'a b/factory'", "pip install -r requirements.txt"]
    assert "class ChurnMonthly(mfprefect.Model):" in (place / "flows/churn_monthly.py").read_text()
    assert not [text for text in written(place).values() if "my_model" in text or "MyModel" in text]


def test_our_own_files_are_the_templates() -> None:
    models = ("breast_cancer", "diabetes", "air_passengers")
    parts = [render("prefect-model.yaml", model) for model in models]
    assert render("prefect.yaml", models[0]) + "".join(parts) == (ROOT / "prefect.yaml").read_text()
    assert render("mfprefect.toml", "x") == (ROOT / "mfprefect.toml").read_text()
    assert render("maintenance.py", "x") == (ROOT / "flows" / "maintenance.py").read_text()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Churn", "all lower case"),
        ("churn-monthly", "a letter, then letters, digits and _"),
        ("1churn", "a letter, then"),
        ("_churn", "a letter, then"),
        ("größe", "a letter, then"),
        ("../churn", "a letter, then"),
        ("churn\n", "a letter, then"),
        ("", "a letter, then"),
        ("c" * 65, "at most 64 characters"),
        ("class", "class is a Python keyword"),
        ("none", "None is a Python keyword"),
        ("yes", "YAML reads it as True"),
        ("null", "YAML reads it as None"),
        ("maintenance", "mfprefect writes its own maintenance.py"),
        ("pandas", "would shadow the Python package pandas"),
        ("statistics", "would shadow the Python package statistics"),
    ],
)
def test_names_that_cannot_work_are_refused(folder: Path, name: str, reason: str) -> None:
    error = new(name, code=1).stderr
    assert "cannot be a model's name" in error
    assert reason in error
    assert name.strip() in error
    assert not written(folder)


def test_the_longest_name_is_good_everywhere(folder: Path) -> None:
    name = "c" * 64
    new(name)
    assert (f"flows/{name}.py:monitor", "production") in entrypoints(folder)


@pytest.mark.parametrize(
    "there", ["README.md", "flows/churn.py", "tests/test_churn.py", "prefect.yaml", ".gitignore"]
)
def test_nothing_is_overwritten_and_nothing_half_written(folder: Path, there: str) -> None:
    (folder / there).parent.mkdir(exist_ok=True)
    (folder / there).write_text("mine")
    error = new("churn", code=1).stderr
    assert f"has {there} already" in error
    assert written(folder) == {there: "mine"}


def test_a_file_where_a_folder_must_be(folder: Path) -> None:
    (folder / "flows").write_text("mine")
    (folder / "README.md").symlink_to("nowhere")
    assert "has README.md, flows already" in new("churn", code=1).stderr
    assert written(folder) == {"flows": "mine"}


def test_a_further_model_adds_its_own_and_leaves_the_rest(folder: Path) -> None:
    new("churn")
    (folder / "README.md").unlink()  # what the team did with the rest is its own business
    changed = (folder / "prefect.yaml").read_text().replace("0 6 1 * *", "0 5 2 * *")
    (folder / "prefect.yaml").write_text(changed.rstrip("\n"))
    before = written(folder)
    done = new("fraud")
    after = written(folder)
    assert set(after) - set(before) == {"flows/fraud.py", "tests/test_fraud.py"}
    assert {path for path in before if before[path] != after[path]} == {"prefect.yaml"}
    assert after["prefect.yaml"].startswith(changed.rstrip("\n"))
    assert "appended to prefect.yaml\n" in done.stdout
    variants = ("local", "development", "production")
    flows = ["flows/maintenance.py:maintain"]
    flows += [
        f"flows/{m}.py:{f}" for m in ("churn", "fraud") for f in ("train", "score", "monitor")
    ]
    assert entrypoints(folder) == [(flow, variant) for flow in flows for variant in variants]
    assert "has flows/fraud.py, tests/test_fraud.py already" in new("fraud", code=1).stderr
    assert written(folder) == after


def restructured(text: str, how: str) -> str:
    if how == "other names":
        return text.replace("&local", "&here").replace("*local", "*here")
    return text + "more:\n  - also: this\n"  # the deployments are not the last section


@pytest.mark.parametrize("how", ["other names", "another section"])
def test_a_restructured_prefect_yaml(folder: Path, how: str) -> None:
    new("churn")
    path = folder / "prefect.yaml"
    path.write_text(restructured(path.read_text(), how))
    before = written(folder)
    error = new("fraud", code=1).stderr
    assert "no longer has the structure" in error
    assert "entrypoint: flows/fraud.py:monitor" in error
    assert written(folder) == before
    # Added by hand, as told, the command goes on.
    by_hand = [{"name": "x", "entrypoint": "flows/fraud.py:train"}]
    document = yaml.safe_load(before["prefect.yaml"])
    path.write_text(yaml.safe_dump(document | {"deployments": document["deployments"] + by_hand}))
    assert json.loads(new("fraud", "--json").stdout)["appended"] == []
    assert (folder / "flows" / "fraud.py").is_file()


def test_a_broken_prefect_yaml(folder: Path) -> None:
    new("churn")
    (folder / "prefect.yaml").write_text("deployments: [")
    assert "prefect.yaml is not a valid YAML" in new("fraud", code=1).stderr


def test_the_database_of_a_new_repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://factory:${DB_PASSWORD}@db.example.com/factory"
    assert (
        "contains a password"
        in new("churn", "--url", url.replace("${DB_PASSWORD}", "x"), code=1).stderr
    )
    assert not written(folder)
    new("churn", "--url", url)
    assert tomllib.loads((folder / "mfprefect.toml").read_text())["url"] == url
    assert "exists already" in new("fraud", "--url", url, code=1).stderr
    monkeypatch.setenv("FACTORY_PRODUCTION_URL", "sqlite:///live.db")
    monkeypatch.setenv("MFPREFECT_PROFILE", "production")
    assert load_settings().url.get_secret_value() == "sqlite:///live.db"


@pytest.mark.parametrize("model", ["churn", "logistic_regression", "m" * 25])
def test_what_it_writes_is_clean_python(folder: Path, model: str) -> None:
    new(model)
    ruff = f"{Path(sys.executable).with_name('ruff')} check --isolated --no-cache --line-length 100"
    # no settings of ruff's tell it what flows/ is
    rules = "--select B,E,F,I,UP,W --per-file-ignores tests/*:I"
    done = subprocess.run(
        [*ruff.split(), *rules.split(), "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

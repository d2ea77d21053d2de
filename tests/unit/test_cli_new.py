"""`mfprefect new`: names, refusals, a second model. What it writes runs in tests/flows."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
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
    "tests/sample/warehouse/customer_history.csv",
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


def list_merges(node: yaml.Node) -> list[str]:
    """Return where a YAML document merges a list of mappings."""
    if isinstance(node, yaml.MappingNode):
        merged = [value for key, value in node.value if key.value == "<<"]
        lines = [str(x.start_mark) for x in merged if isinstance(x, yaml.SequenceNode)]
        return lines + [x for _, value in node.value for x in list_merges(value)]
    if isinstance(node, yaml.SequenceNode):
        return [x for value in node.value for x in list_merges(value)]
    return []


def test_prefect_yaml_means_the_same_to_every_version_of_pyyaml(folder: Path) -> None:
    # PyYAML 6.0.4 lets the last mapping of a merged list win: all variants were called `local`.
    new("churn")
    new("fraud")
    ours = Path(__file__).parents[2] / "prefect.yaml"
    for path in (folder / "prefect.yaml", ours):
        assert list_merges(yaml.compose(path.read_text())) == []
    assert (
        list_merges(yaml.compose("a: &a {}\nb: [{<<: [*a]}]")) != []
    )  # it finds what it looks for


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


COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "ab" * 32
VCS = {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT}


@pytest.fixture
def origin(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[object], None]:
    """Make this installation come from where a `direct_url.json` says."""

    entry_points = metadata.distribution("mfprefect").read_text("entry_points.txt") or ""

    def install(direct_url: object) -> None:
        info = tmp_path_factory.mktemp("site") / "mfprefect-0.1.0.dist-info"
        info.mkdir()
        extras = "".join(f"Provides-Extra: {name}\n" for name in ("mysql", "postgres", "teradata"))
        (info / "METADATA").write_text(f"Name: mfprefect\nVersion: 0.1.0\n{extras}")
        (info / "entry_points.txt").write_text(entry_points)
        if direct_url is not None:
            text = direct_url if isinstance(direct_url, str) else json.dumps(direct_url)
            (info / "direct_url.json").write_text(text)
        monkeypatch.syspath_prepend(info.parent)

    return install


def required(folder: Path) -> list[str]:
    lines = (folder / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def comments(folder: Path) -> str:
    """Return what requirements.txt says, on one line."""
    return (folder / "requirements.txt").read_text().replace("\n# ", " ")


@pytest.mark.parametrize(
    ("direct_url", "url"),
    [
        (
            {"url": "https://git.example.com/ds/mfprefect.git", "vcs_info": VCS},
            f"git+https://git.example.com/ds/mfprefect.git@{COMMIT}",
        ),
        (
            {"url": "ssh://git@git.example.com/mfprefect.git", "vcs_info": VCS},
            f"git+ssh://git@git.example.com/mfprefect.git@{COMMIT}",
        ),
        (
            {"url": "https://ann:s3cret@git.example.com/m.git", "vcs_info": VCS},
            f"git+https://git.example.com/m.git@{COMMIT}",
        ),
        (
            {"url": "https://h.example.com/r.git", "vcs_info": VCS, "subdirectory": "python"},
            f"git+https://h.example.com/r.git@{COMMIT}#subdirectory=python",
        ),
        (
            {
                "url": "https://files.example.com/mfprefect-0.1.0-py3-none-any.whl",
                "archive_info": {"hashes": {"sha256": DIGEST}},
            },
            f"https://files.example.com/mfprefect-0.1.0-py3-none-any.whl#sha256={DIGEST}",
        ),
    ],
)
def test_requirements_name_where_this_mfprefect_came_from(
    folder: Path, origin: Callable[[object], None], direct_url: object, url: str
) -> None:
    origin(direct_url)
    done = new("churn")
    assert required(folder) == [f"mfprefect[postgres,report,sklearn] @ {url}", "pytest"]
    assert "requirements.txt:" not in done.stdout
    assert "s3cret" not in "".join(written(folder).values())


@pytest.mark.parametrize(
    ("kind", "info", "what"),
    [
        ("archive_info", {}, "this file"),
        ("dir_info", {}, "this folder"),
        ("vcs_info", VCS, "this local repository"),
    ],
)
def test_a_path_serves_this_machine_and_both_say_so(
    folder: Path, origin: Callable[[object], None], kind: str, info: dict[str, str], what: str
) -> None:
    place = folder / "built here" / "mfprefect-0.1.0-py3-none-any.whl"
    place.mkdir(parents=True)
    origin({"url": place.as_uri(), kind: info})
    output = " ".join(new("churn", "--into", "team").stdout.split())
    in_git = place.as_uri().replace("file:///", "git+file://localhost/")
    expected = f"{in_git}@{COMMIT}" if info else place.as_uri()
    assert required(folder / "team")[0].endswith(f" @ {expected}")
    assert f"CI and workers do not have {what}" in output
    assert f"CI and workers do not have {what}" in comments(folder / "team")


@pytest.mark.parametrize("direct_url", [None, "no JSON", "[]", {"url": "file:///gone/m.whl"}])
def test_an_unknown_origin_is_to_be_filled_in(
    folder: Path, origin: Callable[[object], None], direct_url: object
) -> None:
    origin(direct_url)
    facts = json.loads(new("churn", "--json").stdout)
    assert required(folder)[0].endswith("@ git+https://fill-in.invalid/mfprefect.git@COMMIT")
    assert not facts["requirement"]["complete"]
    assert "replace git+https://fill-in.invalid" in facts["requirement"]["note"]
    assert "replace git+https://fill-in.invalid" in comments(folder)


@pytest.mark.parametrize(
    ("url", "extras"),
    [
        ("postgresql://h/d", "postgres,report,sklearn"),
        ("mariadb://h/d", "mysql,report,sklearn"),
        ("teradatasql://h/?database=d", "report,sklearn,teradata"),
        ("sqlite:///f.db", "report,sklearn"),
        ("oracle://h/d", "report,sklearn"),
    ],
)
def test_the_driver_of_the_chosen_database(
    folder: Path, origin: Callable[[object], None], url: str, extras: str
) -> None:
    origin({"url": "https://git.example.com/m.git", "vcs_info": VCS})
    new("churn", "--url", url)
    assert required(folder)[0].startswith(f"mfprefect[{extras}] @ git+https://")


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

"""What is not documented fails here."""

from __future__ import annotations

import ast
import inspect
import re
from importlib.metadata import requires
from itertools import pairwise
from pathlib import Path

import click

from mfprefect import checks
from mfprefect.backend import backend_for, installed_backends
from mfprefect.cli import COMMANDS, cli
from mfprefect.quality.metrics.registry import BUILT_IN, definition_version, table
from mfprefect.retention import Retention
from mfprefect.schema import VIEWS
from mfprefect.settings import ALARMS, EVENTS, Settings, Target, load_settings

ROOT = Path(__file__).parents[2]
CLI = (ROOT / "docs" / "cli.md").read_text()
DATABASES = (ROOT / "docs" / "databases.md").read_text()


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) < 900


def test_every_command_is_documented() -> None:
    context = click.Context(cli)
    commands = set(cli.list_commands(context))
    assert commands == set(re.findall(r"^\| `mfprefect (\w+)", CLI, re.MULTILINE))


def test_the_page_of_commands_says_what_help_says() -> None:
    rows = re.findall(r"^\| `mfprefect (\w+).*?\| (.*) \|$", CLI, re.MULTILINE)
    documented = {name: re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text) for name, text in rows}
    for name, (_, text) in COMMANDS.items():
        assert documented[name].startswith(text), name


def test_the_page_of_settings_says_what_the_code_says() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", page, re.MULTILINE)
    documented = {name: re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text) for name, text in rows}
    for name, text in docstrings(Settings).items():
        first = re.split(r"[;:.,](?:\s|$)", text)[0]
        assert documented[name].lower().startswith(first.lower()), (name, first)


def docstrings(model: type) -> dict[str, str]:
    """Return the texts under the fields of a class, by field."""
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    assert [name for name, _ in rows] == list(Settings.model_fields)
    documented = dict(rows)
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, (int, float)):
            assert documented[name] == f"{field.default:.15g}"


def test_every_event_and_field_of_a_target_is_documented() -> None:
    text = (ROOT / "docs" / "notifications.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", text, re.MULTILINE)
    assert dict(rows) == {event: "yes" if event in ALARMS else "no" for event in EVENTS}
    fields = text.split("| field |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", fields, re.MULTILINE) == list(Target.model_fields)


def test_every_metric_is_documented_as_it_is_defined() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    versions: dict[str, set[int]] = {}
    for kind, metrics in BUILT_IN.items():
        assert table(kind) in text, f"run python -m mfprefect.quality.metrics.registry for {kind!r}"
        for name, metric in metrics.items():
            assert metric.name == name
            assert metric.source
            assert metric.formula.endswith(".")
            assert definition_version(name) == metric.version >= 1
            versions.setdefault(name, set()).add(metric.version)
    # One name is one definition, whatever the type of model.
    assert {len(numbers) for numbers in versions.values()} == {1}
    assert definition_version("profit_per_call") is None


def test_every_shared_check_is_documented() -> None:
    text = (ROOT / "docs" / "checks.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)\(", text, re.MULTILINE))
    ours = {name for name in checks.__all__ if not inspect.isabstract(getattr(checks, name))}
    assert ours == documented


def test_every_limit_of_retention_is_documented_and_an_option() -> None:
    text = (ROOT / "docs" / "retention.md").read_text()
    table = text.split("| setting |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(Retention.model_fields)
    command = cli.get_command(click.Context(cli), "prune")
    assert command is not None
    options = {parameter.name for parameter in command.params}
    assert set(Retention.model_fields) - {"models"} <= options


def test_every_backend_and_view_is_documented() -> None:
    ours = {
        "sqlite": "sqlite://",
        "postgres": "postgresql://h/d",
        "mysql": "mysql://h/d",
        "teradata": "teradatasql://h/?database=d",
    }
    names = {backend_for(load_settings(url=url)).name for url in ours.values()}
    assert names == set(ours)
    for name in [*ours, *VIEWS]:
        assert f"| `{name}` |" in DATABASES
    names = set(ours) - {"teradata"} | {"postgresql", "mariadb", "teradatasql"}
    assert names == set(installed_backends()) - {"toy"}


def test_the_core_asks_for_no_driver() -> None:
    core = [line for line in requires("mfprefect") or [] if "extra ==" not in line]
    assert not [line for line in core if re.match(r"psycopg|pymysql|teradata|asyncpg", line)]
    assert any(line.startswith("prefect") for line in core)


def test_no_path_of_this_machine_and_no_registry_is_named() -> None:
    files = ("constraints.txt", "constraints-engines.txt")
    for line in (line for file in files for line in (ROOT / file).read_text().splitlines()):
        assert re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


def test_the_tests_that_pages_name_exist() -> None:
    """A claim of docs/security.md that a test holds says which."""
    named = set(
        re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / "security.md").read_text())
    )
    missing = [
        f"{file}::{test}"
        for file, test in sorted(named)
        if not any(f"def {test}(" in path.read_text() for path in ROOT.glob(f"tests/**/{file}"))
    ]
    assert (len(named) > 20, missing) == (True, [])

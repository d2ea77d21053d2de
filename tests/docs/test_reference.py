"""docs/reference.md is what the code says; `make reference` writes it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import mfprefect
from mfprefect import CommandModel, Gate, Model, Session, Store, checks, errors
from mfprefect_dev import reference

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
CLASSES = (Model, CommandModel, Gate, Store, Session)


def test_the_page_is_up_to_date() -> None:
    assert reference.page() == PAGE, "run `make reference`, and look at the difference"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: str(kind.__name__))
def test_every_public_member_is_there_and_explained(kind: type) -> None:
    members = {member.name: member for member in reference.members(kind)}
    inherited = set(dir(Model)) if kind is CommandModel else set()
    annotated = {name for base in kind.__mro__ for name in inspect.get_annotations(base)}
    public = {name for name in {*dir(kind), *annotated} - inherited if not name.startswith("_")}
    if kind is CommandModel:
        public -= set(inspect.get_annotations(Model))
    assert public <= set(members)
    for name, member in members.items():
        assert len(member.text) > 8, f"{kind.__name__}.{name} has no docstring"
        entry = f"\n| `{name}` |" if member.is_attribute else f"\n#### {name}\n\n```python\n"
        assert entry in PAGE


def test_the_attributes_of_instances_are_there(tmp_path: Path) -> None:
    with mfprefect.connect(f"sqlite:///{tmp_path / 'store.db'}") as store:
        store.create_schema()
        store.add_model("churn")
        with store.session("churn") as session:
            pass
        for instance in (store, session, Model()):
            for name in vars(instance):
                assert name.startswith("_") or f"\n| `{name}` |" in PAGE


def test_every_public_name_of_the_package_is_there() -> None:
    for name in {*mfprefect.__all__, *checks.__all__} - {"__version__"}:
        assert f"## {name}" in PAGE or f"\n| `{name}` |" in PAGE
    for name in errors.__all__:
        assert f"\n| `{name}` |" in PAGE

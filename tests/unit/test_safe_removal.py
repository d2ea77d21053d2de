"""Folders are removed with what mfprefect wrote into them, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfprefect import connect
from mfprefect.spool.entry import is_entry_file
from mfprefect.store import Store
from mfprefect.store.spool.location import place_of
from mfprefect.util.removal import remove_folder, temporary_folder


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Folders of the user, to which somebody would like to redirect a removal."""
    home = tmp_path / "home"
    (home / "repo" / ".git").mkdir(parents=True)
    (home / "repo" / ".git" / "objects").write_text("all history")
    (home / "old.1").mkdir()
    (home / "old.1" / ".id").write_text("key")
    (home / ".delivered.0123").mkdir()
    (home / ".delivered.0123" / "end.json").write_text("mine")
    return home


def test_what_mfprefect_did_not_write_stays_and_is_named(tmp_path: Path, home: Path) -> None:
    entry = tmp_path / "spool" / "db" / "churn.1"
    (entry / "inner").mkdir(parents=True)
    for name in ("head.json", "000001.blob", ".lock", ".seen.ab12", "notes.txt"):
        (entry / name).write_text("x")
    (entry / "000002.json").symlink_to(home / "repo" / ".git" / "objects")
    os.mkfifo(entry / "000003.json")
    before = tree(home)
    left = remove_folder(entry, tmp_path / "spool", is_entry_file)
    names = ["000002.json", "000003.json", "inner", "notes.txt"]
    assert sorted(path.name for path in left) == names
    assert tree(entry) == names
    assert tree(home) == before
    for name in names:
        (entry / name).rmdir() if name == "inner" else (entry / name).unlink()
    assert remove_folder(entry, tmp_path / "spool", is_entry_file) == []
    assert tree(tmp_path / "spool") == ["db"]
    assert remove_folder(entry, tmp_path / "spool", is_entry_file) == []


@pytest.mark.parametrize("link", ["spool/db", "spool/db/entry"])
def test_a_link_on_the_way_is_not_followed(tmp_path: Path, home: Path, link: str) -> None:
    (tmp_path / link).parent.mkdir(parents=True)
    (tmp_path / link).symlink_to(home)
    before = tree(home)
    folder = tmp_path / "spool" / "db" / ("old.1" if link == "spool/db" else "entry")
    assert remove_folder(folder, tmp_path / "spool") == [folder]
    assert tree(home) == before


def test_a_temporary_folder_goes_with_its_links_and_without_what_they_point_to(home: Path) -> None:
    before = tree(home)
    with temporary_folder() as folder:
        (folder / "checkout" / "deep").mkdir(parents=True)
        (folder / "checkout" / "link").symlink_to(home)
    assert not folder.exists()
    assert tree(home) == before


@pytest.fixture
def store(tmp_path: Path) -> Store:
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o777)
    store = connect(f"sqlite:///{tmp_path}/x.db", spool=spool, retry_seconds=0)
    store.create_schema()
    store.add_model("churn")
    return store


def test_a_session_deletes_nothing_behind_a_link_in_its_spool(
    tmp_path: Path, home: Path, store: Store
) -> None:
    place = place_of(store.database)
    assert place is not None
    (tmp_path / "spool" / place.fingerprint).symlink_to(home)
    before = tree(home)
    with store.session("churn"):
        pass
    store.push_spool()
    assert tree(home) == before

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import pwd
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mfprefect.provenance import (
    Provenance,
    capture,
    checkout,
    environment,
    git_objects,
    strip_credentials,
    vcs_commands,
)

Run = Callable[..., str]
ME = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
HG = shutil.which("hg") or str(Path(sys.executable).parent / "hg")


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("COMMIT", "BRANCH", "REMOTE", "AUTHOR"):
        monkeypatch.delenv(f"MFPREFECT_GIT_{name}", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("HGRCPATH", "")
    # No checkout around pytest's folder may answer for one that a test left out.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    return folder


def run_in(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def git(repo: Path) -> Run:
    def run(*arguments: str, cwd: Path = repo) -> str:
        return run_in(cwd, "git", *ME, *arguments)

    run("init", "-q", "-b", "main")
    return run


@pytest.fixture
def committed(repo: Path, git: Run) -> Run:
    (repo / "model.py").write_text("x = 1\n")
    (repo / ".gitignore").write_text("*.log\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return git


@pytest.fixture
def hg(repo: Path) -> Run:
    def run(*arguments: str) -> str:
        return run_in(repo, HG, "--config", "ui.username=ann", *arguments)

    run("init")
    return run


def code(provenance: Provenance) -> tuple[object, ...]:
    return (
        provenance.vcs,
        provenance.commit,
        provenance.branch,
        provenance.remote,
        provenance.dirty,
        provenance.diff_digest,
    )


UNKNOWN = (None,) * 6


# The author of the commit


def by_git(git: Run) -> str:
    return git("log", "-1", "--format=%an <%ae>")


def test_the_author_is_that_of_the_commit(repo: Path, committed: Run) -> None:
    committed("commit", "-q", "--allow-empty", "-m", "x", "--author=Zoë Ø <zoe@example.org>")
    assert by_git(committed) == "Zoë Ø <zoe@example.org>"
    assert capture(repo).author == by_git(committed)


@pytest.mark.parametrize(
    "packed", ["loose", "packed", "deltas", "sha256", "alternates", "worktree"]
)
def test_the_author_is_read_from_every_form_of_a_repository(
    repo: Path, git: Run, tmp_path: Path, packed: str
) -> None:
    """The oracle is git itself."""
    if packed == "sha256":
        shutil.rmtree(repo / ".git")
        git("init", "-q", "-b", "main", "--object-format=sha256")
    message = "\n".join(f"line {n} of a long message that commits share" for n in range(60))
    authors = [f"Person {n} <p{n}@example.org>" for n in range(6)]
    for author in authors:
        git("commit", "-q", "--allow-empty", "-m", message, f"--author={author}")
    folder = repo
    if packed in ("packed", "sha256"):
        git("gc", "-q")
    elif packed == "deltas":
        git("repack", "-adfq", "--depth=50", "--window=50")
        kinds = git("verify-pack", "-v", *map(str, repo.glob(".git/objects/pack/*.idx")))
        assert re.search(r"commit +\d+ \d+ \d+ [1-9]", kinds)  # some are differences
    elif packed == "alternates":
        folder = tmp_path / "clone"
        git("clone", "-q", "--shared", str(repo), str(folder))
    elif packed == "worktree":
        git("gc", "-q")
        folder = tmp_path / "tree"
        git("worktree", "add", "-q", "--detach", str(folder))
    read = []
    for back in range(len(authors)):
        commit = git("rev-parse", f"main~{back}")
        git("checkout", "-q", "--detach", commit, cwd=folder)
        provenance = capture(folder)
        assert provenance.commit == commit
        read.append(provenance.author)
    assert read == authors[::-1]


def test_an_author_in_another_encoding(repo: Path, committed: Run) -> None:
    committed("config", "i18n.commitEncoding", "ISO-8859-1")
    name = "user.name=J\xfcrgen".encode("latin-1")
    command: list[str | bytes] = ["git", "-c", name, "-c", "user.email=j@example.org", "commit"]
    subprocess.run([*command, "-qm", "x", "--allow-empty"], cwd=repo, check=True)
    assert capture(repo).author == "Jürgen <j@example.org>"


def damaged(path: Path) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 7):
        content[place] ^= 0x5A
    path.write_bytes(content)


def test_an_author_that_cannot_be_read_is_unknown(repo: Path, committed: Run) -> None:
    """The rest is recorded all the same; a damaged commit is nobody's."""
    recorded = capture(repo)
    (path,) = (path for path in repo.glob(".git/objects/??/*") if named(path) == recorded.commit)
    content = path.read_bytes()
    another = zlib.compress(zlib.decompress(content).replace(b"Ann", b"Eve"))
    path.chmod(0o644)
    path.write_bytes(another)
    assert git_objects.read_commit(repo, str(recorded.commit)) is None
    path.unlink()
    os.mkfifo(path)  # it would be waited for
    assert git_objects.read_commit(repo, str(recorded.commit)) is None
    path.unlink()
    path.write_bytes(content)
    committed("gc", "-q")
    for damage in (".git/objects/pack/*.pack", ".git/objects/pack/*.idx"):
        (packed,) = repo.glob(damage)
        whole = packed.read_bytes()
        damaged(packed)
        assert git_objects.read_commit(repo, str(recorded.commit)) is None
        packed.write_bytes(whole)
    assert capture(repo).author == recorded.author == "Ann <ann@example.org>"
    assert git_objects.read_commit(repo, "not hexadecimal") is None
    assert git_objects.read_commit(repo, "0" * 40) is None


def named(path: Path) -> str:
    return path.parent.name + path.name


@given(st.binary(max_size=200), st.binary(max_size=80))
def test_a_forged_difference_is_refused_or_small(base: bytes, delta: bytes) -> None:
    with contextlib.suppress(git_objects._Malformed):
        assert len(git_objects._patched(base, delta)) <= git_objects.MOST_BYTES


def test_the_author_from_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFPREFECT_GIT_COMMIT", "c" * 40)
    monkeypatch.setenv("MFPREFECT_GIT_AUTHOR", " Ann <ann@example.org> ")
    assert capture(tmp_path).author == "Ann <ann@example.org>"


def test_clean_git_checkout(repo: Path, committed: Run) -> None:
    committed("remote", "add", "origin", "https://ann:s3cret@example.org/team/repo.git")
    (repo / "run.log").write_text("ignored")
    (repo / "sub").mkdir()
    provenance = capture(repo / "sub")
    head = committed("rev-parse", "HEAD")
    url = "https://example.org/team/repo.git"
    assert code(provenance) == ("git", head, "main", url, False, None)


def test_a_clean_checkout_costs_three_processes(
    repo: Path, committed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed("remote", "add", "origin", "git@example.org:me/fork.git")
    committed("config", "filter.x.clean", "cat")
    started, start = list[str](), subprocess.Popen

    def counted(command: list[str], *arguments: Any, **options: Any) -> Any:
        started.append(" ".join(command))
        return start(command, *arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", counted)
    provenance = capture(repo)
    assert (provenance.dirty, provenance.remote) == (False, "git@example.org:me/fork.git")
    assert provenance.author == "Ann <ann@example.org>"
    assert len([command for command in started if "git" in command]) == 3, started


def test_remote_is_that_of_the_upstream(repo: Path, committed: Run) -> None:
    committed("remote", "add", "origin", "git@example.org:me/fork.git")
    committed("remote", "add", "team/up", "git@example.org:team/repo.git")
    assert capture(repo).remote == "git@example.org:me/fork.git"
    committed("checkout", "-qb", "Feature/x")
    committed("config", "branch.Feature/x.remote", "team/up")
    provenance = capture(repo)
    assert (provenance.branch, provenance.remote) == ("Feature/x", "git@example.org:team/repo.git")


def test_detached_head_has_no_branch(repo: Path, committed: Run) -> None:
    committed("remote", "add", "origin", "git@example.org:team/repo.git")
    committed("checkout", "-q", "--detach")
    provenance = capture(repo)
    assert (provenance.branch, provenance.commit) == (None, committed("rev-parse", "HEAD"))
    assert provenance.remote == "git@example.org:team/repo.git"


@pytest.mark.parametrize("change", ["edit", "stage", "delete", "binary", "untracked", "mode"])
def test_every_kind_of_change_is_dirty(repo: Path, committed: Run, change: str) -> None:
    if change in ("edit", "stage"):
        (repo / "model.py").write_text("x = 2\n")
    if change == "stage":
        committed("add", ".")
    if change == "delete":
        (repo / "model.py").unlink()
    if change == "binary":
        (repo / "model.py").write_bytes(bytes(range(256)))
    if change == "untracked":
        (repo / "new file.py").write_text("y = 1\n")
    if change == "mode":
        (repo / "model.py").chmod(0o755)
    provenance = capture(repo)
    assert provenance.dirty is True
    assert provenance.diff_digest is not None
    assert len(bytes.fromhex(provenance.diff_digest)) == 32


def test_digest_is_of_the_change_and_not_of_the_machine(
    repo: Path, committed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{n}\n\n" for n in range(20)]
    (repo / "text.py").write_text("".join(lines))
    committed("add", ".")
    committed("commit", "-qm", "second")
    other = tmp_path / "elsewhere"
    committed("clone", "-q", str(repo), str(other))
    for folder in (repo, other):
        (folder / "model.py").write_bytes(b"x = 2\n\n" + bytes(range(256)))
        (folder / "text.py").write_text("".join([*lines[:10], "new\n", *lines[11:]]))
        (folder / "notes.txt").write_text("untracked\n")
        (folder / "link").symlink_to("notes.txt")
    os.utime(other / "notes.txt", (1, 1))
    first = capture(repo).diff_digest
    config = tmp_path / "gitconfig"
    config.write_text(
        "[diff]\nnoprefix = true\nalgorithm = patience\ncontext = 9\nsuppressBlankEmpty = true\n"
        "mnemonicPrefix = true\nexternal = false\n[color]\nui = always\n"
        "[status]\nshowUntrackedFiles = no\n[core]\nabbrev = 5\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert capture(other).diff_digest == first is not None
    (other / "notes.txt").write_text("untrackeD\n")
    assert capture(other).diff_digest != first


def test_digest_sees_contents_names_and_links(repo: Path, committed: Run) -> None:
    def digest() -> str | None:
        return capture(repo).diff_digest

    seen = [digest()]
    (repo / "a").write_text("bc")
    seen.append(digest())
    (repo / "a").rename(repo / "ab")
    (repo / "ab").write_text("c")
    seen.append(digest())
    (repo / "ab").unlink()
    (repo / "ab").symlink_to("model.py")
    seen.append(digest())
    (repo / "ab").unlink()
    (repo / "ab").symlink_to("./model.py")
    seen.append(digest())
    (repo / "model.py").write_bytes(b"\0one")
    seen.append(digest())
    (repo / "model.py").write_bytes(b"\0two")
    seen.append(digest())
    assert seen[0] is None
    assert len(set(seen)) == len(seen)


def test_large_untracked_files_count_by_size(
    repo: Path, committed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = repo / "data.csv"
    large.write_bytes(b"a" * 1_000_001)
    first = capture(repo).diff_digest
    large.write_bytes(b"b" * 1_000_001)
    assert capture(repo).diff_digest == first
    large.write_bytes(b"b" * 1_000_002)
    assert capture(repo).diff_digest != first
    large.write_bytes(b"a" * 1_000_000)
    first = capture(repo).diff_digest
    large.write_bytes(b"b" * 1_000_000)
    assert capture(repo).diff_digest != first
    monkeypatch.setattr(checkout, "_TOTAL_BYTES", 999_999)
    first = capture(repo).diff_digest
    large.write_bytes(b"c" * 1_000_000)
    assert capture(repo).diff_digest == first


def test_untracked_pipes_and_nested_repositories_do_not_block(repo: Path, committed: Run) -> None:
    os.mkfifo(repo / "pipe")
    committed("init", "-q", str(repo / "nested"))
    provenance = capture(repo)
    assert provenance.dirty is True
    assert provenance.diff_digest is not None


def test_before_the_first_commit(repo: Path, git: Run) -> None:
    assert code(capture(repo)) == ("git", None, "main", None, False, None)
    (repo / "model.py").write_text("x = 1\n")
    first = capture(repo)
    assert (first.commit, first.dirty) == (None, True)
    git("add", ".")
    assert capture(repo).diff_digest == first.diff_digest
    (repo / "model.py").write_text("x = 2\n")
    assert capture(repo).diff_digest != first.diff_digest


def test_worktree_whose_git_is_a_file(repo: Path, committed: Run, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    committed("worktree", "add", "-q", "-b", "side", str(tree))
    assert (tree / ".git").is_file()
    provenance = capture(tree)
    assert (provenance.commit, provenance.branch) == (committed("rev-parse", "HEAD"), "side")


def test_no_checkout(tmp_path: Path) -> None:
    assert code(capture(tmp_path)) == UNKNOWN
    assert code(capture(tmp_path / "is" / "not" / "there")) == UNKNOWN


def test_bare_repository(tmp_path: Path, repo: Path, git: Run) -> None:
    git("config", "core.bare", "true")
    assert code(capture(repo)) == ("git", *UNKNOWN[1:])
    git("init", "-q", "--bare", str(tmp_path / "bare.git"), cwd=tmp_path)
    assert code(capture(tmp_path / "bare.git")) == UNKNOWN


def test_a_broken_checkout_does_not_answer_with_the_one_around_it(
    repo: Path, committed: Run, caplog: pytest.LogCaptureFixture
) -> None:
    (repo / "inner" / ".git").mkdir(parents=True)
    assert code(capture(repo / "inner")) == ("git", *UNKNOWN[1:])
    assert "not a git repository" in caplog.text


def test_the_variables_of_a_git_hook_do_not_redirect(
    repo: Path, committed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = committed("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    provenance = capture(repo)
    assert (provenance.commit, provenance.dirty) == (head, False)


def test_dubious_ownership_names_the_fix(
    repo: Path, committed: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own test switch
    assert code(capture(repo)) == ("git", *UNKNOWN[1:])
    assert f"git config --global --add safe.directory {repo}" in caplog.text


def test_without_git_installed(
    repo: Path,
    committed: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert code(capture(repo)) == ("git", *UNKNOWN[1:])
    assert "git is not installed" in caplog.text
    monkeypatch.setenv("MFPREFECT_GIT_COMMIT", "a" * 40)
    assert capture(repo).commit == "a" * 40


def test_a_command_that_hangs_is_given_up(
    repo: Path, committed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "bin" / "git"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", str(hanging.parent), prepend=os.pathsep)
    monkeypatch.setattr(vcs_commands, "_TIMEOUT", 0.2)
    assert code(capture(repo)) == ("git", *UNKNOWN[1:])


def test_variables_count_only_without_a_checkout(
    repo: Path, committed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFPREFECT_GIT_COMMIT", " abc123 ")
    monkeypatch.setenv("MFPREFECT_GIT_BRANCH", "release")
    monkeypatch.setenv("MFPREFECT_GIT_REMOTE", "https://oauth2:tok3n@example.org/r.git")
    url = "https://example.org/r.git"
    assert code(capture(tmp_path)) == ("git", "abc123", "release", url, None, None)
    assert capture(repo).commit == committed("rev-parse", "HEAD")


def test_mercurial(repo: Path, hg: Run) -> None:
    assert code(capture(repo)) == ("hg", None, "default", None, False, None)
    (repo / "model.py").write_text("x = 1\n")
    assert (capture(repo).commit, capture(repo).dirty) == (None, True)
    hg("add", "model.py")
    hg("commit", "-m", "first")
    hg("branch", "-q", "release")
    (repo / ".hg" / "hgrc").write_text("[paths]\ndefault = https://ann:s3cret@example.org/r\n")
    node = hg("log", "-r", ".", "-T", "{node}")
    assert len(node) == 40
    hg("branch", "-q", "default")
    assert code(capture(repo)) == ("hg", node, "default", "https://example.org/r", False, None)
    assert capture(repo).author == "ann"


def test_mercurial_changes(repo: Path, hg: Run) -> None:
    (repo / "model.py").write_text("x = 1\n")
    (repo / "other.py").write_text("x = 1\n")
    hg("add", "model.py", "other.py")
    hg("commit", "-m", "first")
    digests = set()
    for content in (b"x = 2\n", b"\0binary", b"\0binarY"):
        (repo / "model.py").write_bytes(content)
        assert capture(repo).dirty is True
        digests.add(capture(repo).diff_digest)
    (repo / "model.py").unlink()  # without telling hg
    digests.add(capture(repo).diff_digest)
    hg("revert", "-q", "model.py")
    (repo / "other.py").unlink()
    digests.add(capture(repo).diff_digest)
    hg("revert", "-q", "other.py")
    assert capture(repo).dirty is False
    (repo / "new.py").write_text("y")
    digests.add(capture(repo).diff_digest)
    assert len(digests) == 6
    assert None not in digests


def test_the_nearest_checkout_decides(repo: Path, committed: Run) -> None:
    inner = repo / "inner"
    inner.mkdir()
    run_in(inner, HG, "init")
    assert capture(inner).vcs == "hg"
    assert capture(repo).vcs == "git"


def test_default_folder_is_that_of_the_script(
    repo: Path, committed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(repo / "model.py"), raising=False)
    assert capture().commit == committed("rev-parse", "HEAD")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    assert capture().commit is None
    monkeypatch.chdir(repo)
    assert capture().commit == committed("rev-parse", "HEAD")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/x/site-packages/pytest/__main__.py")
    assert capture().commit == committed("rev-parse", "HEAD")


def test_default_folder_that_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    gone.rmdir()
    assert code(capture()) == UNKNOWN


def test_who_where_and_which_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("LOGNAME", "mallory")
    provenance = capture(tmp_path)
    assert provenance.run_by == pwd.getpwuid(os.getuid()).pw_name
    assert (provenance.host, provenance.process_id) == (platform.node(), os.getpid())


def test_a_user_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = max(entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid < 2**31 - 1) + 1
    monkeypatch.setattr(os, "getuid", lambda: unknown)
    assert capture(tmp_path).run_by == f"uid:{unknown}"


def test_environment_lists_what_is_installed() -> None:
    recorded = environment()
    packages = json.loads(recorded.packages_json)
    assert packages["sqlalchemy"] == metadata.version("SQLAlchemy")
    assert packages["pydantic-settings"] == metadata.version("pydantic_settings")
    assert list(packages) == sorted(packages)
    assert recorded.python == f"{platform.python_implementation()} {platform.python_version()}"
    assert environment() is recorded


def test_environment_digest_is_of_its_canonical_json() -> None:
    recorded = dataclasses.asdict(environment())
    digest = recorded.pop("digest")
    recorded["packages"] = json.loads(recorded.pop("packages_json"))
    text = json.dumps(recorded, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == digest


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:pw@host/org/repo.git", "https://host/org/repo.git"),
        ("https://token@host:8443/r?private_token=x#frag", "https://host:8443/r"),
        ("ssh://git@host:22/org/repo", "ssh://git@host:22/org/repo"),
        ("ssh://bob:pw@host/org/repo", "ssh://host/org/repo"),
        ("git@host:org/repo.git", "git@host:org/repo.git"),
        ("user:pw@host:org/repo.git", "host:org/repo.git"),
        ("host:org/repo.git", "host:org/repo.git"),
        ("hg::https://u:p@host/x", "hg::https://host/x"),
        ("https://u:p@[::1]:80/x", "https://[::1]:80/x"),
        ("https://[::1]:80/x", "https://[::1]:80/x"),
        ("https://host/@scope/repo", "https://host/@scope/repo"),
        ("https://u:a/b?c@host:1/x", "https://host:1/x"),
        ("https://host:80/x?mail=a@b", "https://host:80/x"),
        ("/srv/git/a@b", "/srv/git/a@b"),
        ("../repo@2", "../repo@2"),
        ("file:///srv/git/repo", "file:///srv/git/repo"),
    ],
)
def test_strip_credentials(url: str, expected: str) -> None:
    assert strip_credentials(url) == expected
    assert strip_credentials(expected) == expected


SECRETS = st.text("abcXYZ0189-_.~%+=!$&*:@", min_size=6, max_size=40)
TEMPLATES = (
    "{scheme}://{secret}@host.example/org/repo.git",
    "{scheme}://{secret}:x-oauth-basic@host.example/org/repo.git",
    "{scheme}://ann:{secret}@host.example/org/repo.git",
    "{scheme}://ann:{secret}@host.example:8443/org/repo.git?ref=main",
    "{scheme}://ann:{secret}/x@host.example/org/repo.git",
    "{scheme}://host.example/org/repo.git?token={secret}",
    "{scheme}://ann@host.example/org/repo.git?a=b&token={secret}#x",
    "{scheme}://host.example/org/repo.git#{secret}",
    "proxy::{scheme}://ann:{secret}@host.example/org/repo.git",
    "ann:{secret}@host.example:org/repo.git",
    "git@host.example:org/repo.git?token={secret}",
)


@given(
    st.sampled_from(TEMPLATES),
    st.sampled_from(("https", "http", "ssh", "git", "svn+ssh", "ftps")),
    SECRETS,
)
def test_no_planted_secret_survives(template: str, scheme: str, secret: str) -> None:
    assume(secret not in template)
    stripped = strip_credentials(template.format(scheme=scheme, secret=secret))
    assert secret not in stripped
    assert "host.example" in stripped
    assert "org/repo.git" in stripped
    assert strip_credentials(stripped) == stripped


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A program that says when it runs: the file beside it appears."""
    program = tmp_path / "planted.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/RAN\ncat\n")
    program.chmod(0o755)
    return program


PROGRAMS = (
    *("core.fsmonitor", "core.pager", "pager.diff", "core.sshCommand", "core.editor"),
    *("diff.external", "diff.x.command", "diff.x.textconv", "gpg.program", "credential.helper"),
)


@pytest.mark.parametrize("filters", [("clean", "smudge"), ("process",)], ids=str)
@pytest.mark.parametrize("place", ["repository", "submodule", "worktree"])
def test_programs_of_a_checkout_are_not_run(
    tmp_path: Path, repo: Path, committed: Run, planted: Path, filters: tuple[str], place: str
) -> None:
    folder = repo
    if place == "submodule":
        folder = repo / "inner"
        run_in(repo, "git", "clone", "-q", ".", "inner")
        committed("add", "inner")
    if place == "worktree":
        folder = tmp_path / "tree"
        committed("worktree", "add", "-q", "-b", "side", str(folder))
    for key in (*PROGRAMS, *(f"filter.x.{name}" for name in filters)):
        run_in(folder, "git", "config", key, str(planted))
    (folder / ".gitattributes").write_text("* filter=x diff=x\n")
    (folder / "model.py").write_text("x = 2\n")
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        shutil.copy(planted, repo / ".git" / "hooks" / hook)
    assert capture(folder if place == "worktree" else repo).dirty is True
    assert not (tmp_path / "RAN").exists()


def test_filters_of_the_user_stay(
    tmp_path: Path, repo: Path, committed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Git LFS: the repository holds a pointer in place of the file's content."""
    (tmp_path / "gitconfig").write_text('[filter "up"]\n\tclean = tr a-z A-Z\n\trequired = true\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (repo / ".gitattributes").write_text("*.txt filter=up\n")
    (repo / "data.txt").write_text("text")
    committed("add", ".")
    committed("commit", "-qm", "pointer")
    assert committed("show", "HEAD:data.txt") == "TEXT"
    os.utime(repo / "data.txt", (0, 0))  # git compares contents again
    # `git lfs install --local` repeats the user's commands in the repository.
    committed("config", "filter.up.clean", "false")
    assert capture(repo).dirty is False


def test_a_partial_clone_fetches_nothing(
    tmp_path: Path, repo: Path, committed: Run, planted: Path
) -> None:
    clone = tmp_path / "clone"
    committed("config", "uploadpack.allowFilter", "true")
    source = repo.as_uri()
    run_in(tmp_path, "git", "clone", "-q", "--filter=blob:none", "--no-checkout", source, "clone")
    run_in(clone, "git", "reset", "-q")  # the index names objects that are not there
    run_in(clone, "git", "config", "remote.origin.url", f"ext::{planted}")
    run_in(clone, "git", "config", "protocol.ext.allow", "always")
    (clone / "model.py").write_text("x = 2\n")
    assert capture(clone).dirty is True
    assert not (tmp_path / "RAN").exists()


def test_programs_of_a_mercurial_repository_are_not_run(
    tmp_path: Path, repo: Path, hg: Run, planted: Path
) -> None:
    (repo / "model.py").write_text("x = 1\n")
    hg("add", "model.py")
    hg("commit", "-m", "first")
    (tmp_path / "extension.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'w').close()\n")
    (repo / ".hg" / "hgrc").write_text(
        f"[extensions]\nx = {tmp_path}/extension.py\n[hooks]\npre-status = {planted}\n"
        f"[extdiff]\ncmd.diff = {planted}\n[paths]\ndefault = https://example.org/r\n"
    )
    (repo / "model.py").write_text("x = 2\n")
    provenance = capture(repo)
    assert (provenance.dirty, provenance.remote) == (True, "https://example.org/r")
    assert not (tmp_path / "RAN").exists()

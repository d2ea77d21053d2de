from __future__ import annotations

import ast
import grp
import inspect
import os
import pwd
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from mfprefect import settings as module
from mfprefect.backend import backend_for
from mfprefect.errors import ConfigurationError, MfprefectError
from mfprefect.lifecycle.thresholds import thresholds_for
from mfprefect.model import Model
from mfprefect.quality.drift import Limits
from mfprefect.settings import Settings, find_config, load_settings
from mfprefect.store import connect

untimed = settings(deadline=None)

# With a mark in the middle, so that a part of the secret that leaks is found as well.
MARK = "S3cr3t"
SECRETS = st.builds(
    f"{{}}{MARK}{{}}".format, *[st.text("aZ09:@%&=+-_.~!*", max_size=6) for _ in range(2)]
)
CONNECT_URLS = st.sampled_from(
    [
        "postgresql://ann:{}@host/db",
        "postgresql://ann:{}@host:port/db",
        f"postgresql://ann@host:{MARK}/db",  # the password where the port belongs
        "postgresql:ann:{}@host/db",
        "ann:{}@host/db",
        "{}",
        "postgresql://ann:{}@host:5432",
        "nosuch://ann:{}@host/db",
        "postgresql://host/db?password={}",
        "mysql+pymysql://ann:{}@host/db?charset=x",
    ]
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def write(text: str, folder: Path | None = None) -> Path:
    path = (folder or Path()) / "mfprefect.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(match: str, **arguments: Any) -> str:
    with pytest.raises(ConfigurationError, match=match) as caught:
        load_settings(**arguments)
    return str(caught.value)


# Where a value comes from


def test_the_defaults() -> None:
    loaded = load_settings()
    assert loaded.url.get_secret_value() == "sqlite:///mfprefect.db"
    assert (loaded.prefix, loaded.schema_name, loaded.sources) == ("", None, {})


@pytest.mark.parametrize("level", range(5))
def test_what_stands_higher_wins(level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    below = ("connect_timeout = 4\n" if level <= 3 else "") + "[profiles.night]\n"
    write(below + ("connect_timeout = 3\n" if level <= 2 else ""))
    monkeypatch.setenv("MFPREFECT_PROFILE", "night")
    if level <= 1:
        monkeypatch.setenv("MFPREFECT_CONNECT_TIMEOUT", "2")
    arguments = {"connect_timeout": 1} if level == 0 else {}
    assert load_settings(**arguments).connect_timeout == [1, 2, 3, 4, 10][level]


def test_an_argument_of_none_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFPREFECT_URL", "sqlite:///env.db")
    assert load_settings(url=None).url.get_secret_value() == "sqlite:///env.db"


def test_the_file_is_looked_for_upwards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the root of the repository, or a folder that is anybody's."""
    path = write('prefix = "mf_"')
    inner = folder / "flows" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert find_config() == folder / path
    assert load_settings().prefix == "mf_"
    folder.chmod(0o1777)  # as /tmp
    assert find_config() is None
    (folder / ".git").mkdir()
    assert find_config() == folder / path
    (folder / "flows" / ".hg").mkdir()
    assert find_config() is None


def test_a_folder_that_one_may_not_look_into_has_no_file(folder: Path) -> None:
    """A process of another user may be started in a folder of root's, as in a container."""
    write('prefix = "mf_"')
    folder.chmod(0o700 if os.geteuid() == 0 else 0)
    user = os.geteuid()
    try:
        os.seteuid(65534 if user == 0 else user)
        assert find_config() is None
    finally:
        os.seteuid(user)
        folder.chmod(0o700)
    assert find_config() == folder / "mfprefect.toml"


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)


@pytest.mark.parametrize("way", ["another user", "everybody", "a group", "a link"])
def test_a_file_that_another_user_can_write_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setenv("SECRET", "cloud-secret")
    path = folder / write('url = "postgresql://u:${SECRET}@strangers/x"')
    if way == "another user":
        give_away(path, monkeypatch)
    if way == "everybody":
        path.chmod(0o646)
    if way == "a group":
        monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group(("team", "x", 7, ["ann"])))
        os.chown(path, -1, 7) if os.geteuid() == 0 else None
        path.chmod(0o664)
    if way == "a link":
        other = path.rename(folder / "other.toml")
        path.symlink_to(other)
        give_away(other, monkeypatch)
    with pytest.raises(
        ConfigurationError, match=r"is not read, because it .*MFPREFECT_CONFIG"
    ) as e:
        load_settings()
    assert "cloud-secret" not in str(e.value)
    monkeypatch.setenv("MFPREFECT_CONFIG", str(path))
    assert "cloud-secret" in load_settings().url.get_secret_value()


def test_a_file_of_a_private_group_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the umask 002 of many distributions writes it."""
    path = folder / write('prefix = "mf_"')
    path.chmod(0o664)
    user = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.struct_group((user, "x", path.stat().st_gid, [user]))
    monkeypatch.setattr(grp, "getgrgid", lambda _: group)
    monkeypatch.setattr(pwd, "getpwall", lambda: [pwd.getpwuid(os.geteuid())])
    assert load_settings().prefix == "mf_"


def test_the_nearest_file_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write('prefix = "far_"')
    (folder / "near").mkdir()
    write("connect_timeout = 5", folder / "near")
    monkeypatch.chdir(folder / "near")
    assert (load_settings().prefix, load_settings().connect_timeout) == ("", 5)


@pytest.mark.parametrize("named", [True, False])
def test_sqlite_files_of_a_file_are_in_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Wherever a run starts; percent signs and blanks in the folder's name do no harm."""
    home, elsewhere = folder / "a %20 b", folder / "a %20 b" / "flows"
    elsewhere.mkdir(parents=True)
    text = """
        url = "sqlite:///dev.db"
        exports.crm = {table = "scores", url = "sqlite:///data/crm.db?timeout=5"}
        exports.same = {table = "scores"}
        [sources]
        other.url = "sqlite+pysqlite:///other.db"
        here.url = "sqlite:////data/x.db"
        variable.url = "sqlite:///${DATA}/x.db"
        memory.url = "sqlite://"
        other_memory.url = "sqlite:///:memory:"
        uri.url = "sqlite:///file:x.db?uri=true"
        server.url = "postgresql://host/dev.db"
        [profiles.production]
        url = "sqlite:///production.db"
    """
    path = write(text, home)
    monkeypatch.setenv("DATA", "/data")
    monkeypatch.chdir(folder if named else elsewhere)
    if named:
        monkeypatch.setenv("MFPREFECT_CONFIG", str(path.relative_to(folder)))
    settings = load_settings()
    assert file_of(settings.url) == str(home / "dev.db")
    assert settings.exports["crm"].url is not None
    crm = settings.exports["crm"].url.get_secret_value()
    assert sa.make_url(crm).database == str(home / "data" / "crm.db")
    assert crm.endswith("?timeout=5")
    assert settings.exports["same"].url is None
    sources = {name: source.url.get_secret_value() for name, source in settings.sources.items()}
    assert sources.pop("other").startswith("sqlite+pysqlite:////")
    assert file_of(settings.sources["other"].url) == str(home / "other.db")
    assert sources == {
        "here": "sqlite:////data/x.db",
        "variable": "sqlite:////data/x.db",
        "memory": "sqlite://",
        "other_memory": "sqlite:///:memory:",
        "uri": "sqlite:///file:x.db?uri=true",
        "server": "postgresql://host/dev.db",
    }
    monkeypatch.setenv("MFPREFECT_PROFILE", "production")
    assert file_of(load_settings().url) == str(home / "production.db")
    monkeypatch.setenv("MFPREFECT_URL", "sqlite:///here.db")
    assert load_settings().url.get_secret_value() == "sqlite:///here.db"
    assert load_settings(url="sqlite:///there.db").url.get_secret_value() == "sqlite:///there.db"


def file_of(url: SecretStr) -> str | None:
    return sa.make_url(url.get_secret_value()).database


def test_a_named_file_is_taken_instead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write('prefix = "here_"')
    other = folder / "other.toml"
    other.write_text('prefix = "there_"')
    monkeypatch.setenv("MFPREFECT_CONFIG", str(other))
    assert load_settings().prefix == "there_"


def test_a_named_file_that_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFPREFECT_CONFIG", "nowhere.toml")
    refused("MFPREFECT_CONFIG names 'nowhere.toml', which is not a file")


# Profiles

PROFILES = """
profile = "test"
prefix = "all_"
[profiles.test]
prefix = "test_"
[profiles.production]
connect_timeout = 60
"""


def test_the_file_names_its_usual_profile() -> None:
    write(PROFILES)
    assert load_settings().prefix == "test_"


def test_the_environment_names_another_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    write(PROFILES)
    monkeypatch.setenv("MFPREFECT_PROFILE", "production")
    loaded = load_settings()
    assert (loaded.prefix, loaded.connect_timeout) == ("all_", 60)


def test_notices_call_an_environment_by_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().environment is None
    write(PROFILES)
    assert load_settings().environment == "test"
    monkeypatch.setenv("MFPREFECT_PROFILE", "production")
    assert load_settings().environment == "production"
    monkeypatch.setenv("MFPREFECT_ENVIRONMENT", "live, EU")
    assert load_settings().environment == "live, EU"


def test_an_unknown_profile_names_the_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    write(PROFILES)
    monkeypatch.setenv("MFPREFECT_PROFILE", "prodution")
    refused("unknown profile 'prodution' in .*; its profiles: test, production. Set MFPREFECT_PROF")


def test_a_profile_of_a_file_without_any_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    write('prefix = "mf_"')
    monkeypatch.setenv("MFPREFECT_PROFILE", "production")
    refused("unknown profile 'production' in .*; its profiles: none")


def test_a_profile_without_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFPREFECT_PROFILE", "production")
    refused("MFPREFECT_PROFILE names 'production', but there is no mfprefect.toml")


@pytest.mark.parametrize("text", ["profiles = 3", "[profiles]\nnight = 3", 'profile = ["a"]'])
def test_malformed_profiles_are_refused(text: str) -> None:
    write(text)
    refused("profile")


# What is wrong


def test_an_unknown_setting_names_the_settings() -> None:
    for message in (
        refused("unknown setting 'nope' in the arguments", nope=1),
        _in_file("nope = 1"),
    ):
        assert "'nope'" in message
        assert all(name in message for name in Settings.model_fields)


def _in_file(text: str) -> str:
    write(text)
    return refused("mfprefect.toml")


def test_text_that_is_no_toml_names_the_file_and_the_place() -> None:
    message = _in_file("prefix = mf_")
    assert str(Path("mfprefect.toml").resolve()) in message
    assert "line 1" in message
    Path("mfprefect.toml").write_bytes(b'prefix = "\xff"')
    refused("not valid TOML")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("connect_timeout", -1, "greater than 0"),
        ("connect_timeout", "soon", "valid number"),
        ("heartbeat_seconds", 0, "greater than 0"),
        ("retry_seconds", -0.5, "greater than or equal to 0"),
        ("prefix", "MF-", r"match pattern '\^\[a-z\]"),
        ("prefix", "a" * 17, "match pattern"),
        ("time_zone", "Mars/Olympus", "no such time zone; use a name such as Europe/Berlin"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_do(name: str, value: Any, says: str) -> None:
    assert f"{name} = {value!r}" in refused(f"wrong setting: {name} = .*{says}", **{name: value})


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFPREFECT_TRUSTED_TYPES", '["my.Scaler", "my.Model"]')
    assert load_settings().trusted_types == ("my.Scaler", "my.Model")
    monkeypatch.setenv("MFPREFECT_TRUSTED_TYPES", "my.Scaler")
    refused('"trusted_types".*JSON')


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().prefix = "mf_"


# Sources and references


def test_sources_come_from_the_file_and_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('default_source = "crm"\n[sources.crm]\nurl = "sqlite:///crm.db"')
    monkeypatch.setenv("MFPREFECT_SOURCES__WAREHOUSE__URL", "sqlite:///dwh.db")
    loaded = load_settings()
    urls = {name: source.url.get_secret_value() for name, source in loaded.sources.items()}
    assert urls == {"crm": f"sqlite:///{folder}/crm.db", "warehouse": "sqlite:///dwh.db"}
    assert loaded.default_source == "crm"


def test_references_are_looked_up_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_USER", "ann")
    monkeypatch.setenv("DB_PASSWORD", "${NOT_LOOKED_UP}")
    write(
        'url = "postgresql://${DB_USER}:${DB_PASSWORD}@host/db"\n'
        'signing_key = "key of ${DB_USER}"\n'
        '[sources.crm]\nurl = "mysql://${DB_USER}@host/crm"'
    )
    loaded = load_settings()
    assert loaded.url.get_secret_value() == "postgresql://ann:%24%7BNOT_LOOKED_UP%7D@host/db"
    assert backend_for(loaded).url.password == "${NOT_LOOKED_UP}"
    assert loaded.sources["crm"].url.get_secret_value() == "mysql://ann@host/crm"
    assert loaded.signing_key is not None
    assert loaded.signing_key.get_secret_value() == "key of ann"


@pytest.mark.parametrize(
    "text",
    ['url = "sqlite:///${NOT_SET}"', 'signing_key = "${NOT_SET}"', 'seal_key = "${NOT_SET}"'],
)
def test_a_reference_to_nothing_names_the_variable(text: str) -> None:
    write(text)
    refused(r"refers to \$\{NOT_SET\}, which is not set; export NOT_SET")


# Secrets


def all_that_is_shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@untimed
@given(SECRETS, CONNECT_URLS)
def test_no_part_of_a_password_is_ever_shown(secret: str, url: str) -> None:
    url = url.format(secret)
    keys = {"signing_key": secret, "seal_key": secret, "verify_keys": {"old": secret}}
    loaded = load_settings(url=url, sources={"crm": {"url": url}}, **keys)
    shown = [repr(loaded), str(loaded), str(loaded.model_dump()), loaded.model_dump_json()]
    try:
        shown.append(repr(backend_for(loaded)))
        with connect(url) as store:
            shown += [repr(store), store.database.place]
    except MfprefectError as exc:
        shown.append(all_that_is_shown(exc))
    assert not [text for text in shown if MARK in text]


@untimed
@given(
    SECRETS,
    st.sampled_from(
        [
            lambda secret: {"url": [secret]},
            lambda secret: {"signing_key": {"key": secret}},
            lambda secret: {"verify_keys": {"old": [secret]}},
            lambda secret: {"sources": secret},
            lambda secret: {"sources": {"crm": secret}},
            lambda secret: {"sources": {"crm": {"url": [secret]}}},
            lambda secret: {"sources": {"crm": {"password": secret}}},
            lambda secret: {"url": f"sqlite:///{secret}", "connect_timeout": -1},
        ]
    ),
)
def test_a_secret_in_the_wrong_place_is_not_shown(secret: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**wrong(secret))
    assert MARK not in all_that_is_shown(caught.value)


@untimed
@given(
    SECRETS,
    st.sampled_from(
        ["url = {}", 'url = "{}', 'url = "{}"\nurl = "b"', '"{}" = ', "[sources]\ncrm = '{}'"]
    ),
)
def test_a_secret_in_a_malformed_file_is_not_shown(secret: str, text: str) -> None:
    write(text.format(secret))
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert MARK not in all_that_is_shown(caught.value)


@untimed
@given(SECRETS, st.sampled_from(["SOURCES", "SOURCES__CRM", "SOURCES__CRM__PASSWORD"]))
def test_a_secret_in_a_malformed_variable_is_not_shown(secret: str, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"MFPREFECT_{name}", secret)
        with pytest.raises(ConfigurationError) as caught:
            load_settings()
    assert MARK not in all_that_is_shown(caught.value)


def test_a_password_with_an_at_sign_has_to_be_encoded() -> None:
    with pytest.raises(ConfigurationError, match="special characters of the password percent-enc"):
        connect("postgresql://ann:p@ss@host/db")
    with connect("postgresql://ann:p%40ss@host/db") as store:
        assert store.database.backend.url.password == "p@ss"


# Documentation


def test_every_field_is_explained_under_it() -> None:
    tree = ast.parse(inspect.getsource(module))
    kinds = [
        n
        for n in tree.body
        if isinstance(n, ast.ClassDef) and n.name in ("Settings", "Source", "Target")
    ]
    explained = set()
    for kind in kinds:
        for field, below in zip(kind.body, kind.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                assert isinstance(below, ast.Expr), field.target.id
                assert isinstance(below.value, ast.Constant), field.target.id
                assert str(below.value.value).endswith("."), field.target.id
                explained.add(field.target.id)
        assert not isinstance(kind.body[-1], ast.AnnAssign)
    assert explained >= set(Settings.model_fields)


def test_every_field_is_an_environment_variable() -> None:
    examples = {
        "url": "sqlite:///e.db",
        "environment": "staging",
        "schema_name": "mf",
        "prefix": "e_",
        "connect_timeout": "7",
        "retry_seconds": "7",
        "spool": "off",
        "spool_max_bytes": "7",
        "batch_rows": "7",
        "summary_rows": "70000",
        "heartbeat_seconds": "7",
        "repository": os.curdir,
        "time_zone": "Pacific/Auckland",
        "report_url": "https://reports.example.com/{session_id}",
        "trusted_types": '["a.B"]',
        "signing_key": "k",
        "seal_key": "file:/etc/seal.pem",
        "verify_keys": '{"old": "k"}',
        "sources": '{"crm": {"url": "sqlite:///c.db"}}',
        "default_source": "crm",
        "heartbeat_timeout": "700",
        "detached_timeout": "7",
        "masked_columns": '["email"]',
        "notify": '{"ops": {"url": "json://127.0.0.1"}}',
        "retention": '{"keep_days": 7}',
        "exports": '{"crm": {"table": "marketing.churn"}}',
        "drift": '{"psi": 0.3}',
        "console": '{"roles": {"ops": "deployer"}}',
        "metrics": '["ourcompany.metrics"]',
    }
    assert set(examples) == set(Settings.model_fields)
    defaults = load_settings()
    for name, text in examples.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(f"MFPREFECT_{name.upper()}", text)
            assert getattr(load_settings(), name) != getattr(defaults, name)


def test_thresholds_of_drift_by_model_and_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mfprefect.toml").write_text(
        "[drift]\npsi = 0.2\nnull_share = 0.3\n[drift.models.churn]\npsi = 0.4\n"
        "[profiles.live.drift]\nnull_share = 0.15\n[profiles.live.drift.models.other]\nks = 0.5\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MFPREFECT_PROFILE", "live")

    class Churn(Model):
        model_id = "churn"
        drift_threshold = 0.35
        ks_threshold = 0.6

    class Other(Model):
        model_id = "other"
        drift_threshold = 0.35
        ks_threshold = 0.6

    live = load_settings()
    assert thresholds_for(Churn, live) == Limits(psi=0.4, ks=0.6, null_share=0.15)
    assert thresholds_for(Other, live) == Limits(psi=0.35, ks=0.5, null_share=0.15)
    plain = type("Plain", (Model,), {"model_id": "plain"})
    assert thresholds_for(plain, live) == Limits(psi=0.2, null_share=0.15)
    assert Limits().ks_limit == pytest.approx(0.197, abs=5e-4)
    monkeypatch.setenv("MFPREFECT_DRIFT__PSI", "-1")
    with pytest.raises(ConfigurationError, match=r"drift.psi = '-1': .* greater than 0"):
        load_settings()


def test_the_environment_is_the_profile_unless_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().environment is None
    config = '[profiles.live]\nprefix = "x"\n[profiles.test]\nenvironment = "trial"\n'
    (tmp_path / "mfprefect.toml").write_text(config)
    assert load_settings().environment is None
    monkeypatch.setenv("MFPREFECT_PROFILE", "live")
    assert load_settings().environment == "live"
    monkeypatch.setenv("MFPREFECT_ENVIRONMENT", "here")
    assert load_settings().environment == "here"
    monkeypatch.delenv("MFPREFECT_ENVIRONMENT")
    monkeypatch.delenv("MFPREFECT_PROFILE")
    (tmp_path / "mfprefect.toml").write_text(f'profile = "test"\n{config}')
    assert load_settings().environment == "trial"

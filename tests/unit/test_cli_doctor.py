"""`mfprefect doctor` on every illness."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import mfprefect
from mfprefect.cli import cli
from mfprefect_dev.servers import Server

SCRIPT = Path(sys.executable).parent / "mfprefect"


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with mfprefect.connect(url) as store:
        store.create_schema()
    return url


def doctor(
    folder: Path, *args: str, code: int, secret: str | None = None, **env: str
) -> dict[str, dict[str, Any]]:
    """Run the doctor, for programs; return the worst finding by check."""
    text = run(["doctor", *args, "--json"], folder, code, env)
    assert secret is None or secret not in text
    findings = json.loads(text)
    order = ["ok", "warning", "failed"]
    findings.sort(key=lambda finding: order.index(finding["status"]))
    assert all(f["cure"] for f in findings if f["status"] == "failed")
    return {finding["check"]: finding for finding in findings}


def run(command: list[str], folder: Path, code: int, env: dict[str, str]) -> str:
    if any(name.startswith("PREFECT_") for name in env):  # read when Prefect is imported
        done = subprocess.run(
            [SCRIPT, *command],
            cwd=folder,
            env=os.environ | env,
            capture_output=True,
            text=True,
            check=False,
        )
        outcome = (done.returncode, done.stdout, done.stderr)
    else:
        with contextlib.chdir(folder):
            result = CliRunner().invoke(cli, command, env=env)
        outcome = (result.exit_code, result.stdout, result.stderr)
    assert (outcome[0], outcome[2]) == (code, ""), outcome
    return outcome[1]


def test_people_are_told_the_same(url: str, tmp_path: Path) -> None:
    env = {"MFPREFECT_URL": "postgresql://me:s3cret@127.0.0.1:1/x", "PREFECT_LOGGING_LEVEL": "INFO"}
    findings = json.loads(run(["doctor", "--json"], tmp_path, 1, env))
    output = run(["doctor"], tmp_path, 1, env)
    assert "s3cret" not in output
    lines = [line for line in output.splitlines() if not line.startswith(" ")]
    assert [line.split("  ")[0] for line in lines] == [f["status"] for f in findings]
    assert all(f["cure"].split()[0] in output for f in findings if f["cure"])


def test_a_healthy_store(url: str, tmp_path: Path) -> None:
    # A process of its own: the server of other tests is known in this one.
    env = {"MFPREFECT_URL": url, "PREFECT_LOGGING_LEVEL": "WARNING"}
    results = doctor(tmp_path, code=0, **env)
    assert [results[c]["status"] for c in ("url", "database", "schema", "rights", "prefect")] == (
        ["ok"] * 5
    )
    assert "from MFPREFECT_URL" in results["url"]["detail"]
    assert mfprefect.__version__ in results["mfprefect"]["detail"]
    assert "temporary server" in results["prefect api"]["detail"]
    assert results["git"]["status"] == "warning"  # tmp_path is in no checkout
    assert results["sources"]["detail"].startswith("none configured")
    assert "nobody is told of failures" in results["notify"]["detail"]
    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("select count(*) from models").fetchone() == (0,)


def test_where_settings_come_from(url: str, tmp_path: Path) -> None:
    (tmp_path / "mfprefect.toml").write_text(
        f'[profiles.prod]\nurl = "{url}"\n'
        '[sources.crm]\nurl = "postgresql://u:s3cret@h/crm?password=s3cret"\n'
        '[sources.bad]\nurl = "no url s3cret"\n'
    )
    results = doctor(tmp_path, code=1, secret="s3cret", MFPREFECT_PROFILE="prod")
    assert "profile prod (from MFPREFECT_PROFILE)" in results["settings"]["detail"]
    assert "mfprefect.toml, profile prod" in results["url"]["detail"]
    assert "bad" in results["sources"]["detail"]
    assert results["database"]["status"] == "ok"
    given = doctor(tmp_path, "--url", url, code=1, MFPREFECT_PROFILE="prod")
    assert "from --url" in given["url"]["detail"]


def test_sources_are_connected_to(url: str, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        place = "{}:{}".format(*silent.getsockname())  # accepts, and says nothing
        (tmp_path / "mfprefect.toml").write_text(
            f'url = "{url}"\n[sources]\n'
            f'good.url = "{url}"\n'
            f'gone.url = "sqlite:///{tmp_path / "gone.db"}"\n'
            'away.url = "postgresql://u:s3cret@127.0.0.1:1/crm?options=s3cret"\n'
            f'silent.url = "postgresql://u:s3cret@{place}/crm"\n'
            'unset.url = "postgresql://u:${NOT_SET_AT_ALL}@127.0.0.1:1/crm"\n'
            'other.url = "nosuchdatabase://u:s3cret@127.0.0.1/x"\n'
        )
        text = run(["doctor", "--json"], tmp_path, 1, {})
    assert "s3cret" not in text
    results = [result for result in json.loads(text) if result["check"] == "sources"]
    said = {result["detail"].partition(":")[0]: result for result in results}
    assert {name: result["status"] for name, result in said.items()} == {
        "good": "ok",
        **dict.fromkeys(("gone", "away", "silent", "unset", "other"), "failed"),
    }
    assert said["good"]["detail"].endswith(": a connection succeeds")
    assert "file does not exist" in said["gone"]["detail"] and not (tmp_path / "gone.db").exists()
    assert "refused" in said["away"]["detail"]
    assert "start its server" in said["away"]["cure"]
    assert "no answer within 5 seconds" in said["silent"]["detail"]
    assert "NOT_SET_AT_ALL" in said["unset"]["detail"]
    assert "Install the SQLAlchemy dialect" in said["other"]["detail"]


def test_a_misspelt_variable(url: str, tmp_path: Path) -> None:
    env = {"MFPREFECT_URL": url, "MFPREFECT_RETRY_SECOND": "5", "MFPREFECT_DEBUG": "0"}
    env["MFPREFECT_SOURCES__WAREHOUSE__URL"] = url
    result = doctor(tmp_path, code=0, **env)["settings"]
    assert result["status"] == "warning"
    assert "MFPREFECT_RETRY_SECOND is not a setting" in result["detail"]
    assert result["cure"] == "did you mean MFPREFECT_RETRY_SECONDS?"


def test_no_file_yet_and_none_is_made(tmp_path: Path) -> None:
    results = doctor(tmp_path, code=1)
    assert "default" in results["url"]["detail"]
    assert "does not exist" in results["database"]["detail"]
    assert results["database"]["cure"] == "mfprefect init"
    assert list(tmp_path.iterdir()) == []


def test_no_schema(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    results = doctor(tmp_path, "--url", "sqlite:///empty.db", code=1)
    assert f"sqlite:///{tmp_path}/empty.db (from --url)" in results["url"]["detail"]
    assert results["schema"]["detail"] == "it has no tables of mfprefect yet"
    assert results["schema"]["cure"] == "mfprefect init"


def test_a_schema_of_the_future(url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("update mfprefect_version set version_num = '9999'")
    results = doctor(tmp_path, "--url", url, code=1)
    assert "newer: of revision 9999, expected 0" in results["schema"]["detail"]
    assert "upgrade mfprefect" in results["schema"]["cure"]


def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is no database, although it is long enough" * 100)
    results = doctor(tmp_path, "--url", "sqlite:///x.db", code=1)
    assert "not a database" in results["database"]["detail"]
    assert "mfprefect doctor" not in results["database"]["detail"]


def test_no_right_to_write(url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute(
            "create trigger no before insert on models begin select raise(abort, 'read only'); end"
        )
    results = doctor(tmp_path, "--url", url, code=1)
    assert "read only" in results["rights"]["detail"]


@pytest.mark.parametrize(
    ("url", "check", "text"),
    [
        ("postgresql://me:s3cret@127.0.0.1:1/x", "database", "Connection refused"),
        ("mysql://me:s3cret@127.0.0.1:1/x", "database", "refused"),
        ("postgresql://me:s3cret@nowhere.invalid/x", "database", "nowhere.invalid"),
        ("mysql://me:s3cret@127.0.0.1", "database", "must name the database"),
        ("oracle://me:s3cret@127.0.0.1/x", "database", "no backend for 'oracle'"),
        ("s3cret", "url", "malformed"),
        ("postgresql://me:s3cret@x:port/d", "url", "malformed"),
        ("postgresql://me:${S3CRET}@x/d", "url", "S3CRET"),
    ],
)
def test_urls_that_do_not_work(tmp_path: Path, url: str, check: str, text: str) -> None:
    results = doctor(tmp_path, code=1, secret="s3cret", MFPREFECT_URL=url)
    assert results[check]["status"] == results["database"]["status"] == "failed"
    assert text in results[check]["detail"]


@pytest.mark.parametrize(
    ("content", "env", "text"),
    [
        ("url = ", {}, "not valid TOML"),
        ("colour = 'red'", {}, "unknown setting 'colour'"),
        ("retry_seconds = 'soon'", {}, "retry_seconds"),
        ("", {"MFPREFECT_PROFILE": "prod"}, "unknown profile 'prod'"),
        ("", {"MFPREFECT_CONFIG": "gone.toml"}, "gone.toml"),
        ("", {"MFPREFECT_RETRY_SECONDS": "soon"}, "retry_seconds"),
        ("", {"MFPREFECT_SOURCES": "{"}, "sources"),
    ],
)
def test_settings_that_are_wrong(
    tmp_path: Path, content: str, env: dict[str, str], text: str
) -> None:
    (tmp_path / "mfprefect.toml").write_text(content)
    results = doctor(tmp_path, code=1, **env)
    failed = [f["detail"] for f in results.values() if f["status"] == "failed"]
    assert any(text in detail for detail in failed)
    assert results["prefect"]["status"] == "ok"  # it went on to the end


class _Api(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Any]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Api", (_Api,), {})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "verdict", "cure"), [(200, "ok", ""), (401, "failed", "PREFECT_API_KEY")]
)
def test_prefects_api(
    url: str, tmp_path: Path, api: Any, status: int, verdict: str, cure: str
) -> None:
    api.RequestHandlerClass.status = status
    address = f"http://me:s3cret@127.0.0.1:{api.server_address[1]}/api"
    code = 0 if verdict == "ok" else 1
    results = doctor(tmp_path, "--url", url, code=code, secret="s3cret", PREFECT_API_URL=address)
    assert results["prefect api"]["status"] == verdict
    assert cure in results["prefect api"]["cure"]


def test_prefects_api_that_is_away(url: str, tmp_path: Path) -> None:
    env = {"PREFECT_API_URL": "http://127.0.0.1:1/api"}
    results = doctor(tmp_path, "--url", url, code=1, **env)
    assert "ConnectError" in results["prefect api"]["detail"]
    assert "prefect server start" in results["prefect api"]["cure"]


def test_prefects_settings_that_are_wrong(url: str, tmp_path: Path) -> None:
    env = {"PREFECT_SERVER_API_PORT": "s3cret"}
    results = doctor(tmp_path, "--url", url, code=1, secret="s3cret", **env)
    assert results["prefect"]["status"] == "failed"


def test_the_checkout(url: str, tmp_path: Path) -> None:
    def git(*args: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["/usr/bin/env", "git", *who, *args], cwd=tmp_path, check=True)

    (tmp_path / ".gitignore").write_text("store.db*\n")
    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", "https://me:s3cret@example.org/team/models.git")
    git("add", ".gitignore")
    git("commit", "-q", "-m", "first")
    clean = doctor(tmp_path, "--url", url, code=0, secret="s3cret")["git"]
    assert clean["status"] == "ok"
    assert "example.org/team/models.git" in clean["detail"]
    (tmp_path / "model.py").write_text("")
    dirty = doctor(tmp_path, "--url", url, code=0, secret="s3cret")["git"]
    assert dirty["status"] == "warning"
    assert "uncommitted" in dirty["detail"]


def test_servers(database_server: Server, tmp_path: Path) -> None:
    url = database_server.new_database()
    missing = doctor(tmp_path, code=1, MFPREFECT_URL=url)
    assert missing["database"]["status"] == "ok"
    assert missing["schema"]["cure"] == "mfprefect init"
    with mfprefect.connect(url) as store:
        store.create_schema()
        wrong = store.database.backend.url.set(password="wr0ng-pw", username="nobody-here")
        healthy = doctor(tmp_path, code=0, MFPREFECT_URL=url)
        assert healthy["rights"]["status"] == "ok"
        assert store.models().empty
    shown = wrong.render_as_string(hide_password=False)
    ill = doctor(tmp_path, code=1, secret="wr0ng-pw", MFPREFECT_URL=shown)
    assert ill["database"]["status"] == "failed"
    database_server.drop_database(url)


def test_a_backend_whose_library_is_not_installed(url: str, tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['teradatasqlalchemy'] = None\n"
        f"sys.argv = ['mfprefect', 'doctor', '--json', '--url', {url!r}]\n"
        "from mfprefect.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (result,) = (f for f in json.loads(done.stdout) if "teradatasql://" in f["detail"])
    assert result["detail"] == "teradatasql:// needs teradatasqlalchemy, which is not installed"
    assert result["cure"].endswith("pip install 'mfprefect[teradata]'")

"""Make the databases of a commit, for the tests of upgrades: `.venv/bin/python <this file>`.

Run it in a checkout of the commit, with that checkout's interpreter. It writes a folder beside this
file, named like the commit, with a file of each database, what waits in the spool, an archive, and
what the commit's own readers say of all that. `--only sqlite` makes one database alone.

What is recorded of the machine is made up: host, user, checkout and paths.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CRASH = "--crash"
QUICK = {
    "MFPREFECT_RETRY_SECONDS": "0.5",
    "MFPREFECT_CONNECT_TIMEOUT": "0.5",
    "MFPREFECT_HEARTBEAT_SECONDS": "600",
    "MFPREFECT_EXPORTS": '{"crm": {"table": "crm_scores"}}',
}
EVENTS = ["failed", "crashed", "checks_failed", "gate_failed", "drift", "promoted", "rolled_back"]
NOBODY = "json://127.0.0.1:9/"
"""Nobody listens there."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", metavar="DATABASE", help="sqlite, postgres, ..")
    parser.add_argument("--commit", default=_commit(), help="what the folder is called")
    parser.add_argument(CRASH, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.crash:
        _crash()
    else:
        _make(HERE / arguments.commit, arguments.only)


def _commit() -> str:
    command = ["git", "-C", str(HERE), "rev-parse", "--short=7", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _forget_settings() -> None:
    for name in list(os.environ):
        if name.startswith(("PREFECT_", "MFPREFECT_")) and name != "MFPREFECT_TEST_WITHOUT":
            del os.environ[name]


def _crash() -> None:
    from upgradekit import history, inside

    inside.disguise(Path(os.environ["MFPREFECT_REPOSITORY"]))
    history.crash()


def _make(folder: Path, only: list[str] | None) -> None:
    _forget_settings()
    with tempfile.TemporaryDirectory(prefix="mfp-upgrades-") as place:
        work = Path(place)
        os.environ["PREFECT_HOME"] = str(work / "prefect")
        os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
        os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
        os.chdir(work)
        from upgradekit import inside, places

        from mfprefect.testing.prefect_server import temporary_server
        from mfprefect_dev import teradata

        inside.disguise(work)
        teradata.install()
        with temporary_server(), _listener() as listener:
            for name in only or places.DATABASES:
                print(f"{name} ..", flush=True)
                with _settings(work / name, listener):
                    _one(name, work / name, folder)


def _one(name: str, work: Path, folder: Path) -> None:
    """Make a database, keep its files, and ask it for all that it says."""
    from upgradekit import files, history, places

    (work / "archive").mkdir(parents=True)
    with places.place(name, work) as place:
        os.environ["MFPREFECT_URL"] = place.url
        history.write_history(place, work / "archive", Path(__file__).resolve())
        folder.mkdir(exist_ok=True)
        print(f"{files.dump(place.url, folder)}")
        for part in ("spool", "archive"):
            files.pack(work / part, folder / part / f"{name}.tar.gz")
        files.keep(folder / f"{name}.json.gz", _expected(place.url))


def _expected(url: str) -> dict[str, Any]:
    from upgradekit import answers, inside, keys

    import mfprefect

    with mfprefect.connect(url, **keys.SETTINGS) as store:
        deletions = inside.being_deleted(store)
        return {
            "revision": inside.revision(),
            "version": mfprefect.__version__,
            "being_deleted": deletions,
            "answers": answers.answers(store, deletions),
            "reports": answers.reports(store, deletions),
            "plan": answers.plan(store, deletions),
            # At last, as that goes on with failed sessions.
            "parts": inside.parts_of_failed(store),
        }


@contextmanager
def _settings(work: Path, listener: str) -> Iterator[None]:
    notify = {
        "desk": {"url": listener, "events": EVENTS},
        "nobody": {"url": NOBODY, "events": ["failed"], "models": ["churn"]},
    }
    before = dict(os.environ)
    os.environ.update(QUICK, MFPREFECT_SPOOL=str(work / "spool"))
    os.environ["MFPREFECT_NOTIFY"] = json.dumps(notify)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Listener(BaseHTTPRequestHandler):
    """Takes every notice."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _listener() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/"
        server.shutdown()


if __name__ == "__main__":
    main()

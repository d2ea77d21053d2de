"""Errors of the real driver without a server, in a separate process.

Other tests replace the driver with an emulated one of the same name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import json, sys
import mfprefect
errors = []
for url in sys.argv[1:]:
    try:
        with mfprefect.connect(url, retry_seconds=0, connect_timeout=2) as store:
            store.sessions()
    except mfprefect.MfprefectError as exc:
        errors.append([type(exc).__name__, str(exc)])
json.dump({"errors": errors, "driver": sys.modules["teradatasql"].__file__}, sys.stdout)
"""
HOST = "teradatasql://user:s3cr3t@127.0.0.1:1"
URLS = {
    "refused": f"{HOST}/?database=mf&cop=false",
    "unknown key": f"{HOST}/?database=mf&colour=blue",
    "unknown mechanism": f"{HOST}/?database=mf&logmech=BOGUS",
    "a token": f"{HOST}/?cop=false&logmech=JWT&logdata=token%3Dt0k3n",
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("driver")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *URLS.values()],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    answer = json.loads(done.stdout)
    assert "site-packages" in answer["driver"]
    return dict(zip(URLS, answer["errors"], strict=True))


def test_a_refused_connection_is_transient(errors: Any) -> None:
    kind, text = errors["refused"]
    assert kind == "DatabaseUnavailable"
    assert "Failed to connect to 127.0.0.1" in text


def test_a_url_that_the_driver_rejects_is_terminal(errors: Any) -> None:
    kind, text = errors["unknown key"]
    assert kind == "DatabaseError"
    assert 'unknown field "colour"' in text
    kind, text = errors["unknown mechanism"]
    assert kind == "DatabaseError"
    assert "BOGUS was specified for the logmech connection parameter" in text


def test_without_the_dialect_the_error_names_its_package(tmp_path: Path) -> None:
    script = "import sys\nsys.modules['teradatasqlalchemy'] = None\n" + SCRIPT.replace(
        'sys.modules["teradatasql"].__file__', "None"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, HOST], cwd=tmp_path, check=True, capture_output=True
    )
    ((kind, text),) = json.loads(done.stdout)["errors"]
    assert kind == "BackendNotFound"
    assert "needs the package 'teradatasqlalchemy'" in text


def test_no_error_shows_a_secret(errors: Any) -> None:
    assert not [text for _, text in errors.values() if "s3cr3t" in text or "t0k3n" in text]

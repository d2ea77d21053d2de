"""What the real driver says where there is no server, in a process of its own.

Other tests put an emulated driver of the same name in its place.
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
found = []
for url in sys.argv[1:]:
    try:
        with mfprefect.connect(url, retry_seconds=0, connect_timeout=2) as store:
            store.sessions()
    except mfprefect.MfprefectError as exc:
        found.append([type(exc).__name__, str(exc)])
json.dump({"said": found, "driver": sys.modules["teradatasql"].__file__}, sys.stdout)
"""
HOST = "teradatasql://user:s3cr3t@127.0.0.1:1"
URLS = {
    "refused": f"{HOST}/?database=mf&cop=false",
    "unknown key": f"{HOST}/?database=mf&colour=blue",
    "unknown mechanism": f"{HOST}/?database=mf&logmech=BOGUS",
    "a token": f"{HOST}/?cop=false&logmech=JWT&logdata=token%3Dt0k3n",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
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
    return dict(zip(URLS, answer["said"], strict=True))


def test_a_refused_connection_is_tried_again_later(said: Any) -> None:
    kind, text = said["refused"]
    assert kind == "DatabaseUnavailable"
    assert "Failed to connect to 127.0.0.1" in text


def test_a_url_that_the_driver_does_not_understand_is_not(said: Any) -> None:
    kind, text = said["unknown key"]
    assert kind == "DatabaseError"
    assert 'unknown field "colour"' in text
    kind, text = said["unknown mechanism"]
    assert kind == "DatabaseError"
    assert "BOGUS was specified for the logmech connection parameter" in text


def test_without_the_dialect_the_extra_is_named(tmp_path: Path) -> None:
    script = "import sys\nsys.modules['teradatasqlalchemy'] = None\n" + SCRIPT.replace(
        'sys.modules["teradatasql"].__file__', "None"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, HOST], cwd=tmp_path, check=True, capture_output=True
    )
    ((kind, text),) = json.loads(done.stdout)["said"]
    assert kind == "BackendNotFound"
    assert "needs the package 'teradatasqlalchemy'" in text


def test_no_text_shows_a_secret(said: Any) -> None:
    assert not [text for _, text in said.values() if "s3cr3t" in text or "t0k3n" in text]

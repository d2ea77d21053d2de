"""No proxy between a process and a server on the same machine."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest
from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, get_current_settings

from mfprefect.cli.commands.doctor import checks
from mfprefect.lifecycle.prefect_defaults import set_prefect_defaults
from mfprefect.util.proxies import PROXIES, bypass_on_loopback, proxies_loopback

LOCAL = {"localhost", "127.0.0.1", "::1"}


@pytest.mark.parametrize("name", [*PROXIES, *map(str.upper, PROXIES)])
@pytest.mark.parametrize("exempt", [{}, {"NO_PROXY": "db.corp, .corp"}, {"no_proxy": "127.0.0.1"}])
def test_a_proxy_is_bypassed(name: str, exempt: dict[str, str]) -> None:
    variables = {name: "http://proxy:3128", **exempt}
    assert proxies_loopback(variables)
    bypass_on_loopback(variables)
    assert not proxies_loopback(variables)
    for spelling in ("NO_PROXY", "no_proxy"):
        names = variables[spelling].split(",")
        assert len(names) == len(set(names))
        assert set(names) >= LOCAL
    if "NO_PROXY" in exempt:
        assert {"db.corp", ".corp"} <= set(variables["NO_PROXY"].split(","))
    assert variables[name] == "http://proxy:3128"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HTTP_PROXY": ""},
        {"NO_PROXY": "db.corp"},
        {"HTTP_PROXY": "http://proxy:3128", "no_proxy": "*"},
        {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost,127.0.0.1,::1,x"},
    ],
)
def test_what_needs_no_change_stays(variables: dict[str, str]) -> None:
    before = dict(variables)
    bypass_on_loopback(variables)
    assert variables == before


def test_httpx_understands_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *map(str.upper, PROXIES), "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")  # restored afterwards
    monkeypatch.setenv("no_proxy", "")
    bypass_on_loopback()
    with httpx.Client() as client:
        for host in ("127.0.0.1", "localhost", "[::1]"):
            url = httpx.URL(f"http://{host}:4200/api")
            assert client._transport_for_url(url) is client._transport
        assert client._transport_for_url(httpx.URL("http://x.corp")) is not client._transport


def test_prefects_own_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    ephemeral = get_current_settings().server.ephemeral
    before, names = ephemeral.startup_timeout_seconds, set(ephemeral.model_fields_set)
    try:
        ephemeral.startup_timeout_seconds = 33
        set_prefect_defaults()
        assert PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value() == 33
        ephemeral.startup_timeout_seconds = 20
        ephemeral.model_fields_set.discard("startup_timeout_seconds")
        set_prefect_defaults()
        assert PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value() == 180
    finally:
        ephemeral.startup_timeout_seconds = before
        ephemeral.model_fields_set.intersection_update(names)


def test_a_temporary_server_sends_no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless somebody wants it: recording it fails on a busy file, with a traceback in the run."""
    program = (
        "from mfprefect.lifecycle.prefect_defaults import set_prefect_defaults\n"
        "from prefect.settings import get_current_settings\n"
        "set_prefect_defaults()\n"
        "settings = get_current_settings().to_environment_variables(exclude_unset=True)\n"
        "print(settings['PREFECT_SERVER_ANALYTICS_ENABLED'])"
    )
    monkeypatch.delenv("PREFECT_SERVER_ANALYTICS_ENABLED", raising=False)
    for name, exported in {"": "False", "true": "True", "false": "False"}.items():
        if name:
            monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", name)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == exported


def test_the_doctor_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mfprefect.lifecycle.prefect_api.api_error", lambda: httpx.ConnectError("refused")
    )
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert "set NO_PROXY=localhost,127.0.0.1,::1" in str(
        checks._api("http://127.0.0.1:4200/api").cure
    )
    assert "prefect server start" in str(checks._api("http://prefect.corp/api").cure)

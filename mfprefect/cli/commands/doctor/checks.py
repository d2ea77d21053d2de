"""The doctor's checks of everything but the database."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Iterator
from contextlib import redirect_stderr
from difflib import get_close_matches
from importlib import metadata
from io import StringIO
from typing import Any

from mfprefect import __version__
from mfprefect.cli.commands.doctor.finding import CheckResult, masked
from mfprefect.errors import MfprefectError

__all__ = ["backends", "checkout", "notifications", "prefect", "settings", "sources", "versions"]

URL_VARIABLE = "MFPREFECT_URL"
PROFILE_VARIABLE = "MFPREFECT_PROFILE"
OTHER_VARIABLES = [
    PROFILE_VARIABLE,
    "MFPREFECT_ATTEMPT",
    "MFPREFECT_AS_OF",
    "MFPREFECT_CONFIG",
    "MFPREFECT_DEBUG",
    "MFPREFECT_GIT_BRANCH",
    "MFPREFECT_GIT_COMMIT",
    "MFPREFECT_GIT_REMOTE",
    "MFPREFECT_MODEL_ID",
    "MFPREFECT_PART",
    "MFPREFECT_PARTS",
    "MFPREFECT_PURPOSE",
    "MFPREFECT_SESSION_ID",
    "MFPREFECT_TRAINING_SESSION_ID",
]


def versions(_: str | None) -> Iterator[CheckResult]:
    """Name mfprefect and Python."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield CheckResult("mfprefect", "ok", f"{__version__} on {python}, {platform.system()}")


def settings(url: str | None) -> Iterator[CheckResult]:
    """Tell which settings are in force, and where the URL comes from."""
    from mfprefect.settings import find_config, load_settings, read_config

    try:
        path = find_config()
        profile = os.environ.get(PROFILE_VARIABLE)
        values = read_config(path, profile) if path else {}
    except MfprefectError as exc:
        yield CheckResult("settings", "failed", str(exc), "correct the file or the variable")
        return
    chosen, origin = _profile(path) if path else (None, "")
    named = f", profile {chosen} (from {origin})" if chosen else ""
    yield CheckResult(
        "settings", "ok", f"{path}{named}" if path else "no mfprefect.toml; not needed"
    )
    yield from _misspelt()
    try:
        shown = masked(load_settings(url=url).url.get_secret_value())
    except MfprefectError as exc:
        yield CheckResult("url", "failed", str(exc), _cure_of_url(url))
        return
    yield CheckResult("url", "ok", f"{shown} (from {_origin(url, values, path, chosen)})")


def _misspelt() -> Iterator[CheckResult]:
    """Name variables that look like settings and are none: they are ignored in silence."""
    from mfprefect.settings import PREFIX, Settings

    variables = [PREFIX + name.upper() for name in Settings.model_fields] + OTHER_VARIABLES
    for name in sorted(os.environ):
        upper = name.upper()
        nested = upper.startswith((f"{PREFIX}NOTIFY__", f"{PREFIX}SOURCES__", f"{PREFIX}TEST_"))
        if upper.startswith(PREFIX) and upper not in variables and not nested:
            near = get_close_matches(upper, variables, n=1)
            cure = f"did you mean {near[0]}?" if near else "unset it; docs/settings.md lists them"
            yield CheckResult("settings", "warning", f"{name} is no setting, and is ignored", cure)


def _profile(path: Any) -> tuple[str | None, str]:
    import tomllib

    if named := os.environ.get(PROFILE_VARIABLE):
        return named, PROFILE_VARIABLE
    chosen = tomllib.loads(path.read_text(encoding="utf-8")).get("profile")
    return chosen, "the file"


def _origin(url: str | None, values: dict[str, Any], path: Any, profile: str | None) -> str:
    if url is not None:
        return "--url"
    if any(name.upper() == URL_VARIABLE for name in os.environ):
        return URL_VARIABLE
    if "url" in values:
        return f"{path}, profile {profile}" if profile else str(path)
    return "the default: a file in the current folder"


def _cure_of_url(url: str | None) -> str:
    return "correct --url" if url else f"correct {URL_VARIABLE} or mfprefect.toml"


def backends(_: str | None) -> Iterator[CheckResult]:
    """Tell which databases can be used, by backend."""
    from mfprefect.backend import ENTRY_POINT_GROUP

    points = metadata.entry_points(group=ENTRY_POINT_GROUP)
    for value in dict.fromkeys(point.value for point in points):
        same_backend = [point for point in points if point.value == value]
        yield _backend(same_backend[0], ", ".join(f"{point.name}://" for point in same_backend))


def _backend(point: metadata.EntryPoint, schemes: str) -> CheckResult:
    try:
        kind = point.load()
        missing = importlib.util.find_spec(kind.driver) is None
    except Exception as exc:  # noqa: BLE001 - a third party's module may raise anything
        library = (getattr(exc, "name", None) or "").partition(".")[0]
        package = point.module.partition(".")[0]
        if isinstance(exc, ModuleNotFoundError) and library not in ("", package):
            cure = f"needed for such URLs only: pip install {_package(point, library)}"
            text = f"{schemes} needs {library}, which is not installed"
            return CheckResult("backend", "warning", text, cure)
        text = f"{schemes}: {point.value} cannot be loaded: {type(exc).__name__}: {exc}"
        return CheckResult("backend", "warning", text, "reinstall the package that brings it")
    if missing:
        cure = f"needed for such URLs only: pip install 'mfprefect[{kind.name}]'"
        text = f"{schemes} needs the driver {kind.driver}, which is not installed"
        return CheckResult("backend", "warning", text, cure)
    return CheckResult("backend", "ok", f"{schemes} by {kind.driver}")


def _package(point: metadata.EntryPoint, module: str) -> str:
    """Return what to install for a module: of ours, the extra of the backend's name."""
    if point.module.startswith("mfprefect_backends."):
        return f"'mfprefect[{point.module.partition('.')[2]}]'"
    return module


def prefect(_: str | None) -> Iterator[CheckResult]:
    """Tell which Prefect there is, and whether its API answers."""
    # A check-up reports to nobody; Prefect would, and say so in the middle of the list.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    try:
        with redirect_stderr(StringIO()):  # Prefect tells its own troubles there, values included
            from mfprefect.lifecycle.prefect_api import version_and_api_url

            version, api_url = version_and_api_url()
    except Exception as exc:  # noqa: BLE001 - wrong settings of Prefect's, or half an installation
        text = f"Prefect cannot be imported: {type(exc).__name__}"
        yield CheckResult("prefect", "failed", text, "see what `prefect version` says")
        return
    yield CheckResult("prefect", "ok", f"Prefect {version}")
    if api_url is None:
        yield CheckResult(
            "prefect api",
            "ok",
            "PREFECT_API_URL is not set: each run starts a temporary server, which is fine for "
            "trying out",
        )
        return
    yield _api(api_url)


def _api(url: str) -> CheckResult:
    from mfprefect.lifecycle.prefect_api import api_error
    from mfprefect.provenance import strip_credentials

    shown = strip_credentials(url)
    failure = api_error()
    if failure is None:
        return CheckResult("prefect api", "ok", f"{shown} answers")
    response = getattr(failure, "response", None)
    code = getattr(response, "status_code", None)
    reason = f"status {code}" if code else type(failure).__name__
    if code in (401, 403):
        cure = "set PREFECT_API_KEY or PREFECT_API_AUTH_STRING"
    else:
        cure = "start it (`prefect server start`), or correct or unset PREFECT_API_URL"
    return CheckResult(
        "prefect api", "failed", f"{shown} does not answer as it should: {reason}", cure
    )


def checkout(url: str | None) -> Iterator[CheckResult]:
    """Tell which commit a session would record."""
    from mfprefect.provenance import capture
    from mfprefect.settings import load_settings

    try:
        folder = load_settings(url=url).repository
    except MfprefectError:
        folder = None  # told by another check
    provenance = capture(folder)
    if provenance.commit is None:
        yield CheckResult(
            "git",
            "warning",
            "no commit found: sessions started here will not tell which code ran",
            "start them in a git or Mercurial checkout, or set MFPREFECT_REPOSITORY or "
            "MFPREFECT_GIT_COMMIT",
        )
        return
    where = " ".join(
        filter(None, [provenance.remote, f"({provenance.branch})" if provenance.branch else None])
    )
    repository = where or "a repository without a remote"
    text = f"{provenance.vcs} commit {provenance.commit[:8]} of {repository}"
    if provenance.dirty:
        cure = "commit before a run that counts"
        yield CheckResult("git", "warning", f"{text}, with changes that are not committed", cure)
    else:
        yield CheckResult("git", "ok", text)


def sources(url: str | None) -> Iterator[CheckResult]:
    """Tell which named databases models can read from."""
    from mfprefect.settings import load_settings

    try:
        configured = load_settings(url=url).sources
    except MfprefectError:
        yield CheckResult(
            "sources", "failed", "cannot be told: the settings are wrong", "see above"
        )
        return
    if not configured:
        yield CheckResult("sources", "ok", "none configured")
    for name, source in configured.items():
        try:
            yield CheckResult("sources", "ok", f"{name}: {masked(source.url.get_secret_value())}")
        except MfprefectError:
            text = f"{name}: the URL is malformed (not shown: it may hold a password)"
            yield CheckResult("sources", "failed", text, f"correct [sources.{name}]")


def notifications(url: str | None) -> Iterator[CheckResult]:
    """Tell who is notified."""
    from mfprefect.settings import load_settings

    try:
        targets = load_settings(url=url).notify
    except MfprefectError:
        yield CheckResult("notify", "failed", "cannot be told: the settings are wrong", "see above")
        return
    if not targets:
        yield CheckResult("notify", "ok", "none configured")
        return
    from mfprefect.notifications.delivery import masked_url

    for name, target in targets.items():
        try:
            text = f"{name}: {masked_url(name, target)} of {', '.join(target.events)}"
            yield CheckResult("notify", "ok", text)
        except MfprefectError:
            text = f"{name}: the URL is malformed (not shown: it may hold a secret)"
            yield CheckResult("notify", "failed", text, f"correct [notify.{name}]")

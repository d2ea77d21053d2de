"""The doctor's checks except those of the database."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, suppress
from difflib import get_close_matches
from importlib import metadata
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

from mfprefect import __version__
from mfprefect.cli.commands.doctor.finding import CheckResult, masked
from mfprefect.errors import BackendNotFound, ConfigurationError, MfprefectError
from mfprefect.util.proxies import LOOPBACK, proxies_loopback

__all__ = ["backends", "checkout", "notifications", "prefect", "settings", "sources", "versions"]

URL_VARIABLE = "MFPREFECT_URL"
PROFILE_VARIABLE = "MFPREFECT_PROFILE"
OTHER_VARIABLES = [
    PROFILE_VARIABLE,
    "MFPREFECT_ATTEMPT",
    "MFPREFECT_AS_OF",
    "MFPREFECT_CONFIG",
    "MFPREFECT_DEBUG",
    "MFPREFECT_GIT_AUTHOR",
    "MFPREFECT_GIT_BRANCH",
    "MFPREFECT_GIT_COMMIT",
    "MFPREFECT_GIT_REMOTE",
    "MFPREFECT_MODEL_ID",
    "MFPREFECT_PART",
    "MFPREFECT_PARAMS",
    "MFPREFECT_PARTS",
    "MFPREFECT_PURPOSE",
    "MFPREFECT_SESSION_ID",
    "MFPREFECT_TRAINING_SESSION_ID",
]


def versions(_: str | None) -> Iterator[CheckResult]:
    """Report the versions of mfprefect and Python."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield CheckResult("mfprefect", "ok", f"{__version__} on {python}, {platform.system()}")


def settings(url: str | None) -> Iterator[CheckResult]:
    """Report which settings are in force, and where the URL comes from."""
    from mfprefect.settings import load_settings
    from mfprefect.util.config_file import find_config, read_config

    try:
        path = find_config()
        profile = os.environ.get(PROFILE_VARIABLE)
        values = read_config(path, profile) if path else {}
    except MfprefectError as exc:
        yield CheckResult("settings", "failed", str(exc), "correct the file or the variable")
        return
    profile, origin = _profile(path) if path else (None, "")
    suffix = f", profile {profile} (from {origin})" if profile else _profiles(path)
    missing = "no mfprefect.toml in this folder or above: variables and defaults are in force"
    yield CheckResult("settings", "ok", f"read from {path}{suffix}" if path else missing)
    yield from _unknown_variables()
    yield from _unset_variables(url)
    try:
        database_url = _place(load_settings(url=url))
    except MfprefectError as exc:
        yield CheckResult("url", "failed", str(exc), _cure_of_url(url))
        return
    origin = _origin(url, values, path, profile)
    yield CheckResult("url", "ok", f"sessions and scores go to {database_url} (from {origin})")


def _place(settings: Any) -> str:
    """Return the URL as it is shown, with the whole path of a file."""
    from mfprefect.backend import backend_for, parse_url

    url = settings.url.get_secret_value()
    shown = masked(url)
    with suppress(BackendNotFound, ConfigurationError):
        database = backend_for(settings).url.database
        shown = masked(parse_url(url).set(database=database).render_as_string(hide_password=False))
    return shown


def _unset_variables(url: str | None) -> Iterator[CheckResult]:
    """Name every `${NAME}` of the settings whose variable is not set."""
    from mfprefect.settings import NEEDED, read_settings
    from mfprefect.util.references import unset_references

    try:
        loaded = read_settings(url=url)
    except MfprefectError:
        return  # the check of the URL reports it
    for secret in unset_references(loaded):
        for name in secret.names:
            needed = secret.where in NEEDED
            text = f"{secret.where} refers to ${{{name}}}, which is not set"
            text += ": no run can start" if needed else "; only what uses it fails"
            yield CheckResult("variables", "failed", text, f"export {name}")


def _unknown_variables() -> Iterator[CheckResult]:
    """Warn of variables that look like settings: mfprefect ignores them silently."""
    from mfprefect.settings import PREFIX, Settings

    variables = [PREFIX + name.upper() for name in Settings.model_fields] + OTHER_VARIABLES
    for name in sorted(os.environ):
        upper = name.upper()
        nested = upper.startswith((f"{PREFIX}NOTIFY__", f"{PREFIX}SOURCES__", f"{PREFIX}TEST_"))
        if upper.startswith(PREFIX) and upper not in variables and not nested:
            near = get_close_matches(upper, variables, n=1)
            cure = f"did you mean {near[0]}?" if near else "unset it; docs/settings.md lists them"
            text = f"{name} is not a setting and is ignored"
            yield CheckResult("settings", "warning", text, cure)


def _profile(path: Any) -> tuple[str | None, str]:
    import tomllib

    if profile := os.environ.get(PROFILE_VARIABLE):
        return profile, PROFILE_VARIABLE
    return tomllib.loads(path.read_text(encoding="utf-8")).get("profile"), "the file"


def _profiles(path: Any) -> str:
    """Return which profiles of a file could be chosen, '' without any."""
    import tomllib

    if path is None:
        return ""
    names = list(tomllib.loads(path.read_text(encoding="utf-8")).get("profiles", {}))
    if not names:
        return ""
    return f", no profile; {PROFILE_VARIABLE} can choose one of: {', '.join(names)}"


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
    """Report which databases can be used, by backend."""
    from mfprefect.backend import ENTRY_POINT_GROUP

    points = metadata.entry_points(group=ENTRY_POINT_GROUP)
    for value in dict.fromkeys(point.value for point in points):
        same_backend = [point for point in points if point.value == value]
        yield _backend(same_backend[0], ", ".join(f"{point.name}://" for point in same_backend))


def _backend(point: metadata.EntryPoint, schemes: str) -> CheckResult:
    try:
        backend_class = point.load()
        missing = importlib.util.find_spec(backend_class.driver) is None
    except Exception as exc:  # noqa: BLE001 - a third party's module may raise anything
        return _not_loaded(point, schemes, exc)
    if missing:
        cure = f"only if you use such URLs: pip install 'mfprefect[{backend_class.name}]'"
        text = f"{schemes} needs the driver {backend_class.driver}, which is not installed"
        return CheckResult("backend", "warning", text, cure)
    text = f"databases of {schemes} can be used, by the driver {backend_class.driver}"
    return CheckResult("backend", "ok", text)


def _not_loaded(point: metadata.EntryPoint, schemes: str, exc: Exception) -> CheckResult:
    library = (getattr(exc, "name", None) or "").partition(".")[0]
    package = point.module.partition(".")[0]
    if isinstance(exc, ModuleNotFoundError) and library not in ("", package):
        cure = f"only if you use such URLs: pip install {_package(point, library)}"
        text = f"{schemes} needs {library}, which is not installed"
        return CheckResult("backend", "warning", text, cure)
    text = f"{schemes}: {point.value} cannot be loaded: {type(exc).__name__}: {exc}"
    return CheckResult("backend", "warning", text, f"reinstall the package {package}")


def _package(point: metadata.EntryPoint, module: str) -> str:
    """Return what to install for a module: for our backends, the extra of that name."""
    if point.module.startswith("mfprefect_backends."):
        return f"'mfprefect[{point.module.partition('.')[2]}]'"
    return module


def prefect(_: str | None) -> Iterator[CheckResult]:
    """Report the version of Prefect, and whether its API answers."""
    # Otherwise Prefect sends analytics, and prints so in the middle of the list.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    try:
        with redirect_stderr(StringIO()):  # Prefect prints wrong settings there, with values
            from mfprefect.lifecycle.prefect_api import version_and_api_url

            version, api_url = version_and_api_url()
    except Exception as exc:  # noqa: BLE001 - wrong settings or a broken installation of Prefect
        text = f"Prefect cannot be imported: {type(exc).__name__}"
        yield CheckResult("prefect", "failed", text, "see the output of `prefect version`")
        return
    yield CheckResult("prefect", "ok", f"Prefect {version}")
    if api_url is None:
        yield CheckResult(
            "prefect api",
            "ok",
            "PREFECT_API_URL is not set: each run starts a temporary server, in 10 to 20 seconds, "
            "which is fine for a trial; schedules need a real one",
        )
        return
    yield _api(api_url)


def _api(url: str) -> CheckResult:
    from mfprefect.lifecycle.prefect_api import api_error
    from mfprefect.provenance import strip_credentials

    api_url = strip_credentials(url)
    failure = api_error()
    if failure is None:
        return CheckResult("prefect api", "ok", f"{api_url} answers")
    response = getattr(failure, "response", None)
    code = getattr(response, "status_code", None)
    reason = f"status {code}" if code else type(failure).__name__
    if code in (401, 403):
        cure = "set PREFECT_API_KEY or PREFECT_API_AUTH_STRING"
    elif urlsplit(url).hostname in LOOPBACK and proxies_loopback():
        exempt = ",".join(LOOPBACK)
        cure = f"a proxy is set, and cannot reach this machine itself: set NO_PROXY={exempt}"
    else:
        cure = "start it (`prefect server start`), or correct or unset PREFECT_API_URL"
    return CheckResult(
        "prefect api", "failed", f"{api_url} does not answer correctly: {reason}", cure
    )


def checkout(url: str | None) -> Iterator[CheckResult]:
    """Report which commit a session would record."""
    from mfprefect.provenance import capture
    from mfprefect.settings import load_settings

    try:
        folder = load_settings(url=url).repository
    except MfprefectError:
        folder = None  # another check reports it
    provenance = capture(folder)
    if provenance.commit is None:
        yield CheckResult(
            "git",
            "warning",
            "no commit found: sessions started here will not record which code ran",
            "start them in a git or Mercurial checkout, or set MFPREFECT_REPOSITORY or "
            "MFPREFECT_GIT_COMMIT",
        )
        return
    branch = f" on branch {provenance.branch}" if provenance.branch else ""
    repository = provenance.remote or "a repository without a remote"
    text = f"{provenance.vcs} commit {provenance.commit[:8]}{branch} of {repository}"
    if provenance.dirty:
        cure = "commit before a run in production"
        yield CheckResult("git", "warning", f"{text}, with uncommitted changes", cure)
    else:
        yield CheckResult("git", "ok", text)


def sources(url: str | None) -> Iterator[CheckResult]:
    """Connect to each named database that models read from."""
    from mfprefect.cli.commands.doctor.sources import connected

    none = "none configured: needed only by models that read a named database"
    for name, result in _each("sources", url, none, _shown_source):
        yield connected(name, result, url) if name and result.status == "ok" else result


def _shown_source(_: str, source: Any) -> str:
    return masked(source.url.get_secret_value())


def notifications(url: str | None) -> Iterator[CheckResult]:
    """Report the notification targets."""

    def describe(name: str, target: Any) -> str:
        from mfprefect.notifications.delivery import masked_url

        return f"{masked_url(name, target)} for {', '.join(target.events)}"

    none = "none configured: nobody is told of failures"
    yield from (result for _, result in _each("notify", url, none, describe))


def _each(
    setting: str, url: str | None, none: str, describe: Callable[[str, Any], str]
) -> Iterator[tuple[str, CheckResult]]:
    """Report each entry of a table of the settings by name, by what `describe` says of it."""
    from mfprefect.settings import load_settings

    try:
        entries = getattr(load_settings(url=url), setting)
    except MfprefectError:
        text = "not checked: the settings are wrong"
        yield "", CheckResult(setting, "failed", text, "see above")
        return
    if not entries:
        yield "", CheckResult(setting, "ok", none)
    for name, entry in entries.items():
        yield name, _entry(setting, name, entry, describe)


def _entry(setting: str, name: str, entry: Any, describe: Callable[[str, Any], str]) -> CheckResult:
    from mfprefect.util.references import unset_references

    try:
        return CheckResult(setting, "ok", f"{name}: {describe(name, entry)}")
    except MfprefectError as exc:
        if any(unset_references(entry)):
            return CheckResult(setting, "failed", f"{name}: {exc}", "export it")
    text = f"{name}: the URL is malformed (not shown: it may hold a password)"
    return CheckResult(setting, "failed", text, f"correct [{setting}.{name}]")

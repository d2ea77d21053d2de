"""Load the configuration.

Sources, highest precedence first: arguments, environment variables `MFPREFECT_*`, `mfprefect.toml`
(the selected profile, then the top level), the Prefect variable `mfprefect` inside a flow run,
defaults.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from urllib.parse import quote

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from mfprefect.errors import ConfigurationError
from mfprefect.retention import Retention
from mfprefect.util.config_file import CONFIG_FILE, PREFIX, find_config, read_config
from mfprefect.util.console_settings import Console
from mfprefect.util.home import default_folder
from mfprefect.util.references import resolve
from mfprefect.util.zones import Zone

__all__ = [
    "CONFIG_FILE",
    "EVENTS",
    "PREFIX",
    "Console",
    "Export",
    "Settings",
    "Source",
    "Target",
    "default_folder",
    "find_config",
    "load_settings",
    "read_settings",
]

T = TypeVar("T", "Source", "Target", "Export")
NEEDED = ("url", "signing_key", "seal_key")  # by every run
# Settings whose values messages may show, because they hold no secrets.
_PUBLIC = (
    "batch_rows",
    "connect_timeout",
    "detached_timeout",
    "environment",
    "heartbeat_seconds",
    "heartbeat_timeout",
    "prefix",
    "retry_seconds",
    "schema_name",
    "spool_max_bytes",
    "summary_rows",
    "time_zone",
)


class Source(BaseModel, extra="forbid", hide_input_in_errors=True):
    """A named database that models read from."""

    url: SecretStr
    """The SQLAlchemy URL."""


Event = Literal[
    "failed",
    "crashed",
    "cancelled",
    "checks_failed",
    "gate_failed",
    "drift",
    "stale",
    "recovered",
    "waiting_for_promotion",
    "promoted",
    "rolled_back",
    "retired",
    "succeeded",
    "digest",
    "spooled",
]
EVENTS: tuple[str, ...] = get_args(Event)
"""All events that can send a notification."""
ALARMS: tuple[Event, ...] = (
    "failed",
    "crashed",
    "checks_failed",
    "gate_failed",
    "drift",
    "stale",
    "rolled_back",
    "retired",
    "recovered",
    "waiting_for_promotion",
    "spooled",
)


class Target(BaseModel, extra="forbid", frozen=True, hide_input_in_errors=True):
    """A recipient of notifications."""

    url: SecretStr
    """An apprise URL: `mailto://..`, `slack://..`, `json://..` and some 130 others."""
    events: tuple[Event, ...] = ALARMS
    """The events to send; by default problems that need a person, and recoveries."""
    models: tuple[str, ...] = ()
    """Only these models; by default all."""
    tags: tuple[str, ...] = ()
    """Only sessions with one of these tags; by default all."""


class Export(BaseModel, extra="forbid", frozen=True, hide_input_in_errors=True):
    """A table that scores are published to."""

    table: str = Field(pattern=r"^([^.]+\.)?[^.]+$")
    """Its name, or `schema.name`; created if missing."""
    url: SecretStr | None = None
    """The SQLAlchemy URL of its database; by default the database of the sessions."""


class Thresholds(BaseModel, extra="forbid", frozen=True):
    """Alarm thresholds; unset values fall back to the less specific level, then the default."""

    psi: float | None = Field(default=None, gt=0)
    """The PSI of a variable or of scores; default 0.25."""
    ks: float | None = Field(default=None, gt=0)
    """Their KS drift; default the equivalent of the PSI for two normal distributions, 0.197."""
    null_share: float | None = Field(default=None, gt=0)
    """The difference of NULL shares; default 0.1."""
    performance: float | None = Field(default=None, gt=0)
    """The drop on real outcomes; default 0.05 of AUC or accuracy, 0.1 of RMSE."""


class VariableThresholds(BaseModel, extra="forbid", frozen=True):
    """Alarm thresholds of one variable; unset values are those of all variables."""

    psi: float | None = Field(default=None, gt=0)
    """The PSI of the variable."""
    ks: float | None = Field(default=None, gt=0)
    """Its KS drift."""
    null_share: float | None = Field(default=None, gt=0)
    """The difference of its NULL shares."""


class ModelThresholds(Thresholds, frozen=True):
    """Thresholds for one model, and for single variables."""

    variables: dict[str, VariableThresholds] = {}
    """By variable: `[drift.models.churn.variables.income] psi = 0.4`."""


class Drift(Thresholds, frozen=True):
    """Thresholds for all models, and for single models."""

    models: dict[str, ModelThresholds] = {}
    """By model: `[drift.models.churn] psi = 0.3`."""


class Settings(BaseSettings):
    """All settings; each field can also be set as `MFPREFECT_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    url: SecretStr = SecretStr("sqlite:///mfprefect.db")
    """SQLAlchemy URL of the database that stores the sessions."""
    schema_name: str | None = None
    """Database schema of the tables; by default that of the backend."""
    prefix: str = Field(default="", pattern=r"^[a-z][a-z0-9_]{0,15}$|^$")
    """Prefix of table names, for databases without a separate schema for mfprefect."""
    connect_timeout: float = Field(default=10, gt=0)
    """Seconds to wait for a connection."""
    retry_seconds: float = Field(default=60, ge=0)
    """Seconds to retry transient database errors."""
    spool: Literal["off"] | Path | None = None
    """Folder for results that runs cannot write while the database is unreachable; `off`: fail."""
    spool_max_bytes: int = Field(default=10 * 1024**3, gt=0)
    """Size limit of the spool; a run that exceeds it fails."""
    batch_rows: int = Field(default=50_000, ge=1)
    """The rows of a batch, where a part of a scoring is read in batches."""
    summary_rows: int = Field(default=100_000, ge=0)
    """The rows of a part that its input summary looks at; of more rows, a sample. 0: all."""
    heartbeat_seconds: float = Field(default=30, gt=0)
    """Seconds between two heartbeats of a running session."""
    heartbeat_timeout: float | None = Field(default=None, gt=0)
    """Seconds without a heartbeat after which a run is dead; by default four intervals."""
    detached_timeout: float = Field(default=86_400, gt=0)
    """Timeout for sessions opened by `mfprefect session open`, which send no heartbeat."""
    repository: Path | None = None
    """The checkout whose commit a session records; by default that of the running script."""
    time_zone: Zone | None = None
    """The zone whose day is a run's `as_of` by default: `Europe/Berlin`."""
    environment: str | None = None
    """The environment that notices and Prefect's pages name; by default the profile."""
    report_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s@<>()\[\]|\"'`\\]*\{session_id\}[^\s@<>()\[\]|\"'`\\]*$",
    )
    """Where people find a session's report, for links: `https://reports/{session_id}.html`."""
    trusted_types: tuple[str, ...] = ()
    """Type names that a model blob may hold, in addition to those of scikit-learn."""
    signing_key: SecretStr | None = None
    """Signs model blobs, seals and audit events; if set, only blobs signed with it are loaded."""
    seal_key: SecretStr | None = None
    """An Ed25519 private key (PEM, or `file:` and its path) that signs seals and audit events."""
    verify_keys: dict[str, SecretStr] = {}
    """Earlier signing keys, and public keys, by name."""
    sources: dict[str, Source] = {}
    """Named databases to read inputs from: `[sources.warehouse] url = ".."`."""
    default_source: str | None = None
    """The source for SQL text if a model names none."""
    masked_columns: tuple[str, ...] = ()
    """Columns with personal data, whose cells no check may show or store."""
    notify: dict[str, Target] = {}
    """Recipients of notifications: `[notify.ops] url = "mailto://.."`."""
    exports: dict[str, Export] = {}
    """Tables that scores are published to: `[exports.crm] table = "churn_scores"`."""
    drift: Drift = Drift()
    """Alarm thresholds for all models and single models: `[drift] psi = 0.25`."""
    console: Console = Console()
    """Who reads and who acts in `mfprefect serve`: `[console.roles] ml-ops = "deployer"`."""
    metrics: tuple[str, ...] = ()
    """Modules that define custom metrics: dotted names, or paths of .py files."""
    retention: Retention = Retention()
    """How long to keep sessions: `[retention] keep_days = 730`."""

    def report_link(self, model_id: str, session_id: str) -> str | None:
        """Return where people find the report of a session, None if `report_url` is not set."""
        if self.report_url is None:
            return None
        url = self.report_url.replace("{model_id}", quote(model_id, safe=""))
        return url.replace("{session_id}", quote(session_id, safe=""))

    @field_validator("summary_rows")
    @classmethod
    def _check_summary_rows(cls, rows: int) -> int:
        if 0 < rows < 10_000:  # chance would look like drift
            raise ValueError("must be 0 (all rows), or 10000 or more")
        return rows

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Settings:
        if self.heartbeat_timeout is not None and (
            self.heartbeat_timeout < 2 * self.heartbeat_seconds
        ):
            raise ValueError(
                f"heartbeat_timeout = {self.heartbeat_timeout:g} must be at least twice "
                f"heartbeat_seconds = {self.heartbeat_seconds:g}, or living runs count as dead"
            )
        return self

    @property
    def spool_folder(self) -> Path | None:
        """The folder of the spool, None if it is off or this user has no home for it."""
        if self.spool == "off":
            return None
        return default_folder() if self.spool is None else Path(self.spool)

    @property
    def dead_after(self) -> float:
        """Seconds without a heartbeat after which a run counts as dead."""
        return self.heartbeat_timeout or 4 * self.heartbeat_seconds

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources by precedence."""
        return init_settings, env_settings, _FileSource(settings_cls), _PrefectSource(settings_cls)


class _DictSource(PydanticBaseSettingsSource):
    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise AssertionError("all values come as one dictionary")  # abstract in the base class

    def values(self) -> dict[str, Any]:
        raise AssertionError

    def __call__(self) -> dict[str, Any]:
        return _require_known(self.values(), type(self).__doc__ or "")


class _FileSource(_DictSource):
    """mfprefect.toml"""  # noqa: D415 - used in messages

    def values(self) -> dict[str, Any]:
        path, profile = find_config(), os.environ.get(f"{PREFIX}PROFILE")
        if path is None and profile:
            raise ConfigurationError(
                f"{PREFIX}PROFILE names {profile!r}, but there is no {CONFIG_FILE} in this folder "
                f"or above it; set {PREFIX}CONFIG to its path, or unset {PREFIX}PROFILE."
            )
        return read_config(path, profile) if path else {}


class _PrefectSource(_DictSource):
    """the Prefect variable `mfprefect`"""  # noqa: D415 - used in messages

    def values(self) -> dict[str, Any]:
        from mfprefect.provenance.flow_run import variable

        return variable("mfprefect")


def _require_known(values: dict[str, Any], source: str) -> dict[str, Any]:
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise ConfigurationError(
            f"unknown setting {unknown[0]!r} in {source}; "
            f"the settings are: {', '.join(Settings.model_fields)}."
        )
    return values


def load_settings(**arguments: Any) -> Settings:
    """Load the settings; arguments that are None are ignored.

    A `${NAME}` of a source, an export or a notification target that is not set fails on use.

    Raises:
        ConfigurationError: a setting is unknown or has a wrong value, or a variable that every
            run needs is not set; the message shows no secret.
    """
    settings = read_settings(**arguments)
    for secret in (settings.url, settings.signing_key, settings.seal_key):
        _ = secret and secret.get_secret_value()
    return settings


def read_settings(**arguments: Any) -> Settings:
    """Load the settings as `load_settings` does, even if a variable they need is not set."""
    overrides = {name: value for name, value in arguments.items() if value is not None}
    _require_known(overrides, "the arguments")
    try:
        settings = Settings(**overrides)
    except ValidationError as exc:
        problems = "; ".join(_problem(error) for error in exc.errors())
        raise ConfigurationError(f"wrong setting: {problems}.") from exc
    except SettingsError as exc:
        raise ConfigurationError(
            f"wrong setting: {exc}; write lists and tables in the environment as JSON."
        ) from exc
    keys = settings.verify_keys.items()
    return settings.model_copy(
        update={
            **{n: resolve(s, n) for n in NEEDED if (s := getattr(settings, n)) is not None},
            "verify_keys": {name: resolve(key, f"verify_keys.{name}") for name, key in keys},
            "console": _resolve_console(settings.console),
            **{t: _resolve_urls(getattr(settings, t), t) for t in ("sources", "notify", "exports")},
            "metrics": tuple(map(_absolute_module, settings.metrics)),
            "spool": _absolute_folder(settings.spool),
        }
    )


def _resolve_console(console: Console) -> Console:
    """Resolve references; those that are not set fail where the console uses them."""
    names = ("write_url", "proxy_secret")
    secrets = {name: secret for name in names if (secret := getattr(console, name)) is not None}
    resolved = {name: resolve(secret, f"console.{name}") for name, secret in secrets.items()}
    return console.model_copy(update=resolved)


def _absolute_folder(folder: str | Path | None) -> str | Path | None:
    """Resolve a folder relative to mfprefect.toml, so that workers elsewhere use the same one."""
    if not isinstance(folder, Path):
        return folder
    config = find_config()
    try:
        folder = folder.expanduser()
    except RuntimeError as exc:
        raise ConfigurationError(
            f"spool is {str(folder)!r}, but this user has no home folder; set MFPREFECT_SPOOL to a "
            "whole path."
        ) from exc
    return (config.parent if config else Path.cwd()).absolute() / folder


def _absolute_module(module: str) -> str:
    """Resolve a .py file relative to mfprefect.toml, so that workers elsewhere find it."""
    if not module.endswith(".py"):
        return module
    config = find_config()
    return str((config.parent if config else Path.cwd()) / module)


def _resolve_urls(entries: Mapping[str, T], table: str) -> dict[str, T]:
    urls = {n: x.url and resolve(x.url, f"{table}.{n}.url") for n, x in entries.items()}
    return {n: x.model_copy(update={"url": urls[n]}) for n, x in entries.items()}


def _problem(error: ErrorDetails) -> str:
    name, value = ".".join(map(str, error["loc"])) or "settings", ""
    if name in _PUBLIC or name.startswith("drift."):
        value = f" = {error['input']!r}"
    return f"{name}{value}: {error['msg']}"

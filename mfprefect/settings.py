"""Where configuration comes from.

Highest first: arguments, environment variables `MFPREFECT_*`, `mfprefect.toml` (the named profile,
then its top level), the Prefect variable `mfprefect` inside a flow run, defaults.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from mfprefect.errors import ConfigurationError
from mfprefect.retention import Retention

__all__ = [
    "CONFIG_FILE",
    "EVENTS",
    "Export",
    "Settings",
    "Source",
    "Target",
    "default_folder",
    "find_config",
    "load_settings",
]

T = TypeVar("T", "Source", "Target", "Export")
CONFIG_FILE = "mfprefect.toml"
PREFIX = "MFPREFECT_"
# The values that a message may show: no secret stands in them.
_SHOWN = (
    "connect_timeout",
    "detached_timeout",
    "heartbeat_seconds",
    "heartbeat_timeout",
    "prefix",
    "retry_seconds",
    "schema_name",
    "spool_max_bytes",
)
_REFERENCE = re.compile(r"\$\{(\w+)\}")


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
    "promoted",
    "rolled_back",
    "succeeded",
    "digest",
    "spooled",
]
EVENTS: tuple[str, ...] = get_args(Event)
"""What can be told."""
ALARMS: tuple[Event, ...] = (
    "failed",
    "crashed",
    "checks_failed",
    "gate_failed",
    "drift",
    "stale",
    "rolled_back",
    "recovered",
    "spooled",
)


class Target(BaseModel, extra="forbid", frozen=True, hide_input_in_errors=True):
    """Somebody who is told what happens to sessions."""

    url: SecretStr
    """An apprise URL: `mailto://..`, `slack://..`, `json://..` and some 130 others."""
    events: tuple[Event, ...] = ALARMS
    """What to tell; by default what needs a person, and that it is well again."""
    models: tuple[str, ...] = ()
    """Of which models; by default of all."""
    tags: tuple[str, ...] = ()
    """Only of sessions that carry one of these tags; by default of all."""


class Export(BaseModel, extra="forbid", frozen=True, hide_input_in_errors=True):
    """A table that scores are published to."""

    table: str = Field(pattern=r"^([^.]+\.)?[^.]+$")
    """Its name, or `schema.name`; it is made where it is missing."""
    url: SecretStr | None = None
    """The SQLAlchemy URL of its database; by default the one that keeps the sessions."""


class Thresholds(BaseModel, extra="forbid", frozen=True):
    """What is an alarm; what is not set is taken from where less is said, at last the default."""

    psi: float | None = Field(default=None, gt=0)
    """The PSI of a variable or of scores: 0.25."""
    ks: float | None = Field(default=None, gt=0)
    """Their KS drift: that of the PSI for two normal distributions, 0.197."""
    null_share: float | None = Field(default=None, gt=0)
    """The difference of the shares of NULL: 0.1."""
    performance: float | None = Field(default=None, gt=0)
    """The drop on real outcomes: 0.05 of AUC or accuracy, 0.1 of RMSE."""


class Drift(Thresholds, frozen=True):
    """Thresholds of all models, and of some."""

    models: dict[str, Thresholds] = {}
    """By model: `[drift.models.churn] psi = 0.3`."""


class Settings(BaseSettings):
    """Everything that can be configured; each field is also `MFPREFECT_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    url: SecretStr = SecretStr("sqlite:///mfprefect.db")
    """SQLAlchemy URL of the database that keeps the sessions; changing it changes the database."""
    schema_name: str | None = None
    """Database schema of the tables; the backend's own default where unset."""
    prefix: str = Field(default="", pattern=r"^[a-z][a-z0-9_]{0,15}$|^$")
    """What table names start with, where no schema or database of its own can be had."""
    connect_timeout: float = Field(default=10, gt=0)
    """Seconds to wait for a connection."""
    retry_seconds: float = Field(default=60, ge=0)
    """Seconds during which transient database errors are retried."""
    spool: Literal["off"] | Path | None = None
    """Where runs leave what they cannot write while the database is away; `off`: they fail."""
    spool_max_bytes: int = Field(default=10 * 1024**3, gt=0)
    """How many bytes may wait there; what is more fails a run."""
    heartbeat_seconds: float = Field(default=30, gt=0)
    """Seconds between two signs of life of a running session."""
    heartbeat_timeout: float | None = Field(default=None, gt=0)
    """Seconds without one after which a run counts as dead; by default four times that."""
    detached_timeout: float = Field(default=86_400, gt=0)
    """The same for sessions that `mfprefect session open` left to a script, without a heart."""
    repository: Path | None = None
    """The checkout whose commit a session records; by default the running script's."""
    trusted_types: tuple[str, ...] = ()
    """Type names that a model blob may hold, beside scikit-learn's own."""
    signing_key: SecretStr | None = None
    """Signs model blobs, seals and audit events; with it, only blobs signed with it are loaded."""
    seal_key: SecretStr | None = None
    """An Ed25519 private key (PEM, or `file:` and its path) that signs seals and audit events."""
    verify_keys: dict[str, SecretStr] = {}
    """Keys that seals and blobs were signed with before, and public keys, each under a name."""
    sources: dict[str, Source] = {}
    """Named databases to read inputs from: `[sources.warehouse] url = ".."`."""
    default_source: str | None = None
    """The source that SQL text is read from when a model names none."""
    masked_columns: tuple[str, ...] = ()
    """Columns with personal data: no cell of them is shown or stored, by any model's checks."""
    notify: dict[str, Target] = {}
    """Who is told what: `[notify.ops] url = "mailto://.."`."""
    exports: dict[str, Export] = {}
    """Tables that scores are published to: `[exports.crm] table = "churn_scores"`."""
    drift: Drift = Drift()
    """What is an alarm, of all models and of some: `[drift] psi = 0.25`."""
    metrics: tuple[str, ...] = ()
    """Modules that define a team's own metrics: dotted names, or paths of .py files."""
    retention: Retention = Retention()
    """How long sessions are kept: `[retention] keep_days = 730`."""

    @model_validator(mode="after")
    def _beats_in_time(self) -> Settings:
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
        """The folder of the spool, None where there is none."""
        if self.spool == "off":
            return None
        return default_folder() if self.spool is None else Path(self.spool)

    @property
    def dead_after(self) -> float:
        """Seconds without a sign of life after which a run counts as dead."""
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
        """Put the file below the environment."""
        return init_settings, env_settings, _FileSource(settings_cls), _PrefectSource(settings_cls)


class _DictSource(PydanticBaseSettingsSource):
    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise AssertionError("values come as one dictionary")  # required by the base class

    def values(self) -> dict[str, Any]:
        raise AssertionError

    def __call__(self) -> dict[str, Any]:
        return _known_fields(self.values(), type(self).__doc__ or "")


class _FileSource(_DictSource):
    """mfprefect.toml"""  # noqa: D415 - used in messages

    def values(self) -> dict[str, Any]:
        path, profile = find_config(), os.environ.get(f"{PREFIX}PROFILE")
        if path is None and profile:
            raise ConfigurationError(
                f"{PREFIX}PROFILE names {profile!r}, and there is no {CONFIG_FILE} here or in a "
                f"folder above; set {PREFIX}CONFIG to its path, or unset {PREFIX}PROFILE."
            )
        return read_config(path, profile) if path else {}


class _PrefectSource(_DictSource):
    """the Prefect variable `mfprefect`"""  # noqa: D415 - used in messages

    def values(self) -> dict[str, Any]:
        from mfprefect.provenance.flow_run import variable

        return variable("mfprefect")


def _known_fields(values: dict[str, Any], where: str) -> dict[str, Any]:
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise ConfigurationError(
            f"unknown setting {unknown[0]!r} in {where}; "
            f"the settings are: {', '.join(Settings.model_fields)}."
        )
    return values


def find_config() -> Path | None:
    """Return `MFPREFECT_CONFIG`, else the nearest mfprefect.toml from here upwards, else None."""
    named = os.environ.get(f"{PREFIX}CONFIG")
    if named:
        path = Path(named)
        if not path.is_file():
            raise ConfigurationError(f"{PREFIX}CONFIG names {named!r}, which is not a file.")
        return path
    here = Path.cwd()
    return next(
        (f / CONFIG_FILE for f in (here, *here.parents) if (f / CONFIG_FILE).is_file()), None
    )


def read_config(path: Path, profile: str | None) -> dict[str, Any]:
    """Return the settings of a file: its profile's over its top level's."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} is not valid TOML: {exc}.") from exc
    profiles = values.pop("profiles", {})
    profile = profile or values.get("profile")
    values.pop("profile", None)
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise ConfigurationError(f"profiles in {path} must be tables: [profiles.name].")
    if profile is not None and profile not in list(profiles):
        names = ", ".join(profiles) or "none"
        raise ConfigurationError(
            f"unknown profile {profile!r} in {path}; its profiles: {names}. "
            f"Set {PREFIX}PROFILE to one of them, or unset it."
        )
    chosen = dict(profiles.get(profile, {}))
    for table in ("sources", "notify", "exports", "retention", "verify_keys"):
        if isinstance(values.get(table), dict) and isinstance(chosen.get(table), dict):
            chosen[table] = {**values[table], **chosen[table]}
    if isinstance(values.get("drift"), dict) and isinstance(chosen.get("drift"), dict):
        models = [x.get("models", {}) for x in (values["drift"], chosen["drift"])]
        chosen["drift"] = {**values["drift"], **chosen["drift"]}
        if all(isinstance(x, dict) for x in models) and any(models):
            chosen["drift"]["models"] = {**models[0], **models[1]}
    return {**values, **chosen}


def load_settings(**arguments: Any) -> Settings:
    """Return the settings in force; arguments that are None count as not given.

    Raises:
        ConfigurationError: a setting is unknown or has a wrong value; secrets are not shown.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    _known_fields(given, "the arguments")
    try:
        settings = Settings(**given)
    except ValidationError as exc:
        problems = "; ".join(_problem(error) for error in exc.errors())
        raise ConfigurationError(f"wrong setting: {problems}.") from exc
    except SettingsError as exc:
        raise ConfigurationError(
            f"wrong setting: {exc}; lists and tables in the environment are JSON text."
        ) from exc
    return settings.model_copy(
        update={
            "url": _resolve(settings.url),
            "signing_key": settings.signing_key and _resolve(settings.signing_key),
            "seal_key": settings.seal_key and _resolve(settings.seal_key),
            "verify_keys": {name: _resolve(key) for name, key in settings.verify_keys.items()},
            "sources": _resolved(settings.sources),
            "notify": _resolved(settings.notify),
            "exports": _resolved(settings.exports),
            "metrics": tuple(map(_absolute, settings.metrics)),
            "spool": _absolute_folder(settings.spool),
        }
    )


def _absolute_folder(folder: str | Path | None) -> str | Path | None:
    """Return a folder from that of mfprefect.toml: a worker elsewhere must find the same one."""
    if not isinstance(folder, Path):
        return folder
    config = find_config()
    return (config.parent if config else Path.cwd()).absolute() / folder.expanduser()


def _absolute(module: str) -> str:
    """Return a path from the folder of mfprefect.toml, so that a worker elsewhere finds it too."""
    if not module.endswith(".py"):
        return module
    config = find_config()
    return str((config.parent if config else Path.cwd()) / module)


def _resolved(named: Mapping[str, T]) -> dict[str, T]:
    return {n: x.model_copy(update={"url": x.url and _resolve(x.url)}) for n, x in named.items()}


def _problem(error: ErrorDetails) -> str:
    place, value = ".".join(map(str, error["loc"])) or "settings", ""
    if place in _SHOWN or place.startswith("drift."):
        value = f" = {error['input']!r}"
    return f"{place}{value}: {error['msg']}"


def _resolve(secret: SecretStr) -> SecretStr:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigurationError(
                f"a setting refers to ${{{name}}}, which is not set; export {name}."
            )
        return os.environ[name]

    return SecretStr(_REFERENCE.sub(value, secret.get_secret_value()))


def default_folder() -> Path:
    """Return `$XDG_STATE_HOME/mfprefect/spool`, by default below `~/.local/state`."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "mfprefect" / "spool"

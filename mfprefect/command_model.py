"""CommandModel: a model that is trained and scored by commands in any language."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mfprefect.errors import ConfigurationError
from mfprefect.model import Model
from mfprefect.provenance.checkout import find_checkout

__all__ = ["CommandModel"]


class CommandModel(Model):
    """A model that is trained and scored by commands: Rscript, spark-submit, psql, a shell script.

    Subclass it, set `model_id`, `entity_id`, `train_command` and `score_command`, and get the
    flows like those of any model. Environment variables name the session and the store, and the
    command reports with `mfprefect session log`; docs/commands.md lists the variables. `target`,
    `training_data`, `fit` and `scoring_data` are not used; `monitor` uses `outcomes`.
    """

    train_command: ClassVar[Sequence[str] | None] = None
    """Program and arguments, such as `["Rscript", "train.R"]`; run without a shell."""
    score_command: ClassVar[Sequence[str] | None] = None
    """The same for scoring; run once per part, one part after another."""
    folder: ClassVar[Path | str | None] = None
    """The folder where commands run; by default the checkout's root, else the model file's."""
    environment: ClassVar[Mapping[str, str]] = {}
    """Additional environment variables for the commands."""
    grace_seconds: ClassVar[float] = 10
    """How long a command may take to end after SIGTERM before it is killed."""
    transient_exit_codes: ClassVar[tuple[int, ...]] = (75,)
    """Exit codes after which to retry the command, up to `retries` times; 75 is EX_TEMPFAIL."""

    _needed: ClassVar[tuple[str, ...]] = ("model_id", "entity_id")

    @classmethod
    def working_folder(cls) -> Path:
        """Return the folder where commands run; a relative `folder` starts at the default."""
        try:
            here = Path(inspect.getfile(cls)).parent
        except (TypeError, OSError):  # defined in a notebook or a console
            here = Path.cwd()
        _, root = find_checkout(here)
        return (root or here.absolute()) / (cls.folder or "")

    @classmethod
    def _require(cls) -> None:
        super()._require()
        if cls.train_command is None and cls.score_command is None:
            raise cls._wrong("train_command", 'set it in the class: ["Rscript", "train.R"]')
        for name in ("train_command", "score_command"):
            cls._check_command(name, getattr(cls, name))
        for name in ("checks", "task_runner"):
            if getattr(cls, name) is not None:
                raise cls._wrong(
                    name,
                    "commands read their own data and run one after another, so it has no effect; "
                    "remove it",
                )
        cls._check_unused()
        for gate in cls.gates:
            if getattr(gate, "not_worse_than_production_by", None) is not None:
                raise cls._wrong(
                    "gates",
                    "a command's test rows are unknown to mfprefect; compare with production in "
                    "the command",
                )
        cls._check_options()

    @classmethod
    def _check_unused(cls) -> None:
        for name in ("features", "not_features", "weight", "stratify", "classes"):
            if getattr(cls, name) != getattr(Model, name):
                raise cls._wrong(
                    name, "the command chooses what it learns from, so it has no effect; remove it"
                )

    @classmethod
    def _check_command(cls, name: str, command: Any) -> None:
        if isinstance(command, str):
            raise cls._wrong(name, f"it runs without a shell; use a list: {_as_list(command)}")
        if command is not None and not (
            isinstance(command, Sequence) and command and all(map(_is_text, command))
        ):
            raise cls._wrong(name, 'use a list of texts, such as ["bash", "train.sh"]')

    @classmethod
    def _check_options(cls) -> None:
        if not (cls.folder is None or isinstance(cls.folder, (str, Path))):
            raise cls._wrong("folder", "use a path or None")
        if not isinstance(cls.environment, Mapping) or not all(
            _is_text(key) and key and "=" not in key and _is_text(value)
            for key, value in cls.environment.items()
        ):
            # Without the value, which may contain a secret.
            raise ConfigurationError(
                f"{cls.__name__} has a wrong environment; it must map names to texts."
            )
        seconds: Any = cls.grace_seconds
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
            raise cls._wrong("grace_seconds", "use a number, 0 or more")
        if not all(isinstance(code, int) and 1 <= code <= 255 for code in cls.transient_exit_codes):
            raise cls._wrong("transient_exit_codes", "use integers from 1 to 255")

    @classmethod
    def _wrong(cls, name: str, fix: str) -> ConfigurationError:
        return ConfigurationError(f"{cls.__name__} has {name} = {getattr(cls, name)!r}; {fix}.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _as_list(command: str) -> str:
    try:
        return str(shlex.split(command))
    except ValueError:  # an unclosed quotation mark
        return str(["bash", "-c", command])

"""Models that the model's class writes and reads itself, for what has no safe format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from mfprefect.errors import ConfigurationError, MfprefectError

__all__ = ["BY_CLASS", "CLASS_KEY", "ByClass", "ModelHooks", "class_name", "read", "write"]

BY_CLASS = "model_class"
"""The recorded format of such a model."""
CLASS_KEY = "class"
"""The name of the class among the recorded library versions."""


class ModelHooks(Protocol):
    """The part of `Model` that writes and reads its estimator."""

    def save_model(self, estimator: Any, file: BinaryIO) -> None:
        """Write the estimator."""

    def load_model(self, file: BinaryIO) -> Any:
        """Return the estimator."""


@dataclass(frozen=True)
class ByClass:
    """An estimator and the model whose `save_model` writes it."""

    model: ModelHooks
    estimator: Any


def class_name(model: Any) -> str:
    """Return the full name of a model's class."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def write(source: ByClass, file: BinaryIO) -> None:
    """Let the model write its estimator to an empty file.

    Raises:
        ConfigurationError: it wrote nothing, or closed the file.
    """
    name = f"{type(source.model).__name__}.save_model"
    returned: Any = source.model.save_model(source.estimator, file)  # type: ignore[func-returns-value]
    if file.closed:
        raise ConfigurationError(f"{name} closed the file that it was given; leave it open.")
    if not file.seek(0, 2):
        what = "" if returned is None else f" and returned a {type(returned).__name__}"
        raise ConfigurationError(
            f"{name} wrote nothing to the file that it was given{what}; write the model with "
            "file.write(..), or let its library write to the file."
        )


def read(model: ModelHooks, file: BinaryIO) -> Any:
    """Let the model read its estimator from a verified file.

    Raises:
        ConfigurationError: it raised an error, or returned None.
    """
    name = f"{type(model).__name__}.load_model"
    try:
        estimator = model.load_model(file)
    except MfprefectError:
        raise
    except Exception as exc:
        raise ConfigurationError(
            f"{name} could not read the stored model ({type(exc).__name__}: {exc}). It must read "
            "what save_model of the same class wrote, at the time of the training."
        ) from exc
    if estimator is None:
        raise ConfigurationError(f"{name} returned None; return the estimator that it read.")
    return estimator

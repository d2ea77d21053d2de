"""`mfprefect train`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from mfprefect.cli.app import common
from mfprefect.cli.options import SESSION_WORDS
from mfprefect.cli.output import Output

if TYPE_CHECKING:
    import datetime as dt

    from mfprefect.model import Model
    from mfprefect.store import Store

__all__ = ["train"]


@click.command()
@click.argument("model")
@click.option(
    "--from",
    "origin",
    metavar="SESSION",
    help=f"Take the parameters of this trial or training: {SESSION_WORDS}.",
)
@click.option(
    "--param",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter that the class declares; the value is JSON, or else text.",
)
@click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Date of the data; by default today."
)
@click.option("--entrypoint", metavar="FILE:CLASS", help="The class of the model, if not recorded.")
@common
def train(
    out: Output,
    url: str | None,
    model: str,
    origin: str | None,
    given: tuple[str, ...],
    as_of: dt.datetime | None,
    entrypoint: str | None,
) -> None:
    """Train MODEL here and now, with the parameters of a trial.

    Runs the model's train flow in this process, from the class in this checkout, and prints the
    id of the session. Parameters that the class does not declare, such as those that a training
    records of its estimator, are not taken over.
    """
    import mfprefect
    from mfprefect.cli.lookup import require_known_model

    with mfprefect.connect(url) as store:
        require_known_model(store, model)
        kind, params = _chosen(store, model, origin, entrypoint)
    params |= dict(map(_parameter, given))
    if url is not None:  # flows connect to what the settings name
        os.environ["MFPREFECT_URL"] = url
    session_id = kind.flows().train(as_of=as_of and as_of.date(), params=params)
    out.line(session_id)
    out.document({"session_id": session_id, "params": params})


def _chosen(
    store: Store, model: str, origin: str | None, entrypoint: str | None
) -> tuple[type[Model], dict[str, Any]]:
    """Return the class of the model, and the parameters of the session to start from."""
    from mfprefect.cli.commands.plan import model_class
    from mfprefect.cli.lookup import resolve_session
    from mfprefect.errors import InvalidValue
    from mfprefect.util.declared_params import recorded

    row = None if origin is None else resolve_session(store, origin)
    if row is not None and row["model_id"] != model:
        raise InvalidValue(
            f"session {row['session_id']} is of the model {row['model_id']!r}, not of {model!r}."
        )
    named = None if row is None else row["session_id"]
    kind = model_class(store, model, _with_class(store, model, named, entrypoint), entrypoint)
    return kind, {} if row is None else recorded(kind.params, row["params"])


def _with_class(store: Store, model: str, named: str | None, entrypoint: str | None) -> str:
    """Return a session that recorded the class of the model: the one named, or the last training.

    Raises:
        ConfigurationError: there is none.
    """
    from mfprefect.errors import ConfigurationError
    from mfprefect.provenance.entrypoint import CODE

    for name in filter(None, (named, store.latest_training(model))):
        metadata = store.metadata(name)
        if ((metadata["meta_group"] == CODE[0]) & (metadata["meta_name"] == CODE[1])).any():
            return name
    if entrypoint is not None:
        return ""
    raise ConfigurationError(
        f"no training of {model!r} recorded the class of the model; name it by "
        "--entrypoint flows/model.py:Class."
    )


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--param")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

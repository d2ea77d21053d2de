"""One request for a page: what it asks for, who asks, and how the answer is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlencode

from mfprefect.console import answers
from mfprefect.console.answers import Answer
from mfprefect.console.cache import Fresh, Rendered
from mfprefect.console.jobs import Jobs
from mfprefect.console.logon import Person, Right
from mfprefect.console.options import ConsoleOptions
from mfprefect.console.params import Missing, Params
from mfprefect.errors import UnknownModel, UnknownSession
from mfprefect.schema import MODEL_ID_LENGTH, SESSION_ID_LENGTH

if TYPE_CHECKING:
    from mfprefect.store import Store
    from mfprefect.store.browse.overview import ModelState
    from mfprefect.store.database import Database

__all__ = ["Frame", "Page", "address"]


def address(root: str, *segments: str, **query: Any) -> str:
    """Return the address of a page; parameters that are None or empty are left out."""
    path = "/".join(quote(segment, safe="") for segment in segments)
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs += [(name.rstrip("_"), str(v)) for v in values if v is not None and v != ""]
    return f"{root}/{path}" + (f"?{urlencode(pairs)}" if pairs else "")


class Frame(Protocol):
    """What pages need of the console that shows them."""

    options: ConsoleOptions
    store: Store
    """Reads what is committed, in a new transaction each time."""
    writer: Store
    jobs: Jobs
    rendered: Rendered
    states: Fresh[list[ModelState]]
    """The state of all models, a few seconds old at the most."""

    def render(self, template: str, **values: Any) -> str:
        """Return a rendered template."""

    def stream(self, template: str, **values: Any) -> Iterator[bytes]:
        """Yield a rendered template, piece by piece."""


@dataclass
class Page:
    """A request for a page."""

    console: Frame
    store: Store
    """Reads one moment of the database."""
    person: Person
    parts: Mapping[str, str]
    """The variable parts of the path."""
    query: Params
    path: Sequence[str]
    form: Params | None = None
    """What a form sent."""
    site: bool = False
    """Whether it becomes a file of an export, without forms and other pages."""

    @property
    def db(self) -> Database:
        """The database, as of one moment."""
        return self.store.database

    @property
    def model_id(self) -> str:
        """The model of the path; `Missing` if no model can have that id."""
        name = self.parts["model"]
        if len(name) > MODEL_ID_LENGTH or "\0" in name:
            raise UnknownModel(name[:MODEL_ID_LENGTH])
        return name

    @property
    def session_id(self) -> str:
        """The session of the path."""
        name = self.parts["session"]
        if len(name) > SESSION_ID_LENGTH or "\0" in name:
            raise UnknownSession(name[:SESSION_ID_LENGTH])
        return name

    @property
    def form_params(self) -> Params:
        """What the form sent."""
        if self.form is None:
            raise Missing("this page takes a form.")
        return self.form

    def may(self, right: Right) -> bool:
        """Return whether the person has a right."""
        return self.person.may(right)

    @property
    def may_act(self) -> bool:
        """Whether to show the forms of actions."""
        return self.console.options.actions and self.may(Right.DEPLOY)

    def url(self, *segments: str, **query: Any) -> str:
        """Return the address of a page of this console."""
        return address(self.console.options.root_path, *segments, **query)

    def here(self, **changes: Any) -> str:
        """Return this page's address with other parameters; None removes one."""
        merged: dict[str, Any] = {}
        for name, value in self.query.pairs:
            if name in merged:
                merged[name] = [*_listed(merged[name]), value]
            else:
                merged[name] = value
        return self.url(*self.path, **(merged | changes))

    def show(self, template: str, title: str, status: int = 200, **values: Any) -> Answer:
        """Return a rendered page."""
        return answers.html(self.render(template, title, **values), status)

    def render(self, template: str, title: str, **values: Any) -> str:
        """Return the text of a rendered page."""
        return self.console.render(template, page=self, title=title, **values)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

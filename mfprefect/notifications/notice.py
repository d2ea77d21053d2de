"""A notice in every form that a service shows.

Names and messages come from people and from errors; each form makes them harmless in its own way,
see `markup` and `mail`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mfprefect.notifications import mail, markup, wording
from mfprefect.notifications.facts import Check, Drift, Facts, MetricChange, Readers
from mfprefect.notifications.fields import json_fields

__all__ = ["Check", "Drift", "MetricChange", "Notice", "Readers"]


@dataclass(frozen=True)
class Notice(Facts):
    """A message about an event, for one target."""

    @property
    def title(self) -> str:
        """One line of text without any markup."""
        return wording.subject(self)

    @property
    def tone(self) -> str:
        """How bad it is: `failure`, `warning`, `success` or `info`."""
        return wording.tone(self)

    @cached_property
    def _body(self) -> wording.Body:
        return wording.body(self)

    @property
    def plain(self) -> str:
        """The body for mail that is read as text."""
        return markup.plain(self._body)

    @property
    def markdown(self) -> str:
        """The body for services that support Markdown or only plain text."""
        return markup.markdown(self._body)

    @property
    def slack(self) -> str:
        """The body for Slack, with its control characters escaped."""
        return markup.slack(self._body)

    @property
    def html(self) -> str:
        """The body for chats that show a few tags of HTML."""
        return markup.simple_html(self._body)

    @property
    def mail(self) -> str:
        """The body of a mail: a page that mail clients keep, light and dark."""
        return mail.page(self._body, self.title, self.tone)

    @property
    def fields(self) -> dict[str, Any]:
        """The notice as JSON fields."""
        return json_fields(self, self._body)

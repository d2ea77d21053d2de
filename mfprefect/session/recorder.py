"""Everything a process can record of a session, whether it opened the session or not."""

from __future__ import annotations

from mfprefect.session.bulk import BulkMixin
from mfprefect.session.inputs import InputsMixin
from mfprefect.session.results import ResultsMixin

__all__ = ["Recorder"]


class Recorder(InputsMixin, ResultsMixin, BulkMixin):
    """Records inputs, results, models and scores of a session. `Session` adds how it ends."""

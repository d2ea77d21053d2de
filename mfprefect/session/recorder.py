"""Everything a process can record of a session, whether it opened the session or not."""

from __future__ import annotations

from mfprefect.session.bulk import BulkMixin
from mfprefect.session.files import FilesMixin
from mfprefect.session.inputs import InputsMixin
from mfprefect.session.results import ResultsMixin

__all__ = ["Recorder"]


class Recorder(InputsMixin, ResultsMixin, FilesMixin, BulkMixin):
    """Records inputs, results, files, models and scores. `Session` adds how it ends."""

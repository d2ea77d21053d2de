"""Files and figures of a run: written at once in their own transactions, as models are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mfprefect.artifacts import files
from mfprefect.errors import InvalidValue
from mfprefect.session.base import RecorderBase

__all__ = ["FilesMixin"]


class FilesMixin(RecorderBase):
    """Writes files and figures."""

    def log_file(self, content: str | Path | bytes, name: str | None = None) -> str:
        """Store a file in chunks, with its digest; replace one of the same name.

        `Store.files` lists files, `Store.open_file` reads them. A retry begins without the files
        of the attempt before it.

        Args:
            content: the path of a file, or bytes. The file is copied first: it may change later.
            name: the name to open it by; by default that of the path. Its ending says of what type
                it is. At most 123 characters, without folders: slashes and colons are refused, as
                are invisible characters and a dot at the start.

        Returns:
            The name.

        Raises:
            InvalidValue: there is no such file, bytes have no name, or the name is not as above.
        """
        source = files.source_of(content)
        if name is None:
            if not isinstance(source.source, Path):
                raise InvalidValue("bytes have no name; pass log_file(content, name).")
            name = source.source.name
        checked = files.file_name(name)
        stored = files.artifact_name(checked)
        column = self._db.schema.artifacts.c.artifact_name
        if why := self._db.backend.why_not_storable(column, stored):
            raise InvalidValue(f"the file's name {checked!r} {why}.")
        self._require_running()
        self._destination.save_model(stored, source, None, ())
        return checked

    def log_figure(self, figure: Any, name: str) -> str:
        """Store a figure as a file; replace one of the same name.

        Args:
            figure: of matplotlib (also an Axes, or what seaborn returns), stored as PNG; or of
                plotly, stored as HTML that needs no network (4 to 5 MB, most of it plotly.js), or
                as JSON if the name ends in `.json`.
            name: as in `log_file`; without an ending, that of the kind is added.

        Returns:
            The name with its ending. The same figure gives the same bytes.

        Raises:
            InvalidValue: it is no figure, or the name is not as in `log_file`, or has the ending
                of another kind of file.
        """
        from mfprefect.artifacts.figures import figure_file

        files.file_name(name)  # before it is drawn
        name, content = figure_file(figure, name)
        return self.log_file(content, name)

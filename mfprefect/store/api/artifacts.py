"""Store methods that read models and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mfprefect.store import artifacts
from mfprefect.store.api.base import Base
from mfprefect.store.artifacts import MODEL
from mfprefect.store.results.artifacts import files_frame, models_frame
from mfprefect.util.files import atomic_file, check_target

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ArtifactsApi"]


class ArtifactsApi(Base):
    """Reads models and files, whose bytes are verified; nothing here writes."""

    def artifacts(self, *session_ids: str) -> pd.DataFrame:
        """Return the models and extras of sessions: artifact_name, format, bytes, sha256."""
        return models_frame(self._db, session_ids)

    def files(self, *session_ids: str) -> pd.DataFrame:
        """Return the files and figures of sessions: name, media_type, bytes, sha256.

        The media type follows from the name: `image/png` of `roc.png`.
        """
        return files_frame(self._db, session_ids)

    def open_file(self, session_id: str, name: str) -> BinaryIO:
        """Return a file of a session, open for reading, at its start; close it after use.

        Size, digest and, where the team has a key, the signature are verified before anything can
        be read. Up to 16 MiB are in memory, a larger file in an unnamed temporary one.

        Args:
            session_id: the session, of any status.
            name: as `files` lists it.

        Raises:
            UnknownSession: the session does not exist.
            InvalidValue: the session has no file of that name.
            ArtifactCorrupt: the bytes differ from those that were stored.
            ArtifactUntrusted: the team's key did not sign them.
        """
        return artifacts.open_file(self._db, session_id, name)

    def load_model(
        self, session_id: str, name: str = MODEL, *, trusted: bool = False, model: Any = None
    ) -> Any:
        """Load a model that a session saved, after verifying its digest.

        Args:
            session_id: the training session.
            name: the artifact's name.
            trusted: also load a pickle-like format, which can run any code.
            model: the model's class, or an instance of it, for a model that the class wrote by
                its `save_model`.

        Raises:
            ArtifactCorrupt: the blob differs from the one that was stored.
            ArtifactUntrusted: loading could run code that no team key signed.
            ConfigurationError: the model cannot be rebuilt, or only by its class, which the
                message names.
        """
        return artifacts.load_artifact(
            self._db,
            session_id,
            name,
            trusted=trusted,
            trusted_types=self.database.settings.trusted_types,
            model=model() if isinstance(model, type) else model,
        )

    def load_extras(self, session_id: str) -> dict[str, Any]:
        """Return what `fit` returned beside the estimator, by name; empty if there is nothing.

        Raises:
            UnknownSession: the session does not exist.
            ArtifactCorrupt: the blob differs from the one that was stored.
            ArtifactUntrusted: the team's key did not sign it.
        """
        return artifacts.load_extras(self._db, session_id)

    def copy_model(
        self, session_id: str, to: Path | str, name: str = MODEL, *, force: bool = False
    ) -> dict[str, Any]:
        """Write a model to a file as it was stored, chunk by chunk.

        The file appears under its name only after its size and digest are verified.

        Args:
            session_id: the training session.
            to: the file.
            name: the artifact's name.
            force: overwrite an existing file.

        Returns:
            format, bytes, sha256.

        Raises:
            InvalidValue: the file exists, or the session has no artifact of that name.
            ArtifactCorrupt: the blob differs from the one that was stored.
            ArtifactUntrusted: the team's key did not sign it.
        """
        target = Path(to)
        check_target(target, force)
        with atomic_file(target, force) as file:
            artifact = artifacts.copy_artifact(self._db, session_id, name, file)
        return {"format": artifact.format, "bytes": artifact.size, "sha256": artifact.sha256}

"""Tables of scores and of models as bytes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Integer

from mfprefect.schema.base import TablesBase, column, identifier, number, session_number
from mfprefect.schema.types import DIGEST_LENGTH, ENTITY_ID_LENGTH, Blob, Double, Instant, LongText

__all__ = ["ScoreTables"]


class ScoreTables(TablesBase):
    """Tables of scores and artifacts."""

    def _scores(self) -> None:
        # No foreign key: the database would look up the session for each of 100 million rows.
        self.scores = self._table(
            "scores",
            "Scores, one row for each entity and session: the largest table.",
            session_number(),
            identifier(
                "entity_id", "What was scored, as text.", ENTITY_ID_LENGTH, primary_key=True
            ),
            column("score", Double, "The score, in the unit of the model.", nullable=False),
            identifier("score_class", "Predicted class of a multiclass model."),
            column("part_no", Integer, "Part of the session that wrote it.", nullable=False),
            of_session=False,
        )
        self.score_parts = self._table(
            "score_parts",
            "Parts of the scores of a session, each written in one transaction.",
            session_number(),
            number("part_no", "Number of the part, from 1."),
            column("row_count", sa.BigInteger, "Rows of the part.", nullable=False, key="rows"),
            identifier(
                "digest", "SHA-256 of its rows, in hexadecimal.", DIGEST_LENGTH, nullable=False
            ),
            column("attempt", Integer, "Attempt that wrote it.", nullable=False),
            column("written_at", Instant, "When it was written (UTC).", nullable=False),
            # Closing deletes parts that the last attempt neither wrote nor kept.
            column("kept_by", Integer, "Last attempt that kept it, or NULL if none did."),
        )

        # For a retry, which keeps complete parts.
        self.part_inputs = self._table(
            "part_inputs",
            "What each part read, for a retry, until the session has succeeded.",
            session_number(),
            number("part_no", "Number of the part, from 1."),
            column("document", LongText, "Input, checks and summary, as JSON.", nullable=False),
        )

    def _artifacts(self) -> None:
        self.artifacts = self._table(
            "artifacts",
            "Models and other files that sessions saved, with their bytes in artifact_chunks.",
            session_number(),
            identifier("artifact_name", "Name of the artifact.", primary_key=True),
            identifier(
                "artifact_format", "Format, such as skops.", 32, nullable=False, key="format"
            ),
            column("byte_count", sa.BigInteger, "Size in bytes.", nullable=False, key="bytes"),
            identifier(
                "sha256", "SHA-256 of the bytes, in hexadecimal.", DIGEST_LENGTH, nullable=False
            ),
            identifier("signature", "Signature of the bytes, in hexadecimal.", DIGEST_LENGTH),
            column(
                "library_versions",
                LongText,
                "Versions of the libraries that wrote it, as JSON.",
                nullable=False,
            ),
        )
        self.artifact_chunks = self._table(
            "artifact_chunks",
            "Bytes of artifacts, in pieces of at most 4 MiB.",
            session_number(),
            identifier("artifact_name", "Name of the artifact.", primary_key=True),
            number("chunk_no", "Place of the piece."),
            column("chunk_bytes", Blob(4 * 1024 * 1024), "The bytes.", nullable=False, key="bytes"),
        )

"""Tables of models: the registry, thresholds, environments, and who was in production."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Boolean, ForeignKey, Integer

from mfprefect.schema.base import TablesBase, column, identifier
from mfprefect.schema.types import DIGEST_LENGTH, MODEL_ID_LENGTH, Double, Instant, LongText

__all__ = ["ModelTables"]


class ModelTables(TablesBase):
    """Tables of models."""

    def _models(self) -> None:
        self.models = self._table(
            "models",
            "Registered models, one row each.",
            identifier("model_id", "Name of the model.", MODEL_ID_LENGTH, primary_key=True),
            column("description", LongText, "What the model predicts.", nullable=False),
            identifier("entity_type", "What is scored, such as customer.", nullable=False),
            identifier("owner", "Person or team in charge of the model.", nullable=False),
            column("created_at", Instant, "When it was registered (UTC).", nullable=False),
            column(
                "max_age_seconds",
                sa.BigInteger,
                "Age of the last scores, in seconds, above which an alarm is sent, or NULL.",
            ),
        )
        self.model_thresholds = self._table(
            "model_thresholds",
            "Operating thresholds of models, of which the newest of each model applies.",
            self._model_id(primary_key=True),
            column("set_at", Instant, "When the threshold was set (UTC).", primary_key=True),
            column(
                "threshold_value",
                Double,
                "The threshold: a score from 0 to 1, or a share of the population from 0 to 1.",
                nullable=False,
                key="value",
            ),
            identifier(
                "threshold_kind",
                "What the value is: probability or population.",
                16,
                nullable=False,
                key="kind",
            ),
            identifier("set_by", "User who set it.", nullable=False),
        )
        self.environments = self._table(
            "environments",
            "Python environments that sessions ran in, one row for each set of packages.",
            identifier(
                "environment_digest",
                "SHA-256 of the Python version, platform and packages, in hexadecimal.",
                DIGEST_LENGTH,
                primary_key=True,
            ),
            identifier("python_version", "Version of Python.", nullable=False),
            identifier("platform_name", "Operating system and machine.", 255, nullable=False),
            column("packages", LongText, "Installed packages, as JSON.", nullable=False),
        )

    def _stages(self) -> None:
        self.model_stages = self._table(
            "model_stages",
            "What was in production, and since when: the newest row of a model applies.",
            self._model_id(primary_key=True),
            column("set_at", Instant, "When the stage began (UTC).", primary_key=True),
            column(
                "session_no",
                Integer,
                "Number of the training session that got the stage.",
                ForeignKey(self.sessions.c.session_no),
                nullable=False,
            ),
            identifier(
                "stage", "The stage: production, experimental or retired.", 16, nullable=False
            ),
            identifier("set_by", "User who set it.", nullable=False),
            column("reason", LongText, "Why, in that user's words."),
            column("gates", LongText, "Verdicts of the gates at that time, as JSON."),
            of_session=False,
        )

    def _input_columns(self) -> None:
        self.input_columns = self._table(
            "input_columns",
            "Registry of the columns that models may read.",
            identifier("schema_name", "Schema of the source table.", primary_key=True),
            identifier("table_name", "Source table.", primary_key=True),
            identifier("column_name", "Column of the source table.", primary_key=True),
            column("is_valid", Boolean, "Whether it may be used.", nullable=False, key="valid"),
            column("is_test", Boolean, "Whether it is on trial.", nullable=False, key="test"),
            column("note", LongText, "Remark of whoever registered it."),
        )

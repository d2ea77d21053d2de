"""What requests that write look like."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["RESULTS", "CloseSession", "LogResults", "OpenSession", "RegisterModel"]

Number = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", json_schema_extra={"format": "date"})]


class Command(BaseModel):
    """The body of a request: exactly these members, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class RegisterModel(Command):
    """A model to register, or whose description to change."""

    model_id: Annotated[str, Field(min_length=1, max_length=64)]
    description: str = ""
    entity_type: Annotated[str, Field(max_length=128)] = Field(
        "", description="What a score is about, such as customer."
    )
    owner: Name | None = Field(None, description="Who is responsible; by default you.")


class Code(Command):
    """The code that runs."""

    commit: Annotated[str, Field(min_length=1, max_length=64)]
    branch: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    remote: str | None = Field(None, description="The address of the repository.")
    author: Annotated[str, Field(max_length=255)] | None = Field(
        None, description="The author of the commit."
    )
    dirty: bool | None = Field(None, description="Whether it has changes without a commit.")
    vcs: Literal["git", "hg"] = "git"


class Runtime(Command):
    """What the code runs in."""

    language: Name = Field(description="The language and its version, such as R 4.5.2.")
    platform: Annotated[str, Field(max_length=255)] = ""
    packages: dict[str, str] = Field({}, description="Versions of packages by name.")


class OpenSession(Command):
    """A session to open."""

    model_id: Annotated[str, Field(min_length=1, max_length=64)]
    purpose: Literal["train", "score", "monitor", "adhoc", "trial"] = "adhoc"
    params: dict[str, Any] = Field({}, description="Parameters of the run by name.")
    as_of: Date | None = Field(None, description="The day of the data.")
    parent: str | None = Field(
        None, description="The id of the training session whose model it uses."
    )
    tags: list[Name] = []
    register_model: bool = Field(
        False, alias="register", description="Register the model first if it is unknown."
    )
    host: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        None, description="The machine that runs it; by default the address of the client."
    )
    code: Code | None = None
    environment: Runtime | None = None


class Case(Command):
    """A case that failed a check."""

    index: str | int | float | bool | None = Field(None, description="Where it is.")
    value: str | int | float | bool | None = Field(description="What is there.")


class Check(Command):
    """The result of a check of the input."""

    check: Annotated[str, Field(min_length=1, max_length=255)]
    column: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    severity: Literal["error", "warning"] = "error"
    passed: bool
    failing_rows: Annotated[int, Field(ge=0, le=2**53)] = 0
    sample: Annotated[list[Case], Field(max_length=100)] = Field(
        [], description="Some failing cases."
    )
    message: str = ""


class Read(Command):
    """A read of data."""

    source: Annotated[str, Field(min_length=1, max_length=255)]
    query: str | None = None
    rows: Annotated[int, Field(ge=0, le=2**53)] | None = None
    columns: dict[str, str] | None = Field(None, description="Types of columns by name.")
    digest: Annotated[str, Field(max_length=64)] | None = None
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Importance(Command):
    """The importance of a variable."""

    kind: Annotated[str, Field(min_length=1, max_length=64)]
    variable: Annotated[str, Field(min_length=1, max_length=255)]
    importance: Number | None
    std: Number | None = None
    coefficient: Number | None = None


class Backtest(Command):
    """Predicted and actual value of a period."""

    series: Name = "all"
    period: Annotated[str, Field(min_length=1, max_length=64)]
    predicted: Number | None
    actual: Number | None


class Step(Command):
    """The metrics of a step, such as an epoch."""

    step: Annotated[int, Field(ge=0, lt=2**63)]
    metrics: Annotated[dict[str, Number], Field(min_length=1)]
    segment: Name | None = None


class LogResults(Command):
    """Results to store, all in one transaction. A later value of the same name replaces it."""

    params: dict[str, Any] = {}
    metrics: dict[str, Number] = Field({}, description="Metrics by name.")
    segment: Name | None = Field(None, description="The segment of these metrics: region=north.")
    steps: list[Step] = Field(
        [], description="Metrics over steps: curves are kept, and metrics hold the last values."
    )
    metadata: dict[str, Any] = Field({}, description="Notes by name.")
    group: Name = Field("run", description="The group of these notes.")
    inputs: list[Read] = []
    checks: list[Check] = []
    variable_importance: list[Importance] = []
    backtests: list[Backtest] = []

    @model_validator(mode="after")
    def _check_members(self) -> LogResults:
        if not any(getattr(self, name) for name in RESULTS):
            raise ValueError(f"nothing to log; give one of {', '.join(RESULTS)}")
        if self.segment is not None and not self.metrics:
            raise ValueError("segment belongs to metrics")
        return self


RESULTS = (
    *("params", "metrics", "steps", "metadata", "inputs", "checks"),
    *("variable_importance", "backtests"),
)


class CloseSession(Command):
    """How a session ends."""

    status: Literal["succeeded", "failed", "cancelled"] = "succeeded"
    kind: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        None, description="The kind of the failure, such as the name of an error."
    )
    reason: str | None = Field(None, description="Why it failed or was cancelled.")
    publish: bool = Field(True, description="Whether the scores become visible.")

    @model_validator(mode="after")
    def _check_reason(self) -> CloseSession:
        if self.status == "succeeded" and (self.kind or self.reason):
            raise ValueError("kind and reason belong to the statuses failed and cancelled")
        return self

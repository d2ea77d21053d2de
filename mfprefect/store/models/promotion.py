"""Promoting, rolling back and retiring models."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import AlreadyPromoted, GateFailed, IntegrityError, InvalidValue
from mfprefect.quality.gates.verdicts import GateResult
from mfprefect.store.artifacts.rows import is_model
from mfprefect.store.audit.events import record, row_digest
from mfprefect.store.database import Database
from mfprefect.store.lookup import require_model, require_session
from mfprefect.store.models.gate_verdicts import stored_results
from mfprefect.store.models.stages import (
    EXPERIMENTAL,
    PRODUCTION,
    RETIRED,
    ROLLED_BACK,
    Stage,
    add_stage,
    happened,
    history,
    lock_model,
    one_step,
)
from mfprefect.store.states import Purpose, Status
from mfprefect.util import values

__all__ = ["candidate", "promote", "retire", "rollback", "standing"]


def candidate(db: Database, model_id: str, session_id: str | None = None) -> str | None:
    """Return the newest training that can be promoted, or `session_id` if it can be.

    It saved a model, and succeeded or failed only because of its gates.
    """
    s, artifacts = db.schema.sessions.c, db.schema.artifacts.c
    by_gates = sa.and_(s.status == Status.FAILED, s.failure_kind == GateFailed.__name__)
    select = (
        sa.select(s.session_id)
        .where(
            s.model_id == model_id,
            s.purpose == Purpose.TRAIN,
            sa.or_(s.status == Status.SUCCEEDED, by_gates),
            sa.exists().where(artifacts.session_no == s.session_no, is_model(db)),
        )
        .order_by(s.session_no.desc())
        .limit(1)
    )
    if session_id is not None:
        select = select.where(s.session_id == session_id)
    rows = db.fetch_all(select)
    return rows[0][0] if rows else None


def promote(
    db: Database,
    model_id: str,
    session_id: str,
    *,
    stage: str = PRODUCTION,
    reason: str | None = None,
    override: str | None = None,
) -> int:
    """Put a training session into a stage; return its number.

    Raises:
        UnknownModel: the model does not exist.
        UnknownSession: the session does not exist.
        InvalidValue: it is not a successful training session of the model.
        AlreadyPromoted: it is in that stage already.
        GateFailed: it did not pass its gates, and `override` gives no reason.
    """
    stage = values.choice(stage, "the stage", (PRODUCTION, EXPERIMENTAL))
    reason = None if reason is None else values.text(reason, "the reason")
    override = None if override is None else values.name(override, "the override", 10_000)
    done: list[dt.datetime] = []

    def work(connection: sa.Connection, again: bool) -> int:
        lock_model(db, connection, model_id)
        number, verdicts, failed = _training(db, connection, model_id, session_id)
        if again and done and happened(db, connection, model_id, done[-1]):
            return number
        stages = history(db, connection, model_id)
        _require_other(stages, model_id, session_id, stage)
        now = stages[-1].session_id if stages and stages[-1].stage == PRODUCTION else None
        if stage == PRODUCTION:
            problems = _problems(verdicts, now, session_id)
            _require_passed(session_id, problems, override)
        elif now is not None:
            raise InvalidValue(
                f"model {model_id!r} has {now!r} in production; it is no experiment before that is "
                "taken out by store.retire."
            )
        if failed and override is None:
            raise InvalidValue(_not_usable(session_id, model_id, "failed train", model_id))
        document = {"gates": [verdict.as_dict() for verdict in verdicts], "override": override}
        row = {
            "session_no": number,
            "stage": stage,
            "reason": reason,
            "gates": values.json_text(document, "the gates' verdicts"),
        }
        new = add_stage(db, connection, model_id, row)
        done.append(new["set_at"])
        detail: dict[str, Any] = {"session": session_id, "stage": stage, "reason": reason}
        detail["override"] = override
        detail |= {"instead_of": now, **row_digest(db.schema, "model_stages", new)}
        record(db, connection, "promote", model_id, **detail)
        return number

    return db.write_transaction(work, also_retry=IntegrityError)


def standing(db: Database, model_id: str, session_id: str) -> tuple[str | None, list[str]]:
    """Return what is in production, and a sentence for each reason not to promote a training.

    Raises:
        UnknownModel: the model does not exist.
        UnknownSession: the session does not exist.
        InvalidValue: it is not a successful training session of the model.
        AlreadyPromoted: it is in production already.
    """

    def work(connection: sa.Connection) -> tuple[str | None, list[str]]:
        require_model(db, connection, model_id)
        _, verdicts, _ = _training(db, connection, model_id, session_id)
        stages = history(db, connection, model_id)
        _require_other(stages, model_id, session_id, PRODUCTION)
        now = stages[-1].session_id if stages and stages[-1].stage == PRODUCTION else None
        return now, _problems(verdicts, now, session_id)

    return db.read_snapshot(work)


def _require_other(stages: Sequence[Stage], model_id: str, session_id: str, stage: str) -> None:
    """Raise AlreadyPromoted if the newest stage says what a promotion would say again."""
    if not stages or (stages[-1].stage, stages[-1].session_id) != (stage, session_id):
        return
    now = stages[-1]
    where = "in production" if stage == PRODUCTION else stage
    raise AlreadyPromoted(
        f"session {session_id!r} is already {where} for model {model_id!r}, since "
        f"{now.set_at:%Y-%m-%d %H:%M:%S} UTC, set by {now.set_by}; nothing was changed. "
        f"`mfprefect stages {model_id}` shows the history.",
        session_id=session_id,
        since=now.set_at,
        by=now.set_by,
    )


def _training(
    db: Database, connection: sa.Connection, model_id: str, session_id: str
) -> tuple[int, list[GateResult], bool]:
    """Return a training's number, its verdicts, and whether it failed because of its gates."""
    s = db.schema.sessions.c
    handle = require_session(db, connection, session_id)
    kind = connection.scalar(sa.select(s.failure_kind).where(s.session_no == handle.session_no))
    by_gates = (handle.status, kind) == (Status.FAILED, GateFailed.__name__)
    if (handle.model_id, handle.purpose) != (model_id, Purpose.TRAIN) or not (
        handle.status == Status.SUCCEEDED or by_gates
    ):
        what = f"{handle.status} {handle.purpose}"
        raise InvalidValue(_not_usable(session_id, handle.model_id, what, model_id))
    return handle.session_no, stored_results(db, connection, handle.session_no), by_gates


def _not_usable(session_id: str, model_id: str, what: str, wanted: str) -> str:
    return (
        f"session {session_id!r} cannot be promoted: it is a {what} session of {model_id!r}; name "
        f"a training session of {wanted!r} that succeeded."
    )


def _problems(verdicts: Sequence[GateResult], now: str | None, session_id: str) -> list[str]:
    """Return a sentence for each gate that failed or compared with an outdated model."""
    if not verdicts:
        return ["it was held against no gate"]
    problems = [verdict.reason for verdict in verdicts if not verdict.passed]
    for verdict in verdicts:
        compared = verdict.production_session_id
        if verdict.passed and verdict.kind == "production" and now not in (compared, session_id):
            problems.append(
                f"{verdict.gate}: it was compared with {compared or 'nothing'}, and {now} is in "
                "production now; train again"
            )
    return problems


def _require_passed(session_id: str, problems: Sequence[str], override: str | None) -> None:
    if problems and override is None:
        raise GateFailed(
            f"session {session_id!r} is not promoted: {'; '.join(problems)}. Whoever answers for "
            "it all the same gives the reason: override='..', or --override.",
            failures=problems,
        )


def retire(db: Database, model_id: str, reason: str | None) -> Stage:
    """Take the model out of production, with no replacement; return the stage that ended.

    Raises:
        UnknownModel: the model does not exist.
        InvalidValue: nothing is in production.
    """
    reason = None if reason is None else values.text(reason, "the reason")
    done: list[tuple[dt.datetime, Stage]] = []

    def work(connection: sa.Connection, again: bool) -> Stage:
        lock_model(db, connection, model_id)
        if again and done and happened(db, connection, model_id, done[-1][0]):
            return done[-1][1]
        stages = history(db, connection, model_id)
        if not stages or stages[-1].stage != PRODUCTION:
            raise InvalidValue(_nothing_to_retire(model_id, stages))
        now = stages[-1]
        row = {"session_no": now.session_no, "stage": RETIRED, "reason": reason}
        new = add_stage(db, connection, model_id, row)
        done.append((new["set_at"], now))
        detail = {"session": now.session_id, "reason": reason}
        record(
            db,
            connection,
            "retire",
            model_id,
            **detail,
            **row_digest(db.schema, "model_stages", new),
        )
        return now

    return db.write_transaction(work, also_retry=IntegrityError)


def _nothing_to_retire(model_id: str, stages: Sequence[Stage]) -> str:
    text = f"model {model_id!r} has nothing in production"
    if not stages:
        return f"{text}: it was never promoted."
    last = stages[-1]
    return (
        f"{text}: its session {last.session_id!r} is {last.stage} since "
        f"{last.set_at:%Y-%m-%d %H:%M:%S} UTC, set by {last.set_by}."
    )


def rollback(db: Database, model_id: str, reason: str | None) -> tuple[Stage, Stage]:
    """Put the previous model back into production; return the stages before and after.

    Each rollback goes one step further back. It never returns to a model that was rolled back.

    Raises:
        UnknownModel: the model does not exist.
        InvalidValue: there is no previous model.
    """
    reason = None if reason is None else values.text(reason, "the reason")
    done: list[tuple[dt.datetime, tuple[Stage, Stage]]] = []

    def work(connection: sa.Connection, again: bool) -> tuple[Stage, Stage]:
        lock_model(db, connection, model_id)
        if again and done and happened(db, connection, model_id, done[-1][0]):
            return done[-1][1]
        now, before = one_step(model_id, history(db, connection, model_id))
        row = {
            "session_no": before.session_no,
            "stage": PRODUCTION,
            "reason": reason,
            "gates": values.json_text(
                before.detail | {ROLLED_BACK: now.session_id}, "the gates' verdicts"
            ),
        }
        new = add_stage(db, connection, model_id, row)
        done.append((new["set_at"], (now, before)))
        record(
            db,
            connection,
            "rollback",
            model_id,
            session=before.session_id,
            rolled_back_from=now.session_id,
            reason=reason,
            **row_digest(db.schema, "model_stages", new),
        )
        return now, before

    return db.write_transaction(work, also_retry=IntegrityError)

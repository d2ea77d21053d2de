"""The state of all models, or of one: what is in production, and what is wrong with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mfprefect.errors import GateFailed
from mfprefect.store.browse import keyed
from mfprefect.store.browse.sessions import figures_of
from mfprefect.store.database import Database
from mfprefect.store.models.stages import EXPERIMENTAL, PRODUCTION, RETIRED
from mfprefect.store.states import Purpose, Status
from mfprefect.util import values

__all__ = ["ModelState", "model_states"]

RECENT_SCORINGS = 10
"""Published scorings to find the newest day of data among, although days may be scored again."""
SCORING, MONITORING, CANDIDATE = "scoring", "monitoring", "candidate"
STATE = (
    "session_no", "session_id", "model_id", "purpose", "status", "started_at", "ended_at",
    "published_at", "as_of", "failure_kind", "run_by", "parent_session_no", "deployment",
)  # fmt: skip
_Row = dict[str, Any]


@dataclass
class ModelState:
    """What a manager asks of a model."""

    model: _Row
    """Its row in `models`."""
    stage: _Row | None = None
    """The newest row of its stages, with `session_id`."""
    last: dict[str, _Row] = field(default_factory=dict)
    """The newest session of each purpose, whatever its status."""
    scoring: _Row | None = None
    """The newest published scoring session."""
    monitoring: _Row | None = None
    """The newest monitoring session that succeeded."""
    candidate: _Row | None = None
    """The newest training that can be promoted, if it is newer than that in production."""
    tested: dict[str, float] = field(default_factory=dict)
    """Figures of the test of the model in production."""
    outcomes: dict[str, float] = field(default_factory=dict)
    """Figures on real outcomes, of the newest monitoring."""
    alarms: int = 0
    """Drift alarms of the newest scoring and monitoring."""
    alarmed: list[str] = field(default_factory=list)
    """The variables of these alarms."""
    undelivered: int = 0
    """Notices about its newest sessions that were not delivered."""

    @property
    def model_id(self) -> str:
        """The model."""
        return str(self.model["model_id"])

    @property
    def production(self) -> _Row | None:
        """The stage of the session in production, None if nothing is."""
        return self.stage if self.stage and self.stage["stage"] == PRODUCTION else None

    @property
    def watched(self) -> bool:
        """Whether late scores are an alarm."""
        return self.stage is None or self.stage["stage"] not in (EXPERIMENTAL, RETIRED)

    def age(self, now: dt.datetime | None = None) -> float | None:
        """Return the age of the last published scores in seconds, None if there are none."""
        if self.scoring is None:
            return None
        at: dt.datetime = self.scoring["published_at"]
        return ((now or values.utc_now()) - at).total_seconds()

    @property
    def stale(self) -> bool:
        """Whether its scores are older than they may be."""
        most = self.model["max_age_seconds"]
        if most is None or not self.watched or not self.last:
            return False
        age = self.age()
        if age is None:
            age = (values.utc_now() - self.model["created_at"]).total_seconds()
        return bool(age > most)

    @property
    def failing(self) -> list[_Row]:
        """The newest session of each purpose that did not succeed, and does not run."""
        bad = (Status.FAILED, Status.CRASHED)
        return [row for row in self.last.values() if row["status"] in bad]


def model_states(db: Database, model_id: str | None = None) -> list[ModelState]:
    """Return the state of all models, by id, or of one; it is found by keys, of each model."""
    m = db.schema.models
    select = sa.select(*m.c).order_by(m.c.model_id)
    if model_id is not None:
        select = select.where(m.c.model_id == model_id)
    rows = keyed.mappings(db.fetch_all(select), m.c.keys())
    states = {row["model_id"]: ModelState(row) for row in rows}
    if states:
        _add_stages(db, states)
        _add_sessions(db, states)
        _add_figures(db, states)
        _add_alarms(db, states)
    return list(states.values())


def _add_stages(db: Database, states: dict[str, ModelState]) -> None:
    t, s = db.schema.model_stages, db.schema.sessions
    newest = (
        sa.select(t.c.model_id, sa.func.max(t.c.set_at).label("set_at"))
        .group_by(t.c.model_id)
        .subquery("newest")
    )
    keys = ("model_id", "stage", "set_at", "set_by", "reason", "session_no", "session_id")
    select = (
        sa.select(*(t.c[key] for key in keys[:-1]), s.c.session_id)
        .join_from(
            newest, t, sa.and_(t.c.model_id == newest.c.model_id, t.c.set_at == newest.c.set_at)
        )
        .join(s, s.c.session_no == t.c.session_no)
    )
    for row in keyed.mappings(db.fetch_all(select), keys):
        if row["model_id"] in states:
            states[row["model_id"]].stage = row


def _kinds(db: Database) -> dict[str, tuple[Any, ...]]:
    """Return the conditions of the sessions that a state names."""
    s = db.schema.sessions.c
    succeeded = s.status == Status.SUCCEEDED
    by_gates = sa.and_(s.status == Status.FAILED, s.failure_kind == GateFailed.__name__)
    return {
        **{str(purpose): (s.purpose == purpose,) for purpose in Purpose},
        SCORING: (s.published_at.is_not(None),),
        MONITORING: (s.purpose == Purpose.MONITOR, succeeded),
        CANDIDATE: (s.purpose == Purpose.TRAIN, sa.or_(succeeded, by_gates)),
    }


def _add_sessions(db: Database, states: dict[str, ModelState]) -> None:
    m, s = db.schema.models.c, db.schema.sessions.c
    kinds = _kinds(db)
    newest = [
        sa.select(sa.func.max(s.session_no))
        .where(s.model_id == m.model_id, *conditions)
        .correlate(db.schema.models)
        .scalar_subquery()
        .label(f"n_{kind}")
        for kind, conditions in kinds.items()
    ]
    select = sa.select(m.model_id, *newest)
    if len(states) == 1:
        select = select.where(m.model_id == next(iter(states)))
    numbers = {row[0]: row[1:] for row in db.fetch_all(select) if row[0] in states}
    rows: dict[int, _Row] = {}
    listed = sorted({n for of_model in numbers.values() for n in of_model if n is not None})
    for some in keyed.chunks(listed, 200):
        chosen = sa.select(*(s[key] for key in STATE)).where(s.session_no.in_(some))
        rows |= {row["session_no"]: row for row in keyed.mappings(db.fetch_all(chosen), STATE)}
    for name, of_model in numbers.items():
        for kind, number in zip(kinds, of_model, strict=True):
            if number in rows:
                _place(states[name], kind, rows[number])
    _require_models(db, [state for state in states.values() if state.candidate])
    _replace_backfills(db, [state for state in states.values() if state.scoring])


def _require_models(db: Database, states: Sequence[ModelState]) -> None:
    """Replace candidates that saved no model by the newest before them that did."""
    s, artifacts = db.schema.sessions.c, db.schema.artifacts.c
    saved: set[int] = set()
    numbers = sorted(state.candidate["session_no"] for state in states if state.candidate)
    for some in keyed.chunks(numbers, 200):
        select = sa.select(artifacts.session_no).where(artifacts.session_no.in_(some)).distinct()
        saved |= {row[0] for row in db.fetch_all(select)}
    without = [x for x in states if x.candidate and x.candidate["session_no"] not in saved]
    older = {
        state.model_id: sa.select(*(s[key] for key in STATE))
        .where(
            s.model_id == state.model_id,
            s.session_no > (state.production["session_no"] if state.production else 0),
            *_kinds(db)[CANDIDATE],
            sa.exists().where(artifacts.session_no == s.session_no),
        )
        .order_by(s.session_no.desc())
        .limit(1)
        for state in without
    }
    rows_of = keyed.union_of(db, older) if older else {}
    for state in without:
        state.candidate = next(iter(rows_of[state.model_id]), None)


def _place(state: ModelState, kind: str, row: _Row) -> None:
    if kind == SCORING:
        state.scoring = row
    elif kind == MONITORING:
        state.monitoring = row
    elif kind == CANDIDATE:
        number = state.production["session_no"] if state.production else 0
        state.candidate = row if row["session_no"] > number else None
    else:
        state.last[kind] = row


def _replace_backfills(db: Database, states: Sequence[ModelState]) -> None:
    """Find the newest scoring by the day of its data, where the last one scored an older day."""
    s = db.schema.sessions.c
    of_each = {}
    for state in states:
        row = state.scoring
        if row is None or row["as_of"] is None or row["as_of"] >= row["started_at"].date():
            continue
        of_each[state.model_id] = (
            sa.select(*(s[key] for key in STATE))
            .where(s.model_id == state.model_id, s.published_at.is_not(None))
            .order_by(s.session_no.desc())
            .limit(RECENT_SCORINGS)
        )
    rows_of = keyed.union_of(db, of_each) if of_each else {}
    for state in states:
        if rows := rows_of.get(state.model_id):
            key = ("published_at", "session_no")
            state.scoring = max(rows, key=lambda row: (_day(row), *(row[k] for k in key)))


def _day(row: _Row) -> dt.date:
    day: dt.date = row["as_of"] or row["started_at"].date()
    return day


def _add_figures(db: Database, states: dict[str, ModelState]) -> None:
    numbers = {
        row["session_no"]
        for state in states.values()
        for row in (state.production, state.monitoring)
        if row is not None
    }
    figures: dict[int, dict[str, float]] = {}
    for some in keyed.chunks(sorted(numbers), 200):
        figures |= figures_of(db, some)
    for state in states.values():
        if state.production is not None:
            state.tested = figures[state.production["session_no"]]
        if state.monitoring is not None:
            state.outcomes = figures[state.monitoring["session_no"]]


def _add_alarms(db: Database, states: dict[str, ModelState]) -> None:
    d, n = db.schema.drift.c, db.schema.notifications.c
    of_session = {
        row["session_no"]: state
        for state in states.values()
        for row in (state.scoring, state.monitoring)
        if row is not None
    }
    for some in keyed.chunks(sorted(of_session), 200):
        drift = sa.select(d.session_no, d.variable).where(
            d.session_no.in_(some), d.verdict == "alarm"
        )
        for number, variable in db.fetch_all(drift):
            of_session[number].alarms += 1
            if variable not in of_session[number].alarmed:
                of_session[number].alarmed.append(variable)
    last = {row["session_no"]: state for state in states.values() for row in state.last.values()}
    for some in keyed.chunks(sorted(last), 200):
        notices = sa.select(n.session_no).where(
            n.session_no.in_(some), n.delivered == sa.literal(False)
        )
        for row in db.fetch_all(notices):
            last[row[0]].undelivered += 1

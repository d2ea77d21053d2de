"""A model whose flows are disturbed on one database, and where they can be."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from uuid import UUID

from faultkit import flows, record
from faultkit.cases import PUBLICATION, SEAL
from faultkit.child import start_engine
from faultkit.invariants import Witness
from faultkit.mailbox import Mailbox
from faultkit.proxy import Fault, Link, Moment, Proxy
from faultkit.sampling import SEED, sampled
from faultkit.seams import NO_SEAMS, ApiAt, Seams
from mfprefect_dev.servers import Server

__all__ = ["AFTER", "DEAR", "ENDS", "LONGEST", "PHASES", "SPOTS", "Factory", "fault_at", "spots"]

LONGEST = 180
ROWS = 400
ENDS: tuple[Moment, ...] = ("before", "after")
SCORES = "COPY .*scores|LOAD DATA LOCAL"
PUBLISHED = PUBLICATION.pattern
PHASES: dict[str, dict[str, dict[str, Any]]] = {
    "train": {
        "open": {"pattern": "INSERT INTO .*sessions"},
        "model": {"pattern": "INSERT INTO .*artifact_chunks"},
        "seal": {"pattern": SEAL.pattern},
        "publication": {"pattern": PUBLISHED},
        "close": {"pattern": "^COMMIT", "since": PUBLISHED},
    },
    "score": {
        "open": {"pattern": "INSERT INTO .*sessions"},
        "part 1": {"pattern": SCORES},
        "part 3": {"pattern": SCORES, "nth": 2},
        "buffered flush": {"pattern": "INSERT INTO .*input_summary"},
        "seal": {"pattern": SEAL.pattern},
        "publication": {"pattern": PUBLISHED},
        "close": {"pattern": "^COMMIT", "since": PUBLISHED},
    },
}
COMPLETED = ApiAt("POST /flow_runs/ID/set_state COMPLETED")
PAGE = ApiAt("POST /artifacts/")
NOTICE = {"pattern": "INSERT INTO .*notifications"}
AFTER: dict[str, dict[str, ApiAt | dict[str, Any]]] = {
    "train": {
        "notice": NOTICE,
        "page": PAGE,
        "promotion": {"pattern": "INSERT INTO .*model_stages"},
        "page of the promotion": replace(PAGE, nth=1),
        "end": COMPLETED,
    },
    # Its first artifact shows its progress.
    "score": {"notice": NOTICE, "page": replace(PAGE, nth=1), "end": COMPLETED},
    "monitor": {"notice": NOTICE, "page": PAGE, "end": COMPLETED},
    "publish": {"export": {"pattern": "(COPY|LOAD DATA|INSERT INTO) .*crm"}, "end": COMPLETED},
}
"""What follows the end of a session, until Prefect hears of it: requests, and statements."""
PURPOSES = tuple(AFTER)
DEAR = 3
"""What one of these injections costs, in those of test_injections.py."""
Spot = tuple[str, str]
SPOTS = [(purpose, phase) for purpose, phases in PHASES.items() for phase in phases]


class Factory:
    """The flows of one model on one database."""

    def __init__(
        self, api: str, database: str, direct: str, folder: Path, server: Server | None
    ) -> None:
        self.database, self.direct, self.folder, self.server = database, direct, folder, server
        self.proxy = None if server is None else Proxy(direct)
        self.witness = Witness.of(direct)
        self.witness.store.create_schema()
        self.version = record.version(self.witness.store, database)
        self.log = folder / "runs.log"
        self.mailbox = Mailbox()
        self.env = {
            "MFPREFECT_NOTIFY__OPS__URL": self.mailbox.url,
            "MFPREFECT_NOTIFY__OPS__EVENTS": '["succeeded", "promoted"]',
            "MFPREFECT_EXPORTS__CRM__TABLE": "crm_scores",
            "PREFECT_API_URL": api,
            "MFPREFECT_URL": direct if self.proxy is None else self.proxy.url(direct),
            "MFPREFECT_HEARTBEAT_SECONDS": "600",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        self.pool = f"{database}-{folder.name}"
        flows.write_model(folder)
        self.deployed = {p: flows.deploy(folder, p, self.pool) for p in PURPOSES}
        self.execute(flows.new_run(self.deployed["train"]))
        run_id = flows.new_run(self.deployed["score"])
        self.execute(run_id)
        (row,) = self.witness.of_flow_run(str(run_id))
        self.expected = self.witness.store.scores(row.session_id)
        assert len(self.expected) == ROWS

    def close(self) -> None:
        self.mailbox.close()
        if self.proxy is not None:
            self.proxy.close()
        self.witness.store.close()

    def start(
        self, run_id: UUID, seams: Seams = NO_SEAMS, journal: Path = Path(os.devnull)
    ) -> ForkServerProcess:
        """Execute a run in a process of its own, as a worker's child does."""
        env = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
        return start_engine(str(run_id), self.folder, env | self.env, self.log, seams, journal)

    def execute(self, run_id: UUID) -> None:
        process = self.start(run_id)
        process.join(LONGEST)
        assert process.exitcode == 0, self.log.read_text()[-5000:]

    def judge(self, run_id: UUID, purpose: str, complete: bool) -> list[str]:
        """Return what is wrong with a run's session, before or after the last attempt."""
        rows = self.witness.of_flow_run(str(run_id))
        whole = ROWS if purpose == "score" else 0
        problems = self.witness.half_visible_of(rows, ROWS) if whole else []
        problems += self.witness.torn()
        problems += self.witness.judge.doubled(rows) + self.witness.false_alarms(rows)
        problems += [f"doubled: told twice: {notice}" for notice in self.mailbox.twice()]
        if not rows:
            return [*problems, "lost: no session"] if complete else problems
        (row,) = rows[:1]
        if row.status == "succeeded" and whole:
            scores = self.witness.store.scores(row.session_id)
            if not scores.equals(self.expected):
                problems.append(f"lie: {len(scores)} scores of {ROWS}, or others")
        if row.status == "succeeded" and purpose == "train":
            self.witness.store.load_model(row.session_id)
        if complete and purpose != "publish":
            problems += self._untold(row)
        if complete and purpose == "publish":
            problems += self._unexported(row)
        if complete and row.status != "succeeded":
            problems.append(f"lost: it is {row.status}: {row.failure_text}")
        return problems

    def _untold(self, row: Any) -> list[str]:
        """Return what nobody will be told of, or what was not promoted."""
        # `maintain` sends what a process did not live to send.
        notices = self.witness.judge.count(
            "SELECT COUNT(*) FROM notifications WHERE session_no = ?", row.session_no
        )
        promoted = self.witness.judge.count(
            "SELECT COUNT(*) FROM model_stages WHERE session_no = ?", row.session_no
        )
        missing = [] if notices else ["lost: nobody was told"]
        if row.purpose == "train" and not promoted:
            missing.append("lost: it was not promoted")
        return missing

    def _unexported(self, row: Any) -> list[str]:
        count = self.witness.judge.count(
            "SELECT COUNT(*) FROM crm_scores WHERE session_id = ?", row.session_id
        )
        return [] if count == ROWS else [f"lost: {count} rows of {ROWS} were exported"]

    def inject(
        self,
        kind: str,
        purpose: str,
        phase: str,
        label: str,
        disturb: Callable[[UUID], None],
        deployed: UUID | None = None,
    ) -> list[str]:
        """Have a new flow run disturbed; record what came out, and return what is wrong with it."""
        began = time.monotonic()
        injection = record.Injection(
            kind, self.database, phase, "not judged", label, SEED, server=self.version
        )
        try:
            run_id = flows.new_run(deployed or self.deployed[purpose])
            try:
                disturb(run_id)
            finally:
                if self.proxy is not None:
                    self.proxy.arm(None)
            self._finish(injection, purpose, run_id)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the finding
            traceback.print_exc()
            injection.problems.append(f"error: {type(exc).__name__}: {exc}")
        injection.seconds = round(time.monotonic() - began, 2)
        print(f"{injection.seconds:5.1f} s {label}: {phase}: {injection.outcome}", flush=True)
        record.append(injection)
        return [f"{label}: {problem}" for problem in injection.problems]

    def _finish(self, injection: record.Injection, purpose: str, run_id: UUID) -> None:
        """Reconcile, and retry what Prefect does not have as completed."""
        problems = self.judge(run_id, purpose, complete=False) + self.witness.stuck()
        rows = self.witness.of_flow_run(str(run_id))
        injection.outcome = rows[-1].status if rows else "never opened"
        if flows.state_of(run_id) != "COMPLETED":
            flows.schedule(run_id)
            self.execute(run_id)
        problems += self.judge(run_id, purpose, complete=True)
        injection.problems += dict.fromkeys(problems)


def spots(of: str, choice: Sequence[Spot] = SPOTS) -> list[Spot]:
    """Return where to disturb: once in each phase, and by chance."""
    return sampled(choice, of, 1, lambda spot: spot[1], dear=DEAR)


def fault_at(purpose: str, phase: str, moment: Moment) -> Fault:
    """Return a fault at a statement of a phase; its action is to be set."""
    return Fault(Link.cut, moment, **PHASES[purpose][phase])

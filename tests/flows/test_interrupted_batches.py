"""Runs whose parts are read in batches, killed or interrupted in the middle of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pandas as pd
import pytest
from faultkit import flows
from faultkit.child import kill, start_engine

import mfprefect
from mfprefect import Store

T = TypeVar("T")
LONGEST = 120
ROWS, PARTS = 600, 3

# Part 2 waits in its fifth batch of six while there is no file `go`. With a file `die`, the
# process kills itself when the rows of part 2 are inserted and not committed.
FILE = """
import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent
if os.environ["MFPREFECT_URL"].startswith("teradatasql"):
    from mfprefect_dev import teradata

    teradata.install()

import mfprefect
from mfprefect.checks import Range
from mfprefect.scores import sorting
from mfprefect.store.scores import write

sorting.IN_MEMORY, sorting.BLOCK_ROWS, sorting.PIECE_ROWS = 250, 64, 200
record_part = write.record_part


def recorded(db, connection, handle, part_no, *arguments, **options):
    if part_no == 2 and (HERE / "die").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    record_part(db, connection, handle, part_no, *arguments, **options)


write.record_part = recorded


class Held(mfprefect.Model):
    model_id = "held"
    entity_id = "customer_id"
    target = "gone"
    parts = 3
    retries = 0
    checks = (Range("calls", margin=1.0),)

    def training_data(self, as_of):
        rng = np.random.default_rng(7)
        frame = pd.DataFrame({"customer_id": np.arange(1800), "calls": rng.poisson(3, 1800)})
        return frame.assign(gone=(frame["calls"] + rng.normal(size=1800) > 3).astype(int))

    def fit(self, features, target):
        return LogisticRegression().fit(features, target)

    def importance(self, *_):
        return {}

    def scoring_data(self, as_of, part):
        frame = self.training_data(as_of).drop(columns="gone").iloc[part - 1 :: self.parts]
        for start in range(0, len(frame), 100):
            if (part, start) == (2, 400):
                (HERE / "there").touch()
                while not (HERE / "go").exists():
                    time.sleep(0.02)
            yield frame.iloc[start : start + 100]


train, score, monitor = Held.flows()
"""


@dataclass
class Place:
    """A model's file, a trained model, and the flow run whose process is disturbed."""

    folder: Path
    store: Store
    env: dict[str, str]
    expected: pd.DataFrame
    """The scores of a run that nothing disturbed."""
    run: UUID

    @property
    def log(self) -> str:
        return (self.folder / "runs.log").read_text()[-5000:]

    def touch(self, name: str) -> None:
        (self.folder / name).touch()

    def forget(self) -> None:
        for name in ("there", "go", "die"):
            (self.folder / name).unlink(missing_ok=True)

    def start(self) -> Any:
        return start_engine(str(self.run), self.folder, self.env, self.folder / "runs.log")

    def session(self) -> dict[str, Any] | None:
        """Return the row of the flow run's session."""
        sessions = self.store.sessions("held", purpose="score")
        rows = sessions[sessions["flow_run_id"] == str(self.run)]
        return None if rows.empty else {str(k): v for k, v in rows.iloc[0].items()}

    def in_part_2(self) -> str:
        """Wait until part 2 waits, and another part is written; return the session."""

        def look() -> str | None:
            row = self.session()
            if row is None or not (self.folder / "there").exists():
                return None
            written = len(self.store.score_parts(row["session_id"]))
            return str(row["session_id"]) if written else None

        return self.until(look)

    def until(self, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            if value := look():
                return value
            time.sleep(0.05)
        raise AssertionError(self.log)

    def nothing_is_visible(self, session_id: str) -> None:
        """Part 2 is not there, and no reader sees anything of the session."""
        assert 2 not in self.store.score_parts(session_id)["part_no"].tolist()
        assert self.store.scores(session_id).empty
        assert self.store.current_scores("held").empty

    def retried(self, session_id: str, attempt: int) -> None:
        """Run the flow run again: it resumes its session at the part."""
        written = self.store.score_parts(session_id).set_index("part_no")["written_at"]
        self.forget()
        self.touch("go")
        flows.schedule(self.run)
        process = self.start()
        process.join(LONGEST)
        assert process.exitcode == 0, self.log
        row = self.session()
        assert row is not None
        assert (row["session_id"], row["status"], row["attempt"]) == (
            session_id,
            "succeeded",
            attempt,
        )
        again = self.store.score_parts(session_id).set_index("part_no")["written_at"]
        assert again.index.tolist() == [1, 2, 3]
        assert again[written.index].equals(written)
        pd.testing.assert_frame_equal(self.store.scores(session_id), self.expected)
        assert not self.store.verify(session_id=session_id).problems
        notes = self.store.metadata(session_id)
        reading = notes[notes["meta_name"] == "reading"]["value"].tolist()
        assert reading == ["in batches of 100 rows"]
        assert len(self.store.inputs(session_id)) == PARTS


@pytest.fixture
def place(prefect_api: str, schema_url: str, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "held.py").write_text(FILE)
    env = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")} | {
        "PREFECT_API_URL": prefect_api,
        "MFPREFECT_URL": schema_url,
        "MFPREFECT_BATCH_ROWS": "100",
        "MFPREFECT_HEARTBEAT_SECONDS": "1",
        "MFPREFECT_HEARTBEAT_TIMEOUT": "4",
    }
    store = mfprefect.connect(schema_url, heartbeat_seconds=1, heartbeat_timeout=4)
    place = Place(tmp_path, store, env, pd.DataFrame(), UUID(int=0))
    with place.store:
        place.touch("go")
        script = "import held; held.train(); held.score()"
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=os.environ | env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        undisturbed = place.store.sessions("held", purpose="score")["session_id"].iloc[0]
        place.expected = place.store.scores(undisturbed)
        assert len(place.expected) == PARTS * ROWS
        # What readers see from now on can only be of the disturbed run.
        place.store.delete_session(undisturbed)
        place.forget()
        place.run = flows.new_run(flows.deploy(tmp_path, "score", f"batches-{tmp_path.name}"))
        yield place
        place.touch("go")


@pytest.mark.parametrize("moment", ["while it reads", "while it writes"])
def test_a_killed_part_is_resumed_and_nothing_of_it_was_visible(place: Place, moment: str) -> None:
    process = place.start()
    session_id = place.in_part_2()
    if moment == "while it reads":
        kill(process)
    else:
        place.touch("die")
        place.touch("go")
    process.join(LONGEST)
    assert process.exitcode == -signal.SIGKILL, place.log
    place.nothing_is_visible(session_id)
    time.sleep(1.6)  # a heartbeat is missed
    place.store.reconcile(wait=True)
    row = place.session()
    assert row is not None
    assert row["status"] == "crashed"
    place.retried(session_id, attempt=2)


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_an_interrupted_run_is_cancelled_and_can_be_run_again(place: Place) -> None:
    """What Ctrl-C does: the main thread is interrupted while the parts' threads go on."""
    process = place.start()
    session_id = place.in_part_2()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)

    def ended() -> bool:
        row = place.session()
        return row is not None and row["status"] != "running"

    place.until(ended)
    row = place.session()
    assert row is not None
    assert row["status"] == "cancelled", row
    place.nothing_is_visible(session_id)
    place.touch("go")  # the thread of part 2 reads the rest, and has no session to write to
    process.join(LONGEST)
    assert process.exitcode is not None, place.log
    assert flows.state_of(place.run) == "CRASHED", place.log
    place.nothing_is_visible(session_id)
    place.retried(session_id, attempt=2)

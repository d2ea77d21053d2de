"""What `make faults` writes into docs/reliability.md, and what it refuses to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from faultkit import record
from faultkit.record import Injection

Change = Callable[[list[Injection]], list[Injection]]
WORKER = "kill -9 of a worker"
SOUND = (
    [
        Injection(kind, database, phase, "crashed", f"{phase}, {number}", 7)
        for kind, databases in record.REQUIRED.items()
        for database in databases
        for phase in ("open", "buffered flush", "part 2", "publication", "seal", "close")
        for number in range(20)
    ]
    + [
        Injection(kind, database, "model", "failed and reported", f"a label, {number}", 7)
        for kind, databases in record.PRESENT.items()
        for database in databases
        for number in range(4)
    ]
    + [
        Injection(record.AFTER, database, phase, "succeeded", f"{phase}", 7)
        for database in (*record.SERVERS, "sqlite")
        for phase in record.TOLD
    ]
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda all_: all_, ""),
        (lambda all_: all_[:1400] + all_[-5:], "1405 injections; a record has at least 1500"),
        (
            lambda all_: [replace(all_[0], problems=["lost: a flush"]), *all_[1:]],
            "kill -9 of the writer, postgres, open, 0: lost: a flush",
        ),
        (
            lambda all_: [replace(all_[0], problems=["hung: it did not end"]), *all_[1:]],
            "hung: it did not end",
        ),
        (
            lambda all_: [
                x for x in all_ if (x.kind, x.database, x.phase) != (WORKER, "mysql", "seal")
            ],
            "kill -9 of a worker, mysql: none was injected in seal",
        ),
        (
            lambda all_: [x for x in all_ if x.kind != "disk full"],
            "disk full, sqlite: none was injected\n",
        ),
        (
            lambda all_: [x for x in all_ if (x.kind, x.phase) != (record.AFTER, "promotion")],
            "kill -9 of a flow's process after its session, mysql: none was injected in promotion",
        ),
    ],
)
def test_only_a_whole_run_without_a_problem_is_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, said: str
) -> None:
    source, document = tmp_path / "faults.jsonl", tmp_path / "reliability.md"
    source.write_text("".join(json.dumps(asdict(x)) + "\n" for x in change(SOUND)))
    old = f"before\n{record.BEGIN}\nold\n{record.END}\nafter\n"
    document.write_text(old)
    code = record.main(str(source), str(document))
    out, err = capsys.readouterr()
    assert (code, said in err) == (1 if said else 0, True), err
    assert "| kill -9 of a worker | PostgreSQL | 120 | 120 crashed | 0 | 0 | 0 | 0 | 0 |" in out
    if said:
        assert document.read_text() == old
    else:
        assert document.read_text() == old.replace("old", out.strip())


def test_the_judge_shares_no_code_with_the_product() -> None:
    code = "import sys, faultkit.judge; print([m for m in sys.modules if m[:9] == 'mfprefect'])"
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"

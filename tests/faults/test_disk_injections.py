"""Full and read-only disks, faults of spooling and pushing: see test_injections.py."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from faultkit.cases import Case
from faultkit.disks import NO_DISK, NO_PRIVATE_DISK, PAGE, fill, mounted_disk, private_disk
from faultkit.injecting import (
    GIVEN_UP,
    GROUP,
    KILLED,
    SAMPLE,
    SPOOLED,
    TOLD,
    at,
    inject,
    of_each_phase,
    servers,
    sqlite,
)
from faultkit.lab import Lab
from faultkit.sampling import ALL, SEED, sampled
from faultkit.seams import NO_SEAMS, At, Seams

from mfprefect.cli import cli

pytestmark = pytest.mark.timeout(1800)


@pytest.mark.xdist_group("injections-sqlite" if ALL else GROUP)
def test_the_disk_is_full(tmp_path: Path) -> None:
    """A small disk with a few pages left, where one can be mounted, and a quota a file."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted_disk(disk) as mounted:
        lab = Lab("sqlite", f"sqlite:///{disk / 'store.db'}", tmp_path)

        def start_log_anew(lab: Lab) -> None:
            with lab.calm.database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

        def leave(pages: int, lab: Lab) -> None:
            start_log_anew(lab)
            lab.undo.append(fill(disk, pages).unlink)

        options: dict[str, Any] = {"unharmed": TOLD, "settings": {"retry_seconds": 0.3}}
        cases = [
            Case(
                "disk full",
                f"{pages} pages left",
                SPOOLED,
                prepare=partial(leave, pages),
                resumes=pages % 2 == 1,
                **options,
            )
            for pages in range(0, 75 if mounted else 0, 3)
        ]
        cases += [
            Case(
                "file size limit",
                f"quota of {pages} pages",
                SPOOLED,
                prepare=start_log_anew,
                seams=Seams(file_size=pages * PAGE),
                resumes=pages % 2 == 1,
                **options,
            )
            for pages in range(9, 75, 3)
        ]
        inject(lab, cases)
        lab.close()
    if not mounted:
        pytest.skip(NO_DISK)


@sqlite
def test_the_file_is_read_only(lab: Lab) -> None:
    """From the start, and from some moment on."""
    refused = GIVEN_UP | {"crashed"}

    def read_only(lab: Lab) -> str:
        return lab.direct.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"

    kind = "database read-only"
    cases = [Case(kind, "opened read-only", refused, url=read_only)]
    cases += [
        Case(
            kind,
            f"read-only from {point.name} on",
            refused,
            seams=Seams(at=At(point.nth, "read-only")),
            planned=point.phase,
            resumes=point.resumes,
            unharmed=TOLD,
        )
        for point in of_each_phase(lab.points, 1)
    ]
    inject(lab, cases)


FULL: dict[str, Any] = {"may_end": {"failed and reported"}, "unharmed": SPOOLED}


@servers
def test_the_database_is_away_and_the_spool_is_full(lab: Lab) -> None:
    """By its own limit, and by a quota on the size of a file: then the run fails, and says so."""
    name = "database unavailable, spool full"
    nth = next(point.nth for point in lab.points if point.phase == "buffered flush")
    fault, full = at("outage", "before", nth, None), FULL | {"says": "SpoolUnusable"}
    cases = [
        Case(
            name,
            f"{size} bytes of spool",
            fault=fault,
            settings={"retry_seconds": 0.1, "spool_max_bytes": size + 256 * 1024},
            **full,
        )
        for size in range(1, 7000, 1000)
    ]
    cases += [
        Case(
            name,
            f"files of at most {size} bytes",
            fault=fault,
            settings={"retry_seconds": 0.1},
            seams=Seams(file_size=size),
            **full,
        )
        for size in (512, 600, 800, 1000)
    ]
    inject(lab, cases)


@servers
def test_the_disk_of_the_spool_is_full(lab: Lab, tmp_path: Path) -> None:
    """A file system without a page, or with a few: what does not fit whole is not there at all."""
    with private_disk(tmp_path, 64) as disk:
        if disk is None:
            pytest.skip(NO_PRIVATE_DISK)

        def leave(pages: int, lab: Lab) -> None:
            lab.undo.append(fill(disk, pages).unlink)

        cases = [
            Case(
                "database unavailable, spool disk full",
                f"away from {point.name} on, {pages} pages left",
                fault=at("outage", "before", point.nth, None),
                planned=point.phase,
                resumes=point.resumes,
                settings={"retry_seconds": 0.1, "spool": str(disk / "spool")},
                prepare=partial(leave, pages),
                says="SpoolUnusable: .*No space left on device",
                **FULL | {"may_end": {"failed and reported", "never opened"}},
            )
            for point in of_each_phase(lab.points, 1)
            for pages in range(3)
        ]
        with lab.spooling_to(disk / "spool"):
            inject(lab, cases)
            settings = {"MFPREFECT_SPOOL": str(disk / "spool"), "MFPREFECT_URL": lab.url}
            verified = CliRunner().invoke(cli, ["spool", "verify"], env=settings)
        assert (verified.exit_code, "no sessions wait" in verified.output) == (0, True)


@servers
def test_the_writer_is_killed_while_it_spools(lab: Lab) -> None:
    """Before each operation on a file of the spool."""
    inject(
        lab,
        [
            Case(
                "kill -9 of the writer while it spools",
                f"away from {point.name} on, killed before file operation {nth}",
                KILLED,
                fault=at("outage", "before", point.nth, None),
                settings={"retry_seconds": 0},
                seams=Seams(spool_at=(lab.spool, nth)),
                planned=point.phase,
                resumes=point.resumes,
                unharmed=SPOOLED,
            )
            for point in of_each_phase(lab.points, 1)
            for nth in range(0, 24 if point.phase == "close" else 40)
        ],
    )


@servers
def test_a_push_is_killed(lab: Lab) -> None:
    """Before statements of it, inside its commits, and before operations on files of the spool."""
    kinds = [("statement", nth) for nth in range(4, 96, 4)]
    kinds += [("commit", nth) for nth in range(12)]
    kinds += [("file", nth) for nth in range(0, 60, 5)]
    bad = []
    for what, nth in sampled(kinds, f"push {lab.database}", SAMPLE, lambda kind: kind[0]):
        fault, seams = None, NO_SEAMS
        if what == "statement":
            fault = lab.fault(lab.kill_writer, "before", nth)
        elif what == "commit":
            fault = lab.fault(lab.kill_writer, "after", nth, "^COMMIT")
        else:
            seams = Seams(spool_at=(lab.spool, nth))
        injection = lab.inject_into_push("kill -9 of a push", f"at {what} {nth}", fault, seams)
        print(f"push killed at {what} {nth}: {injection.outcome}")
        bad += [f"push killed at {what} {nth}: {problem}" for problem in injection.problems]
    assert bad == [], f"MFPREFECT_TEST_SEED={SEED}"

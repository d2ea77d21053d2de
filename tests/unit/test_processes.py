"""Which process is which: across forks, reused numbers, and containers that share a host name."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from mfprefect.util import processes
from mfprefect.util.processes import Process, find, key_of, on_this_machine, this_process

NOW = dt.datetime.now(dt.UTC)
CONTAINER = ("unshare", "--map-root-user", "--pid", "--fork")
"""Runs a program under process numbers of its own; the host name stays."""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def seen(process_id: int) -> Process:
    return Process(platform.node(), process_id, key_of(process_id))


def test_a_process_is_the_same_until_it_ends(child: subprocess.Popen[bytes]) -> None:
    process = seen(child.pid)
    assert find(this_process(), NOW) == "same"
    assert find(process, NOW) == "same"
    os.kill(child.pid, signal.SIGSTOP)
    assert find(process, NOW) == "same"
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # leaves a zombie
    assert find(process, NOW) == "gone"
    child.wait()
    assert find(process, NOW) == "gone"


def test_another_process_of_the_same_number_is_not_it(child: subprocess.Popen[bytes]) -> None:
    earlier = Process(platform.node(), child.pid, key_of(os.getpid()))
    assert find(earlier, NOW) == "gone"
    # Nor is a thread of another process that has the number, which signals reach, too.
    ready, done, numbers = threading.Event(), threading.Event(), []

    def work() -> None:
        numbers.append(threading.get_native_id())
        ready.set()
        done.wait()

    thread = threading.Thread(target=work)
    time.sleep(0.02)  # a tick, at which it starts later than this process
    thread.start()
    ready.wait()
    assert find(Process(platform.node(), numbers[0], key_of(os.getpid())), NOW) == "gone"
    done.set()
    thread.join()


def test_a_fork_is_another_process() -> None:
    reading, writing = os.pipe()
    time.sleep(0.02)
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(this_process()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    forked = Process(*json.loads(os.read(reading, 1000)))
    os.close(reading)
    os.close(writing)
    assert forked.number == child
    assert forked.key != this_process().key
    assert find(forked, NOW) == "gone"


@pytest.mark.parametrize(
    "place", ["other boot/4026531836/4026531834", "{boot}/1/{time}", "{boot}/{pid}/1"]
)
def test_a_process_of_another_machine_or_container_cannot_be_judged(place: str) -> None:
    boot, pid, times, tick = str(key_of(os.getpid())).split("/")
    key = f"{place.format(boot=boot, pid=pid, time=times)}/{tick}"
    for number in (os.getpid(), 2**22 - 1):  # ours, and nobody's
        assert find(Process(platform.node(), number, key), NOW) is None
    assert on_this_machine("any name", key) == key.startswith(boot)


def test_a_process_without_a_key_is_judged_by_silence() -> None:
    """An earlier version opened its session, or a system without /proc."""
    assert find(Process(platform.node(), os.getpid(), None), NOW) is None
    assert not on_this_machine(platform.node(), None)


def test_systems_without_proc_judge_by_name_number_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(processes, "_place", lambda: None)
    assert this_process().key is None
    here = Process(platform.node(), os.getpid(), None)
    assert find(here, NOW) == "same"
    assert find(here, NOW - dt.timedelta(days=3650)) == "other"
    assert find(here._replace(host="elsewhere"), NOW) is None
    assert [on_this_machine(name, None) for name in (here.host, "elsewhere")] == [True, False]


def test_a_process_that_proc_hides_is_judged_by_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_stat", lambda _: None)  # as with hidepid=2
    assert find(Process(platform.node(), os.getpid(), f"{processes._place()}/1"), NOW) is None


def test_containers_of_one_machine_are_told_apart(child: subprocess.Popen[bytes]) -> None:
    if shutil.which(CONTAINER[0]) is None or subprocess.run([*CONTAINER, "true"]).returncode:
        pytest.skip("this user may not make namespaces")
    process = seen(child.pid)
    look = f"""
import datetime as dt, os
from mfprefect.util.processes import Process, find, key_of, on_this_machine
process = Process(*{tuple(process)!r})
print(find(process, dt.datetime.now(dt.UTC)), find(process._replace(number=4194000), process and
dt.datetime.now(dt.UTC)), on_this_machine(*process[::2]), key_of(os.getpid()) is None)
"""
    said = [
        subprocess.run(
            [*CONTAINER, *options, sys.executable, "-c", look],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for options in (["--mount-proc"], [])
    ]
    # With the /proc of the machine, it does not even know itself.
    assert said == [["None", "None", "True", "False"], ["None", "None", "False", "True"]]

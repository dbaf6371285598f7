"""Worker processes as an executor: they are killed, die at their start, and run no script."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from agentnb.core.work.executors.processes import Processes

pytestmark = pytest.mark.usefixtures("importable")
ROOT = str(Path(__file__).parents[2])
SCRIPT = """
import sys, agentnb
from tests.core.executor_jobs import who

hub = agentnb.connect()
queue = hub.queue("mail")
queue.add("once")
queue.work(who, executor="processes", concurrency=2)
print(queue.jobs()[0].result(60)[1], sum(queue.counts()[one] for one in ("waiting", "completed")))
hub.close()
"""


@pytest.fixture
def make():
    """Return what makes processes, and the lines that they say."""
    made, lines = [], []

    def make(number=1):
        made.append(Processes(number, settings={}, say=lines.append))
        return made[-1], lines

    yield make
    for one in made:
        one.shutdown()


def test_calls_wait_for_a_process_and_come_in_their_order(make):
    processes, _ = make(1)
    futures = [processes.submit(pow, 2, n) for n in range(20)]
    assert [future.result(30) for future in futures] == [2**n for n in range(20)]
    assert str(processes) == "1 process"


def test_the_error_of_a_call_is_its_own(make):
    processes, lines = make(1)
    with pytest.raises(ZeroDivisionError):
        processes.submit(divmod, 1, 0).result(30)
    assert processes.submit(os.getpid).result(30) != os.getpid()
    assert lines == []


def test_a_call_is_ended_with_its_process_and_others_go_on(make, until):
    processes, lines = make(2)
    long = processes.submit(time.sleep, 60)
    until(lambda: any(slot.call is not None for slot in processes._slots))
    processes.end(long, None, "it took too long")
    with pytest.raises(BrokenProcessPool, match="ended, since it took too long"):
        long.result(5)
    assert processes.submit(os.getpid).result(30) != os.getpid()
    assert until(lambda: lines)
    assert lines[0].endswith("ended, since it took too long; another starts")


def test_a_call_that_waits_is_taken_back(make):
    processes, _ = make(1)
    first, second = processes.submit(time.sleep, 0.5), processes.submit(os.getpid)
    processes.end(second, None, "it is not wanted")
    assert second.cancelled()
    assert first.result(30) is None
    assert processes.submit(os.getpid).result(30) > 0


def test_a_process_that_dies_at_its_start_is_started_again_after_growing_pauses(
    make, until, tmp_path, monkeypatch
):
    (tmp_path / "sitecustomize.py").write_text("import os\nos._exit(3)\n")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        processes, lines = make(1)
        future = processes.submit(os.getpid)
        until(lambda: len(lines) >= 3)
    said = [line.split(" ", 2)[2] for line in lines[:3]]
    assert said == [f"ended with 3; another starts in {pause} s" for pause in (0.1, 0.2, 0.4)]
    # Nothing was lost: the call runs once there is a process that lives.
    assert future.result(60) != os.getpid()


def test_what_is_shut_down_takes_no_calls_and_leaves_no_process(make, until):
    processes, _ = make(1)
    pid = processes.submit(os.getpid).result(30)
    waiting = processes.submit(time.sleep, 60)
    processes.shutdown()
    with pytest.raises(BrokenProcessPool, match="shut down"):
        processes.submit(os.getpid)
    with pytest.raises(BrokenProcessPool):
        waiting.result(5)
    assert until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not _cmdline(pid))


def _cmdline(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_script_without_a_guard_is_not_run_by_its_processes(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "AGENTNB_HOME": str(tmp_path / "home"), "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout, done.returncode) == ("once 1\n", 0), done.stderr

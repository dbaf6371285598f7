"""Worker processes as an executor: they are killed, die at their start, and run no script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
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
        long.result(60)
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


def test_a_call_that_a_process_has_not_read_is_given_to_another(make, until):
    processes, lines = make(1)
    pid = processes.submit(os.getpid).result(30)
    os.kill(pid, signal.SIGSTOP)
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    future = processes.submit(os.getpid)
    until(lambda: processes._slots[0].call is not None and processes._slots[0].call.sent)
    os.kill(pid, signal.SIGKILL)
    assert future.result(30) != pid
    assert len(lines) == 1


def test_the_end_of_a_process_is_found_although_what_it_has_forked_lives_on(make):
    processes, _ = make(1)
    child = processes.submit(fork_and_sleep).result(30)
    try:
        with pytest.raises(BrokenProcessPool, match="killed by signal 9"):
            processes.submit(signal.raise_signal, signal.SIGKILL).result(30)
        assert Path(f"/proc/{child}").exists()
    finally:
        os.kill(child, signal.SIGKILL)


def fork_and_sleep():
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    return child


def test_a_process_that_closes_its_files_is_replaced(make):
    processes, _ = make(1)
    pid = processes.submit(os.getpid).result(30)
    with pytest.raises(BrokenProcessPool):
        processes.submit(os.closerange, 3, 100).result(30)
    assert processes.submit(os.getpid).result(30) != pid


@pytest.mark.parametrize("size", [4096 - 8, 4096, 1 << 20])
def test_calls_and_answers_of_any_size_pass(make, size):
    processes, _ = make(1)
    assert processes.submit(bytes.upper, b"x" * size).result(30) == b"X" * size


def test_an_answer_that_cannot_be_sent_is_an_error_that_says_so(make):
    processes, lines = make(1)
    with pytest.raises(TypeError, match="cannot pickle"):
        processes.submit(threading.Lock).result(30)
    with pytest.raises(RuntimeError, match="OddError: with a lock"):
        processes.submit(raise_odd).result(30)
    assert lines == []


class OddError(Exception):
    def __reduce__(self):
        return (threading.Lock(),)


def raise_odd():
    raise OddError("with a lock")


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
        waiting.result(60)
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

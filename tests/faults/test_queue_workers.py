"""Workers that are killed, stopped, late or stuck while they have jobs."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time

import pytest

from agentnb.core.queue import TaskQueue
from agentnb.core.queue.failure import JobFailed
from agentnb.core.redis import RedisClient
from tests.waiting import until

_NUMBERS = itertools.count(1)

JOBS = r"""
import asyncio, os, re, time

def note(*words):
    # In one piece, since several processes write.
    with open("notes", "ab", 0) as file:
        file.write((" ".join(map(str, words)) + "\n").encode())

def work(job):
    note("begun", job.id, os.getpid())
    time.sleep(job.data)
    note("done", job.id, os.getpid())
    return os.getpid()

def linger(job):
    note("begun", job.id, os.getpid())
    if job._hold.key.entry == 1:
        time.sleep(600)
    until = time.monotonic() + 10
    while time.monotonic() < until and open("notes").read().count("begun") < 4:
        time.sleep(0.02)
    return [os.getpid(), time.monotonic() < until]

def poison(job):
    if job.data == "poison":
        os.kill(os.getpid(), 9)
    return os.getpid()

def sleep(job):
    if job.data:
        time.sleep(600)
    return os.getpid()

async def wait(job):
    try:
        if job.data:
            await asyncio.sleep(600)
    except asyncio.CancelledError:
        note("cancelled", job.id)
        raise
    return os.getpid()

def hold(job):
    import ctypes
    if job.data:
        ctypes.PyDLL(None).sleep(job.data)  # with the interpreter's lock
    return os.getpid()

def hog(job):
    # C code that lets no other thread run.
    if job.data:
        re.match(r"(a+)+$", "a" * 60 + "b")
    return os.getpid()
"""


@pytest.fixture
def queue(steady_home):
    with RedisClient(home=steady_home) as client, TaskQueue(client) as queues:
        yield queues.get_queue(f"f{next(_NUMBERS)}")


@pytest.fixture
def worker(start_worker, steady_home, tmp_path, queue):
    """Return what starts a worker of the queue; what its jobs do is noted."""
    (tmp_path / "jobs.py").write_text(JOBS)

    def start(function, *words, **options):
        words = [queue.name, "--processor", f"jobs:{function}", *words]
        return start_worker(steady_home, *words, **options)

    return start


@pytest.fixture
def notes(tmp_path):
    """Return what reads the side effects of jobs: ``begun ID PID``, ``done ID PID``."""

    def read(word):
        with contextlib.suppress(OSError):
            lines = (tmp_path / "notes").read_text().splitlines()
            return [line.split()[1:] for line in lines if line.startswith(f"{word} ")]
        return []

    return read


def test_every_job_of_killed_workers_is_done(worker, queue, notes):
    jobs = [queue.add(0.2, attempts=10) for _ in range(20)]
    workers = [worker("work", "--concurrency", 2) for _ in range(2)]
    for _ in range(3):
        victim = workers.pop(0)

        def in_the_middle(pid=str(victim.pid)):
            ended = {tuple(one) for one in notes("done")}
            return [one for one in notes("begun") if one[1] == pid and tuple(one) not in ended]

        until(in_the_middle)
        victim.process.kill()
        assert victim.wait() == -signal.SIGKILL
        workers.append(worker("work", "--concurrency", 2))
    for job in jobs:
        assert job.result(120) > 0
    begun = collections.Counter(id_ for id_, _ in notes("begun"))
    done = collections.Counter(id_ for id_, _ in notes("done"))
    # Each claim is one that was begun, or was killed or released between the claim and that.
    entries = {job.id: int(queue._store.show(job.id).fields["entry"]) for job in jobs}
    assert all(1 <= begun[id_] <= entries[id_] for id_ in entries)
    assert set(done) == set(entries)
    again = sum(begun.values()) - 20
    assert 3 <= again <= 6  # two threads died with each of the three
    assert sum(done.values()) <= 20 + again
    assert queue.counts()["completed_total"] == 20


def test_what_a_stalled_worker_says_late_does_not_count(worker, queue, notes):
    slow = worker("work", "--concurrency", 1, lease=1)
    job = queue.add(0.5)
    until(lambda: notes("begun"))
    os.kill(slow.pid, signal.SIGSTOP)
    other = worker("work", "--concurrency", 1, lease=1)
    assert job.result(120) == other.pid
    os.kill(slow.pid, signal.SIGCONT)
    slow.hear(f"{job.id}  (the job's lease is lost|the outcome of the job does not count)")
    slow.end()
    assert not [line for line in slow.lines if "completed  " in line]
    assert (job.result(0), job.refresh().attempt) == (other.pid, 2)
    assert queue.counts()["completed_total"] == 1


def test_a_job_that_kills_every_worker_fails_and_the_others_are_done(worker, queue):
    one = worker("poison", "--processes", "--concurrency", 1)
    poison, good = queue.add("poison"), queue.add("good")
    with pytest.raises(JobFailed, match="attempt 3 of 3: its worker died"):
        poison.result(40)
    assert good.result(120) > 0
    one.hear("was killed by signal 9; another starts", count=3)
    one.hear(f"{poison.id}  failed  .* attempt 3: its worker died")
    one.end()


def test_processes_kill_a_job_that_takes_too_long(worker, queue):
    one = worker("sleep", "--processes", "--concurrency", 1)
    before = queue.add(0).result(120)
    job = queue.add(1, attempts=2, backoff=0, timeout=0.3)
    with pytest.raises(JobFailed, match=r"attempt 2 of 2: .*its process was killed"):
        job.result(120)
    assert queue.add(0).result(120) != before
    one.hear(f"process {before} ended, since its job took too long")
    # The default for all jobs, from the command line.
    other = worker("sleep", "--processes", "--concurrency", 1, "--timeout", "0.3")
    one.end()
    with pytest.raises(JobFailed, match=r"took longer than 0\.3 s"):
        queue.add(1, attempts=1).result(120)
    other.end()


def test_the_process_of_a_cancelled_job_is_ended(worker, queue, gone):
    worker("sleep", "--processes", "--concurrency", 1)
    before = queue.add(0).result(120)
    job = queue.add(1)
    until(lambda: "begun" in queue._store.show(job.id).fields)  # in a process, not on its way
    job.cancel()
    assert gone(before)
    with pytest.raises(JobFailed, match="cancelled"):
        job.result(0)
    assert queue.add(0).result(120) != before


def test_a_coroutine_that_takes_too_long_is_cancelled_in_a_process_that_goes_on(
    worker, queue, notes
):
    worker("wait", "--processes", "--concurrency", 1)
    before = queue.add(0).result(120)
    job = queue.add(1, attempts=1, timeout=0.2)
    with pytest.raises(JobFailed, match="it was cancelled"):
        job.result(120)
    assert notes("cancelled") == [[job.id]]
    assert queue.add(0).result(120) == before


def test_a_thread_that_takes_too_long_is_fenced_off(worker, queue, notes):
    one = worker("work", "--concurrency", 1)
    job = queue.add(0.6, attempts=1, timeout=0.2)
    with pytest.raises(JobFailed, match="its thread may run on"):
        job.result(120)
    assert queue.add(0).result(120) == one.pid  # the place of that thread is not lost
    until(lambda: [id_ for id_, _ in notes("done") if id_ == job.id])
    assert job.state == "failed"


def test_a_process_that_lets_none_of_its_threads_run_is_killed(worker, queue):
    one = worker("hog", "--processes", "--concurrency", 1, lease=1.5)
    before = queue.add(0).result(120)
    job = queue.add(1, attempts=1)
    with pytest.raises(JobFailed, match=r"its worker died|no sign of life"):
        job.result(120)
    one.hear(f"process {before} ended, since it sent no heartbeat")
    assert queue.add(0).result(120) != before


def test_a_killed_process_is_replaced(worker, queue):
    one = worker("work", "--processes", "--concurrency", 2)
    first = queue.add(0).result(120)
    os.kill(first, signal.SIGKILL)
    one.hear(f"process {first} was killed by signal 9; another starts")
    found = set()
    while len(found) < 2:  # as soon as the other one has started
        found |= {job.result(120) for job in [queue.add(0.1) for _ in range(4)]}
    assert first not in found
    assert one.end() == 0


def test_processes_die_with_their_worker_and_their_jobs_run_elsewhere(worker, queue, notes, gone):
    one = worker("linger", "--processes", "--concurrency", 2)
    jobs = [queue.add() for _ in range(2)]
    pids = until(lambda: len(notes("begun")) == 2 and [int(pid) for _, pid in notes("begun")])
    one.process.kill()
    assert gone(*pids, seconds=2)
    one.process.wait()
    assert queue.workers() == []
    other = worker("linger", "--processes", "--concurrency", 2)
    found = [job.result(120) for job in jobs]
    assert not {pid for pid, _ in found} & set(pids)
    assert [side_by_side for _, side_by_side in found] == [True, True]
    entries = [int(queue._store.show(job.id).fields["entry"]) for job in jobs]
    assert entries == [2, 2]
    assert queue.counts()["completed_total"] == 2
    other.end()


def test_a_worker_that_slept_does_not_take_its_processes_for_dead(worker, queue, notes):
    one = worker("work", "--processes", "--concurrency", 1, lease=1)
    before = queue.add(0).result(120)
    job = queue.add(2.5)
    until(lambda: [id_ for id_, _ in notes("begun") if id_ == job.id])
    os.kill(one.pid, signal.SIGSTOP)
    time.sleep(1.5)  # longer than its lease
    os.kill(one.pid, signal.SIGCONT)
    assert (job.result(120), job.refresh().attempt) == (before, 1)
    assert queue.add(0).result(120) == before
    assert one.end() == 0
    assert not [line for line in one.lines if "sent no heartbeat" in line]


def test_a_process_that_is_stopped_loses_its_job(worker, queue, notes):
    one = worker("work", "--processes", "--concurrency", 1, lease=1)
    job = queue.add(1)
    [[_, pid]] = until(lambda: notes("begun"))
    os.kill(int(pid), signal.SIGSTOP)
    assert job.result(120) != int(pid)
    assert job.refresh().attempt == 2
    one.hear(f"process {pid} ended, since it sent no heartbeat for 1 s")
    one.end()


def test_a_process_that_is_stopped_is_killed_at_its_time_out(worker, queue, notes, gone):
    one = worker("work", "--processes", "--concurrency", 1)
    job = queue.add(60, timeout=1, attempts=1)
    [[_, pid]] = until(lambda: notes("begun"))
    os.kill(int(pid), signal.SIGSTOP)
    with pytest.raises(JobFailed, match="its process was killed"):
        job.result(120)
    assert gone(int(pid), seconds=2)
    one.end()


def test_a_process_whose_c_code_lets_nothing_run_is_killed_at_its_time_out(worker, queue, gone):
    one = worker("hold", "--processes", "--concurrency", 1)
    before = queue.add(0).result(120)
    began = time.monotonic()
    with pytest.raises(JobFailed, match="its process was killed"):
        queue.add(60, timeout=1, attempts=1).result(120)
    assert gone(before, seconds=2)
    assert time.monotonic() - began < 1 + 1 + 1  # time-out, the bound, and this machine
    one.end()


def test_a_worker_in_another_pid_namespace_is_left_its_job(worker, queue, notes):
    unshare = shutil.which("unshare")
    words = [unshare, "--pid", "--fork", "--mount-proc", "true"]
    if unshare is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made here")
    inside = worker("work", "--concurrency", 1, within=words[:-1])
    job = queue.add(2)
    until(lambda: notes("begun"))
    # The pid that it has in there is another process's or nobody's out here.
    outside = worker("work", "--concurrency", 1)
    outside.hear("worker started")
    assert job.result(120) == int(notes("begun")[0][1])
    assert job.refresh().attempt == 1
    assert not [line for line in outside.lines if "reclaimed" in line]
    inside.close()


def test_a_wall_clock_that_jumps_in_a_worker_changes_nothing(worker, queue, tmp_path):
    # Python runs this in every process that finds it on its path.
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "real = time.time\n"
        "def jumped():\n"
        "    try: by = float(open('jump').read() or 0)\n"
        "    except OSError: by = 0\n"
        "    return real() + by\n"
        "time.time = jumped\n"
        "time.time_ns = lambda: int(jumped() * 1e9)\n"
    )
    jump = tmp_path / "jump"
    jump.write_text("86400")
    one = worker("work", "--concurrency", 2, lease=1, PYTHONPATH=str(tmp_path))
    other = worker("work", "--concurrency", 1, lease=1)
    other.hear("worker started")
    jobs = [queue.add(1.2), queue.add(0, delay=0.5)]
    one.hear("worker started")
    jump.write_text("-86400")
    jobs.append(queue.add(1.2))
    assert [job.result(120) in {one.pid, other.pid} for job in jobs] == [True] * 3
    assert [job.refresh().attempt for job in jobs] == [1, 1, 1]

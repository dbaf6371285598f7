"""Queues whose server is killed, held up, refuses, or tells another time."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from agentnb.core.errors import RejectedError, UnavailableError, UnkeptResult, UsageError
from agentnb.core.queue import TaskQueue
from agentnb.core.redis import RedisClient
from agentnb.core.redis.binary import find_binary
from tests.waiting import until

JOBS = r"""
import os, time

def note(job):
    with open(f"notes-{os.getpid()}", "ab", 0) as file:
        file.write(f"{job.data}\n".encode())
    return job.data

def tick(job):
    return job.scheduled_at.timestamp()

def slow(job):
    note(job)
    time.sleep(job.data)
    return job.attempt
"""

# What the time-keeping of a process asks of the system, answered with what a file says is to be
# added to it; the clocks that only ever go forward are left alone.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long jump(void) {
  long by = 0;
  FILE *file = fopen(getenv("CLOCK_JUMP"), "r");
  if (file) {
    if (fscanf(file, "%ld", &by) != 1) by = 0;
    fclose(file);
  }
  return by;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  static int (*real)(struct timeval *, void *);
  if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
  int code = real(now, zone);
  if (now) now->tv_sec += jump();
  return code;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int code = real(clock, now);
  if (clock == CLOCK_REALTIME) now->tv_sec += jump();
  return code;
}
"""


@pytest.fixture
def noted(tmp_path):
    """Return what reads the side effects of all jobs."""
    (tmp_path / "jobs.py").write_text(JOBS)
    return lambda: [
        line for path in tmp_path.glob("notes-*") for line in path.read_text().split("\n") if line
    ]


@pytest.fixture
def server(tmp_path):
    """Return what starts a server on a port of this machine; it gives its URL."""
    started = []

    def start(**variables):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        password = secrets.token_hex(8)
        options = {"port": port, "bind": "127.0.0.1", "save": "", "requirepass": password}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        started.append(
            subprocess.Popen(
                [str(find_binary()), *words],
                cwd=tmp_path,
                env={**os.environ, **variables},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        url = f"redis://:{password}@127.0.0.1:{port}"

        def answers():
            with contextlib.suppress(UnavailableError), RedisClient(url, timeout=1) as client:
                return client.ping()

        until(answers)
        return url

    yield start
    for one in started:
        one.kill()
        one.wait(10)


def test_a_server_killed_in_a_burst_of_jobs_loses_none_that_it_acknowledged(
    redis_home, running, gone, start_worker, noted
):
    with RedisClient(home=redis_home) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("burst")
        words = ["burst", "--processor", "jobs:note", "--concurrency", 3, "--quiet"]
        one = start_worker(redis_home, *words)
        other = start_worker(redis_home, *words)
        one.hear("worker started")
        acknowledged, refused = [], []

        def add(numbers):
            for n in numbers:
                try:
                    queue.add(n)
                except UnavailableError:
                    refused.append(n)
                else:
                    acknowledged.append(n)

        adders = [threading.Thread(target=add, args=(range(k, 1000, 4),)) for k in range(4)]
        for adder in adders:
            adder.start()
        for there in (200, 600):
            until(lambda there=there: len(acknowledged) >= there)
            _, pid = running(redis_home)
            os.kill(pid, signal.SIGKILL)
            assert gone(pid)
        for adder in adders:
            adder.join(60)
        assert len(acknowledged) + len(refused) == 1000
        until(lambda: sum(queue.counts()[s] for s in ("waiting", "delayed", "active")) == 0)
        done = noted()
        assert {str(n) for n in acknowledged} <= set(done)
        # Only what ran at the moment of a kill may have run twice.
        assert len(done) - len(set(done)) <= 12
        assert queue.counts()["failed_total"] == 0
        assert [one.end(), other.end()] == [0, 0]


def test_machines_that_share_a_server_share_the_work(server, start_worker, noted, tmp_path):
    url = server()
    words = ["shared", "--processor", "jobs:slow", "--concurrency", 2]
    workers = [
        # A home each, as on machines of their own.
        start_worker(tmp_path / f"machine-{n}", *words, REDIS_URL=url)
        for n in range(3)
    ]
    for one in workers:
        one.hear("worker started")
    with RedisClient(url) as client, TaskQueue(client) as queues:
        jobs = [queues.add_task("shared", 0.05) for _ in range(60)]
        assert [job.result(120) for job in jobs] == [1] * 60
    assert len(noted()) == 60
    assert len(list(tmp_path.glob("notes-*"))) == 3
    assert [one.end() for one in workers] == [0, 0, 0]
    password = url.split("@")[0].split(":")[-1]
    assert not [line for one in workers for line in one.lines if password in line]


def test_a_server_that_is_held_up_or_read_only_delays_and_loses_nothing(
    server, start_worker, noted
):
    url = server()
    one = start_worker("home", "held", "--processor", "jobs:slow", lease=1, REDIS_URL=url)
    one.hear("worker started")
    with RedisClient(url) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("held")
        running = queue.add(0.3)
        until(noted)
        client.execute_command("CLIENT", "PAUSE", 1500, "ALL")  # longer than the lease
        assert running.result(120) == 1
        running = queue.add(0.3)
        until(lambda: len(noted()) == 2)
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        one.hear("cannot be kept yet|leases cannot be renewed|cannot be read")
        with pytest.raises((UnavailableError, RejectedError)):
            TaskQueue(client.within(0.5)).add_task("held", 1)
        client.execute_command("REPLICAOF", "NO", "ONE")
        assert running.result(120) == 1
        assert queue.add(0).result(120) == 1
    assert len(noted()) == 3
    assert one.end() == 0


@pytest.fixture
def clock(tmp_path, require):
    """Return the variables of a process whose clock jumps, and what lets it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        require("cc", present=False, reason="a clock that jumps has to be compiled")
    (tmp_path / "shim.c").write_text(SHIM)
    library = tmp_path / "shim.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", library, tmp_path / "shim.c", "-ldl"]
    subprocess.run(words, check=True)
    jump = tmp_path / "jump"

    def set_by(seconds):
        scratch = tmp_path / "jump.new"
        scratch.write_text(str(seconds))
        scratch.replace(jump)

    set_by(0)
    return {"LD_PRELOAD": str(library), "CLOCK_JUMP": str(jump)}, set_by


def test_a_clock_that_jumps_takes_no_job_from_a_worker_that_lives(
    server, start_worker, noted, clock
):
    shim, set_by = clock
    url = server(**shim)
    words = ["times", "--processor", "jobs:slow", "--concurrency", 1]
    workers = [start_worker(f"home-{n}", *words, lease=2, REDIS_URL=url) for n in range(2)]
    for one in workers:
        one.hear("worker started")
    with RedisClient(url) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("times")
        before = queue._store.now()
        jobs = [queue.add(1.5), queue.add(1.5)]
        until(lambda: len(noted()) == 2)
        set_by(3600)
        assert queue._store.now() - before > 3_500_000
        # All leases have run out, and each worker may think that the other one is gone.
        assert [job.result(120) for job in jobs] == [1, 1]
        jobs = [queue.add(1.5), queue.add(0, delay=0.2)]
        until(lambda: len(noted()) >= 3)
        set_by(-3600)
        assert jobs[0].result(120) == 1
        # What is delayed is due at a time of that clock.
        set_by(3600)
        assert jobs[1].result(120) == 1
    assert len(noted()) == 4
    assert [one.end() for one in workers] == [0, 0]


def test_a_system_clock_that_jumps_in_a_worker_changes_nothing(server, start_worker, noted, clock):
    shim, set_by = clock
    url = server()
    set_by(86_400)
    words = ["times", "--processor", "jobs:slow", "--concurrency", 2]
    one = start_worker("home", *words, lease=1, REDIS_URL=url, **shim)
    one.hear("worker started")
    with RedisClient(url) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("times")
        began = time.monotonic()
        jobs = [queue.add(1.5), queue.add(0, delay=0.5)]
        until(noted)
        set_by(-86_400)
        assert jobs[1].result(120) == 1
        assert time.monotonic() - began >= 0.5
        assert jobs[0].result(120) == 1
        assert jobs[0].refresh().started.timestamp() == pytest.approx(time.time(), abs=60)
    assert one.end() == 0


def test_a_payload_over_the_limit_is_refused_with_the_setting_named(redis_home):
    with RedisClient(home=redis_home) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("big")
        with pytest.raises(UsageError, match=r"1,000,000|1000000|1 MB") as caught:
            queue.add("x" * 10_000_000)
        assert "AGENTNB_QUEUE_PAYLOAD" in f"{caught.value} {caught.value.hint}"
        assert queue.jobs() == []
        # A result may be 16 times as large. The work of one above that is done, and not repeated.
        queue.work(lambda job: "x" * job.data)
        assert len(queue.add(10_000_000).result(10)) == 10_000_000
        job = queue.add(17_000_000)
        with pytest.raises(UnkeptResult, match=r"17,000,002 bytes.* raise AGENTNB_QUEUE_PAYLOAD"):
            job.result(10)
        assert (job.attempt, job.state) == (1, "completed")


def ticks(queue):
    """Return the times of a schedule for which there is a job, in order."""
    return sorted(job.scheduled_at.timestamp() for job in queue.jobs(n=1000))


def test_each_time_of_a_schedule_is_one_job_over_kills_of_workers_and_of_the_server(
    redis_home, running, gone, start_worker, noted
):
    del noted
    with RedisClient(home=redis_home) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("ticks")
        words = ["ticks", "--processor", "jobs:tick", "--concurrency", 2, "--quiet"]
        workers = [start_worker(redis_home, *words) for _ in range(2)]
        for one in workers:
            one.hear("worker started")
        every_second = {"missed": "all", "remove_on_complete": False}
        queue.schedule("tick", "* * * * * *", **every_second)
        until(lambda: len(ticks(queue)) >= 1)
        workers[0].end(signal.SIGKILL)
        workers.append(start_worker(redis_home, *words))
        until(lambda: len(ticks(queue)) >= 3)
        _, pid = running(redis_home)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        before = len(ticks(queue))
        until(lambda: len(ticks(queue)) >= before + 2)
        queue.get_schedule("tick").pause()
        until(lambda: queue.counts().left == 0)

        times = ticks(queue)
        assert times == [times[0] + n for n in range(len(times))]
        assert len(times) == queue.get_schedule("tick").info().fired
        assert [one.end() for one in workers[1:]] == [0, 0]


def test_a_clock_of_the_server_that_jumps_fires_no_time_of_a_schedule_twice(
    server, start_worker, noted, clock
):
    del noted
    shim, set_by = clock
    set_by(0)
    url = server(**shim)
    one = start_worker("home", "ticks", "--processor", "jobs:tick", REDIS_URL=url)
    one.hear("worker started")
    with RedisClient(url) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("ticks")
        schedule = queue.schedule("tick", "* * * * * *", remove_on_complete=False)
        until(lambda: len(ticks(queue)) >= 2)
        set_by(3600)
        until(lambda: ticks(queue)[-1] - ticks(queue)[0] > 3500)
        set_by(0)
        until(lambda: client.time()[0] < ticks(queue)[-1] - 3500)
        ahead = ticks(queue)
        schedule.trigger().result(120)  # a worker has looked since
        until(lambda: len(queue.jobs(n=1000)) == len(ahead) + 1)
        set_by(3600)
        until(lambda: len(ticks(queue)) >= len(ahead) + 3)

        times = [one for one in ticks(queue) if one == int(one)]  # without the trigger's
        assert len(times) == len(set(times))
        # The hour that was left out is one missed firing, by the default policy.
        assert times[: len(ahead)] == ahead
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert sum(gap > 3000 for gap in gaps) == 1
        assert one.end() == 0

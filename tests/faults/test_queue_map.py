"""Batches whose workers, whose adding process or whose server is killed in the middle."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import threading

import pytest

from agentnb.core.errors import PartlyAdded, RejectedError, UnavailableError
from agentnb.core.queue import TaskQueue
from agentnb.core.redis import RedisClient
from tests.waiting import until

JOBS = r"""
import os, time

def square(job):
    with open("notes", "ab", 0) as file:
        file.write(f"{job.data}\n".encode())
    time.sleep(0.003)
    return job.data ** 2
"""

ADDER = r"""
from agentnb.core.queue import TaskQueue

def items():
    for n in range(1200):
        if n == 700:
            say("added")
            time.sleep(60)
        yield n

sys.path.insert(0, sys.argv[3])
with RedisClient(home=home) as client, TaskQueue(client) as queues:
    queues.get_queue(sys.argv[2]).map("jobs:square", items(), key="monday")
"""


@pytest.fixture
def noted(tmp_path, monkeypatch):
    """Return what reads the items that were processed."""
    (tmp_path / "jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)

    def read():
        with contextlib.suppress(OSError):
            return [int(line) for line in (tmp_path / "notes").read_text().splitlines()]
        return []

    return read


def words(name):
    return [name, "--processor", "jobs:square", "--concurrency", 3, "--quiet"]


def test_killed_processes_lose_and_double_no_item_of_a_batch(
    steady_home, start_worker, person, noted, tmp_path
):
    with RedisClient(home=steady_home) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("killed")
        adder = person(ADDER, steady_home, queue.name, tmp_path)
        assert adder.hear() == "added"
        workers = [start_worker(steady_home, *words(queue.name), lease=3) for _ in range(2)]
        until(lambda: len(noted()) > 50)
        adder.process.kill()
        adder.process.wait(10)
        batch = queue.batch("monday")
        with pytest.raises(RejectedError, match="500 were added so far"):
            batch.results(1)
        again = queue.map("jobs:square", range(1200), key="monday")
        assert (again.id, len(again)) == (batch.id, 1200)
        before = len(noted())
        until(lambda: len(noted()) > before + 100)
        victim = workers.pop()
        victim.process.kill()
        assert victim.wait() == -signal.SIGKILL
        assert again.results(60) == [n**2 for n in range(1200)]
        assert again.counts().completed == 1200
        assert queue.counts()["completed_total"] == 1200
        ran = collections.Counter(noted())
        assert set(ran) == set(range(1200))
        assert sum(ran.values()) <= 1200 + 3  # those that ran in the killed process


def test_a_server_that_is_killed_while_items_are_mapped_loses_none(
    redis_home, running, gone, start_worker, noted
):
    with RedisClient(home=redis_home) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("burst")
        one = start_worker(redis_home, *words("burst"))
        one.hear("worker started")
        killed = []

        def kill():
            _, pid = running(redis_home)
            os.kill(pid, signal.SIGKILL)
            assert gone(pid)
            killed.append(pid)

        def items():
            for n in range(1200):
                if n == 800 and not killed:
                    kill()
                yield n

        batch = None
        while batch is None:
            with contextlib.suppress(PartlyAdded, UnavailableError):
                batch = queue.map("jobs:square", items(), key="k")
        killer = threading.Timer(0.2, kill)
        killer.start()
        assert batch.results(60) == [n**2 for n in range(1200)]
        killer.join()
        assert (len(batch), batch.counts().completed, len(killed)) == (1200, 1200, 2)
        assert set(noted()) == set(range(1200))

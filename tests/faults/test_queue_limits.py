"""Limits of a queue whose workers and server are killed: no place is lost, and none is doubled."""

from __future__ import annotations

import os
import signal
import time

from agentnb.core.queue import TaskQueue
from agentnb.core.redis import RedisClient
from agentnb.core.work.store import Claim
from tests.waiting import until

JOBS = r"""
import os, time

def work(job):
    def note(word):
        with open(f"notes-{os.getpid()}", "ab", 0) as file:
            line = f"{time.monotonic()} {word} {job.data['model']} {job.id} {os.getpid()}\n"
            file.write(line.encode())
    note("begun")
    time.sleep(0.1)
    note("done")
"""
MODELS = ("a", "b")


def spans_of(folder, kills):
    """Return the model, begin and end of each attempt, of a killed worker until its kill."""
    spans = {}
    for path in folder.glob("notes-*"):
        for line in path.read_text().splitlines():
            at, word, model, id_, pid = line.split()
            if word == "begun":
                spans[id_, pid, at] = [model, float(at), kills.get(int(pid), float("inf"))]
                last = id_, pid, at
            else:
                last = max((key for key in spans if key[:2] == (id_, pid)), key=lambda key: key[2])
                spans[last][2] = float(at)
    return list(spans.values())


def test_killed_workers_and_a_killed_server_lose_and_double_no_place(
    redis_home, running, gone, start_worker, tmp_path
):
    (tmp_path / "jobs.py").write_text(JOBS)
    words = ["ask", "--processor", "jobs:work", "--concurrency", 4, "--quiet"]
    with RedisClient(home=redis_home) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("ask")
        queue.limit(concurrency=2, by="data.model")
        queue.limit(concurrency=3)
        jobs = [queue.add({"model": MODELS[n % 2]}, attempts=20) for n in range(60)]
        workers = [start_worker(redis_home, *words) for _ in range(2)]
        kills = {}
        for ended in (8, 20):
            until(lambda ended=ended: queue.counts()["completed_total"] >= ended)
            victim = workers.pop(0)
            kills[victim.pid] = time.monotonic()
            victim.process.kill()
            victim.wait()
            workers.append(start_worker(redis_home, *words))
        until(lambda: queue.counts()["completed_total"] >= 30)
        _, pid = running(redis_home)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        for job in jobs:
            job.result(60)
        for worker in workers:
            assert worker.end() == 0

        spans = spans_of(tmp_path, kills)
        for _, begun, _ in spans:
            at_once = [model for model, since, end in spans if since <= begun < end]
            assert len(at_once) <= 3
            assert all(at_once.count(model) <= 2 for model in MODELS)

        # All places are free again, and no more than there were.
        store, jobs = queue._work_store(), queue._store
        assert not jobs.redis.exists(f"{jobs.base}:places", f"{jobs.base}:blocked")
        for n in range(8):
            queue.add({"model": MODELS[n % 2]})
        found = [store.claim("me") for _ in range(5)]
        claimed = [one.payload.data["model"] for one in found if isinstance(one, Claim)]
        assert claimed == ["a", "b", "a"]

"""Several workers of one queue, of which one is told to stop or killed under load."""

from __future__ import annotations

import itertools
import re
import signal

import pytest

from agentnb.core.queue import TaskQueue
from agentnb.core.redis import RedisClient
from tests.metrics import address_of, get, scrape
from tests.waiting import until

_NUMBERS = itertools.count(1)
JOBS = 120

FREE = 30  # jobs that run before the rest is held
PROCESSOR = f"""
import time

FREE = {FREE}

def work(job):
    job.hub.redis.hincrby("runs:" + job.queue.name, job.id, 1)
    time.sleep(0.01)
    while job.data >= FREE and not job.hub.redis.exists("go:" + job.queue.name):
        time.sleep(0.02)
    return job.data
"""


@pytest.fixture
def client(steady_home):
    with RedisClient(home=steady_home) as client:
        yield client


@pytest.fixture
def queue(client):
    with TaskQueue(client) as queues:
        yield queues.get_queue(f"fleet{next(_NUMBERS)}")


@pytest.fixture
def fleet(start_worker, steady_home, tmp_path, queue):
    """Return two workers, each with the address of its metrics and four jobs, and all jobs."""
    (tmp_path / "jobs.py").write_text(PROCESSOR)
    words = (queue.name, "--processor", "jobs:work", "--concurrency", 4, "--metrics", "0")
    workers = [start_worker(steady_home, *words, lease=5) for _ in range(2)]
    found = [(one, address_of(one)) for one in workers]
    for one in workers:
        one.hear("worker started")
    jobs = [queue.add(number) for number in range(JOBS)]
    until(lambda: queue.counts()["completed"] == FREE and queue.counts()["active"] == 8)
    return found, jobs


def let_go(client, queue):
    """Let the jobs end that are held."""
    client.set(f"go:{queue.name}", 1)


def runs_of(client, queue):
    """Return how often each job was run."""
    return [int(one) for one in client.hvals(f"runs:{queue.name}")]


def test_a_worker_that_is_told_to_stop_under_load_loses_nothing(fleet, client, queue):
    [(told, address), (_, other)], jobs = fleet
    told.process.send_signal(signal.SIGTERM)
    until(lambda: get(address, "/readyz")[0] == 503)
    let_go(client, queue)
    assert told.wait() == 0
    assert [job.result(120) for job in jobs] == list(range(JOBS))
    assert runs_of(client, queue) == [1] * JOBS
    [done] = re.findall(r"stopped: (\d+) completed, 0 failed$", told.lines[-1])
    name = queue.name
    found = until(
        lambda: (
            (new := scrape(other))["agentnb_jobs_total", name, "completed"] + int(done) == JOBS
            and new
        )
    )
    assert found["agentnb_queue_ended_total", name, "completed"] == JOBS
    assert found["agentnb_workers", name] == 1
    assert found["agentnb_jobs_reclaimed_total", name] == 0


def test_the_counts_are_exact_where_a_worker_is_killed(fleet, client, queue):
    [(killed, _), (_, other)], jobs = fleet
    killed.process.kill()
    until(lambda: scrape(other)["agentnb_jobs_reclaimed_total", queue.name] == 4)
    let_go(client, queue)
    assert [job.result(120) for job in jobs] == list(range(JOBS))
    name = queue.name
    # A job's result is there before its worker has counted it.
    found = until(
        lambda: (
            (new := scrape(other))["agentnb_workers", name] == 1
            and new["agentnb_jobs_started_total", name]
            == new["agentnb_jobs_total", name, "completed"]
            and new
        )
    )
    assert found["agentnb_queue_ended_total", name, "completed"] == JOBS
    assert found["agentnb_queue_jobs", name, "active"] == 0
    assert found["agentnb_jobs_reclaimed_total", name] == 4  # those that it ran
    runs = runs_of(client, queue)
    assert (len(runs), sum(runs)) == (JOBS, JOBS + 4)
    started = found["agentnb_jobs_started_total", name]
    assert started == found["agentnb_jobs_total", name, "completed"]
    assert started == found["agentnb_job_duration_seconds_count", name]

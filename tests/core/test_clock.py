"""The clock of a hub: delayed work is due by it, and workers stay alive when it is moved."""

from __future__ import annotations

import gc
from dataclasses import replace
from datetime import timedelta

import pytest

from agentnb.core.clock import Clock
from agentnb.core.db import Database
from agentnb.core.queue import Queues
from agentnb.core.workflow import Orchestrator, Task


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(shared_redis, clock, request):
    runtime = replace(shared_redis.runtime, clock=clock)
    with Queues(shared_redis, prefix=request.node.name, runtime=runtime) as queues:
        yield queues.get_queue("mail")


@pytest.fixture(params=["sqlite", "postgres"])
def workflows(request, tmp_path, clock):
    url = f"sqlite:///{tmp_path}/a.db"
    if request.param == "postgres":
        url = request.getfixturevalue("fresh_url")
    with Database(url) as db:
        runtime = replace(db.access.runtime, clock=clock)
        with Orchestrator(db, runtime=runtime) as made:
            made.migrate()
            yield made


def test_a_worker_runs_a_delayed_job_as_soon_as_the_clock_is_moved(queue, clock):
    job = queue.add(2, delay=3600)
    queue.work(lambda job: job.data * 2)
    assert job.state == "delayed"
    clock.advance(3600)
    assert job.result(timeout=30) == 4
    assert (job.finished - job.created).total_seconds() >= 3600


def test_a_job_is_delayed_until_the_clock_is_far_enough(queue, clock):
    queue.process(lambda job: job.data)
    queue.add(1, delay=60)
    clock.advance(59)
    store = queue._work_store()
    assert 0 < store.claim("me") <= 1.5
    clock.advance(1)
    assert store.claim("me").attempt == 1


def test_the_lease_of_a_job_goes_by_the_clock_of_the_server(queue, clock):
    queue.process(lambda job: job.data)
    job = queue.add(1)
    store = queue._work_store()
    clock.advance(3600)
    claim = store.claim("me")
    clock.advance(3600)
    (held,) = queue._work_store().renew("another", []).others
    assert held.id == job.id
    assert 0 < held.left <= queue.lease
    assert not store.renew("me", [claim.key]).lost


def test_an_unread_result_is_dropped_by_the_clock(queue, clock):
    queue.process(lambda job: job.data)
    worker = queue.work(lambda job: job.data)
    old = queue.add(1, remove_on_complete=1, result_ttl=600)
    worker.drain(timeout=30)
    queue.add(2, remove_on_complete=1, result_ttl=600)
    worker.drain(timeout=30)
    assert old.state == "completed"
    clock.advance(601)
    queue.add(3, remove_on_complete=1, result_ttl=600)
    worker.drain(timeout=30)
    assert old.state == "gone"


def test_a_worker_of_a_queue_is_known_after_the_clock_was_moved(queue, clock, shared_redis):
    queue.work(lambda job: job.data)
    clock.advance(3600)
    assert queue.why_waiting() is None
    (worker,) = queue.workers()
    queue._work_store().renew("another", [])  # its heartbeat is of the server's clock
    heartbeats = shared_redis.hgetall(queue._store.workers_key)
    assert all(int(one.split()[0]) <= queue._store.now() for one in heartbeats.values())
    assert worker.seen < 60


def test_a_worker_runs_a_delayed_task_as_soon_as_the_clock_is_moved(workflows, clock):
    workflows.agent("echo")(lambda task: task.data)
    workflow = workflows.create("later", [Task("echo", data=7, delay=3600)])
    workflows.work()
    assert workflow.task("echo").state == "delayed"
    clock.advance(3600)
    assert workflow.wait(timeout=30).result == {"echo": 7}
    assert workflow.finished - workflow.created >= timedelta(hours=1)


def test_a_worker_of_agents_is_alive_after_the_clock_was_moved(workflows, clock):
    workflows.agent("echo")(lambda task: task.data)
    workflows.work()
    clock.advance(3600)
    assert workflows.agent_info("echo").state == "idle"


def test_a_clock_keeps_nothing_alive_that_listens_to_it(clock):
    class Listener:
        called = 0

        def wake(self):
            self.called += 1

    listener = Listener()
    clock.on_advance(listener.wake)
    clock.on_advance(listener.wake)
    clock.advance(1)
    assert listener.called == 1
    del listener
    gc.collect()
    clock.advance(1)
    assert clock._listeners == []

"""What becomes of a task whose worker is gone, on this host or another."""

from __future__ import annotations

import secrets
import threading
import time

import pytest

from agentnb.core.db import Database
from agentnb.core.errors import UnavailableError
from agentnb.core.failure import Failure
from agentnb.core.work import lease
from agentnb.core.work.identity import new_owner
from agentnb.core.workflow import Orchestrator, Task, TaskFailed, store
from agentnb.core.workflow.claiming import claim
from agentnb.core.workflow.completion import complete, fail


@pytest.fixture
def counting(workflows):
    """Return an orchestrator whose agent says which attempt it is."""
    workflows.agent("count", attempts=2, backoff=0.01)(lambda task, ctx: ctx.attempt)
    return workflows


def dead_here():
    """Return the words of a process of this host that has ended."""
    host, space, pid, started, nonce = new_owner().split("|")
    return "|".join([host, space, pid, str(int(started) - 1), nonce])


def elsewhere():
    """Return the words of a process of another host."""
    _, space, pid, started, _ = new_owner().split("|")
    return "|".join(["another-boot", space, pid, started, secrets.token_hex(4)])


def take_as(workflows, owner, *, lease=None, silent=0.0):
    """Let somebody take the next task, whose heartbeat was some seconds ago; None: never."""
    with workflows._transactions.write() as tx:
        if lease is not None:
            tx.run(
                "insert into {worker} (scope, owner, agents, kind, concurrency, lease, heartbeat)"
                " values (:scope, :owner, '[]', 'process', 1, :lease, {now} - :silent)",
                scope=workflows._scope,
                owner=owner,
                lease=lease,
                silent=silent,
            )
        return claim(tx, workflows._scope, ["count"], owner)


def test_a_dead_workers_task_is_resumed_at_once_however_long_its_lease(counting):
    workflow = counting.create("x", [Task("count")])
    take_as(counting, dead_here(), lease=3600.0)
    counting.work()
    assert workflow.wait(60).result == {"count": 2}


def test_a_task_of_another_host_is_resumed_once_its_lease_is_over(counting):
    workflow = counting.create("x", [Task("count")])
    take_as(counting, elsewhere(), lease=1.0, silent=0.5)
    counting.work()
    task = workflow.wait(10).task("count")
    assert task.result == 2
    assert (task.finished - task.created).total_seconds() >= 0.5


def test_a_task_of_another_host_that_lives_is_left_alone(counting):
    workflow = counting.create("x", [Task("count")])
    take_as(counting, elsewhere(), lease=60.0)
    worker = counting.work()
    for _ in range(3):
        worker._keeper._look()
    assert (workflow.task("count").state, workflow.task("count").attempt) == ("active", 1)


def test_a_lease_that_ran_out_uses_up_an_attempt(counting):
    workflow = counting.create("x", [Task("count", attempts=1)])
    take_as(counting, dead_here())
    counting.work()
    with pytest.raises(TaskFailed, match="task count: its worker died"):
        workflow.wait(60)


def test_what_comes_late_from_a_worker_that_lost_its_task_does_not_count(counting):
    workflow = counting.create("x", [Task("count")])
    late = take_as(counting, dead_here())
    counting.work()
    workflow.wait(60)
    with counting._transactions.write() as tx:
        assert complete(tx, counting._scope, late.ref, b'"late"', 1.0) is None
        assert fail(tx, counting._scope, late.ref, Failure("late")) is None
    assert workflow.refresh().result == {"count": 2}


def test_a_task_that_was_never_handed_over_is_given_back(counting, monkeypatch):
    monkeypatch.setattr(lease, "UNKNOWN_SECONDS", 0.1)
    worker = counting.work()
    workflow = counting.create("x", [Task("other", agent="count", delay=0.2)])
    worker.serve(())
    with counting._transactions.write() as tx:
        tx.run(
            "update {task} set state = 'active', owner = :me, attempt = 1, entry = 1",
            me=worker.owner,
        )
    worker.serve(("count",))
    assert workflow.wait(10).result == {"other": 1}


def test_a_cancel_of_a_dead_workers_task_lets_it_end(counting, until):
    workflow = counting.create("x", [Task("count")])
    take_as(counting, dead_here())
    workflow.cancel()
    counting.work()
    until(lambda: workflow.task("count").state == "cancelled")


def test_a_heartbeat_is_written_when_the_clock_has_jumped_as_after_a_machines_sleep(
    counting, monkeypatch, until
):
    monkeypatch.setattr(store, "_HEARTBEAT", 3600.0)
    counting.lease = 30_000.0
    counting.work()
    before = counting.agent_info("count").heartbeat
    monkeypatch.setattr(store, "time", lambda: time.time() + 4000)
    until(lambda: counting.agent_info("count").heartbeat > before)


def test_a_postgresql_that_is_killed_and_started_again_loses_nothing(server):
    with Database(server.url()) as database, Orchestrator(database) as workflows:
        workflows.migrate()
        begun, go = threading.Event(), threading.Event()

        @workflows.agent("a", backoff=0.01)
        def a(task):
            begun.set()
            go.wait(30)
            return task.attempt

        workflows.work(concurrency=1)
        workflow = workflows.create("x", [Task("a"), Task("b", agent="a", needs=["a"])])
        assert begun.wait(30)
        server.kill()
        go.set()
        with pytest.raises(UnavailableError):
            workflow.wait(5)
        server.start()
        assert workflow.wait(60).result == {"a": 1, "b": 1}

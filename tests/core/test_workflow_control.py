"""Workflows are controlled while they run: paused, limited in time, changed, begun from a step."""

from __future__ import annotations

import threading

import pytest

from agentnb.core.errors import NotFoundError, RejectedError
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import Claim, WorkerInfo
from agentnb.core.workflow import Task
from tests.waiting import until


@pytest.fixture
def flows(workflows):
    workflows.agent("a")(lambda task: task.name)
    return workflows


@pytest.fixture
def store(flows):
    return flows._make_store(lambda: ("a",))


@pytest.fixture
def me(store):
    owner = new_owner()
    store.join(owner, WorkerInfo(2))
    return owner


def make(flows, *names, **options):
    return flows.create("x", [Task(name, agent="a") for name in names or ("one",)], **options)


def kinds(workflow):
    return [row.event for row in workflow.events()]


# Pause


@pytest.mark.parametrize("most", [None, 2])
def test_a_paused_workflow_gives_out_no_task_until_it_is_resumed(flows, store, me, most):
    paused, other = make(flows, "one", "two", max_parallel=most), make(flows, "other")
    assert paused.paused is None
    paused.pause()
    assert (paused.state, paused.standing) == ("active", "paused")
    assert paused.paused is not None
    assert store.claim(me).payload.name == "other"
    assert not isinstance(store.claim(me), Claim)
    assert other.refresh().standing == "active"
    assert "it is paused: workflow.resume()" in paused.why_waiting()
    assert flows.table().rows[1][2] == "paused"
    assert store.pending().left == 1  # the other one, which runs
    assert paused.resume().standing == "active"
    assert {store.claim(me).payload.name for _ in range(2)} == {"one", "two"}
    assert paused.refresh().max_parallel == most
    assert kinds(paused)[1:3] == ["WORKFLOW_PAUSED", "WORKFLOW_RESUMED"]


def test_the_limit_of_a_workflow_holds_again_once_it_is_resumed(flows, store, me):
    workflow = make(flows, "one", "two", max_parallel=1).pause()
    workflow.resume()
    assert store.claim(me).payload.name == "one"
    assert not isinstance(store.claim(me), Claim)


def test_a_task_that_runs_goes_on_in_a_paused_workflow_and_the_next_waits(flows):
    begun, go_on = threading.Event(), threading.Event()

    @flows.agent("slow")
    def slow(task):
        begun.set()
        assert go_on.wait(20)
        return "done"

    workflow = flows.create("x", [Task("slow"), Task("next", agent="a", needs=["slow"])])
    flows.work()
    assert begun.wait(20)
    workflow.pause()
    assert workflow.why_waiting() == ""  # it still moves
    go_on.set()
    until(lambda: workflow.task("next").state == "waiting")
    assert workflow.task("slow").result == "done"
    flows.worker.drain(20)  # nothing is left to do for it
    assert workflow.task("next").state == "waiting"
    assert workflow.resume().wait(20).result == {"slow": "done", "next": "next"}


def test_what_is_approved_or_retried_in_a_paused_workflow_waits(flows, store, me):
    workflow = flows.create("x", [Task("asked", agent="a", approval=True)])
    workflow.pause().approve("asked")
    assert workflow.task("asked").state == "waiting"
    assert not isinstance(store.claim(me), Claim)
    workflow.cancel().retry()
    assert workflow.standing == "paused"
    assert not isinstance(store.claim(me), Claim)
    workflow.resume()
    assert isinstance(store.claim(me), Claim)


def test_pausing_twice_is_one_pause_and_a_workflow_that_ended_is_refused(flows):
    workflow = make(flows).pause()
    since = workflow.paused
    assert workflow.pause().paused == since
    assert workflow.resume().resume().paused is None
    assert (
        kinds(workflow).count("WORKFLOW_PAUSED") == kinds(workflow).count("WORKFLOW_RESUMED") == 1
    )
    workflow.pause().cancel()
    assert (workflow.standing, workflow.paused) == ("cancelled", None)
    for call, word in ((workflow.pause, "paused"), (workflow.resume, "resumed")):
        with pytest.raises(RejectedError, match=f"cannot be {word}: it is cancelled"):
            call()
    with pytest.raises(NotFoundError):
        flows.pause("nobody")


def test_a_paused_workflow_is_paused_in_the_overview(flows):
    make(flows).pause()
    make(flows)
    assert [one.paused for one in flows._running(5)] == [False, True]

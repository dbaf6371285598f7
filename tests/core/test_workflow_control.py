"""Workflows are controlled while they run: paused, changed, begun from a step."""

from __future__ import annotations

import threading
import time

import pytest

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.failure import Failure
from agentnb.core.work.identity import new_owner
from agentnb.core.work.store import Claim, Outcome, OutcomeKind, WorkerInfo
from agentnb.core.workflow import Task, TaskFailed
from tests.waiting import until

# Plain Python, or statements that are the same on both databases.
ON_SQLITE = pytest.mark.parametrize("workflow_url", ["sqlite"], indirect=True)


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


@ON_SQLITE
def test_the_limit_of_a_workflow_holds_again_once_it_is_resumed(flows, store, me):
    workflow = make(flows, "one", "two", max_parallel=1).pause()
    workflow.resume()
    assert store.claim(me).payload.name == "one"
    assert not isinstance(store.claim(me), Claim)


@ON_SQLITE
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


def test_the_tasks_of_paused_workflows_are_counted_apart(flows):
    @flows.agent("asks")
    def asks(task, ctx):
        return ctx.ask("ok", form=bool)

    workflow = flows.create("x", [Task("asks"), Task("a"), Task("late", agent="a", delay=600)])
    flows.work()
    until(lambda: [one.state for one in workflow.tasks] == ["parked", "completed", "delayed"])
    worker = flows.worker
    assert (worker.left(), worker.parked(), worker.paused()) == (1, 1, 0)
    workflow.pause()
    assert (worker.left(), worker.parked(), worker.paused()) == (0, 0, 2)


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


@ON_SQLITE
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


# Options of a task


FAILS = Outcome(OutcomeKind.RETRY, failure=Failure("bad", 1))


def test_changed_options_hold_for_attempts_to_come_and_over_those_of_the_agent(flows, store, me):
    workflow = make(flows, "one", "two")
    running = store.claim(me)
    workflow.set("one", attempts=5, backoff=0.5, timeout=7.0, priority=3)
    assert (running.attempts, running.timeout, running.backoff.seconds) == (3, 600.0, 2.0)
    flows.agent("a", attempts=2, timeout=50.0, backoff=9.0)(lambda task: 1)
    assert store.claim(me).payload.name == "two"
    assert store.finish(running, FAILS, then_claim=False).state == "waiting"
    again = store.claim(me)
    assert (again.attempt, again.attempts, again.timeout, again.backoff.seconds) == (2, 5, 7.0, 0.5)
    assert (workflow.task("one").attempts, workflow.task("one").priority) == (5, 3)
    assert workflow.task("two").attempts == 2
    event = next(row for row in workflow.events() if row.event == "TASK_CHANGED")
    assert event.task == "one"
    assert "attempts 5" in event.more


@ON_SQLITE
def test_none_gives_the_options_of_the_agent_back(flows, store, me):
    workflow = flows.create("x", [Task("one", agent="a", attempts=7, timeout=8.0)])
    workflow.set("one", backoff=0.5)
    workflow.set("one", attempts=None, timeout=None, backoff=None, priority=None)
    assert workflow.task("one").attempts == 3
    found = store.claim(me)
    assert (found.attempts, found.timeout, found.backoff.seconds) == (3, 600.0, 2.0)


def test_priority_and_delay_of_a_waiting_task_are_changed(flows, store, me):
    workflow = flows.create(
        "x", [Task(name, agent="a", delay=delay) for name, delay in (("1", 0), ("2", 0), ("3", 99))]
    )
    workflow.set("2", priority=0).set("1", priority=1)
    assert store.claim(me).payload.name == "2"
    assert store.claim(me).payload.name == "1"
    workflow.set("3", delay=0)
    assert store.claim(me).payload.name == "3"
    with pytest.raises(RejectedError, match="cannot be delayed: it is active"):
        workflow.set("3", delay=5)


@ON_SQLITE
def test_a_failed_task_is_retried_with_its_new_options(flows):
    @flows.agent("bad", attempts=1)
    def bad(task):
        if task.attempts == 1:
            raise ValueError("no")
        return task.attempts

    flows.work()
    workflow = flows.create("x", [Task("bad")])
    with pytest.raises(TaskFailed):
        workflow.wait(20)
    assert workflow.set("bad", attempts=4).retry().wait(20).result == {"bad": 4}
    with pytest.raises(RejectedError, match="is completed: its options are of no use"):
        workflow.set("bad", attempts=5)


@ON_SQLITE
def test_what_is_no_option_is_refused_and_nothing_is_changed(flows, store, me):
    workflow = make(flows)
    before = workflow.task("one")
    wrong = (
        ({"attempts": 0}, "attempts must be 1 to 1,000, got 0"),
        ({"attempts": True}, "attempts must be 1 to 1,000, got True"),
        ({"attempts": 1001}, "attempts must be 1 to 1,000, got 1,001"),
        ({"timeout": 0}, "timeout must be greater than 0 s"),
        ({"backoff": -1}, "backoff must be 0 s or more"),
        ({"backoff": "1"}, "backoff must be 0 s or more"),
        ({"priority": -1}, "priority must be 0 to 524,287, got -1"),
        ({"delay": float("inf")}, "delay must be"),
        ({}, "no option is given: attempts, backoff"),
        ({"timeout": 5, "attempts": "5"}, "attempts must be"),
    )
    for given, said in wrong:
        with pytest.raises(UsageError, match=said):
            workflow.set("one", **given)
    with pytest.raises(UsageError, match="has no option attempt"):
        workflow.set("one", attempt=5)
    with pytest.raises(NotFoundError) as caught:
        workflow.set("ona", attempts=5)
    assert caught.value.hint == "did you mean one?"
    assert workflow.task("one") == before
    store.finish(store.claim(me), FAILS, then_claim=False)
    store.claim(me)
    with pytest.raises(UsageError, match="attempts must be 3 to 1,000, got 2"):
        workflow.set("one", attempts=2)


# Retry from a step


@pytest.fixture
def stepping(flows):
    """Register an agent of three steps; return the calls, and what makes it fail or not."""
    calls, fails = [], threading.Event()
    fails.set()

    @flows.agent("steps", attempts=1)
    def steps(task, ctx):
        for name in ("first", "second step", "third"):
            ctx.step(name, lambda name=name: calls.append(name))
        if fails.is_set():
            raise ValueError("bad")
        return len(calls)

    flows.work()
    return calls, fails


def failed_once(flows):
    workflow = flows.create("x", [Task("steps")])
    with pytest.raises(TaskFailed):
        workflow.wait(20)
    return workflow


def test_a_retry_from_a_step_forgets_it_and_those_after_it(flows, stepping):
    calls, fails = stepping
    workflow = failed_once(flows)
    fails.clear()
    workflow.retry("steps", from_step="second step").wait(20)
    assert calls == ["first", "second step", "third", "second step", "third"]
    event = next(row for row in workflow.events() if row.event == "WORKFLOW_RETRIED")
    assert "step second step" in event.more


@ON_SQLITE
def test_a_retry_from_an_unknown_step_names_the_nearest_and_forgets_nothing(flows, stepping):
    calls, fails = stepping
    workflow = failed_once(flows)
    with pytest.raises(NotFoundError, match="has no step 'thirt'") as caught:
        workflow.retry("steps", from_step="thirt")
    assert caught.value.hint == "did you mean third?"
    assert workflow.refresh().state == "failed"
    with pytest.raises(UsageError, match="from_step needs the task"):
        workflow.retry(from_step="third")
    with pytest.raises(NotFoundError):
        workflow.retry("nobody", from_step="third")
    for odd in (7, "", "\x00", "x" * 10_000):
        with pytest.raises(NotFoundError):
            workflow.retry("steps", from_step=odd)
    fails.clear()
    workflow.retry("steps").wait(20)
    assert calls == ["first", "second step", "third"]
    with pytest.raises(RejectedError, match="nothing to retry"):
        workflow.retry("steps", from_step="first")
    assert list(flows._reader.steps(workflow.task("steps").id)) == ["first", "second step", "third"]


@ON_SQLITE
def test_a_task_that_waits_for_its_next_attempt_is_begun_from_a_step_at_once(flows, stepping):
    calls, fails = stepping
    workflow = flows.create("x", [Task("steps", attempts=3)])
    until(lambda: workflow.task("steps").state == "delayed")
    fails.clear()
    workflow.set("steps", delay=3600).retry("steps", from_step="third").wait(20)
    assert calls == ["first", "second step", "third", "third"]
    assert workflow.task("steps").attempt == 2


def test_a_parked_task_is_begun_from_a_step_and_asks_again_what_was_asked_after_it(flows):
    calls, asked = [], []

    @flows.agent("asks")
    def asks(task, ctx):
        ctx.step("plan", lambda: calls.append("plan"))
        asked.append(ctx.ask("first", "One?"))
        ctx.step("work", lambda: calls.append("work"))
        asked.append(ctx.ask("second", "Two?"))
        return asked[-2:]

    flows.work()
    workflow = flows.create("x", [Task("asks")])
    until(lambda: workflow.task("asks").state == "parked")
    workflow.answer("asks", "first", 1)
    until(lambda: [row.name for row in workflow.waits()] == ["second"])
    until(lambda: workflow.task("asks").state == "parked")
    workflow.retry("asks", from_step="work")
    until(lambda: calls == ["plan", "work", "work"])
    until(lambda: workflow.task("asks").state == "parked")
    assert [row.name for row in workflow.waits()] == ["second"]
    workflow.retry("asks", from_step="first")  # a wait is named, too
    until(lambda: [row.name for row in workflow.waits()] == ["first"])
    workflow.answer("asks", "first", 10)
    until(lambda: [row.name for row in workflow.waits()] == ["second"])
    assert workflow.answer("asks", "second", 2).wait(20).result == {"asks": [10, 2]}
    assert calls == ["plan", "work", "work", "work"]


def test_no_task_is_claimed_once_pause_has_returned(flows, store, me):
    workflow = make(flows, *(f"t{n}" for n in range(60)))
    paused, late, stop = threading.Event(), [], threading.Event()

    def claim():
        while not stop.is_set():
            after = paused.is_set()
            if isinstance(store.claim(me), Claim) and after:
                late.append(1)

    threads = [threading.Thread(target=claim) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: workflow.task("t5").state == "active")
    workflow.pause()
    paused.set()
    time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert late == []

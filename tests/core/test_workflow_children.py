"""Tasks spawn others at run time, and wait for them without holding a worker."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest

from agentnb.core.errors import RejectedError
from agentnb.core.workflow import Task, TaskFailed
from agentnb.core.workflow import children as children_module
from tests.waiting import until

on_sqlite = pytest.mark.parametrize("workflow_url", ["sqlite"], indirect=True)
"""For tests that no statement of the database decides."""


def start(workflows, agent, *, concurrency=1, attempts=1, **options):
    """Start a task of an agent, beside agents that double, fail and wait."""
    workflows.agent("double")(lambda task: task.data * 2)

    @workflows.agent("fail", attempts=1)
    def fail(task):
        raise ValueError(f"no {task.data}")

    @workflows.agent("hold")
    def hold(task, ctx):
        return ctx.ask("go on")

    workflows.agent("plan", attempts=attempts)(agent)
    workflows.work(concurrency=concurrency)
    return workflows.create("w", [Task("t", agent="plan")], **options)


def failure(made):
    with pytest.raises(TaskFailed):
        made.wait(20)
    return made.task("t").error


def states(made):
    return {task.name: task.state for task in made.tasks}


def test_a_planner_waits_for_its_children_at_concurrency_one(workflows):
    calls = []

    def plan(_, ctx):
        parts = ctx.step("plan", lambda: (calls.append(1), [1, 2, 3, 4, 5])[1])
        return sum(ctx.map("double", parts))

    made = start(workflows, plan)
    assert made.wait(20).result["t"] == 30
    assert calls == [1]
    names = [task.name for task in made.tasks]
    assert names == ["t", "double-1", "double-2", "double-3", "double-4", "double-5"]
    parked = [row for row in made.events().dicts() if row["event"] == "TASK_PARKED"]
    assert len(parked) == 1


def test_an_awaited_planner_spawns_awaits_and_gathers(workflows):
    async def plan(_, ctx):
        first = await ctx.aspawn(Task("first", agent="double", data=1))
        second = await ctx.aspawn({"name": "second", "agent": "double", "data": 2})
        both = await ctx.agather([first, second])
        async with asyncio.TaskGroup() as group:
            again = group.create_task(first.aresult(type=float))
        return [*both, again.result(), *await ctx.amap("double", [5], name="more")]

    made = start(workflows, plan)
    assert made.wait(20).result["t"] == [2, 4, 2.0, 10]


@on_sqlite
def test_waits_that_are_gathered_are_all_asked_at_once(workflows):
    async def plan(_, ctx):
        return await ctx.agather([ctx.aask("a"), ctx.aask("b"), ctx.aask("c")])

    made = start(workflows, plan)
    until(lambda: made.task("t").state == "parked" and len(made.waits()) == 3)
    for name in "abc":
        made.answer("t", name, name)
    assert made.wait(20).result["t"] == ["a", "b", "c"]


def test_a_map_bounds_what_runs_at_once_and_names_children_by_their_keys(workflows):
    active, most, lock = [], [], threading.Lock()

    @workflows.agent("work")
    def work(task):
        with lock:
            active.append(task.name)
            most.append(len(active))
        time.sleep(0.02)
        with lock:
            active.remove(task.name)
        return task.data["id"]

    def plan(_, ctx):
        items = [{"id": name} for name in "abcde"]
        return ctx.map("work", items, name="part", key=lambda item: item["id"], max_parallel=2)

    made = start(workflows, plan, concurrency=5)
    assert made.wait(20).result["t"] == list("abcde")
    assert max(most) <= 2
    assert [task.name for task in made.tasks][1:] == [f"part-{name}" for name in "abcde"]


def test_a_failure_that_the_parent_was_given_does_not_fail_the_workflow(workflows):
    def plan(_, ctx):
        child = ctx.spawn(Task("bad", agent="fail", data=7))
        try:
            child.result()
        except TaskFailed as error:
            return error.message

    made = start(workflows, plan)
    made.wait(20)
    assert made.result["t"] == "child bad of task t failed: ValueError: no 7"
    assert states(made) == {"t": "completed", "bad": "failed"}
    with pytest.raises(RejectedError, match="task bad is failed, and task t was told"):
        made.retry("bad")


def test_a_failure_that_nobody_was_given_fails_the_workflow(workflows):
    made = start(workflows, lambda _, ctx: ctx.spawn(Task("bad", agent="fail", data=7)).name)
    with pytest.raises(TaskFailed, match="task bad: ValueError: no 7"):
        made.wait(20)
    assert states(made) == {"t": "completed", "bad": "failed"}


@on_sqlite
def test_failures_are_returned_beside_results(workflows):
    def plan(_, ctx):
        agents = ["double", "fail", "double"]
        found = [ctx.spawn(Task(f"c{n}", agent=one, data=n)) for n, one in enumerate(agents)]
        results = ctx.gather(found, errors="return")
        return [results[0], type(results[1]).__name__, results[2]]

    made = start(workflows, plan)
    assert made.wait(20).result["t"] == [0, "TaskFailed", 4]


def test_the_first_failure_is_raised_while_others_still_wait(workflows):
    def plan(_, ctx):
        slow = ctx.spawn(Task("slow", agent="hold"))
        bad = ctx.spawn(Task("bad", agent="fail"))
        return ctx.gather([slow, bad])

    made = start(workflows, plan)
    assert "child bad of task t failed" in failure(made)
    # The children of a task that has failed are skipped, a parked one as well.
    assert states(made) == {"t": "failed", "slow": "skipped", "bad": "failed"}


def test_a_retry_runs_children_again_that_did_not_complete(workflows):
    good = []

    @workflows.agent("flaky", attempts=1)
    def flaky(task):
        if not good:
            raise ValueError("not yet")
        return task.data

    def plan(_, ctx):
        done = ctx.spawn(Task("done", agent="double", data=1)).result()
        return done + ctx.spawn(Task("again", agent="flaky", data=5)).result()

    made = start(workflows, plan)
    failure(made)
    good.append(1)
    made.retry()
    assert made.wait(20).result["t"] == 7
    assert made.task("done").attempt == 1


def test_a_retry_from_a_step_removes_the_children_that_were_spawned_after_it(workflows):
    plans = [[1], [5, 6]]

    @workflows.agent("twice")
    def twice(task, ctx):
        return ctx.spawn(
            Task(f"{task.name}-of-{task.data}", agent="double", data=task.data)
        ).result()

    def plan(_, ctx):
        first = ctx.spawn(Task("first", agent="double", data=7)).result()
        parts = ctx.step("parts", lambda: plans.pop(0))
        return [first, *ctx.map("twice", parts), ctx.spawn(Task("last", agent="hold")).result()]

    made = start(workflows, plan)
    until(lambda: states(made).get("last") == states(made)["t"] == "parked")
    first = made.task("first").finished
    made.retry("t", from_step="parts")
    until(lambda: "twice-2" in states(made) and states(made).get("last") == "parked")
    made.answer("last", "go on", 1)
    result = made.wait(20).result
    assert result["t"] == [14, 10, 12, 1]
    assert "twice-1-of-1" not in result
    assert made.task("first").finished == first  # it was spawned before the step


def test_a_retry_from_a_step_is_refused_while_a_child_of_it_runs(workflows):
    running, go = threading.Event(), threading.Event()

    @workflows.agent("slow")
    def slow(_):
        running.set()
        go.wait(20)

    def plan(_, ctx):
        return ctx.map("slow", ctx.step("parts", lambda: [1]))

    made = start(workflows, plan)
    try:
        assert running.wait(20)
        until(lambda: states(made)["t"] == "parked")
        with pytest.raises(RejectedError, match="child slow-1 of task t is running"):
            made.retry("t", from_step="parts")
    finally:
        go.set()
    assert made.wait(20).result["t"] == [None]


def test_children_are_cancelled_with_the_workflow(workflows):
    made = start(workflows, lambda _, ctx: ctx.map("hold", [1, 2]), concurrency=2)
    until(lambda: set(states(made).values()) == {"parked"} and len(states(made)) == 3)
    made.cancel()
    until(lambda: set(states(made).values()) == {"cancelled"})


def test_a_rejected_child_is_told_to_its_parent(workflows):
    def plan(_, ctx):
        try:
            return ctx.spawn(Task("ship", agent="double", data=1, approval=True)).result()
        except TaskFailed as error:
            return error.message

    made = start(workflows, plan)
    until(lambda: states(made) == {"t": "parked", "ship": "approval"})
    made.reject("ship", "too soon", by="ada")
    assert "rejected by ada: too soon" in made.wait(20).result["t"]


@on_sqlite
@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        (
            lambda _, ctx: ctx.map("double", [ctx.entry, 2]),
            "child 'double-1' (.*) is there with other data: its name should say what it is",
        ),
        (lambda _, ctx: ctx.spawn(Task("t", agent="double")), "that task t has not spawned"),
        (
            lambda _, ctx: ctx.step("s", lambda: ctx.spawn(Task("c", agent="double"))),
            "a child is spawned inside step 's'",
        ),
        (
            lambda _, ctx: ctx.spawn(Task("c", agent="double", needs=["t"])),
            "child 'c' has needs=",
        ),
        (lambda _, ctx: ctx.map("double", [1, 2], key=lambda _: "x"), "two children are called"),
        (lambda _, ctx: ctx.map("double", [1], key=lambda _: "a b"), "a task cannot be called"),
        (lambda _, ctx: ctx.map("double", "text"), "items must be a list, got 'text'"),
        (lambda _, ctx: ctx.map("nobody", [1]), "nobody"),
        (lambda _, ctx: ctx.map("double", [1], max_parallel=0), "max_parallel must be 1 to 10,000"),
        (lambda _, ctx: ctx.gather([1]), "children must be what ctx.spawn returns, got 1"),
        (lambda _, ctx: ctx.gather([], errors="no"), "errors must be raise or return, got 'no'"),
        (lambda _, ctx: ctx.spawn(7), "a task is a Task or a dict"),
    ],
    ids=[
        "data",
        "taken",
        "step",
        "needs",
        "key",
        "word",
        "text",
        "agent",
        "most",
        "child",
        "errors",
        "task",
    ],
)
def test_children_that_cannot_be_are_refused(workflows, agent, reason):
    made = start(workflows, agent, attempts=2)
    error = failure(made)
    assert re.search(reason, error), error
    assert made.task("t").attempt == 1


@on_sqlite
def test_too_many_children_are_refused_before_any_is_made(workflows, monkeypatch):
    monkeypatch.setattr(children_module, "MOST_CHILDREN", 3)
    made = start(workflows, lambda _, ctx: ctx.map("double", [1, 2, 3, 4]))
    assert "a task may have 3 children, and t would have 4" in failure(made)
    assert len(made.tasks) == 1


@on_sqlite
def test_nothing_is_mapped_to_nothing(workflows):
    made = start(workflows, lambda _, ctx: [ctx.map("double", []), ctx.gather([])])
    assert made.wait(20).result["t"] == [[], []]


def test_children_spawn_their_own_and_a_pause_holds_them(workflows):
    @workflows.agent("tree")
    def tree(task, ctx):
        if task.data == 0:
            return 1
        name = task.name
        return 1 + sum(ctx.map("tree", [task.data - 1] * 2, name=f"{name}-"[:100]))

    made = start(workflows, lambda _, ctx: ctx.map("tree", [2])[0], concurrency=2)
    assert made.wait(20).result["t"] == 7
    assert len(made.tasks) == 8


def test_a_bounded_workflow_lets_children_run_while_the_parent_is_parked(workflows):
    made = start(workflows, lambda _, ctx: ctx.map("double", [1, 2, 3]), max_parallel=1)
    assert made.wait(20).result["t"] == [2, 4, 6]

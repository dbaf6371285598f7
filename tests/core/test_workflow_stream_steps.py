"""Streams of tasks and their steps: a kept step keeps what it wrote, other values are dropped."""

# ruff: noqa: F811 - fixtures that are imported
from __future__ import annotations

import asyncio
import threading

from agentnb.core.workflow import StreamText, Task
from tests.core.test_workflow_streams import flows, run, values  # noqa: F401 - a fixture
from tests.waiting import until


def test_what_no_step_wrote_is_written_again_and_readers_are_told(workflows):
    def agent(task, ctx):
        for word in ("one ", "two ", "three ", "four"):
            ctx.write(word)
            if task.attempt == 1 and word == "two ":
                read.wait(30)
                raise ValueError

    read = threading.Event()
    workflows.agent("t", backoff=0.001)(agent)
    workflow = workflows.create("w", [Task("t")])
    attached, text = [], StreamText()
    reader = workflow.stream("t")
    workflows.work()
    for chunk in reader:
        attached.append(chunk)
        text.add(chunk)
        if len(attached) == 2:
            read.set()
    assert str(text) == "one two three four"
    assert text.resets == 1
    assert [(chunk.n, chunk.attempt) for chunk in attached if chunk.reset] == [(0, 2)]
    assert values(workflow) == ["one ", "two ", "three ", "four"]


def test_a_kept_step_keeps_what_it_wrote_and_is_silent_when_the_agent_begins_again(workflows):
    calls = []

    def think(ctx, name):
        calls.append(name)
        ctx.write(f"{name} ")
        return name

    def agent(task, ctx):
        ctx.step("plan", think, ctx, "plan")
        ctx.step("draft", think, ctx, "draft")
        ctx.write(f"attempt {task.attempt} ")
        if task.attempt == 1:
            raise ValueError
        ctx.step("check", think, ctx, "check")

    workflow = run(workflows, agent)
    assert calls == ["plan", "draft", "check"]
    assert values(workflow) == ["plan ", "draft ", "attempt 2 ", "check "]
    steps = [(chunk.step, chunk.n) for chunk in workflow.stream("t")]
    assert steps == [("plan", 1), ("draft", 2), (None, 3), ("check", 4)]


def test_the_order_is_that_of_the_calls_where_kept_steps_stand_between(workflows):
    def agent(task, ctx):
        ctx.write("a ")
        ctx.step("b", lambda: ctx.write("b "))
        ctx.write("c ")
        ctx.step("d", lambda: ctx.write("d "))
        ctx.write("e ")
        if task.attempt < 3:
            raise ValueError

    workflow = run(workflows, agent)
    assert values(workflow) == ["a ", "b ", "c ", "d ", "e "]
    assert [chunk.n for chunk in workflow.stream("t")] == [1, 2, 3, 4, 5]


def test_a_kept_step_that_is_not_called_again_is_not_shown_behind_others(workflows):
    def agent(task, ctx):
        ctx.write("begin ")
        if task.attempt == 1:
            ctx.step("old", lambda: ctx.write("old "))
            raise ValueError
        ctx.write("end")

    assert values(run(workflows, agent)) == ["begin ", "end"]


def test_a_step_that_is_called_again_within_an_attempt_drops_what_it_wrote(workflows):
    tries = []

    def ask(ctx):
        tries.append(1)
        ctx.write("half ")
        ctx.write("beside", stream="log")
        if len(tries) < 3:
            raise ValueError
        ctx.write("whole ")
        return 1

    def agent(task, ctx):
        ctx.write("begin ")
        ctx.with_options(attempts=3, backoff=0.001).step("ask", ask, ctx)
        ctx.write("end")

    workflow = run(workflows, agent)
    assert values(workflow, "out") == ["begin ", "half ", "whole ", "end"]
    assert values(workflow, "log") == ["beside"]


def test_a_step_that_is_called_again_leaves_what_concurrent_steps_wrote(workflows):
    begun, beside, tries = asyncio.Event(), asyncio.Event(), []

    async def failing(ctx):
        tries.append(1)
        await ctx.awrite("failing ")
        if len(tries) == 1:
            await ctx.awrite("half ")
            begun.set()
            await beside.wait()
            raise ValueError
        return 1

    async def other(ctx):
        await begun.wait()
        await ctx.awrite("other ")
        beside.set()
        return 2

    async def agent(task, ctx):
        steps = ctx.with_options(attempts=2, backoff=0.001)
        await asyncio.gather(steps.astep("failing", failing, ctx), steps.astep("other", other, ctx))

    workflow = run(workflows, agent)
    assert values(workflow) == ["other ", "failing "]
    assert [chunk.n for chunk in workflow.stream("t")] == [1, 2]


def test_steps_in_steps_keep_their_part_when_the_outer_one_is_called_again(flows):
    calls = []

    def inner(ctx):
        calls.append("inner")
        ctx.write("inner ")

    def outer(ctx):
        calls.append("outer")
        ctx.write("outer ")
        ctx.step(f"inner of {len(calls)}" if len(calls) > 9 else "inner", inner, ctx)
        if calls.count("outer") == 1:
            raise ValueError
        ctx.write("end ")

    def agent(task, ctx):
        ctx.step("outer", outer, ctx)
        ctx.write(f"{task.attempt}")
        if task.attempt < 3:
            raise ValueError

    workflow = run(flows, agent)
    assert calls == ["outer", "inner", "outer"]
    assert values(workflow) == ["outer ", "inner ", "end ", "3"]


def test_a_forgotten_step_writes_its_part_anew(flows):
    def agent(task, ctx):
        ctx.step("ask", lambda: ctx.write(f"ask {task.attempt} "))
        raise ValueError

    workflow = run(flows, agent, attempts=1)
    workflow.forget("t", "ask")
    workflow.retry()
    until(lambda: workflow.refresh().state != "active")
    assert values(workflow) == ["ask 1 "]
    assert len(list(workflow.stream("t"))) == 1


def test_arguments_that_have_changed_drop_the_part_of_a_step_that_is_called_again(flows):
    def agent(task, ctx):
        steps = ctx.with_options(on_change="again")
        steps.step("ask", lambda number: ctx.write(f"ask {number}"), task.attempt)
        if task.attempt == 1:
            raise ValueError

    assert values(run(flows, agent)) == ["ask 2"]


def test_a_step_is_kept_after_what_it_wrote(flows, monkeypatch):
    found = []

    def agent(task, ctx):
        keep = type(ctx._execution)._insert_step

        def look(self, *args):
            found.append(values(workflow))
            return keep(self, *args)

        monkeypatch.setattr(type(ctx._execution), "_insert_step", look)
        ctx.step("a", lambda: [ctx.write(n) for n in range(5)])

    flows.agent("t")(agent)
    workflow = flows.create("w", [Task("t")])
    flows.work()
    workflow.wait(30)
    assert found == [[0, 1, 2, 3, 4]]


def test_a_parked_task_has_kept_its_stream_and_steps_go_on_without_a_reset(workflows):
    def agent(task, ctx):
        ctx.step("draft", lambda: ctx.write("draft "))
        answer = ctx.ask("good?")
        if answer == "no":
            ctx.write("asks again ")
            answer = ctx.ask("better?")
        ctx.step("end", lambda: ctx.write(answer))

    workflows.agent("t")(agent)
    workflow = workflows.create("w", [Task("t")])
    workflows.work()
    until(lambda: workflow.task("t").state == "parked")
    assert values(workflow) == ["draft "]
    chunks = []
    reader = threading.Thread(target=lambda: chunks.extend(workflow.stream("t")))
    reader.start()
    workflow.answer("t", "good?", "no")
    until(lambda: len(workflow.waits()) == 1 and workflow.waits()[0].name == "better?")
    assert values(workflow) == ["draft ", "asks again "]
    until(lambda: len(chunks) == 2)
    workflow.answer("t", "better?", "yes")
    reader.join(30)
    # What no step wrote is written again by each entry, and is no longer in its place.
    assert [(chunk.value, chunk.n, chunk.reset) for chunk in chunks] == [
        ("draft ", 1, False),
        ("asks again ", 2, False),
        (None, 1, True),
        ("asks again ", 2, False),
        ("yes", 3, False),
    ]
    assert {chunk.attempt for chunk in chunks} == {1}


def test_waits_in_a_task_group_keep_what_was_written_beside_them(flows):
    async def agent(task, ctx):
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.aask("a"))
            await ctx.astep("beside", lambda: ctx.write("beside "))
        await ctx.awrite("end")

    flows.agent("t")(agent)
    workflow = flows.create("w", [Task("t")])
    flows.work()
    until(lambda: workflow.task("t").state == "parked")
    workflow.answer("t", "a", 1)
    workflow.wait(30)
    assert values(workflow) == ["beside ", "end"]


def test_a_step_that_was_forgotten_while_its_part_was_hidden_shows_its_new_part_alone(flows):
    def agent(task, ctx):
        ctx.write("begin ")
        if calls.pop(0):
            ctx.step("old", lambda: ctx.write(f"old {len(calls)} "))
        if calls:
            raise ValueError

    calls = [True, False, True, True]
    workflow = run(flows, agent, attempts=2)
    assert values(workflow) == ["begin "]
    workflow.forget("t", "old")
    workflow.retry()
    until(lambda: not calls and workflow.refresh().state != "active")
    assert values(workflow) == ["begin ", "old 1 "]

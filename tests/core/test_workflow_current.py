"""The context of the attempt that the calling code belongs to."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator, Task, current_context
from agentnb.core.workflow.stepping import current_step
from agentnb.testing import isolated_hub


@pytest.fixture
def flows(tmp_path):
    with Orchestrator(Database(f"sqlite:///{tmp_path}/a.db"), owns_database=True) as made:
        yield made


def deep():
    """Return the task that the calling code belongs to, as a library would find it."""
    ctx = current_context()
    return None if ctx is None else ctx.task.name


def far(task, ctx):
    """Return the current task in another process; imported there."""
    assert current_context() is ctx
    return [deep(), os.getpid()]


def test_the_code_that_an_awaited_agent_calls_finds_its_context(flows):
    meeting = asyncio.Barrier(2)

    @flows.agent("one")
    async def one(task, ctx):
        await meeting.wait()  # the other task runs in the same loop
        assert current_context() is ctx
        inside = await ctx.step("deep", deep)
        return [inside, await asyncio.create_task(asyncio.sleep(0, deep()))]

    flows.work()
    made = flows.create("w", [Task("a", agent="one"), Task("b", agent="one")])
    assert made.wait(20).result == {"a": ["a", "a"], "b": ["b", "b"]}


def test_the_code_that_an_agent_calls_finds_its_context_and_others_find_none(flows):
    others = []

    @flows.agent("one")
    def one(task, ctx):
        thread = threading.Thread(target=lambda: others.append(deep()))
        thread.start()
        thread.join()
        assert current_context() is ctx
        return [deep(), ctx.step("deep", deep)]

    flows.work()
    assert flows.create("w", [Task("t", agent="one")]).wait(20).result == {"t": ["t", "t"]}
    assert others == [None]
    assert deep() is None


def test_a_worker_thread_leaves_no_context_to_its_next_task(flows):
    seen = []
    real = flows.registry.find

    def find(name):
        seen.append(deep())
        return real(name)

    flows.registry.find = find
    flows.agent("one")(deep_of)
    flows.work(concurrency=1)
    flows.create("w", [Task("a", agent="one"), Task("b", agent="one", needs=["a"])]).wait(20)
    assert set(seen) == {None}


def deep_of(task):
    return deep()


@pytest.mark.usefixtures("importable")
def test_an_attempt_in_another_process_has_its_context(tmp_path):
    with isolated_hub(tmp_path) as hub:
        hub.workflows.agent("far")(far)
        hub.workflows.work(executor="processes", concurrency=1)
        (name, pid) = hub.workflows.create("w", [Task("t", agent="far")]).wait(60).result["t"]
    assert name == "t"
    assert pid != os.getpid()


def test_the_code_of_a_step_finds_its_name_and_what_follows_finds_none(flows):
    async def inside():
        return [current_step(), await asyncio.create_task(asyncio.sleep(0, current_step()))]

    @flows.agent("awaited")
    async def awaited(task, ctx):
        two = await asyncio.gather(ctx.step("a", inside), ctx.step("b", current_step))
        return [*two, current_step()]

    @flows.agent("plain")
    def plain(task, ctx):
        return [ctx.step("c", inside), ctx.step("d", current_step), current_step()]

    flows.work()
    made = flows.create("w", [Task("awaited"), Task("plain")]).wait(20)
    assert made.result["awaited"] == [["a", "a"], "b", None]
    assert made.result["plain"] == [["c", "c"], "d", None]

"""Queues, workflows, caches and events can be awaited as a whole, and do the same."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest

from agentnb.core.api import APIClient, GitHub
from agentnb.core.api.clients import Clients
from agentnb.core.cache import Cache
from agentnb.core.db import Database, Databases
from agentnb.core.db.session import Session
from agentnb.core.db.transaction import Transaction
from agentnb.core.docker import DockerManager
from agentnb.core.docker.service import Service
from agentnb.core.errors import DeadlineExceeded, NotFoundError, UsageError
from agentnb.core.events import EventBus
from agentnb.core.files import FileSystemManager
from agentnb.core.files.watching import Watcher
from agentnb.core.git import GitManager
from agentnb.core.hub import Hub
from agentnb.core.mcp.client import MCPClient
from agentnb.core.queue import Batch, Job, Queue, TaskQueue
from agentnb.core.queue.worker import Worker as QueueWorker
from agentnb.core.trace.traces import Traces
from agentnb.core.websocket import WebSocketClient, WebSockets
from agentnb.core.work.schedules.schedule import Schedule
from agentnb.core.workflow import Orchestrator, Task
from agentnb.core.workflow.context import Context
from agentnb.core.workflow.worker import Worker as TaskWorker
from agentnb.core.workflow.workflow import Workflow

# Methods that do not wait, and so have no twin: they return at once, or are used like a property.
# `run` and `run_workers` are for the main thread of a process that does nothing else.
LOCAL = {
    # They make what waits later.
    Hub: "api llm mcp metrics panel queue record repo run_workers variable websocket",
    Database: "session",  # takes its connection at its first statement
    Session: "",
    Transaction: "",
    FileSystemManager: "",
    Watcher: "start",
    GitManager: "at close",
    Databases: "names opened",
    DockerManager: "",
    APIClient: "",
    Clients: "all get ping serving table",  # of what this process keeps; none calls a host
    GitHub: "close",
    WebSockets: "client clients table",
    MCPClient: "changed",
    Service: "",
    TaskQueue: "get_queue process_queue within working",
    Queue: "forget_processor huey process work",
    Batch: "read summary",
    Job: "check_cancelled fail",
    Schedule: "",
    Cache: "cached",
    EventBus: "attachment matcher stream subscriptions table unsubscribe",
    Orchestrator: "agent work",
    Workflow: "",
    Context: "api check_cancelled fail queue with_options",
    QueueWorker: "look run start",
    TaskWorker: "look run same serve start",
    WebSocketClient: "off on ping stats",
    Traces: "carry close export_to run span",
}

NO_COROUTINES = {
    "aas_completed",
    "aevents",
    "aget_container_logs",
    "apaginate",
    "astream",
    "atransaction",
}


def methods(cls):
    found = inspect.getmembers(cls, inspect.isroutine)
    return {name: one for name, one in found if not name.startswith("_")}


@pytest.mark.parametrize("cls", LOCAL, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_each_method_that_waits_has_a_twin(cls):
    found = methods(cls)
    asynchronous = {name for name, one in found.items() if inspect.iscoroutinefunction(one)}
    # The twins of blocks and of iterators are no coroutine functions.
    asynchronous |= {f"a{name}" for name in found} & NO_COROUTINES & set(found)
    twins = {"await_" if name == "wait" else f"a{name}" for name in set(found) - asynchronous}
    without = twins - asynchronous - {f"a{name}" for name in LOCAL[cls].split()}
    assert without == set()


@pytest.mark.parametrize("cls", LOCAL, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_a_twin_has_the_parameters_of_its_method(cls):
    found = methods(cls)
    for name, one in found.items():
        twin = found.get("await_" if name == "wait" else f"a{name}")
        if twin is not None:
            names = [list(inspect.signature(each).parameters) for each in (one, twin)]
            assert names[0] == names[1], name


def test_a_queue_is_used_without_blocking_the_loop(queues):
    queue = queues.get_queue("mail")

    async def main():
        job = await queue.aadd(1, priority=2, key="k")
        assert (await queues.aadd_task("mail", 1, priority=2, key="k")).id == job.id
        assert [one.id for one in await queue.ajobs("waiting")] == [job.id]
        assert (await queue.acounts()).waiting == 1
        assert (await queues.afind(job.id)).data == 1
        assert await queues.anames() == ["mail"]
        assert len(await queues.atable()) == len(await queues.aoverview()) == 1
        assert "no worker" in await queue.awhy_waiting()
        assert (await queue.asearch("waiting", "1")).jobs
        assert await queue.asearch_ids("waiting") == [job.id]
        await queue.apause()
        assert queue.paused
        await queue.aresume()
        await job.alog("hello")
        await job.aprogress(0.5)
        assert (await job.alogs(), await job.aprogress()) == (["hello"], 0.5)
        await job.acancel()
        assert (await job.asnapshot()).state == "cancelled"
        await queue.aretry(job.id)
        assert (await job.arefresh()).state == "waiting"
        await job.aremove()
        with pytest.raises(NotFoundError):
            await queue.aget(job.id)
        assert await queue.aworkers() == []
        assert await queue.astop()
        await queues.aclose()

    asyncio.run(main())


def test_a_workflow_is_used_without_blocking_the_loop(workflows):
    @workflows.agent("greet")
    async def greet(task, ctx):
        await ctx.alog("begun")
        await ctx.aprogress(0.5)
        data = (await ctx.aworkflow()).data
        return [data, await ctx.ainputs(), await ctx.ainput("first") if task.needs else None]

    async def main():
        await workflows.amigrate()
        await workflows.aping()
        tasks = [
            Task("first", agent="greet"),
            Task("then", agent="greet", needs=["first"], approval=True),
        ]
        made = await workflows.acreate("hello", tasks, data=7)
        workflows.work()
        async with asyncio.timeout(30):
            while (await made.atask("first")).state != "completed":  # noqa: ASYNC110 - a worker's
                await asyncio.sleep(0.01)
        assert [one.id for one in await workflows.alist()] == [made.id]
        await made.aapprove("then", by="ada")
        await made
        first = [7, {}, None]
        assert await made.aresult() == {"first": first, "then": [7, {"first": first}, first]}
        assert await made.aresult_of("first") == first
        assert [task.name for task in await made.atasks()] == ["first", "then"]
        assert await made.alogs("first") == ["begun"]
        assert len(await made.aevents()) > 3
        assert await made.awhy_waiting() == ""
        assert (await workflows.aget(made.id)).state == "completed"
        assert (await made.arefresh()).state == "completed"
        assert len(await workflows.aagents()) == 1
        assert await workflows.aprune(1000) == 0
        assert await workflows.astop()
        await workflows.aclose()

    asyncio.run(main())


def test_a_cache_is_used_without_blocking_the_loop(cache):
    @cache.cached(key="double")
    async def double(number):
        return 2 * number

    async def main():
        await cache.aset("a", (1, 2), ttl=60, tags=["t"])
        assert await cache.aget("a") == (1, 2)
        assert await cache.aget("b", "none") == "none"
        assert 0 < await cache.attl("a") <= 60
        assert await cache.akeys("a*") == ["a"]
        assert await cache.ainvalidate_tags("t") == 1
        await cache.aset("a", 1)
        assert await cache.ainvalidate("a") == 1
        await cache.aset("a", 1)
        assert await cache.adelete("a", "b") == 1
        assert await double(4) == 8
        assert await double.ainvalidate() == 1
        assert len(await cache.astats()) == 1
        with pytest.raises(UsageError):
            await cache.aset("", object())
        await cache.aclose()

    asyncio.run(main())


def test_events_are_used_without_blocking_the_loop(bus):
    def fail(_):
        raise ValueError("no")

    async def main():
        await bus.asubscribe("a", fail)
        await bus.apublish("a", 1)
        assert [event.data for event in await bus.ahistory("a")] == [1]
        async with asyncio.timeout(30):
            while not (letters := await bus.adead_letters()):  # noqa: ASYNC110 - a thread's
                await asyncio.sleep(0.01)
        assert await bus.areplay(letters[0]) == 1
        async with asyncio.timeout(30):
            while not (letters := await bus.adead_letters()):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        assert await bus.adiscard(*letters) == len(letters)
        assert await bus.aflush(5)
        await bus.aping()
        await bus.aclose()

    asyncio.run(main())


def test_a_flush_that_is_awaited_ends_in_its_time_and_holds_no_thread(bus, monkeypatch):
    monkeypatch.setattr(bus._outbox, "wait", lambda _: False)
    before = threading.active_count()

    async def main():
        found = await asyncio.gather(*[bus.aflush(0.1) for _ in range(20)])
        return found, threading.active_count()

    found, threads = asyncio.run(main())
    assert found == [False] * 20
    assert threads <= before


def test_twins_that_are_cancelled_leave_no_thread_and_no_task(queues, cache, bus):
    queue = queues.get_queue("mail")
    gate = threading.Event()

    async def main():
        held = [asyncio.ensure_future(queue._call_threads.call(gate.wait, 30)) for _ in range(8)]
        await asyncio.sleep(0.05)
        adding = asyncio.ensure_future(queue.aadd(1))
        await asyncio.sleep(0)
        adding.cancel()
        await asyncio.wait([adding])
        gate.set()
        await asyncio.gather(*held)
        assert (await queue.acounts()).waiting == 0  # it had not begun
        others = [queue.aadd(2), cache.aset("a", 1), bus.apublish("a", 1), bus.aflush(1)]
        tasks = [asyncio.ensure_future(one) for one in others]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1


def test_workers_are_awaited_until_nothing_is_left(queues, workflows):
    queue = queues.get_queue("mail")
    workflows.agent("greet")(lambda task: task.name)
    progress = []

    async def main():
        await asyncio.gather(*[queue.aadd(n) for n in range(5)])
        made = await workflows.acreate("w", [Task("a", agent="greet")])
        worker = queue.work(lambda job: job.data)
        tasks = workflows.work()
        async with asyncio.timeout(30):
            await worker.adrain(20, on_progress=lambda *counts: progress.append(counts))
            await tasks.adrain(20)
            assert (await made.arefresh()).state == "completed"
            assert await tasks.aleft() == 0
            await queue.aadd(1, delay=60)
            with pytest.raises(DeadlineExceeded, match="1 jobs of mail have not ended"):
                await worker.adrain(0.05)
            assert await worker.astop(5)
            assert await tasks.astop(5)
        assert not worker.working
        assert not tasks.working

    asyncio.run(main())
    ended, total = progress[-1]
    assert ended == total <= 5

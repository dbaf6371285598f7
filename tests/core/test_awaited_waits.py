"""Awaited calls of workflows, the cache, events and sockets hold no thread of asyncio's."""

from __future__ import annotations

import ast
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import agentnb.core
from agentnb.core.errors import DeadlineExceeded, UnavailableError, UsageError
from agentnb.core.workflow import Task

ROOT = Path(agentnb.core.__file__).parent


class Forbidden(ThreadPoolExecutor):
    """A default executor that nobody may use."""

    def submit(self, *_, **__):
        raise AssertionError("asyncio's default executor is for the user")


def run(main):
    """Run a coroutine function on a loop whose default executor nobody may use."""

    async def guarded():
        asyncio.get_running_loop().set_default_executor(Forbidden(1))
        async with asyncio.timeout(60):
            return await main()

    return asyncio.run(guarded())


async def soon(condition):
    while not condition():  # noqa: ASYNC110 - a condition of a thread
        await asyncio.sleep(0.01)


def test_nothing_runs_in_the_default_executor_of_asyncio():
    found, names = set(), ("to_thread", "run_in_executor")
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        if not any(name in text for name in names):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and node.attr in names:
                found.add(str(path.relative_to(ROOT)))
    assert found == set()


def test_awaited_workflows_hold_a_few_threads(workflows):
    workflows.agent("wait")(lambda task: task.name)
    before = threading.active_count()
    made = [workflows.create(f"w{n}", [Task("a", agent="wait")]) for n in range(40)]

    async def main():
        waits = [asyncio.ensure_future(one.await_(50)) for one in made]
        await soon(lambda: len(workflows._waiter._watcher._awaited) == len(made))
        assert threading.active_count() <= before + 12
        workflows.work()
        return await asyncio.gather(*waits)

    assert [one.state for one in run(main)] == ["completed"] * len(made)


def test_time_outs_of_awaited_workflows_hold_while_the_database_does_not_answer(
    workflows, monkeypatch
):
    workflows.agent("nobody")(lambda task: task.name)
    made = [workflows.create(f"w{n}", [Task("a", agent="nobody")]) for n in range(12)]
    release = threading.Event()
    monkeypatch.setattr(workflows, "get", lambda _: release.wait(60))
    monkeypatch.setattr(type(made[0]), "why_waiting", lambda _: release.wait(60))

    async def main():
        ids = [workflows.await_(one.id, 0.1) for one in made]
        objects = [one.await_(0.1) for one in made]
        found = await asyncio.gather(*ids, *objects, return_exceptions=True)
        assert not release.is_set()
        return found

    try:
        found = run(main)
    finally:
        release.set()
    assert {type(error) for error in found} == {DeadlineExceeded}
    assert all("has not ended within 0.1 s" in str(error) for error in found)


@pytest.mark.parametrize("awaited", [True, False])
def test_an_outage_in_the_middle_of_a_wait_for_a_workflow_is_waited_out(
    workflows, monkeypatch, awaited
):
    workflows.agent("quick")(lambda task: task.name)
    made = workflows.create("w", [Task("a", agent="quick")])
    reader = workflows._reader
    method = "ended" if awaited else "progress"
    ask, failures = getattr(reader, method), [2]

    def away(*arguments):
        if failures[0]:
            failures[0] -= 1
            raise UnavailableError("away", service="db")
        return ask(*arguments)

    monkeypatch.setattr(reader, method, away)
    workflows.work()
    wait = (lambda t: run(lambda: made.await_(t))) if awaited else made.wait
    assert wait(30).state == "completed"
    failures[0] = 100
    with pytest.raises(UnavailableError, match=r"away|has not ended within 0\.7 s"):
        wait(0.7)
    with pytest.raises(UnavailableError, match="away"):
        wait(None)  # no end: it says so at once


def test_workflows_that_are_closed_say_so_to_those_who_wait(workflows):
    workflows.agent("nobody")(lambda task: task.name)
    made = workflows.create("w", [Task("a", agent="nobody")])

    async def main():
        waiting = asyncio.ensure_future(made.await_())
        await soon(lambda: workflows._waiter._watcher._awaited)
        workflows.close()
        await waiting

    with pytest.raises(UsageError, match="closed"):
        run(main)


def test_awaited_steps_and_results_need_no_thread_of_asyncio(workflows):
    @workflows.agent("stepper")
    async def stepper(_, ctx):
        return [await ctx.step(f"s{n}", lambda n=n: n) for n in range(3)]

    made = workflows.create("w", [Task("a", agent="stepper")])
    workflows.work()
    assert run(lambda: made.await_(30)).result == {"a": [0, 1, 2]}


def test_many_loads_run_in_a_few_threads_and_none_of_asyncio(cache):
    before = threading.active_count()
    counts = []

    async def load():
        counts.append(threading.active_count())
        return len(counts)

    async def main():
        return await asyncio.gather(*[cache.aget_or_set(f"k{n}", load) for n in range(300)])

    assert sorted(run(main)) == list(range(1, 301))
    assert max(counts) <= before + 12


def test_a_load_that_is_cancelled_leaves_its_key_free(cache):
    async def never():
        await asyncio.Event().wait()

    async def main():
        loading = asyncio.ensure_future(cache.aget_or_set("k", never))
        await soon(lambda: cache._loader.waits.is_within("k") or cache._loader.waits._loads)
        loading.cancel()
        await asyncio.wait([loading])
        assert loading.cancelled()
        return await cache.aget_or_set("k", lambda: 1)

    assert run(main) == 1
    assert cache._loader.waits._loads == {}


def test_events_are_awaited_without_threads_of_asyncio(bus):
    async def main():
        got = asyncio.Queue()

        async def handle(event):
            assert asyncio.get_running_loop() is loop
            await got.put(event.data)

        loop = asyncio.get_running_loop()
        with await bus.asubscribe("a", handle) as subscription:
            assert subscription.name.endswith("handle")
            event = await bus.apublish("a", 1, event_id="mine")
            assert (await got.get(), event.id) == (1, "mine")
        waits = [asyncio.ensure_future(bus.await_for("b", 30)) for _ in range(50)]
        await soon(lambda: sum(s.state == "listening" for s in bus.subscriptions()) == 50)
        await bus.apublish("b", 2)
        return {event.data for event in await asyncio.gather(*waits)}

    before = threading.active_count()
    assert run(main) == {2}
    assert bus.subscriptions() == []
    assert threading.active_count() <= before + 12


def test_a_replay_is_read_without_threads_of_asyncio(bus):
    for n in range(3):
        bus.publish("a", n)

    async def main():
        found = []
        async for event in bus.stream("a", replay=3):
            found.append(event.data)
            if len(found) == 3:
                break
        return found

    assert run(main) == [0, 1, 2]


def test_a_subscription_that_is_given_up_while_it_is_made_is_none(bus):
    async def main():
        subscribing = asyncio.ensure_future(bus.asubscribe("a", print))
        await asyncio.sleep(0)
        subscribing.cancel()
        await asyncio.wait([subscribing])
        assert subscribing.cancelled()

    run(main)
    assert bus.subscriptions() == []


def test_a_handler_that_cannot_be_called_is_refused_when_awaited(bus):
    with pytest.raises(UsageError, match="handler must be a function"):
        run(lambda: bus.asubscribe("a", 1))
    assert bus.subscriptions() == []


def test_a_socket_is_awaited_without_threads_of_asyncio(make_socket):
    def headers():
        return {"x-a": "1"}

    client = make_socket("/", headers=headers)

    async def main():
        assert await client.aconnect(20)
        waits = [asyncio.ensure_future(client.areceive(20)) for _ in range(30)]
        await asyncio.sleep(0)
        before = threading.active_count()
        for n in range(30):
            assert await client.asend({"echo": n})
        found = await asyncio.gather(*waits)
        assert threading.active_count() <= before
        with pytest.raises(DeadlineExceeded, match="no message"):
            await client.areceive(0.05)
        await client.adisconnect()
        with pytest.raises(UnavailableError, match="closed"):
            await client.areceive(0.05)
        return len(found)

    assert run(main) == 30
    assert client._dispatcher.inbox._signals == set()


def test_a_message_that_nobody_waits_for_any_longer_goes_to_the_next(make_socket):
    client = make_socket("/")

    async def main():
        await client.aconnect(20)
        given_up = asyncio.ensure_future(client.areceive(20))
        await asyncio.sleep(0)
        given_up.cancel()
        await client.asend({"echo": 1})
        return await client.areceive(20)

    assert run(main) is not None
    assert client._dispatcher.inbox._signals == set()

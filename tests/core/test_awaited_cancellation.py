"""An awaited call that is cancelled at any moment leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading

from agentnb.core.workflow import Task

STEPS = range(12)
FEW = 30  # threads of the services, of which none is a call's own


async def cancelled_after(steps, call):
    """Cancel a call once the loop has turned some times; the first ones in the middle of it."""
    running = asyncio.ensure_future(call())
    for _ in range(steps):
        await asyncio.sleep(0.001 if steps > 6 else 0)
    running.cancel()
    await asyncio.wait([running])
    if not running.cancelled():
        running.exception()


async def nothing_is_left(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a condition of the server
            await asyncio.sleep(0.01)
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - of other tasks
            await asyncio.sleep(0.01)


def cancel_often(call, condition=lambda: True):
    before = threading.active_count()

    async def main():
        for steps in STEPS:
            await asyncio.gather(*[cancelled_after(steps, call) for _ in range(5)])
        assert threading.active_count() <= before + FEW
        await nothing_is_left(condition)

    asyncio.run(main())


def test_of_awaited_jobs_nobody_waits_on_the_server(queues):
    queue = queues.get_queue("mail")
    job = queue.add(1)
    key = f"{queue._store.jobs}{job.id}"
    cancel_often(
        job.aresult,
        lambda: (
            queue._store.redis.hget(key, "waiters") is None
            and not queue._parts.waiter._watcher._awaited
        ),
    )
    queue.work(lambda job: job.data)
    assert job.result(20) == 1


def test_of_processors_that_wait_for_jobs_none_counts_as_blocked(queues):
    queue = queues.get_queue("mail")

    async def parent(job):
        if job.data == "child":
            return 1
        waiting = asyncio.ensure_future((await queue.aadd("other", delay=60)).aresult())
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait([waiting])
        return queue._parts.blocked.count(queue)

    queue.work(parent)
    assert queue.add("parent").result(30) == 0


def test_of_awaited_loads_no_lock_is_kept(cache, shared_redis):
    async def load():
        await asyncio.sleep(0.003)
        return 1

    async def call():
        await cache.adelete("k")
        await cache.aget_or_set("k", load)

    cancel_often(call, lambda: not cache._loader.waits._loads and not cache._loader.waits._waiting)
    assert cache._loader.leases._held == {}
    assert not shared_redis.exists(cache._names.lock("k"))
    assert asyncio.run(cache.aget_or_set("k", load)) == 1


def test_of_awaited_events_no_subscription_is_left(bus):
    cancel_often(lambda: bus.await_for("a", 30), lambda: not bus.subscriptions())
    cancel_often(lambda: anext(bus.stream("a")), lambda: not bus.subscriptions())


def test_of_awaited_workflows_nobody_waits(workflows):
    workflows.agent("nobody")(lambda task: task.name)
    made = workflows.create("w", [Task("a", agent="nobody")])
    cancel_often(made.await_, lambda: not workflows._waiter._watcher._awaited)
    cancel_often(made.arefresh)
    workflows.work()
    assert asyncio.run(made.await_(30)).state == "completed"


def test_of_awaited_sockets_no_signal_is_left(make_socket):
    client = make_socket("/")
    cancel_often(client.aconnect)
    assert asyncio.run(client.aconnect(20))
    cancel_often(client.areceive, lambda: not client._dispatcher.inbox._signals)


def test_a_step_after_one_that_was_cancelled_is_called_once(workflows):
    calls = []

    async def work():
        calls.append(1)
        await asyncio.sleep(0.05)
        return len(calls)

    @workflows.agent("stepper")
    async def stepper(_, ctx):
        step = asyncio.ensure_future(ctx.step("s", work))
        await asyncio.sleep(0.01)
        step.cancel()
        await asyncio.wait([step])
        return await ctx.step("t", work)

    made = workflows.create("w", [Task("a", agent="stepper")])
    workflows.work()
    assert made.wait(30).result == {"a": len(calls)}


def test_of_cancelled_calls_no_connection_is_left(queues, cache, bus, shared_redis):
    queue = queues.get_queue("mail")
    job = queue.add(1)

    async def call():
        await asyncio.gather(
            *(queue.aadd(2), cache.aget_or_set("k", lambda: 1), bus.apublish("a", 1)),
            *(bus.ahistory("a"), job.aresult(5), bus.await_for("b", 5)),
        )

    before = len(shared_redis.client_list())
    for _ in range(3):
        cancel_often(call, lambda: not bus.subscriptions())
    assert len(shared_redis.client_list()) <= before + FEW

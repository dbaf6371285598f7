"""Calls that are awaited run in a few threads, hold their time and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import threading
import time
import weakref

import pytest

from agentnb.core.callthreads import CallThreads, current_call

who = contextvars.ContextVar("who", default="nobody")


def wait_here(condition):
    """Wait without letting the event loop run."""
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)


async def until(condition, seconds=60.0):
    """Wait until a condition holds, for a limited time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


@pytest.fixture
def threads():
    threads = CallThreads("test", limit=3)
    yield threads
    threads.close()


def test_a_thousand_calls_run_in_as_many_threads_as_allowed(threads):
    counts = []

    def call(n):
        counts.append(threading.active_count())
        return n

    async def main():
        return await asyncio.gather(*[threads.call(call, n) for n in range(1000)])

    before = threading.active_count()
    assert asyncio.run(main()) == list(range(1000))
    assert max(counts) <= before + 3
    assert threads.count <= 3


def test_a_call_has_the_context_of_its_caller(threads):
    async def main():
        who.set("ada")
        return await threads.call(who.get)

    assert asyncio.run(main()) == "ada"


def test_an_error_reaches_the_caller_and_the_thread_goes_on(threads):
    async def main():
        with pytest.raises(ZeroDivisionError):
            await threads.call(lambda: 1 / 0)
        with pytest.raises(SystemExit):
            await threads.call(exit_now)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await threads.call(lambda: next(iter(())))
        return await threads.call(lambda: "well")

    def exit_now():
        raise SystemExit(3)

    assert asyncio.run(main()) == "well"


def test_the_time_counts_from_the_call_and_a_late_one_never_runs(threads):
    release, ran = threading.Event(), []

    async def main():
        busy = [asyncio.create_task(threads.call(release.wait, 30)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError, match="no thread"):
            await threads.run(
                lambda: ran.append(1),
                until=time.monotonic() + 0.05,
                late=lambda: TimeoutError("no thread in time"),
            )
        release.set()
        assert all(await asyncio.gather(*busy))

    asyncio.run(main())
    assert ran == []


def test_a_call_that_began_in_time_may_take_longer(threads):
    async def main():
        return await threads.run(lambda: time.sleep(0.1) or "late", until=time.monotonic() + 0.02)

    assert asyncio.run(main()) == "late"


def test_a_cancelled_call_that_waits_never_runs(threads):
    release, ran = threading.Event(), []

    async def main():
        busy = [asyncio.create_task(threads.call(release.wait, 30)) for _ in range(3)]
        waiting = asyncio.create_task(threads.call(ran.append, 1))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()
        await asyncio.gather(*busy)
        await threads.call(ran.append, 2)

    asyncio.run(main())
    assert ran == [2]


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_cancelled_call_is_undone_until_it_ends(threads, succeeds):
    began, stop, undone = threading.Event(), threading.Event(), []

    def work():
        began.set()
        assert stop.wait(30)
        if not succeeds:
            raise ValueError("stopped")

    def undo():
        undone.append(stop.is_set())
        stop.set()

    async def main():
        task = asyncio.create_task(threads.run(work, undo=undo))
        await until(began.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert undone == ([False, True] if succeeds else [False])


def test_a_cancelled_caller_can_wait_for_the_end(threads):
    began, release, ended = threading.Event(), threading.Event(), []

    def work():
        began.set()
        assert release.wait(30)
        ended.append(1)

    async def main():
        task = asyncio.create_task(threads.run(work, finish=True))
        await until(began.is_set)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == [1]


@pytest.mark.parametrize("how", ["undo", "finish"])
def test_a_caller_that_is_cancelled_just_after_the_end_does_not_wait_for_another(threads, how):
    async def main():
        task = asyncio.create_task(
            threads.run(int, undo=list) if how == "undo" else threads.run(int, finish=True)
        )
        await asyncio.sleep(0)
        [mailbox] = threads._mailboxes.values()
        wait_here(lambda: mailbox._ended)
        mailbox._deliver()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(task), 5)

    asyncio.run(main())


def test_threads_end_when_there_is_no_work(threads, monkeypatch):
    monkeypatch.setattr(threads, "_linger", 0.02)

    async def main():
        await asyncio.gather(*[threads.call(time.sleep, 0.01) for _ in range(9)])
        await until(lambda: threads.count == 0)
        return await threads.call(lambda: 7)

    assert asyncio.run(main()) == 7


def test_closing_ends_the_threads_and_a_later_call_still_runs(threads):
    assert asyncio.run(threads.call(lambda: 7)) == 7
    threads.close()
    asyncio.run(until(lambda: threads.count == 0))
    assert asyncio.run(threads.call(lambda: 8)) == 8


def test_a_loop_that_was_closed_is_forgotten(threads):
    release = threading.Event()
    loop = asyncio.new_event_loop()
    task = loop.create_task(threads.call(release.wait, 30))
    loop.run_until_complete(asyncio.sleep(0.02))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    gone = weakref.ref(loop)
    release.set()
    del loop, task
    assert asyncio.run(threads.call(lambda: 7)) == 7
    wait_here(lambda: (gc.collect(), gone())[1] is None)
    assert gone() is None


def test_a_forked_child_has_threads_of_its_own(threads):
    assert asyncio.run(threads.call(lambda: 7)) == 7
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = asyncio.run(asyncio.wait_for(threads.call(lambda: 0), 10))
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_nothing_of_asyncios_own_executor_is_taken(threads):
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.gather(*[threads.call(int) for _ in range(20)])
        return loop._default_executor

    assert asyncio.run(main()) is None


def test_names_of_threads_say_the_service(threads):
    def name():
        return threading.current_thread().name

    assert asyncio.run(threads.call(name)) == "agentnb-test"


def test_a_function_sees_the_call_that_it_runs_for_until_it_ends(threads):
    assert current_call() is None
    left = []

    def call():
        found = current_call("test")
        assert current_call("other") is None
        context = contextvars.copy_context()
        left.append(lambda: context.run(current_call))
        return found, left[0]()

    async def main():
        before = time.monotonic()
        found, inherited = await threads.call(call)
        assert found is inherited
        assert before <= found.began <= time.monotonic()
        assert found.thread == threading.get_ident()
        assert found.task is asyncio.current_task()

    asyncio.run(main())
    assert left[0]() is None  # what inherits the context is not the call any longer


@pytest.mark.parametrize("early", [False, True])
def test_what_a_call_names_is_stopped_when_its_caller_is_cancelled(threads, early):
    begun, stopped, go = threading.Event(), threading.Event(), threading.Event()

    def call():
        found = current_call()
        if early:
            found.add_stop(stopped.set)
        begun.set()
        if not early:
            go.wait(10)
            assert found.cancelled
            found.add_stop(stopped.set)
        assert stopped.wait(10)
        found.remove_stop(stopped.set)

    async def main():
        task = asyncio.create_task(threads.run(call, finish=True))
        await until(begun.is_set)
        task.cancel()
        await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stopped.is_set()

    asyncio.run(main())

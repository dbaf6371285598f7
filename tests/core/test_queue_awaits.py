"""Jobs that are awaited hold no threads and their time, and leave nobody behind who waits."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentnb.core.errors import DeadlineExceeded, UnavailableError, UsageError
from agentnb.core.queue import Job, TaskQueue
from agentnb.core.redis import RedisClient

FEW = 12  # awaited calls in 8 threads, the job's watcher, and what it is woken by


@pytest.fixture
def queue(queues):
    return queues.get_queue("mail")


@pytest.fixture
def waiters(queue):
    """Return what gives the number of those who wait for a job on the server."""

    def count(job):
        found = queue._store.redis.hget(f"{queue._store.jobs}{job.id}", "waiters")
        return int(found or 0)

    return count


@pytest.fixture
def stuck(queue, monkeypatch):
    """Return an event: until it is set the server's answers to those who wait do not arrive."""
    release = threading.Event()
    answer = queue._store.wait

    def wait(job, more, seconds=None):
        found = answer(job, more, seconds)
        if more >= 0:
            release.wait(30)
        return found

    monkeypatch.setattr(queue._store, "wait", wait)
    yield release
    release.set()


async def soon(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a condition of the server
            await asyncio.sleep(0.01)


def test_a_thousand_awaited_jobs_hold_a_few_threads(queue):
    jobs = [queue.add(n) for n in range(1000)]
    counts = []

    async def main():
        waits = asyncio.gather(*[job.aresult(60) for job in jobs])
        watcher = queue._parts.waiter._watcher
        await soon(lambda: counts.append(threading.active_count()) or len(watcher._awaited) == 1000)
        queue.work(lambda job: job.data)
        return await waits

    before = threading.active_count()
    assert asyncio.run(main()) == list(range(1000))
    assert max(counts) <= before + FEW


def test_awaited_jobs_leave_the_threads_of_asyncio_to_others(queue, monkeypatch):
    jobs = [queue.add(n) for n in range(20)]

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        waits = [asyncio.ensure_future(job.aresult()) for job in jobs]
        await asyncio.sleep(0.2)
        monkeypatch.setattr(loop, "run_in_executor", None)  # nobody else calls it
        await asyncio.sleep(0.2)
        assert not any(wait.done() for wait in waits)
        queue.work(lambda job: job.data)
        return await asyncio.gather(*waits)

    assert asyncio.run(main()) == list(range(20))


def test_time_outs_hold_for_many_while_the_server_does_not_answer(queue, stuck):
    jobs = [queue.add(n) for n in range(24)]

    async def main():
        waits = [job.aresult(0.2) for job in jobs]
        async with asyncio.timeout(20):
            found = await asyncio.gather(*waits, return_exceptions=True)
        assert not stuck.is_set()
        return found

    found = asyncio.run(main())
    assert {type(error) for error in found} == {DeadlineExceeded}
    assert all("has not ended within 0.2 s" in str(error) for error in found)


def test_a_time_out_says_what_the_job_waits_for(queue):
    job = queue.add(1)
    with pytest.raises(DeadlineExceeded, match="is waiting") as caught:
        asyncio.run(job.aresult(0.05))
    assert "no worker" in caught.value.hint


def test_a_job_that_has_ended_is_never_late(queue):
    job = queue.add(1)
    queue.work(lambda job: job.data)
    job.result(10)
    assert asyncio.run(job.aresult(0)) == 1


def test_one_who_gives_up_while_joining_leaves_nobody_behind(queue, stuck, waiters, until):
    job = queue.add(1)

    async def main():
        waiting = asyncio.ensure_future(job.aresult())
        await soon(lambda: waiters(job) == 1)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    asyncio.run(main())
    stuck.set()
    until(lambda: waiters(job) == 0)


@pytest.mark.parametrize("method", ["wait", "next_outcome"])
def test_one_who_interrupts_a_wait_leaves_nobody_behind(queue, waiters, until, monkeypatch, method):
    job = queue.add(1)
    answer = getattr(queue._store, method)

    def interrupted(*arguments):
        monkeypatch.setattr(queue._store, method, answer)
        if method == "wait":
            answer(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(queue._store, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        job.result(10)
    until(lambda: waiters(job) == 0)


def test_one_of_several_who_gives_up_takes_no_copy_from_the_others(queue, waiters, until):
    job = queue.add(7)

    async def main():
        waits = [asyncio.ensure_future(job.aresult(20)) for _ in range(3)]
        await soon(lambda: waiters(job) == 3)
        waits[0].cancel()
        await soon(lambda: waiters(job) == 2)
        queue.work(lambda job: job.data)
        return await asyncio.gather(*waits[1:])

    assert asyncio.run(main()) == [7, 7]
    until(lambda: waiters(job) == 0)


@pytest.mark.parametrize("awaited", [True, False])
def test_one_who_comes_late_to_a_job_that_is_kept_no_longer_has_its_copy(
    queue, monkeypatch, awaited
):
    monkeypatch.setattr("agentnb.core.queue.waiter._SLICE", 0.3)
    job = queue.add(7, remove_on_complete=True)
    received = threading.Event()
    target = queue._parts.waiter if awaited else queue._store
    method = "_look" if awaited else "next_outcome"
    receive = getattr(target, method)

    def late(*arguments):
        if not received.is_set():  # the job ends, and its copy is not seen in this slice
            queue.work(lambda job: job.data)
            received.wait(0.5)
            received.set()
            return [] if awaited else None
        return receive(*arguments)

    monkeypatch.setattr(target, method, late)
    if awaited:
        monkeypatch.setattr(target._watcher, "_look", late)
        assert asyncio.run(job.aresult(20)) == 7
    else:
        assert job.result(20) == 7


def test_queues_that_are_closed_say_so_to_those_who_wait(queues, queue):
    job = queue.add(1)

    async def main():
        waiting = asyncio.ensure_future(job.aresult())
        await soon(lambda: queue._parts.waiter._watcher._awaited)
        queues.close()
        async with asyncio.timeout(20):
            await waiting

    with pytest.raises(UsageError, match="closed"):
        asyncio.run(main())


def fail_once(monkeypatch, store, method, count=1):
    """Let the server be away for some calls."""
    answer, left = getattr(store, method), [count]

    def call(*arguments, **options):
        if left[0]:
            left[0] -= 1
            raise UnavailableError("away", service="redis")
        return answer(*arguments, **options)

    monkeypatch.setattr(store, method, call)


def test_an_outage_in_the_middle_of_a_wait_is_waited_out(queue, monkeypatch):
    job = queue.add(1)
    fail_once(monkeypatch, queue._store, "next_outcome", 2)
    threading.Timer(0.3, lambda: queue.work(lambda job: job.data)).start()
    assert job.result() == 1


def test_an_outage_in_the_middle_of_an_awaited_wait_is_waited_out(queue, monkeypatch):
    job = queue.add(1)
    fail_once(monkeypatch, queue._parts.waiter._redis, "blpop", 2)

    async def main():
        waiting = asyncio.ensure_future(job)
        await asyncio.sleep(0.3)
        queue.work(lambda job: job.data)
        return await waiting

    assert asyncio.run(main()) == 1


def test_a_time_out_is_shorter_than_that_of_a_client_whose_server_is_away(until):
    with RedisClient("redis://127.0.0.1:1/0", timeout=600) as redis, TaskQueue(redis) as queues:
        queue = queues.get_queue("mail")
        job = Job(queue, queue._parts, "a", b"{}")
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(job.result, 0.2), pool.submit(asyncio.run, job.aresult(0.2))]
            until(lambda: all(one.done() for one in asked))
    assert {type(one.exception()) for one in asked} <= {UnavailableError, DeadlineExceeded}


def test_a_server_that_is_away_is_waited_for_as_long_as_the_time_out_says(queue, monkeypatch):
    job = queue.add(1)
    queue.work(lambda job: job.data)
    fail_once(monkeypatch, queue._store, "wait", 2)
    assert job.result(20) == 1
    fail_once(monkeypatch, queue._store, "wait", 100)
    with pytest.raises(UnavailableError, match="away"):
        job.result(0.7)
    with pytest.raises(UnavailableError, match="away"):
        job.result()  # no end: it says so at once


def test_results_are_waited_for_over_the_death_of_the_server(kill_server, until):
    with tempfile.TemporaryDirectory(prefix="agentnb-awaits-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        with RedisClient(home=home) as redis, TaskQueue(redis) as queues:
            queue = queues.get_queue("mail")
            job = queue.add(7)

            async def main():
                return await job.aresult(90)

            with ThreadPoolExecutor() as pool:
                asked = [pool.submit(job.result, 90), pool.submit(asyncio.run, main())]
                key = f"{queue._store.jobs}{job.id}"
                until(lambda: redis.hget(key, "waiters") == b"2")
                kill_server(home)
                queue.work(lambda job: job.data)
                assert [one.result() for one in asked] == [7, 7]

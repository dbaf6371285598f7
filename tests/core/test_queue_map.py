"""A function over many items: one batch, whose results come back in the order of the items."""

from __future__ import annotations

import asyncio
import threading
import time
import tracemalloc

import pytest

from agentnb.core.errors import (
    BatchFailed,
    DeadlineExceeded,
    JobCancelled,
    JobFailed,
    NotFoundError,
    PartlyAdded,
    RejectedError,
    UnkeptResult,
    UsageError,
)
from agentnb.core.queue import processor
from agentnb.core.queue.batch_scripts import ADD_PIECE
from agentnb.core.queue.pieces import MOST_JOBS
from agentnb.core.queue.streams import StreamWaiter
from agentnb.core.redis import RedisClient
from tests.listening import Relay
from tests.waiting import until


def double(job) -> int:
    return job.data * 2


def odd_fails(job):
    if job.data % 2:
        raise ValueError(f"{job.data} is odd")
    return job.data


def pair(job) -> tuple[int, int]:
    return job.data, job.data


@processor("elsewhere", schema=int, timeout=60)
def checked(job):
    return type(job.data).__name__


@pytest.fixture
def queue(queues):
    return queues.get_queue("squares")


@pytest.fixture
def far_queues(make_queues, shared_redis):
    """Return a way to the shared server that can be cut, and queues that are reached by it."""
    shared_redis.ping()
    path = shared_redis._manager.server.paths.socket
    with (
        Relay(path) as relay,
        RedisClient(f"redis://127.0.0.1:{relay.port}", timeout=1.0) as client,
    ):
        yield relay, make_queues(client)


# Results.


def test_results_come_in_the_order_of_the_items(queue):
    batch = queue.map(lambda job: (time.sleep(0.02 * (job.data == 0)), job.data)[1], range(50))
    assert batch.results(30) == list(range(50))
    assert len(batch) == 50
    assert list(batch) == list(range(50))


def test_results_are_read_as_the_type_that_the_function_declares(queue):
    batch = queue.map(pair, [1, 2])
    assert batch.results(30) == [(1, 1), (2, 2)]
    assert batch.results(30, type=list[float]) == [[1.0, 1.0], [2.0, 2.0]]
    found = [item.result(type=list[int]) for item in batch.as_completed()]
    assert sorted(found) == [[1, 1], [2, 2]]
    with pytest.raises(UsageError, match="is not"):
        batch.results(type=str)


def test_outcomes_come_as_soon_as_they_are_there(queue):
    go = threading.Event()
    batch = queue.map(lambda job: job.data or go.wait(30), range(4))
    coming = batch.as_completed(30)
    assert sorted(next(coming).index for _ in range(3)) == [1, 2, 3]
    go.set()
    last = next(coming)
    assert (last.index, last.state, last.error, last.result()) == (0, "completed", None, True)
    assert last.job_id == f"{batch.id}.0"
    assert list(coming) == []


def test_iteration_waits_for_the_order(queue):
    go = threading.Event()
    batch = queue.map(lambda job: job.data or go.wait(30), range(4))
    results = iter(batch)
    threading.Timer(0.05, go.set).start()
    assert [next(results) for _ in range(4)] == [True, 1, 2, 3]


def test_a_batch_is_awaited_as_a_whole(queue):
    async def main():
        batch = await queue.amap(double, range(30))
        assert await batch == [2 * n for n in range(30)]
        assert [one async for one in batch] == [2 * n for n in range(30)]
        assert {one.index async for one in batch.aas_completed(30)} == set(range(30))
        assert (await batch.acounts()).completed == 30
        assert await batch.aresults(type=float) == [2.0 * n for n in range(30)]
        found = await queue.abatch(batch.id)
        assert (await queue.abatches())[0].id == found.id
        assert await found.aretry() == await found.acancel() == 0
        await found.aremove()
        assert await queue.abatches() == []

    asyncio.run(main())


def test_many_awaited_batches_hold_no_thread_each(queues):
    go = threading.Event()
    slow = queues.get_queue("slow")
    held = slow.map(lambda job: go.wait(30), range(1))  # noqa: ARG005

    async def main():
        batches = [slow.batch(held.id) for _ in range(100)]
        tasks = [asyncio.create_task(one.aresults(30)) for one in batches]
        await asyncio.sleep(0.3)
        assert threading.active_count() < 60
        quick = await queues.get_queue("quick").amap(double, [1])  # no thread is taken by them
        assert await quick.aresults(10) == [2]
        go.set()
        assert await asyncio.gather(*tasks) == [[True]] * 100

    asyncio.run(main())


def test_an_awaited_batch_asks_the_server_now_and_then(queue, monkeypatch):
    batch, reads = queue.map(None, [1]), []
    read = StreamWaiter._read
    monkeypatch.setattr(
        StreamWaiter, "_read", lambda self, *words: (reads.append(1), read(self, *words))[1]
    )

    async def main():
        with pytest.raises(DeadlineExceeded):
            await batch.aresults(0.7)

    asyncio.run(main())
    assert len(reads) < 10


def test_waiting_for_thousands_of_results_takes_few_round_trips(queue, make_queues, monkeypatch):
    batch = queue.map(None, range(4000))
    watched = make_queues().get_queue("squares").batch(batch.id)
    calls, main = [], threading.current_thread()
    execute = RedisClient.execute_command

    def counting(self, *args, **options):
        if threading.current_thread() is main:
            calls.append(args[0])
        return execute(self, *args, **options)

    queue.process(double)
    monkeypatch.setattr(RedisClient, "execute_command", counting)
    threading.Timer(0.1, queue.work).start()
    assert watched.results(60) == [2 * n for n in range(4000)]
    assert len(calls) < 20


def test_a_wait_that_takes_too_long_says_how_far_it_is_and_why(queue):
    batch = queue.map(None, range(3))
    with pytest.raises(DeadlineExceeded, match=r"3 of 3 jobs of batch .* within 0\.1 s") as caught:
        batch.results(0.1)
    assert "no worker" in caught.value.hint
    with pytest.raises(DeadlineExceeded, match="3 of 3 jobs"):
        next(batch.as_completed(0.1))
    with pytest.raises(DeadlineExceeded, match="3 of 3 jobs"):
        asyncio.run(batch.aresults(0.1))


def test_no_items_are_a_batch_that_is_done(queue):
    batch = queue.map(double, [])
    assert batch.results(5) == list(batch) == list(batch.as_completed()) == batch.failed == []
    assert (batch.done, batch.progress, len(batch)) == (True, 1.0, 0)
    assert asyncio.run(batch.aresults()) == []


# Failures.


def test_results_raise_with_how_many_failed_and_which(queue):
    batch = queue.map(odd_fails, range(30), attempts=1)
    with pytest.raises(BatchFailed) as caught:
        batch.results(30)
    error = caught.value
    assert isinstance(error, JobFailed)
    assert error.failed == list(range(1, 30, 2))
    assert "15 failed of 30 jobs" in error.message
    assert "items 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 5 more" in error.message
    assert "ValueError: 1 is odd" in error.message
    found = batch.results(30, errors="return")
    assert found[::2] == list(range(0, 30, 2))
    assert all(isinstance(one, JobFailed) for one in found[1::2])
    assert [item.index for item in batch.failed] == error.failed
    assert "3 is odd" in batch.failed[1].error.message


def test_iteration_raises_at_the_item_that_failed(queue):
    results = iter(queue.map(odd_fails, range(4), attempts=1))
    assert next(results) == 0
    with pytest.raises(JobFailed, match="1 is odd"):
        next(results)


def test_a_result_that_could_not_be_kept_is_an_error_of_its_item(queue):
    batch = queue.map(lambda job: object() if job.data else 0, range(2))
    with pytest.raises(UnkeptResult):
        batch.results(30)
    found = batch.results(30, errors="return")
    assert found[0] == 0
    assert isinstance(found[1], UnkeptResult)


def test_failed_items_run_again(queue):
    fails = threading.Event()
    fails.set()

    def flaky(job):
        if fails.is_set() and job.data:
            raise ValueError("not yet")
        return job.data

    batch = queue.map(flaky, range(5), attempts=1)
    with pytest.raises(BatchFailed):
        batch.results(30)
    fails.clear()
    assert batch.retry() == 4
    assert batch.results(30) == list(range(5))
    assert batch.failed == []
    assert (batch.counts().completed, batch.retry()) == (5, 0)


def test_failed_items_run_again_after_their_jobs_were_removed(queue):
    allowed = threading.Event()

    def flaky(job):
        if not allowed.is_set():
            raise ValueError("not yet")
        return job.data, job.options.attempts, job.options.priority

    batch = queue.map(flaky, range(3), attempts=1, priority=7)
    with pytest.raises(BatchFailed):
        batch.results(30)
    for item in batch.failed:
        queue.remove(item.job_id)
    allowed.set()
    assert batch.retry() == 3
    assert batch.results(30) == [[n, 1, 7] for n in range(3)]
    # No attempt of before, which may still run, is taken for one of the new job.
    entry = queue._store.show(f"{batch.id}.0").fields["entry"]
    assert int(entry) > 1_000_000


def test_one_job_that_is_retried_or_removed_counts_in_its_batch(queue):
    batch = queue.map(None, range(3), attempts=1)
    queue.remove(f"{batch.id}.2")
    counts = batch.counts()
    assert (counts.waiting, counts.cancelled, counts.total) == (2, 1, 3)
    queue.work(odd_fails)
    with pytest.raises(BatchFailed, match="1 failed and 1 were cancelled"):
        batch.results(30)
    queue.process(lambda job: "again")  # noqa: ARG005
    batch2 = queue.batch(batch.id)
    queue.retry(f"{batch.id}.1")
    until(lambda: batch2.counts().failed == 0 and batch2.done)
    assert batch2.results(30, errors="return")[:2] == [0, "again"]


def test_jobs_are_cancelled_together_and_none_runs_after_that(queue):
    go, ran = threading.Event(), []

    def slow(job):
        ran.append(job.data)
        until(lambda: go.is_set() or job.cancelled)
        return job.data

    queue.work(slow, concurrency=1)
    batch = queue.map(slow, range(2 * MOST_JOBS))
    until(lambda: batch.counts().active == 1)
    assert batch.cancel() == 2 * MOST_JOBS
    go.set()
    with pytest.raises(BatchFailed, match="1,000 were cancelled of 1,000 jobs"):
        batch.results(30)
    assert isinstance(batch.results(30, errors="return")[3], JobCancelled)
    assert ran == [0]
    assert queue.counts().left == 0
    assert batch.retry() == 0
    assert batch.retry(cancelled=True) == 2 * MOST_JOBS
    assert batch.results(60) == list(range(2 * MOST_JOBS))


def test_a_batch_that_is_cancelled_while_items_are_added_gets_no_more(queue):
    def items():
        for n in range(3 * MOST_JOBS):
            if n == MOST_JOBS + 5:
                queue.batch("k").cancel()
            yield n

    with pytest.raises(RejectedError, match="was cancelled when 500 of its items were added"):
        queue.map(None, items(), key="k")
    assert queue.counts().left == 0
    with pytest.raises(RejectedError, match="was cancelled"):
        queue.map(None, range(3 * MOST_JOBS), key="k")
    queue.batch("k").retry(cancelled=True)
    assert queue.map(None, range(3 * MOST_JOBS), key="k").counts().waiting == 3 * MOST_JOBS


# Keys.


def test_a_key_finds_the_same_batch_and_adds_nothing_twice(queue, make_queues):
    ran = []
    queue.work(lambda job: ran.append(job.data))
    first = queue.map(None, range(700), key="monday")
    first.results(30)
    again = make_queues().get_queue("squares")  # a restarted kernel
    again.work(lambda job: ran.append(job.data))
    batch = again.map(None, range(700), key="monday")
    assert (batch.id, batch.key, batch.results(30)) == (first.id, "monday", [None] * 700)
    assert sorted(ran) == list(range(700))
    assert again.batch("monday").id == first.id


def test_only_the_rest_is_added_after_the_call_was_cut_off(queue):
    def cut():
        yield from range(2 * MOST_JOBS + 10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        queue.map(None, cut(), key="k")
    batch = queue.batch("k")
    assert (batch.counts().total, batch.counts().sealed) == (2 * MOST_JOBS, False)
    for read in (batch.results, lambda: next(batch.as_completed()), lambda: next(iter(batch))):
        with pytest.raises(RejectedError, match="1,000 were added so far") as caught:
            read()
        assert "key='k' again" in caught.value.hint
    assert queue.map(None, iter(range(1300)), key="k").counts().total == 1300
    assert [job.data for job in queue.jobs("waiting", 2000)] == list(range(1300))


@pytest.mark.parametrize(
    ("other", "where"),
    [
        (range(1, 1201), "items 0 to 499 are others"),
        ([*range(1100), *[0] * 100], "items 1,000 to 1,199 are others"),
        (range(1199), "items 1,000 to 1,198 are others"),
        ([*range(1000), 0], "item 1,000 is another"),
        (range(1201), "items 1,000 to 1,200 are others"),
        (range(1000), "it has more"),
        ([], "it has more"),
        (range(1700), "items 1,000 to 1,499 are others"),
    ],
    ids=["first", "last", "fewer", "one", "more", "piece less", "none", "piece more"],
)
def test_a_key_with_other_items_is_refused_and_says_where_they_differ(queue, other, where):
    queue.map(None, range(1200), key="k")
    for items in (other, iter(other)):
        with pytest.raises(UsageError, match=where):
            queue.map(None, items, key="k")
    assert queue.counts().waiting == 1200


def test_more_items_than_a_key_has_are_refused_at_the_end_of_a_piece(queue):
    queue.map(None, range(MOST_JOBS), key="k")
    with pytest.raises(UsageError, match="item 500 is another"):
        queue.map(None, range(MOST_JOBS + 1), key="k")


def test_the_order_of_names_in_an_item_makes_no_other_item(queue):
    first = queue.map(None, [{"a": 1, "b": 2}], key="k")
    assert queue.map(None, [{"b": 2, "a": 1}], key="k").id == first.id


def test_a_key_for_another_function_is_refused(queues):
    queues.get_queue("a").map("tests.core.test_queue_map:double", [1], key="k")
    with pytest.raises(UsageError, match=r"test_queue_map:double; here .*test_queue_map:pair"):
        queues.get_queue("a").map("tests.core.test_queue_map:pair", [1], key="k")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attempts": 5}, "attempts=3; here attempts=5"),
        ({"priority": 1}, "priority=0; here priority=1"),
        ({"delay": 2}, "delay=0.0; here delay=2.0"),
        ({"backoff": 2}, "backoff={'type': 'exponential', 'delay': 2.0}; here backoff=2.0"),
        ({"timeout": 9}, "timeout=None; here timeout=9.0"),
        ({"lifo": True}, "lifo=False; here lifo=True"),
        ({"result_ttl": 60}, "result_ttl=604800.0; here result_ttl=60.0"),
    ],
    ids=str,
)
def test_a_key_with_another_option_is_refused_and_names_it(queue, options, words):
    batch = queue.map(None, [1], key="k")
    with pytest.raises(UsageError, match="key 'k' was used for batch") as caught:
        queue.map(None, [1], key="k", **options)
    assert words in caught.value.message
    assert "another key for other options" in caught.value.hint
    assert batch.counts().total == 1


def test_a_key_without_a_time_finds_its_batch_whatever_its_own_time_is(queue):
    first = queue.map(None, [1], key="k", result_ttl=60)
    assert queue.map(None, [1], key="k").id == first.id


def test_a_batch_of_earlier_code_is_found_with_any_option(queue):
    batch = queue.map(None, [1], key="k")
    store = queue._parts.batches
    store.jobs.redis.hdel(store.key(batch.id), "options")
    assert queue.map(None, [1], key="k", attempts=5).id == batch.id


def test_a_key_is_free_again_after_its_batch_was_removed(queue):
    batch = queue.map(None, [1], key="k")
    with pytest.raises(RejectedError, match="1 of its jobs have not ended"):
        batch.remove()
    batch.cancel()
    batch.remove()
    for call in (batch.counts, batch.results, batch.cancel, batch.retry, batch.remove):
        with pytest.raises(NotFoundError, match="no batch k in squares"):
            call()
    with pytest.raises(NotFoundError):
        queue.batch("k")
    assert queue.map(None, [2], key="k").id != batch.id


# How long it is kept.


def test_results_are_kept_when_the_jobs_are_no_longer(queue):
    batch = queue.map(double, range(300))
    assert batch.results(30) == [2 * n for n in range(300)]
    assert queue.counts()["completed"] == 100
    assert batch.results(30) == [2 * n for n in range(300)]


def ttls(queue, batch):
    store = queue._parts.store
    names = [one.decode() for one in store.redis.keys(f"{store.base}:batch*")]
    own = [one for one in names if batch.id in one or "batchkey" in one]
    return {store.redis.pttl(one) for one in own}


def test_a_batch_expires_after_its_last_job_has_ended_and_not_before(queue):
    batch = queue.map(None, range(3), key="k", result_ttl=100, attempts=1)
    assert ttls(queue, batch) == {-1}
    queue.work(odd_fails)
    until(lambda: batch.done)
    left = ttls(queue, batch)
    assert all(90_000 < one <= 100_000 for one in left)
    queue.stop()
    batch.retry()
    assert ttls(queue, batch) == {-1}


@pytest.mark.parametrize(("key", "unread", "read"), [(None, 86_400, 3600), ("k", 604_800, 604_800)])
def test_a_batch_without_a_key_is_kept_for_an_hour_once_it_was_read(queue, key, unread, read):
    batch = queue.map(double, range(3), key=key)
    until(lambda: batch.done)
    assert all(unread - 60 < one / 1000 <= unread for one in ttls(queue, batch))
    batch.results(10)
    assert all(read - 60 < one / 1000 <= read for one in ttls(queue, batch))


def test_a_batch_of_which_nothing_was_added_expires_too(queue):
    def items():
        raise ValueError("no disk")
        yield

    with pytest.raises(ValueError, match="no disk"):
        queue.map(None, items(), key="k")
    assert all(one > 0 for one in ttls(queue, queue.batch("k")))


def test_batches_are_listed_newest_first_and_those_that_are_gone_are_not(queue):
    made = [queue.map(None, [n]) for n in range(4)]
    made[2].cancel()
    made[2].remove()
    assert [one.id for one in queue.batches()] == [made[n].id for n in (3, 1, 0)]
    assert [one.id for one in queue.batches(1)] == [made[3].id]
    store = queue._parts.store
    store.redis.delete(f"{store.base}:batch:{made[1].id}")
    assert [one.id for one in queue.batches()] == [made[n].id for n in (3, 0)]


# Functions.


def test_a_function_that_only_this_process_has_is_run_here(queue):
    factor = 3
    assert queue.map(lambda job: job.data * factor, [1, 2]).results(30) == [3, 6]
    assert queue.worker is not None


def test_a_named_function_is_left_to_workers_elsewhere(queue, make_queues):
    batch = queue.map("tests.core.test_queue_map:double", [4])
    assert queue.worker is None
    assert queue.get(f"{batch.id}.0").state == "waiting"
    make_queues().get_queue("squares").work(double)
    assert batch.results(30) == [8]


def test_a_function_runs_elsewhere_where_a_worker_has_it(queue, make_queues):
    other = make_queues().get_queue("squares")
    other.work(double)
    until(queue.workers)
    assert queue.map(double, [4]).results(30) == [8]
    assert queue.worker is None


def test_a_marked_function_brings_its_options(queues):
    queue = queues.get_queue("elsewhere")
    with pytest.raises(UsageError, match="item 1: the job's value is"):
        queue.map(checked, [1, "x"])
    assert queue.map(checked, [1]).results(30) == ["int"]
    assert queue.current.timeout == 60


def test_a_coroutine_function_is_mapped_too(queue):
    async def wait(job):
        await asyncio.sleep(0.01)
        return job.data

    assert queue.map(wait, range(3)).results(30) == [0, 1, 2]


def test_another_function_than_that_of_the_worker_here_is_refused(queue):
    queue.work(double)
    with pytest.raises(UsageError, match=r"works with .*double .this process., not with .*pair"):
        queue.map(pair, [1])
    with pytest.raises(UsageError, match="works with"):
        queue.map("tests.core.test_queue_map:pair", [1])
    assert queue.map(double, [1]).results(30) == [2]
    assert queue.map(None, [1]).results(30) == [2]


def test_another_function_than_that_of_a_worker_elsewhere_is_refused(queue, make_queues):
    make_queues().get_queue("squares").work(double)
    until(queue.workers)
    with pytest.raises(UsageError, match=r"works with .*double .process \d+ on .*, not with"):
        queue.map(pair, [1])
    with pytest.raises(UsageError, match="not with"):
        queue.map(lambda job: job.data, [1])
    assert queue.counts().waiting == 0


def test_a_function_of_this_process_only_is_refused_beside_workers_elsewhere(queue, make_queues):
    def local(job):
        return job.data

    make_queues().get_queue("squares").work(local)
    until(queue.workers)
    with pytest.raises(UsageError, match="exists in this process only"):
        queue.map(local, [1])


def test_a_worker_with_another_function_refuses_the_jobs_of_a_batch(queue, make_queues):
    batch = queue.map("tests.core.test_queue_map:double", [4])
    other = make_queues().get_queue("squares")
    other.work(pair)
    with pytest.raises(
        BatchFailed, match=r"is for .*:double, and this worker of squares has .*pair"
    ):
        batch.results(30)
    other.stop()
    other.work(double)
    batch.retry()
    assert batch.results(30) == [8]


def test_another_lambda_has_to_wait_for_the_jobs_of_the_first(queue):
    go = threading.Event()
    first = queue.map(lambda job: go.wait(30) and "first", [1])  # noqa: ARG005
    with pytest.raises(UsageError, match="has jobs for another"):
        queue.map(lambda job: "second", [1])  # noqa: ARG005
    go.set()
    assert first.results(30) == ["first"]
    assert queue.map(lambda job: "second", [1]).results(30) == ["second"]  # noqa: ARG005


def test_a_function_that_was_edited_replaces_the_one_before(queue):
    def make(answer):
        namespace = {"__name__": "__main__", "answer": answer}
        exec("def f(job): return answer", namespace)
        return namespace["f"]

    assert queue.map(make(1), [0]).results(30) == [1]
    assert queue.map(make(2), [0]).results(30) == [2]


@pytest.mark.parametrize(
    ("f", "message"),
    [
        ("no_such_module:f", "no_such_module cannot be imported: ModuleNotFoundError"),
        ("tests.core.test_queue_map:doubel", "has no doubel"),
        ("double", "f must be a function or 'module:function'"),
        ("tests.core.test_queue_map:__doc__", "f must be a function"),
        (7, "f must be a function"),
        (lambda: 1, "the processor"),
    ],
)
def test_what_is_no_function_is_refused_before_anything_is_added(queue, f, message):
    with pytest.raises(UsageError, match=message):
        queue.map(f, [1])
    assert queue.batches() == []
    assert queue.counts().waiting == 0


# Bad input.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": ""}, "key must be text that names the items"),
        ({"key": 7}, "key must be text"),
        ({"attempts": 0}, "attempts must be"),
        ({"priority": -1}, "priority must be"),
        ({"delay": -1}, "delay must be"),
        ({"result_ttl": 0}, "result_ttl must be"),
        ({"timeout": 0}, "timeout must be"),
        ({"correlation_id": 7}, "correlation_id"),
        ({"prio": 1}, "map has no option prio"),
    ],
)
def test_options_that_cannot_be_used_are_refused(queue, options, message):
    with pytest.raises(UsageError, match=message):
        queue.map(double, [1], **options)
    assert queue.batches() == []


@pytest.mark.parametrize("items", ["text", 7, None, {"a": 1}])
def test_what_is_no_list_of_items_is_refused(queue, items):
    with pytest.raises(UsageError, match="items must be a list or another iterable"):
        queue.map(double, items)


def test_a_list_is_checked_before_anything_is_added(queue):
    with pytest.raises(UsageError, match="item 600: the job's value cannot be sent"):
        queue.map(double, [*range(600), object()])
    assert queue.batches() == []
    assert queue.worker is None


def test_a_generator_says_what_was_added_before_an_item_that_cannot_be_stored(queue):
    with pytest.raises(UsageError, match="500 jobs were added, and then: item 600: "):
        queue.map(None, iter([*range(600), object()]), key="k")
    assert queue.batch("k").counts().total == MOST_JOBS


@pytest.mark.parametrize("errors", ["ignore", None])
def test_errors_are_raised_or_returned(queue, errors):
    with pytest.raises(UsageError, match="errors must be"):
        queue.map(double, []).results(errors=errors)


@pytest.mark.parametrize("call", ["batch", "batches"])
def test_a_batch_is_named_by_a_text(queue, call):
    with pytest.raises(UsageError):
        getattr(queue, call)(None)


def test_a_batch_that_there_is_not_says_which_there_are(queue):
    with pytest.raises(NotFoundError, match="there is no batch monday in squares") as caught:
        queue.batch("monday")
    assert "batches()" in caught.value.hint


# Memory, and a server that goes away.


def test_a_generator_is_never_in_memory_as_a_whole(queue):
    made = 0

    def items():
        nonlocal made
        for n in range(8000):
            made = n
            yield {"n": n, "text": "x" * 200 + str(n)}

    tracemalloc.start()
    batch = queue.map(None, items(), key="big")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (made, len(batch)) == (7999, 8000)
    assert peak < 2_500_000  # as a list it is 4 MB


def test_an_answer_that_is_lost_adds_no_item_twice(far_queues):
    relay, queues = far_queues
    queue, states = queues.get_queue("squares"), []

    def passes(_, data):
        if not states and ADD_PIECE.sha.encode() in data:
            states.append("sent")
        elif states == ["sent"]:  # the answer
            states.append("lost")
            relay.cut()
            return False
        return True

    queue.map(None, [0])  # the script is known
    relay._passes = passes
    batch = queue.map(None, range(20))
    assert states == ["sent", "lost"]
    assert batch.counts().waiting == 20


def test_a_server_that_goes_away_while_items_are_added_leaves_a_batch_to_go_on(far_queues, queue):
    relay, queues = far_queues
    far = queues.get_queue("squares")

    def items():
        for n in range(3 * MOST_JOBS):
            if n == 2 * MOST_JOBS:
                relay.cut()
                relay._passes = lambda *_: False
            yield n

    with pytest.raises(PartlyAdded, match="500 jobs were added, 500 may have been") as caught:
        far.map(None, items(), key="k")
    assert "key='k' adds the rest" in caught.value.hint
    assert caught.value.added == [f"{queue.batch('k').id}.{n}" for n in range(500)]
    batch = queue.map(None, range(3 * MOST_JOBS), key="k")
    assert batch.counts().total == queue.counts().waiting == 3 * MOST_JOBS


def test_a_wait_goes_on_over_an_outage(far_queues, queue):
    relay, queues = far_queues
    go = threading.Event()
    batch = queue.map(lambda job: go.wait(30) and job.data, range(5))
    far = queues.get_queue("squares").batch(batch.id)

    def outage():
        time.sleep(0.2)
        relay._passes = lambda *_: False
        relay.cut()
        go.set()
        time.sleep(1.0)
        relay._passes = lambda *_: True
        relay.cut()

    cutting = threading.Thread(target=outage)
    cutting.start()
    assert far.results(60) == list(range(5))
    cutting.join()


def test_a_processor_that_waits_for_a_batch_which_nobody_can_run_gets_an_error(queue):
    def nested(job):
        if job.data:
            return 1
        return queue.map(None, [1, 1]).results()

    queue.work(nested, concurrency=1)
    with pytest.raises(JobFailed, match=r"job of batch .* cannot start: all threads"):
        queue.add(0, attempts=1).result(30)


# How it is shown.


def test_the_state_of_a_batch_is_shown_as_a_bar_with_counts(queue):
    batch = queue.map(None, range(4), key="<b>", attempts=1)
    assert repr(batch) == "Batch(squares <b>: 0 of 4)"
    assert 'max="4" value="0"' in batch._repr_html_()
    assert "&lt;b&gt;: 0 of 4" in batch._repr_html_()
    queue.work(odd_fails)
    counts = until(lambda: (found := batch.counts()).done and found)
    assert (counts.failed, counts.completed, counts.left, counts.progress) == (2, 2, 0, 1.0)
    assert counts.rate > 0
    assert counts.seconds_left is None
    assert "squares &lt;b&gt;: 4 of 4, 2 failed" in batch._repr_html_()
    batch.remove()
    assert 'value="4"' in batch._repr_html_()  # as it was seen last


def test_the_time_that_is_left_is_shown_while_jobs_run(queue):
    go = threading.Event()
    batch = queue.map(lambda job: job.data < 3 or go.wait(30), range(6))
    until(lambda: (found := batch.counts()).completed == found.active == 3)
    counts = batch.counts()
    assert counts.waiting == 0
    assert counts.seconds_left == pytest.approx(3 / counts.rate)
    assert "/s, " in repr(batch)
    assert repr(batch).endswith(" left at this rate)")
    assert batch.progress == 0.5
    go.set()
    batch.results(30)

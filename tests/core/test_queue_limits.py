"""Limits of a queue: rates and concurrencies over all workers, for all jobs or for each key."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from dataclasses import replace

import pytest

from agentnb.core.clock import Clock
from agentnb.core.errors import AgentnbError, NotFoundError, UsageError
from agentnb.core.queue import Queues
from agentnb.core.work import threads
from agentnb.core.work.limits import Limit
from agentnb.core.work.store import Claim

from .queue_claims import claim, dead_here, finish

NUMBERS = itertools.count()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(shared_redis, clock):
    runtime = replace(shared_redis.runtime, clock=clock)
    prefix = f"limits-{next(NUMBERS)}"
    with Queues(shared_redis, prefix=prefix, runtime=runtime) as queues:
        yield queues.get_queue("ask")


def none_is_given(queue):
    """Return the seconds until there is room, None for none that is known."""
    found = queue._work_store().claim("me")
    assert not isinstance(found, Claim), found
    return found


# The calls


def test_limits_are_shown_replaced_and_removed(queue):
    assert queue.limits() == []
    queue.limit(10, per=60, by="data.user")
    assert queue.limit(concurrency=4, by="data.model") == queue.limits()
    assert queue.limit(5, per=1) == [
        Limit(5, 1.0),
        Limit(concurrency=4, by="data.model"),
        Limit(10, 60.0, by="data.user"),
    ]
    queue.limit(20, per=0.5, concurrency=2, by="data.user")
    assert [str(one) for one in queue.limits()] == [
        "5 per 1 s",
        "concurrency 4 for each data.model",
        "concurrency 2 for each data.user",
        "20 per 0.5 s for each data.user",
    ]
    assert len(queue.unlimit(by="data.user")) == 2
    assert queue.unlimit(by=None) == [Limit(concurrency=4, by="data.model")]
    assert queue.limit(None) == queue.limits() == queue.unlimit() == []


def test_a_limit_is_removed_by_its_field_only(queue):
    queue.limit(10, per=60)
    queue.limit(10, per=60, by="data.user")
    assert queue.limit(None, by="data.user") == [Limit(10, 60.0)]


def test_another_process_sees_the_limits_at_once(queue, shared_redis):
    queue.limit(concurrency=1)
    with Queues(shared_redis, prefix=queue.queues._keys.prefix) as others:
        other = others.get_queue("ask")
        assert other.limits() == queue.limits()
        other.limit(concurrency=2)
    assert queue.limits() == [Limit(concurrency=2)]


BAD = {
    "rate must be 1 to 1,000,000, got 0": lambda queue: queue.limit(0, per=60),
    "rate must be 1 to 1,000,000, got '10'": lambda queue: queue.limit("10", per=60),
    "rate must be 1 to 1,000,000, got 1.5": lambda queue: queue.limit(1.5, per=60),
    "rate must be 1 to 1,000,000, got 2,000,000": lambda queue: queue.limit(2_000_000, per=60),
    "per must be 0.001 to 2,592,000, got 0": lambda queue: queue.limit(1, per=0),
    "per must be 0.001 to 2,592,000, got nan": lambda queue: queue.limit(1, per=float("nan")),
    "per must be 0.001 to 2,592,000, got 10,000,000": lambda queue: queue.limit(1, per=10**7),
    "a rate of 10 needs per, its seconds": lambda queue: queue.limit(10),
    "per belongs to a rate, and none was given": lambda queue: queue.limit(per=60),
    "concurrency must be 1 to 1,000,000, got 0": lambda queue: queue.limit(concurrency=0),
    "concurrency must be 1 to 1,000,000, got -1": lambda queue: queue.limit(concurrency=-1),
    "a limit is a rate, a concurrency or both, and none was given": lambda queue: queue.limit(),
    "by must be a field of the job's data, such as 'data.user', got 'user'": lambda queue: (
        queue.limit(concurrency=1, by="user")
    ),
    "by must be a field of the job's data, such as 'data.user', got 'data..user'": lambda queue: (
        queue.limit(concurrency=1, by="data..user")
    ),
    "by must be a field of the job's data, such as 'data.user', got ''": lambda queue: queue.limit(
        concurrency=1, by=""
    ),
    "by must be a field of the job's data, such as 'data.user', got 7": lambda queue: queue.limit(
        concurrency=1, by=7
    ),
    "limit has no option concurency": lambda queue: queue.limit(concurency=1),
}


@pytest.mark.parametrize("message", BAD)
def test_a_limit_that_is_none_is_refused_and_nothing_changes(queue, message):
    queue.limit(7, per=7)
    with pytest.raises(UsageError) as caught:
        BAD[message](queue)
    assert caught.value.message == message
    assert caught.value.hint
    assert queue.limits() == [Limit(7, 7.0)]


def test_the_hint_for_a_field_names_the_data(queue):
    with pytest.raises(UsageError) as caught:
        queue.limit(concurrency=1, by="user")
    assert caught.value.hint == "by='data.user'"


def test_a_limit_that_is_not_there_cannot_be_removed_by_its_field(queue):
    queue.limit(concurrency=1)
    with pytest.raises(NotFoundError, match=r"ask has no limit by data\.user"):
        queue.unlimit(by="data.user")
    assert queue.limits()


async def awaited(queue):
    await queue.alimit(1, per=60)
    job = await queue.aadd(1)
    claim(queue)
    job = await queue.aadd(2)
    reasons = await queue.areasons([job])
    return await queue.alimits(), reasons, await queue.aunlimit()


def test_limits_can_be_awaited(queue):
    limits, reasons, left = asyncio.run(awaited(queue))
    assert (limits, left) == ([Limit(1, 60.0)], [])
    assert reasons[0].startswith("rate of 1 per 60 s: from ")


# Rates


def test_no_window_has_more_starts_than_the_rate_wherever_it_begins(queue, clock):
    queue.limit(10, per=60)
    for n in range(40):
        queue.add(n)
    starts = []
    # 5 starts just before a minute is over, and as many as there are just after.
    clock.advance(58)
    for _ in range(200):
        found = queue._work_store().claim("me")
        if isinstance(found, Claim):
            starts.append(clock.time())
        else:
            clock.advance(7)
    assert len(starts) == 40
    for first, eleventh in zip(starts, starts[10:], strict=False):
        assert eleventh - first >= 59.9
    assert starts[10] - starts[0] < 69  # and it is not idle while there is room


def test_the_time_at_which_there_is_room_is_told(queue, clock):
    queue.limit(1, per=60)
    queue.add(1)
    queue.add(2)
    claim(queue)
    assert 50 < none_is_given(queue) <= 60.01
    assert 50 < queue._work_store().renew("me", []).due <= 60.01
    assert 50 < queue._work_store().due() <= 60.01
    clock.advance(60.01)
    assert claim(queue).payload.data == 2


def test_a_retry_and_a_release_count_as_starts(queue):
    queue.limit(3, per=60)
    queue.add(1, attempts=5)
    finish(queue, claim(queue), "retry", delay=0)
    assert queue._work_store().release(claim(queue))
    claim(queue)
    queue.add(2)
    assert none_is_given(queue) > 50


def test_a_key_over_its_rate_does_not_stop_jobs_of_others_behind_it(queue):
    queue.limit(2, per=60, by="data.user")
    queue.add_many([{"user": "greedy", "n": n} for n in range(2000)])
    late = queue.add({"user": "late"})
    assert [claim(queue).payload.data["n"] for _ in range(2)] == [0, 1]
    # A claim looks at a thousand jobs at most, and is repeated at once.
    found = [queue._work_store().claim("me") for _ in range(3)]
    ids = [one.id for one in found if isinstance(one, Claim)]
    assert ids == [late.id]
    assert all(one == 0 or isinstance(one, Claim) for one in found[:2])
    assert none_is_given(queue) > 50


def test_priorities_hold_among_those_that_wait_for_a_limit(queue, clock):
    queue.limit(1, per=60, by="data.user")
    queue.add({"user": 1, "n": "first"})
    claim(queue)
    for n, priority in (("low", 9), ("middle", 5), ("high", 1)):
        queue.add({"user": 1, "n": n}, priority=priority)
        assert none_is_given(queue)
    order = []
    for _ in range(3):
        clock.advance(60.01)
        order.append(claim(queue).payload.data["n"])
        assert none_is_given(queue) or len(order) == 3
    assert order == ["high", "middle", "low"]


# Concurrency

ENDS = {
    "completed": lambda queue, it: finish(queue, it, "completed"),
    "failed": lambda queue, it: finish(queue, it, "failed"),
    "retried": lambda queue, it: finish(queue, it, "retry", delay=99),
    "cancelled by its attempt": lambda queue, it: finish(queue, it, "cancelled"),
    "cancelled": lambda queue, it: queue.cancel(it.id),
    "removed": lambda queue, it: queue.remove(it.id, force=True),
}


@pytest.mark.parametrize("by", [None, "data.user"])
@pytest.mark.parametrize("end", ENDS)
def test_an_end_gives_the_place_back_once(queue, end, by):
    queue.limit(concurrency=2, by=by)
    for n in range(5):
        queue.add({"user": 1, "n": n})
    running = [claim(queue), claim(queue)]
    assert none_is_given(queue) is None
    for _ in range(2):  # a repeated end gives no second place
        with contextlib.suppress(AgentnbError):  # it is gone
            ENDS[end](queue, running[0])
    claim(queue)
    assert none_is_given(queue) in (None, 99) or end == "retried"
    assert queue.counts()["active"] == 2


def test_a_released_job_takes_the_place_that_it_gave_back(queue):
    queue.limit(concurrency=1)
    first, _ = queue.add(1), queue.add(2)
    held = claim(queue)
    assert queue._work_store().release(held)
    assert claim(queue).id == first.id
    assert none_is_given(queue) is None


def test_a_limit_below_what_runs_lets_nothing_start_until_enough_has_ended(queue):
    for n in range(6):
        queue.add(n)
    running = [claim(queue) for _ in range(4)]  # before there is a limit: these count, too
    queue.limit(concurrency=2)
    for held in running[:2]:
        assert none_is_given(queue) is None
        finish(queue, held, "completed")
    assert none_is_given(queue) is None
    finish(queue, running[2], "completed")
    claim(queue)
    assert none_is_given(queue) is None
    queue.unlimit()
    claim(queue)


@pytest.mark.parametrize("end", ["cancel", "remove"])
def test_the_turn_of_a_waiting_job_that_goes_away_passes_to_the_next(queue, end):
    queue.limit(concurrency=1, by="data.model")
    queue.limit(concurrency=9, by="data.user")
    jobs = [queue.add({"model": "a", "user": n}) for n in range(3)]
    held = claim(queue)
    assert none_is_given(queue) is None
    finish(queue, held, "completed")
    getattr(queue, end)(jobs[1].id)  # the turn was its own
    assert claim(queue).id == jobs[2].id


def test_jobs_that_go_away_leave_nothing_in_the_indexes_of_limits(queue):
    queue.limit(concurrency=1, by="data.model")
    jobs = [queue.add({"model": "a"}) for _ in range(4)]
    claim(queue)
    assert none_is_given(queue) is None
    jobs.append(queue.add({"model": "a"}))
    for job, end in zip(jobs[1:], (queue.cancel, queue.remove) * 2, strict=True):
        end(job.id)
    store, names = queue._store, ("inbox", "lanes", "ready", "blocked", "at")
    assert not store.redis.exists(*[f"{store.base}:{name}" for name in names])


def test_a_pause_keeps_places_and_gives_them_back(queue):
    queue.limit(concurrency=1, by="data")
    queue.add("a")
    queue.add("a")
    held = claim(queue)
    queue.pause()
    finish(queue, held, "completed")
    assert none_is_given(queue) is None
    queue.resume()
    claim(queue)


def test_a_job_that_was_retried_by_hand_and_one_that_was_delayed_obey_the_limit(queue, clock):
    queue.limit(concurrency=1, by="data")
    job = queue.add("a")
    finish(queue, claim(queue), "failed")
    queue.add("a", delay=10)
    job.retry()
    clock.advance(11)
    assert claim(queue).id == job.id
    assert none_is_given(queue) is None


# Keys

KEYS = [None, True, 1, 2**63, 2**63 + 1, 1.5, "1", "ada", "", 'ä\n"', [1], [], {"a": 1}, "x" * 500]


def test_each_value_is_a_key_of_its_own_whatever_its_type(queue):
    queue.limit(concurrency=1, by="data.user")
    for _ in range(2):
        for key in KEYS:
            queue.add({"before": ["}", {"user": 0}], "user": key, "after": None})
    assert [claim(queue).payload.data["user"] for _ in KEYS] == KEYS
    assert none_is_given(queue) is None


def test_jobs_without_the_field_share_the_key_none(queue):
    queue.limit(concurrency=1, by="data.user.id")
    for data in ({}, {"user": None}, {"user": "ada"}, {"user": {"id": None}}, [1], "user", None):
        queue.add(data)
    assert claim(queue).payload.data == {}
    assert none_is_given(queue) is None


def test_a_message_of_another_program_has_the_key_none_and_stops_nothing(queue):
    queue.limit(concurrency=1, by="data.user")
    job, store = queue.add({"user": 1}), queue._store
    store.redis.hset(f"{store.jobs}{job.id}", "message", b'{"data": {"user": "')
    assert claim(queue).id == job.id


def test_any_number_of_keys_leaves_nothing_behind(queue, clock):
    queue.limit(concurrency=1, by="data.user")
    queue.limit(1, per=0.05, by="data.user")
    store = queue._store
    queue.add_many([{"user": n % 300} for n in range(600)])
    while isinstance(found := queue._work_store().claim("me"), Claim) or queue.counts().left:
        if isinstance(found, Claim):
            finish(queue, found, "completed")
        else:
            clock.advance(found or 0.01)
    time.sleep(0.2)
    kept = [key.decode() for key in store.redis.keys(f"{store.base}:*")]
    left = {key.removeprefix(f"{store.base}:") for key in kept}
    assert not {one for one in left if one.startswith("starts:")}
    assert left <= {"completed", "completed:100", "meta", "room", "bell", "workers"}


# Reasons


def test_jobs_say_which_limit_they_wait_for(queue):
    queue.limit(1, per=60, by="data.user")
    queue.limit(concurrency=1, by="data.model")
    first = queue.add({"user": 7, "model": "gpt"})
    by_rate = queue.add({"user": 7, "model": "llama"})
    by_places = queue.add({"user": 8, "model": "gpt"})
    by_both = queue.add({"user": 7, "model": "gpt"})
    free = queue.add({"user": 9, "model": "mistral"})
    claim(queue)
    rate, places, both, none = queue.reasons([by_rate, by_places, by_both, free])
    assert rate.startswith("rate of 1 per 60 s for data.user=7: from ")
    assert places == "concurrency 1 of 1 for data.model='gpt'"
    assert both == f"{places}; {rate}"
    assert none == ""
    assert queue.reasons([]) == []
    assert first.reason is None
    assert by_places.reason.endswith(f"; {places}")


def test_a_job_says_why_it_waits(queue):
    job = queue.add(1)
    assert "no worker is running for queue ask" in job.reason
    later = queue.add(2, delay=3600)
    assert later.reason.startswith("delayed until ")
    queue.pause()
    assert "ask is paused" in job.reason
    queue.resume()
    queue.limit(concurrency=1)
    held = claim(queue)
    assert held.payload.reason is None
    other = queue.add(3)
    assert other.reason.startswith("no worker is running")
    assert other.reason.endswith("; concurrency 1 of 1")
    queue._work_store().renew("me", [held.key])
    assert other.reason == "concurrency 1 of 1"
    finish(queue, held, "completed")
    assert queue.get(held.id).reason is None


def test_a_job_behind_others_says_how_many(queue):
    go, begun = threading.Event(), threading.Event()

    def slow(_):
        begun.set()
        go.wait(30)

    queue.work(slow, concurrency=1)
    queue.add(0)
    assert begun.wait(30)
    try:
        queue.add(1)
        assert queue.add(2).reason == "all workers are busy, 1 job runs before it"
    finally:
        go.set()


# Workers


def test_workers_obey_a_limit_and_wake_when_there_is_room(queue, shared_redis):
    queue.limit(concurrency=2, by="data.model")
    running, most, lock = {"a": 0, "b": 0}, {"a": 0, "b": 0}, threading.Lock()

    def work(job):
        model = job.data["model"]
        with lock:
            running[model] += 1
            most[model] = max(most[model], running[model])
        time.sleep(0.01)
        with lock:
            running[model] -= 1

    with Queues(shared_redis, prefix=queue.queues._keys.prefix) as others:
        jobs = [queue.add({"model": "ab"[n % 2]}) for n in range(40)]
        queue.work(work, concurrency=4)
        others.get_queue("ask").work(work, concurrency=4)
        for job in jobs:
            job.result(30)
    assert most == {"a": 2, "b": 2}


def test_an_idle_worker_wakes_by_the_end_of_a_job_of_another(queue, shared_redis, monkeypatch):
    monkeypatch.setattr(threads, "_IDLE_SECONDS", 600.0)  # after which it looks by itself
    queue.limit(concurrency=1)
    with Queues(shared_redis, prefix=queue.queues._keys.prefix) as others:
        queue.add(1)
        held = claim(queue, "other host")
        job = queue.add(2)
        worker = others.get_queue("ask").work(lambda job: job.data, concurrency=1)
        time.sleep(0.3)  # it looks, and sleeps
        assert job.state == "waiting"
        finish(queue, held, "completed")
        assert job.result(30) == 2
        worker.stop()


@pytest.mark.parametrize("by", [None, "data.user"])
def test_a_claim_wakes_another_worker_while_there_is_room_for_more(queue, clock, by):
    store = queue._store
    queue.limit(2, per=60, by=by)
    for _ in range(4):
        queue.add({"user": 1})
    claim(queue)
    claim(queue)
    assert none_is_given(queue)
    assert not store.redis.exists(f"{store.base}:bell")
    clock.advance(60.01)
    claim(queue)
    assert store.redis.exists(f"{store.base}:bell")


def test_a_change_is_seen_at_once_by_workers_that_run(queue, caplog):
    caplog.set_level(logging.INFO, "agentnb.queue")
    queue.limit(1, per=3600)
    jobs = [queue.add(n) for n in range(3)]
    queue.work(lambda job: job.data)
    assert jobs[0].result(30) == 0
    assert jobs[1].state == "waiting"
    queue.limit(2, per=3600)
    assert jobs[1].result(30) == 1
    assert jobs[2].state == "waiting"
    queue.unlimit()
    assert jobs[2].result(30) == 2
    said = [record.getMessage() for record in caplog.records]
    assert "queue is limited: 2 per 3,600 s" in said
    assert "limits are removed" in said


def test_a_dead_worker_keeps_its_place_until_its_job_is_reclaimed(queue):
    queue.limit(concurrency=1)
    job, other = queue.add(1), queue.add(2)
    store = queue._work_store()
    store.claim(dead_here())
    assert none_is_given(queue) is None
    order = []
    queue.work(lambda job: order.append(job.id), concurrency=2)
    job.result(30)
    other.result(30)
    assert order == [job.id, other.id]

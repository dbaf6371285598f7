"""The fence of a job: of its claims only the latest writes, and every step may be repeated."""

from __future__ import annotations

import time

import msgspec
import pytest

from agentnb.core.queue import scripts
from agentnb.core.queue.options import DEFAULTS
from agentnb.core.redis.script import Script

from .queue_claims import LOST, claim, dead_here, finish, held_of

WRITES = {
    "completed": lambda queue, it: finish(queue, it, "completed"),
    "failed": lambda queue, it: finish(queue, it, "failed"),
    "retry": lambda queue, it: finish(queue, it, "retry", delay=1),
    "cancelled": lambda queue, it: finish(queue, it, "cancelled"),
    "released": lambda queue, it: queue._work_store().release(it),
    "progress": lambda queue, it: queue._store.note(it.id, it.owner, it.entry, progress=b"99"),
    "log": lambda queue, it: queue._store.note(it.id, it.owner, it.entry, line="late"),
    "renewal": lambda queue, it: not queue._work_store().renew(it.owner, [it.key]).lost,
}


@pytest.fixture
def queue(queues):
    return queues.get_queue("fence")


def fields_of(queue, job):
    return queue._store.show(job.id).fields, queue._store.log_of(job.id, 10)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("second", ["me", "another"])
def test_nothing_that_a_stale_claim_writes_counts_while_another_is_active(queue, write, second):
    job = queue.add("x")
    stale = claim(queue)
    # Released, so that both claims are attempt 1 of the job.
    assert queue._work_store().release(stale)
    active = claim(queue, second)
    assert (stale.attempt, active.attempt) == (1, 1)
    before = fields_of(queue, job)

    assert not WRITES[write](queue, stale)

    assert fields_of(queue, job) == before
    assert job.state == "active"
    assert WRITES[write](queue, active)


@pytest.mark.parametrize("write", WRITES)
def test_the_attempt_that_a_retried_job_had_before_writes_nothing(queue, write):
    job = queue.add("x")
    stale = claim(queue)
    assert finish(queue, stale, "failed") == "failed"
    job.retry()
    active = claim(queue)
    assert (active.attempt, active.entry) == (1, 2)
    before = fields_of(queue, job)

    assert not WRITES[write](queue, stale)

    assert fields_of(queue, job) == before
    assert WRITES[write](queue, active)


@pytest.mark.parametrize("write", WRITES)
def test_a_claim_whose_job_was_taken_away_writes_nothing(queue, write):
    job = queue.add("x")
    stale = claim(queue)
    job.remove(force=True)
    assert not WRITES[write](queue, stale)
    assert job.state == "gone"


@pytest.mark.parametrize("write", WRITES)
def test_a_claim_whose_job_was_cancelled_writes_nothing(queue, write):
    job = queue.add("x")
    stale = claim(queue)
    job.cancel()
    before = fields_of(queue, job)
    assert not WRITES[write](queue, stale)
    assert fields_of(queue, job) == before
    assert job.state == "cancelled"


@pytest.mark.parametrize("kind", ["completed", "failed", "retry", "cancelled", "released"])
def test_an_end_that_is_repeated_counts_once(queue, kind):
    queue.add("x")
    claimed = claim(queue)
    states = [finish(queue, claimed, kind, delay=60) for _ in range(3)]
    assert len(set(states)) == 1
    assert states[0]
    counts = queue.counts()
    assert counts.left + counts["completed"] + counts["failed"] + counts["cancelled"] == 1
    assert counts.ended == (kind in {"completed", "failed", "cancelled"})


def test_a_release_that_is_repeated_counts_once(queue):
    job = queue.add("x")
    claimed = claim(queue)
    assert [queue._work_store().release(claimed) for _ in range(2)] == [True, True]
    assert queue.get(job.id).attempt == 0


def test_a_job_that_is_added_twice_is_there_once(queue):
    job = queue.add("x")
    message = queue._store.show(job.id).fields["message"]
    assert queue._store.add(job.id, message, DEFAULTS, 0).id == job.id
    assert queue._store.add(job.id, message, DEFAULTS, 60).id == job.id
    assert [one.id for one in queue.jobs()] == [job.id]
    finish(queue, claim(queue), "completed")
    assert queue._store.add(job.id, message, DEFAULTS, 0).id == job.id
    assert job.state == "completed"


def test_a_removal_and_a_cancellation_that_are_repeated_change_nothing(queue):
    job, other = queue.add("x"), queue.add("y")
    removed = [queue._store.remove(job.id, force=False) for _ in range(2)]
    retention = other.options.retention("cancelled")
    cancelled = [queue._store.cancel(other.id, b"{}", retention) for _ in range(2)]
    assert (removed, cancelled) == (["waiting", "gone"], ["waiting", "cancelled"])
    assert queue.counts()["cancelled_total"] == 1


def test_a_job_that_is_released_or_reclaimed_runs_before_the_backlog(queue):
    jobs = [queue.add(n) for n in range(4)]
    released, reclaimed = claim(queue), claim(queue, "dead")
    store = queue._work_store()
    assert store.reclaim(held_of(queue, reclaimed.id), LOST, counted=True) == "waiting"
    assert store.release(released)
    claims = [claim(queue) for _ in range(4)]
    assert [one.id for one in claims] == [job.id for job in jobs]
    assert [one.attempt for one in claims] == [1, 2, 1, 1]


@pytest.mark.parametrize("options", [{"lifo": True}, {"priority": 3}])
def test_a_job_that_comes_back_keeps_its_priority(queue, options):
    queue.add("other", **options)
    queue.add("mine", **options)
    claimed = claim(queue)
    queue._work_store().release(claimed)
    queue.add("more urgent")
    order = [claim(queue).id for _ in range(3)]
    assert order.index(claimed.id) == (0 if options.get("lifo") else 1)


def test_a_job_that_runs_is_left_to_its_worker_by_a_retry(queue):
    job = queue.add("x")
    claimed = claim(queue)
    assert queue._store.requeue(job.id) == "active"
    assert job.state == "active"
    assert finish(queue, claimed, "completed") == "completed"


def test_a_retried_job_runs_behind_the_backlog(queue):
    job = queue.add("again")
    finish(queue, claim(queue), "failed")
    other = queue.add("other")
    job.retry()
    assert [claim(queue).id for _ in range(2)] == [other.id, job.id]


def test_jobs_of_equal_delay_run_in_their_order(queue):
    jobs = [queue.add(n, delay=0.05) for n in range(50)]
    time.sleep(0.2)
    assert [claim(queue).id for _ in range(50)] == [job.id for job in jobs]


def test_a_delayed_job_is_due_within_its_millisecond(queue):
    job = queue.add(1, delay=60)
    due_now = "redis.call('ZADD', base .. ':delayed', now + 4095 / 4096, ARGV[1])"
    body = f"{scripts._BEGIN}{scripts._WAIT}{scripts.NEXT}{due_now} return claim('me', 30000)"
    found = queue._store.run(Script(body), [job.id])
    assert found[0] == job.id.encode()


def test_jobs_of_earlier_code_are_read_and_taken_over(queue, shared_redis):
    base, jobs = queue._store.base, queue._store.jobs
    now = queue._store.now()
    message = b'{"data":{"n":1}}'

    def keep(id_, state, score, **fields):
        shared_redis.hset(
            f"{jobs}{id_}", mapping={"queue": "fence", "message": message, "created": now} | fields
        )
        shared_redis.zadd(f"{base}:{state}", {id_: score})

    keep("waits", "wait", 8589934593)
    keep("delayed", "delayed", now + 50)
    keep("active", "active", now + 30_000, attempt=1, owner=dead_here(), started=now)
    keep("done", "completed", now, attempt=1, owner="gone", result=b"7", finished=now)
    keep("failed", "failed", now, attempt=3, owner="gone", error=b'{"error":"E"}', finished=now)
    queue.work(lambda job: [job.id, job.attempt], concurrency=1)

    assert queue.get("waits").result(10) == ["waits", 1]
    assert queue.get("delayed").result(10) == ["delayed", 1]
    assert queue.get("active").result(10) == ["active", 2]
    assert queue.get("done").result(60) == 7
    failed = queue.get("failed")
    assert failed.failure.error == "E"
    failed.retry()
    assert failed.result(10) == ["failed", 1]


def test_the_worker_that_earlier_code_gave_a_job_can_still_end_it(queue, shared_redis):
    job = queue.add("x")
    claimed = claim(queue)
    shared_redis.hdel(f"{queue._store.jobs}{job.id}", "entry", "order")
    claimed = msgspec.structs.replace(claimed, entry=0)
    store = queue._work_store()
    assert list(store.renew("me", [claimed.key]).lost) == []
    assert queue._store.note(job.id, "me", 0, line="a line")
    assert store.release(claimed)
    assert claim(queue).id == job.id


def test_one_worker_may_hold_two_claims_of_a_job(queue):
    queue.add("x")
    stale = claim(queue)
    queue._work_store().release(stale)
    active = claim(queue)
    report = queue._work_store().renew("me", [stale.key, active.key])
    assert list(report.lost) == [stale.key]
    assert [*report.unknown, *report.others] == []


def test_an_empty_queue_wakes_nobody_for_jobs_that_are_gone(queue, shared_redis):
    for n in range(10):
        queue.add(n)
    for _ in range(10):
        claim(queue)
    assert queue._work_store().claim("me") is None
    # Else an idle worker would ask once for each of them.
    assert shared_redis.llen(f"{queue._store.base}:bell") == 0
    queue.add("another")
    assert shared_redis.llen(f"{queue._store.base}:bell") == 1


def test_as_many_workers_are_woken_as_there_are_jobs_that_are_due(queue, shared_redis):
    bell = f"{queue._store.base}:bell"
    queue.add(0, delay=60)
    assert shared_redis.llen(bell) == 1, "an idle worker learns when the first is due"
    queue.add(0, delay=90)
    assert shared_redis.llen(bell) == 1
    assert queue._work_store().claim("me") > 0
    jobs = [queue.add(n, delay=120).id for n in range(4)]
    shared_redis.zadd(f"{queue._store.base}:delayed", {job: n for n, job in enumerate(jobs)})
    assert claim(queue).id == jobs[0]
    assert shared_redis.llen(bell) == 3

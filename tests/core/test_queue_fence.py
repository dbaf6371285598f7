"""The fence of a job: of its claims only the latest writes, and every step may be repeated."""

from __future__ import annotations

import time

import pytest

from agentnb.core.queue.options import DEFAULTS
from agentnb.core.queue.store import AGAIN, COUNTED, FENCED, GONE
from tests.core.test_queue_leases import dead_here

WRITES = {
    "completed": lambda store, taken, owner: store.finish(taken, owner, "completed", b"1")[0],
    "failed": lambda store, taken, owner: store.finish(taken, owner, "failed", b"1")[0],
    "delayed": lambda store, taken, owner: store.finish(taken, owner, "delayed", b"", delay=1)[0],
    "released": lambda store, taken, owner: store.finish(taken, owner, "wait", b"", counted=False)[
        0
    ],
    "progress": lambda store, taken, owner: store.note(
        taken.id, owner, taken.entry, progress=b"99"
    ),
    "log": lambda store, taken, owner: store.note(taken.id, owner, taken.entry, line="late"),
    "renewal": lambda store, taken, owner: (
        not store.tend(owner, b"", [(taken.id, taken.entry)]).lost
    ),
}


@pytest.fixture
def queue(queues):
    return queues.get_queue("fence")


def fields_of(queue, job):
    return queue.store.show(job.id).fields, queue.store.log_of(job.id, 10)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("second", ["me", "another"])
def test_nothing_that_a_stale_claim_writes_counts_while_another_is_active(queue, write, second):
    job = queue.add("x")
    stale = queue.store.take("me")
    # Released, so that both claims are attempt 1 of the job.
    assert queue.store.finish(stale, "me", "wait", b"", counted=False)[0] == COUNTED
    active = queue.store.take(second)
    assert (stale.attempt, active.attempt) == (1, 1)
    before = fields_of(queue, job)

    assert WRITES[write](queue.store, stale, "me") in {FENCED, False}

    assert fields_of(queue, job) == before
    assert job.state == "active"
    assert WRITES[write](queue.store, active, second) in {COUNTED, True}


@pytest.mark.parametrize("write", WRITES)
def test_the_attempt_that_a_retried_job_had_before_writes_nothing(queue, write):
    job = queue.add("x")
    stale = queue.store.take("me")
    assert queue.store.finish(stale, "me", "failed", b"{}")[0] == COUNTED
    job.retry()
    active = queue.store.take("me")
    assert (active.attempt, active.entry) == (1, 2)
    before = fields_of(queue, job)

    assert WRITES[write](queue.store, stale, "me") in {FENCED, False}

    assert fields_of(queue, job) == before
    assert WRITES[write](queue.store, active, "me") in {COUNTED, True}


@pytest.mark.parametrize("write", WRITES)
def test_a_claim_whose_job_was_taken_away_writes_nothing(queue, write):
    job = queue.add("x")
    stale = queue.store.take("me")
    job.remove(force=True)
    assert WRITES[write](queue.store, stale, "me") in {GONE, False}
    assert job.state == "gone"


@pytest.mark.parametrize("where", ["completed", "failed", "delayed", "wait"])
def test_an_end_that_is_repeated_counts_once(queue, where):
    queue.add("x")
    taken = queue.store.take("me")
    ends = [queue.store.finish(taken, "me", where, b"7", delay=60)[0] for _ in range(3)]
    assert ends == [COUNTED, AGAIN, AGAIN]
    counts = queue.counts()
    assert sum(counts[state] for state in ("waiting", "delayed", "completed", "failed")) == 1


def test_a_job_that_is_added_twice_is_there_once(queue):
    job = queue.add("x")
    message = queue.store.show(job.id).fields["message"]
    assert queue.store.add(job.id, message, DEFAULTS, 0).id == job.id
    assert queue.store.add(job.id, message, DEFAULTS, 60).id == job.id
    assert [one.id for one in queue.jobs()] == [job.id]
    queue.store.finish(queue.store.take("me"), "me", "completed", b"7")
    assert queue.store.add(job.id, message, DEFAULTS, 0).id == job.id
    assert job.state == "completed"


def test_a_job_that_is_released_or_reclaimed_runs_before_the_backlog(queue):
    jobs = [queue.add(n) for n in range(4)]
    released, reclaimed = queue.store.take("me"), queue.store.take("dead")
    queue.store.finish(reclaimed, "dead", "wait", b"{}")
    queue.store.finish(released, "me", "wait", b"", counted=False)
    taken = [queue.store.take("me") for _ in range(4)]
    assert [one.id for one in taken] == [job.id for job in jobs]
    assert [one.attempt for one in taken] == [1, 2, 1, 1]


@pytest.mark.parametrize("options", [{"lifo": True}, {"priority": 3}])
def test_a_job_that_comes_back_keeps_its_priority(queue, options):
    queue.add("other", **options)
    queue.add("mine", **options)
    taken = queue.store.take("me")
    message = queue.store.show(taken.id).fields["message"]
    queue.store.finish(taken, "me", "wait", b"", counted=False)
    queue.add("more urgent")
    order = [queue.store.take("me").message for _ in range(3)]
    wanted = 0 if options.get("lifo") else 1
    assert order.index(message) == wanted


def test_a_retried_job_runs_behind_the_backlog(queue):
    job = queue.add("again")
    queue.store.finish(queue.store.take("me"), "me", "failed", b"{}")
    other = queue.add("other")
    job.retry()
    assert [queue.store.take("me").id for _ in range(2)] == [other.id, job.id]


def test_jobs_of_equal_delay_run_in_their_order(queue):
    jobs = [queue.add(n, delay=0.05) for n in range(50)]
    time.sleep(0.2)
    assert [queue.store.take("me").id for _ in range(50)] == [job.id for job in jobs]


def test_a_delayed_job_is_due_within_its_millisecond(queue):
    for n in range(20):
        queue.add(n, delay=0.05)
    time.sleep(0.1)
    assert not isinstance(queue.store.take("me"), int)
    assert queue.counts()["delayed"] == 0


def test_jobs_of_earlier_code_are_read_and_taken_over(queue, shared_redis):
    base, jobs = queue.store.base, queue.store.jobs
    now = queue.store.now()
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
    assert queue.get("done").result(1) == 7
    failed = queue.get("failed")
    assert failed.failure.error == "E"
    failed.retry()
    assert failed.result(10) == ["failed", 1]


def test_the_worker_that_earlier_code_gave_a_job_can_still_end_it(queue, shared_redis):
    job = queue.add("x")
    taken = queue.store.take("me")
    shared_redis.hdel(f"{queue.store.jobs}{job.id}", "entry", "order")
    taken = type(taken)(taken.id, taken.message, taken.attempt, 0)
    assert queue.store.tend("me", b"", [(job.id, 0)]).lost == []
    assert queue.store.note(job.id, "me", 0, line="a line")
    assert queue.store.finish(taken, "me", "wait", b"")[0] == COUNTED
    assert queue.store.take("me").id == job.id

"""Idempotency keys of jobs: one job for each key, and never a silent other one."""

from __future__ import annotations

import pytest

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.queue.failure import JobFailed


@pytest.fixture
def queue(queues):
    return queues.get_queue("pay")


def echo(job):
    return job.data


def fail(job):
    raise ValueError(f"no {job.data}")


def ttl_of(queue, redis, key):
    return redis.pttl(f"{queue._store.base}:key:{key}")


def test_a_key_adds_a_job_once_whatever_becomes_of_the_job(queue, caplog):
    runs = []
    worker = queue.work(lambda job: runs.append(job.data))
    first = queue.add({"order": 17}, key="order-17")
    assert queue.add({"order": 17}, key="order-17") == first
    worker.drain(10)
    assert queue.add({"order": 17}, key="order-17") == first
    first.result(60)
    for n in range(120):
        queue.add(n).result(60)
    assert first.state == "gone"

    again = queue.add({"order": 17}, key="order-17")

    worker.drain(10)
    assert (again.id, again.state, again.data) == (first.id, "gone", {"order": 17})
    assert runs.count({"order": 17}) == 1
    assert "nothing was added" not in caplog.text
    with pytest.raises(NotFoundError):
        again.result(60)


def test_a_key_holds_for_a_job_that_is_not_kept(queue):
    runs = []
    worker = queue.work(lambda job: runs.append(job.data))
    for _ in range(3):
        queue.add(1, key="once", remove_on_complete=True)
        worker.drain(10)
    assert runs == [1]


def test_the_same_key_with_other_data_is_an_error_that_shows_both(queue):
    first = queue.add({"order": 17, "to": "ada"}, key="k")
    assert queue.add({"to": "ada", "order": 17}, key="k") == first  # the same, in another order
    wanted = (
        rf"key 'k' was used for job {first.id} with other data: "
        r'{"order":17,"to":"ada"}; here {"order":18}'
    )
    with pytest.raises(UsageError, match=wanted) as caught:
        queue.add({"order": 18}, key="k")
    assert "use another key" in caught.value.hint
    queue.work(echo).drain(10)
    queue._store.redis.delete(f"{queue._store.jobs}{first.id}")
    with pytest.raises(UsageError, match="with other data") as caught:
        queue.add({"order": 18}, key="k")
    assert caught.value.hint == "use another key for other data"  # there is no job to show
    assert queue.counts()["completed_total"] == 1


def test_no_secret_is_kept_with_a_key(queue):
    queue.add({"password": "hunter22"}, key="k")
    with pytest.raises(UsageError) as caught:
        queue.add({"password": "hunter23"}, key="k")
    assert "hunter" not in str(caught.value)


def test_a_key_whose_job_failed_or_was_cancelled_says_so(queue, caplog):
    worker = queue.work(fail)
    job = queue.add(1, key="k", attempts=1)
    with pytest.raises(JobFailed):
        job.result(10)
    worker.stop()
    assert queue.add(1, key="k") == job
    assert f"key k is job {job.id}, which failed: nothing was added; retry() runs it" in caplog.text
    caplog.clear()
    job.retry()
    assert queue.add(1, key="k").state == "waiting"
    assert not caplog.records
    job.cancel()
    assert queue.add(1, key="k") == job
    assert f"key k is job {job.id}, which was cancelled: nothing was added" in caplog.text


def test_a_key_expires_only_after_its_job_has_ended(make_queues, shared_redis):
    queue = make_queues(key_ttl=100).get_queue("pay")
    job = queue.add(1, key="k")
    assert ttl_of(queue, shared_redis, "k") == -1
    queue.work(echo).drain(10)
    assert 90_000 < ttl_of(queue, shared_redis, "k") <= 100_000
    queue.stop()
    job.retry()
    assert ttl_of(queue, shared_redis, "k") == -1
    job.cancel()
    assert ttl_of(queue, shared_redis, "k") > 0
    shared_redis.pexpire(f"{queue._store.base}:key:k", 1)
    while ttl_of(queue, shared_redis, "k") != -2:
        pass
    assert queue.add(2, key="k") != job
    with pytest.raises(UsageError, match="key_ttl must be greater than 0 s, got 0"):
        make_queues(key_ttl=0)


def test_removing_a_job_frees_its_key_unless_the_work_was_done(queue):
    waiting = queue.add(1, key="k")
    waiting.remove()
    second = queue.add(2, key="k")
    assert second != waiting
    queue.work(echo).drain(10)
    second.remove()
    assert queue.add(2, key="k").state == "gone"


def test_the_record_of_a_job_that_another_program_deleted_expires(queue, shared_redis):
    job = queue.add(1, key="k")
    shared_redis.delete(f"{queue._store.jobs}{job.id}")
    assert queue.add(1, key="k").id == job.id
    assert ttl_of(queue, shared_redis, "k") > 0


def test_the_record_of_a_job_that_is_gone_is_kept_no_longer_for_being_asked(
    make_queues, shared_redis
):
    queue = make_queues(key_ttl=100).get_queue("pay")
    job = queue.add(1, key="k", remove_on_complete=True)
    queue.work(echo).drain(10)
    shared_redis.pexpire(f"{queue._store.base}:key:k", 50_000)
    assert queue.add(1, key="k").id == job.id
    assert 0 < ttl_of(queue, shared_redis, "k") <= 50_000


def test_a_job_whose_key_is_anothers_by_now_leaves_its_record_alone(queue, shared_redis):
    former = queue.add(1, key="k")
    former.cancel()
    shared_redis.delete(f"{queue._store.base}:key:k")  # as if it had expired
    job = queue.add(2, key="k", delay=60)
    former.retry()
    queue.work(echo)
    assert former.result(10) == 1
    assert ttl_of(queue, shared_redis, "k") == -1
    former.remove()
    assert queue.add(2, key="k") == job


def test_adding_with_a_key_may_be_repeated(queue):
    from agentnb.core.queue.keys import KeyRecord
    from agentnb.core.queue.options import Options

    record = KeyRecord.of("k", 100, b"1", str)
    for _ in range(2):
        found = queue._store.add("a-job", b'{"data":1}', Options(key="k"), 0, record)
        assert found == ("a-job", None, None, None)
    assert [job.id for job in queue.jobs()] == ["a-job"]


def test_a_key_that_earlier_code_has_kept_holds(queue, shared_redis, caplog):
    base, jobs = queue._store.base, queue._store.jobs
    message = b'{"data":{"n":1},"options":{"key":"old"}}'
    shared_redis.hset(
        f"{jobs}old-job",
        mapping={"queue": "pay", "message": message, "unique": "old", "error": b"{}"},
    )
    shared_redis.hset(f"{base}:unique", "old", "old-job")
    shared_redis.zadd(f"{base}:failed", {"old-job": queue._store.now()})
    assert queue.add({"n": 1}, key="old").id == "old-job"
    assert "which failed: nothing was added" in caplog.text
    with pytest.raises(UsageError, match=r'with other data: {"n":1}; here {"n":2}'):
        queue.add({"n": 2}, key="old")
    queue.remove("old-job")
    assert queue.add({"n": 2}, key="old").state == "waiting"

"""How long jobs that have ended are kept, and how many there were."""

from __future__ import annotations

import asyncio
import time

import pytest

from agentnb.core.errors import DeadlineExceeded, NotFoundError, UsageError
from agentnb.core.queue.failure import JobCancelled, JobFailed
from agentnb.core.queue.options import DEFAULTS

from .queue_claims import claim


@pytest.fixture
def queue(queues):
    return queues.get_queue("kept")


def echo(job):
    return job.data


def fail(job):
    raise ValueError(job.data)


def add_all(queue, count, **options):
    return [queue.add(n, **options) for n in range(count)]


def test_results_that_nobody_has_read_yet_are_kept(queue):
    jobs = add_all(queue, 300)
    queue.work(echo).drain(30)
    assert [job.result(60) for job in jobs] == list(range(300))


def test_results_that_are_awaited_all_at_once_arrive(queue):
    jobs = add_all(queue, 150)
    queue.work(echo)

    async def gather():
        return await asyncio.gather(*jobs)

    assert asyncio.run(gather()) == list(range(150))


def test_results_that_were_read_are_kept_for_the_next_hundred_jobs(queue):
    jobs = add_all(queue, 120)
    worker = queue.work(echo)
    worker.drain(30)
    for job in jobs:
        job.result(60)
    assert queue.counts()["completed"] == 120
    add_all(queue, 10)
    worker.drain(10)
    # The 10 that nobody has read, and the newest 90 others.
    assert queue.counts()["completed"] == 100
    with pytest.raises(NotFoundError, match="no longer kept") as caught:
        jobs[0].result(60)
    assert "result_ttl" in caught.value.hint
    assert jobs[119].result(60) == 119
    assert queue.counts()["completed_total"] == 130


def test_a_result_that_is_old_is_removed_though_nobody_has_read_it(queue):
    add_all(queue, 5, result_ttl=0, remove_on_complete=2)
    queue.work(echo, concurrency=1).drain(10)
    assert [job.data for job in queue.jobs("completed")] == [4, 3]


def test_a_result_is_kept_for_the_time_that_its_job_asks_for(queue):
    add_all(queue, 3, result_ttl=0.2, remove_on_complete=1)
    worker = queue.work(echo, concurrency=1)
    worker.drain(10)
    assert queue.counts()["completed"] == 3
    time.sleep(0.25)
    queue.add("last", remove_on_complete=1)
    worker.drain(10)
    assert [job.data for job in queue.jobs("completed")] == ["last"]


def test_the_time_of_a_queue_holds_for_the_jobs_that_are_added_to_it(queue, make_queues):
    assert (queue.result_ttl, queue.add(1).options.result_ttl) == (3600, 3600)
    queue.result_ttl = 60
    assert queue.add(1).options.result_ttl == 60
    assert queue.add(1, result_ttl=5).options.result_ttl == 5
    other = make_queues(result_ttl=9).get_queue("other")
    assert other.add(1).options.result_ttl == 9
    with pytest.raises(UsageError, match="result_ttl must be 0 s or more, got -1"):
        queue.result_ttl = -1
    with pytest.raises(UsageError, match="result_ttl must be 0 s or more, got 'soon'"):
        queue.add(1, result_ttl="soon")


def test_a_job_that_asks_not_to_be_kept_leaves_nothing_behind(queue, shared_redis):
    job = queue.add(1, remove_on_complete=True)
    queue.work(lambda job: job.log("a line")).drain(10)
    key = f"{queue._store.jobs}{job.id}"
    assert shared_redis.exists(key, f"{key}:log") == 0
    assert queue.counts()["completed_total"] == 1


def test_the_options_of_one_job_never_remove_another(queue):
    kept = add_all(queue, 110, remove_on_complete=False)
    default = add_all(queue, 3)
    worker = queue.work(echo, concurrency=1)
    worker.drain(30)
    for job in [*kept, *default]:
        job.result(60)
    queue.add("greedy", remove_on_complete=1, result_ttl=0).result(60)
    queue.add("greedy", remove_on_complete=1, result_ttl=0).result(60)
    queue.add("gone", remove_on_complete=True)
    queue.add("default").result(60)
    worker.drain(10)
    # Only the first of the two that ask for one to be kept is gone, and the one that asked for it.
    assert queue.counts()["completed"] == 115
    assert [kept[0].result(60), default[0].result(1)] == [0, 0]


def test_failures_are_kept_and_all_of_them_can_be_retried(queue):
    jobs = add_all(queue, 120, attempts=1)
    worker = queue.work(fail)
    worker.drain(30)
    for job in jobs:
        with pytest.raises(JobFailed):
            job.result(60)
    queue.add("one more", attempts=1)
    worker.drain(10)
    assert queue.counts()["failed"] == 121
    queue.work(echo)
    for job in jobs:
        job.retry()
    assert [job.result(60) for job in jobs] == list(range(120))
    assert queue.counts()["failed_total"] == 121


def test_failures_and_results_have_a_largest_number(queue, monkeypatch, shared_redis):
    monkeypatch.setattr("agentnb.core.queue.options._MOST_FAILURES", 60)
    monkeypatch.setattr("agentnb.core.queue.options._MOST_RESULTS", 110)
    failures = add_all(queue, 70, attempts=1)
    queue.work(fail).drain(30)
    keys = [f"{queue._store.jobs}{job.id}" for job in failures]
    assert shared_redis.exists(*keys) == 60
    add_all(queue, 120)
    queue.work(echo).drain(30)
    counts = queue.counts()
    assert (counts["failed"], counts["completed"]) == (60, 110)


def test_a_failure_that_is_a_week_old_is_removed(queue, monkeypatch, shared_redis):
    monkeypatch.setattr("agentnb.core.queue.options._FAILURE_TTL", 0.0)
    jobs = add_all(queue, 55, attempts=1)
    queue.work(fail, concurrency=1).drain(30)
    assert [job.data for job in queue.jobs("failed", 100, newest=False)] == list(range(5, 55))
    assert not shared_redis.exists(f"{queue._store.jobs}{jobs[0].id}")


def test_results_are_kept_for_an_hour_and_failures_for_a_week():
    assert DEFAULTS.retention("completed") == (100, 3600, 100_000)
    assert DEFAULTS.retention("failed") == (50, 7 * 86400, 10_000)
    assert DEFAULTS.retention("cancelled") == DEFAULTS.retention("failed")


def test_a_result_that_was_given_up_is_not_taken_for_one_that_was_read(queue):
    job = queue.add(1, remove_on_complete=1)
    with pytest.raises(DeadlineExceeded):
        job.result(0.01)
    queue.add(2, remove_on_complete=1)
    queue.work(echo, concurrency=1).drain(10)
    assert job.result(60) == 1


def test_a_removed_or_retried_job_leaves_nothing_that_removes_others(queue):
    jobs = add_all(queue, 4, remove_on_complete=2, result_ttl=0.05)
    worker = queue.work(echo, concurrency=1)
    worker.drain(10)
    jobs[0].remove()
    jobs[1].retry()
    worker.drain(10)
    time.sleep(0.1)
    queue.add("last", remove_on_complete=2)
    worker.drain(10)
    assert [job.data for job in queue.jobs("completed")] == ["last", 1]


def test_cancelled_jobs_have_a_state_of_their_own(queue, make_bus, make_queues, until):
    bus = make_bus()
    queue = make_queues(events=bus).get_queue("cancelled")
    seen = []
    bus.subscribe("queue.cancelled.*", lambda event: seen.append(event.channel))
    waiting, delayed, active = queue.add(1), queue.add(2, delay=60), queue.add(3)
    claim(queue)
    for job in (waiting, delayed, active):
        job.cancel()
        with pytest.raises(JobCancelled, match=f"job {job.id} of cancelled was cancelled"):
            job.result(60)
    assert {job.state for job in (waiting, delayed, active)} == {"cancelled"}
    assert set(queue.jobs("cancelled")) == {waiting, delayed, active}
    counts = queue.counts()
    assert (counts["cancelled"], counts["cancelled_total"], counts["failed_total"]) == (3, 3, 0)
    assert counts.left == 0
    until(lambda: seen == ["queue.cancelled.cancelled"] * 3)
    active.retry()
    queue.work(echo)
    assert active.result(60) == 3


def test_a_job_that_somebody_waits_for_is_told_that_it_was_cancelled(queue):
    import threading

    job = queue.add(1)
    threading.Timer(0.1, job.cancel).start()
    with pytest.raises(JobCancelled):
        job.result(60)


def test_the_former_names_of_the_totals_are_read_with_a_warning(queue):
    queue.add(1)
    queue.work(echo).drain(10)
    counts = queue.counts()
    for name in ("ever completed", "ever failed"):
        with pytest.warns(DeprecationWarning, match=r"use counts\(\)\["):
            assert counts[name] == counts[f"{name.split()[1]}_total"]
    with pytest.raises(KeyError):
        _ = counts["ever"]
